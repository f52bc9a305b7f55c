//! What an informer saw: objects by key, and who is told of their changes.
//!
//! Each object is kept as the text that the server sent, compressed; what selectors and mapping need lies beside it, and the
//! typed object is decoded when somebody asks. So one object that does not fit its type fails for itself alone.
//!
//! The cache must not know how objects arrive: it is given complete lists and single events.

mod codec;
mod content;
mod decoded;
mod dynamic;
mod error;
mod index;
mod intern;
mod labels;
mod metadata;
mod mismatch;
mod object;
mod packer;
mod store;
mod subscriber;

pub(crate) use content::Content;
pub(crate) use decoded::Decoded;
pub use dynamic::{Dynamic, DynamicFields};
pub use error::DecodeError;
pub(crate) use index::IndexId;
pub(crate) use intern::Interner;
pub use metadata::ObjectMetadata;
pub(crate) use object::{MetadataError, StoredObject, TypeMeta};
pub(crate) use packer::Packer;
pub(crate) use store::{Cache, Entry, Part, Session, SubscriberId};
#[cfg(test)]
pub(crate) use subscriber::Silent;
pub(crate) use subscriber::{Change, Later, Leftovers, Origin, Subscriber};
