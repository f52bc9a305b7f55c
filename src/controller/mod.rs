//! Ways to write a controller that are made of an [`EventHandler`](crate::EventHandler): a [`ResourceController`], which is given objects
//! and its own options, and, if it asks for that, only objects that fit a schema; and a [`Controller`], one function with
//! what it owns and watches.
//!
//! It owns what is kept between two calls of a resource controller: the state of each object that it was given last
//! ([`given`]), and which objects a schema rejects ([`gate`]). Both go through the event loop's public face, so the delivery contract holds
//! unchanged. It must not know queue, dispatch, or how objects arrive.

mod builder;
mod controlling;
mod gate;
mod given;
mod resource;
#[cfg(all(test, not(shuttle)))]
mod tests;

pub use builder::{Controller, ControllerFuncs};
pub use controlling::Controlling;
#[cfg(feature = "schema")]
pub use gate::Rejections;
pub use resource::ResourceController;
