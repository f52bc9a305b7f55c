//! The informer: list and watch of one resource and scope, shared by all who ask for the same.
//!
//! `machine` decides (list, watch, resume, list again, wait) and does no I/O; `source` speaks to the API server and
//! decides nothing; `task` drives the one with the other and fills the cache. Objects stay JSON text until somebody
//! decodes them, so one object that does not fit its type never harms a list or a watch.
//!
//! The informer must not know queues or handlers: it fills a cache, which tells its subscribers.

mod ahead;
mod client;
mod config;
mod counts;
mod definition;
mod discovery;
mod error;
mod face;
mod factory;
mod frame;
#[cfg(all(test, not(shuttle)))]
mod fuzz;
mod gathered;
mod indexes;
mod intake;
mod kind;
mod machine;
mod progress;
#[cfg(all(test, shuttle))]
pub(crate) mod races;
mod shared;
mod single;
mod source;
mod split;
mod status;
mod target;
mod task;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod transform;

pub use config::{InformerConfig, ListMode, OnMissing, Representation, RetryAfter, RetryInterval};
#[cfg(feature = "metrics")]
pub(crate) use counts::{Counts, ErrorSource, EventKind};
pub use error::{AtLeastError, InformerError, InformerErrorKind, OptionsConflict, StoppedError, SyncError};
pub use face::{CacheSnapshot, SharedInformer};
pub use factory::InformerFactory;
pub use indexes::{IndexError, IndexHandle};
pub use kind::KindError;
pub(crate) use machine::RETRY_AFTER_MAX;
pub(crate) use shared::{Informer, Subscription};
pub(crate) use single::Answer;
pub(crate) use source::RequestError;
pub use status::{InformerState, InformerStatus};
pub use transform::PointerError;
