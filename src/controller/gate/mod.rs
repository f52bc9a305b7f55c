//! Which objects a controller is given: those that its schema does not reject, all without one.
//!
//! `enabled` is compiled with the feature `schema`, `disabled` without: the same functions in both, so that who calls them needs no `cfg`.

#[cfg(not(feature = "schema"))]
mod disabled;
#[cfg(feature = "schema")]
mod enabled;
#[cfg(feature = "schema")]
mod limit;

#[cfg(not(feature = "schema"))]
pub(super) use disabled::Gate;
#[cfg(feature = "schema")]
pub(super) use enabled::Gate;
#[cfg(feature = "schema")]
pub use enabled::Rejections;
