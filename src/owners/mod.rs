//! Owner references: who belongs to whom, by Kubernetes' rules, and finding what somebody owns.
//!
//! Pure but for [`Owned`], which asks an informer's cache through an index.

mod owned;
mod references;
#[cfg(all(test, not(shuttle)))]
mod tests;

pub use owned::Owned;
pub use references::{OwnerError, Role, add_owner, contains, is_owned_by, object_ref, owner_reference};
