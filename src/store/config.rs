//! How a subscriber is told, and when a store begins and ends.

use std::fmt;
use std::time::Duration;

use kubehandler_core::outbox::Delivery;
use tokio_util::sync::CancellationToken;

use super::observer::Observer;
use crate::sync::Arc;

/// Whether the objects that exist are told before [`SharedInformer::watch`](crate::SharedInformer::watch) returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InitMode {
    /// All of them: the subscriber knows the cluster's state when it returns. The default.
    #[default]
    Sync,
    /// None of them: nothing is told before it has returned.
    Defer,
}

/// How a subscriber is told, and when its store ends. What is watched, and when failed requests are tried again, is the
/// informer's to say: [`InformerConfig`](crate::InformerConfig).
///
/// ```
/// use kubehandler::{Delivery, InitMode, WatchConfig};
///
/// let config = WatchConfig::new("autoscaler").init(InitMode::Defer).delivery(Delivery::Block(100));
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct WatchConfig {
    pub(super) name: String,
    pub(super) object_name_log_field: String,
    pub(super) init: InitMode,
    pub(super) delivery: Delivery,
    pub(super) sync_deadline: Duration,
    pub(super) cancellation: CancellationToken,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for WatchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchConfig")
            .field("name", &self.name)
            .field("object_name_log_field", &self.object_name_log_field)
            .field("init", &self.init)
            .field("delivery", &self.delivery)
            .field("sync_deadline", &self.sync_deadline)
            .finish_non_exhaustive()
    }
}

impl WatchConfig {
    /// The defaults, for a store that logs and metrics know by `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            object_name_log_field: "object".to_owned(),
            init: InitMode::default(),
            delivery: Delivery::default(),
            sync_deadline: Duration::from_secs(120),
            cancellation: CancellationToken::new(),
            observer: None,
        }
    }

    /// What log lines call an object, such as `pod`: `pod=shop/web-1`. `object` by default.
    #[must_use]
    pub fn object_name_log_field(mut self, field: impl Into<String>) -> Self {
        self.object_name_log_field = field.into();
        self
    }

    /// Whether the objects that exist are told before [`SharedInformer::watch`](crate::SharedInformer::watch) returns:
    /// they are by default.
    #[must_use]
    pub fn init(mut self, init: InitMode) -> Self {
        self.init = init;
        self
    }

    /// What becomes of changes for which the subscriber is too slow: those of one object become one by default.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// How long the informer's first list may take: two minutes by default, as for an event loop.
    #[must_use]
    pub fn sync_deadline(mut self, deadline: Duration) -> Self {
        self.sync_deadline = deadline;
        self
    }

    /// Tells this one of the store.
    #[cfg(feature = "metrics")]
    pub(crate) fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Ends the store when the token is cancelled.
    #[must_use]
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }
}
