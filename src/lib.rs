//! Event handlers for Kubernetes controllers.

mod cache;
mod informer;
mod json;

pub use cache::DecodeError;
pub use informer::{
    InformerConfig, InformerError, InformerErrorKind, InformerFactory, InformerState, InformerStatus, OnMissing,
    OptionsConflict, RetryInterval, SharedInformer, SyncError,
};
pub use kubehandler_core::{EventType, ObjectKey};
