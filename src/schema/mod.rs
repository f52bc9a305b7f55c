//! JSON schemas that objects are checked against: the crate `jsonschema`, without network and files, and with words for what it finds that
//! hold nothing of the object but paths and names of properties.
//!
//! It must not know where objects come from, nor what follows for one that is rejected.

mod compile;
mod crd;
mod error;
#[cfg(test)]
mod tests;
mod violation;

pub use compile::Schema;
pub use error::SchemaError;
pub use violation::{Violation, Violations};
