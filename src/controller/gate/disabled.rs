//! Without the feature `schema`: every object passes.

use std::convert::Infallible;

use kubehandler_core::ObjectKey;

use crate::cache::StoredObject;

/// Lets every object pass.
#[derive(Default)]
pub(in crate::controller) struct Gate(());

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "what the gate with a schema needs")]
impl Gate {
    pub(in crate::controller) fn check(&self, _: &str, _: &StoredObject) -> Result<(), Infallible> {
        Ok(())
    }

    pub(in crate::controller) fn passes(&self, _: &StoredObject) -> bool {
        true
    }

    pub(in crate::controller) fn forget(&self, _: &ObjectKey) {}
}
