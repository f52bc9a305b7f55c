//! What an informer saw: objects by key, and who is told of their changes.
//!
//! Each object is kept as the text that the server sent; what selectors and mapping need lies beside it, and the
//! typed object is decoded when somebody asks. So one object that does not fit its type fails for itself alone.
//!
//! The cache must not know how objects arrive: it is given complete lists and single events.

mod error;
mod metadata;
mod mismatch;
mod object;
mod store;
mod subscriber;

pub use error::DecodeError;
pub use metadata::ObjectMetadata;
pub(crate) use object::{MetadataError, StoredObject, TypeMeta};
pub(crate) use store::{Cache, Entry, Session, SubscriberId};
pub(crate) use subscriber::{Change, Later, Leftovers, Origin, Subscriber};
