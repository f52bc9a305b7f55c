//! Kubernetes Events: what `kubectl describe website` and `kubectl get events` show.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use tracing::warn;

use crate::crd::Website;
use crate::desired::MANAGER;

/// Publishes Events about Websites. Cheap to clone.
#[derive(Clone)]
pub struct Announcer {
    recorder: Recorder,
}

impl Announcer {
    /// Publishes through this client, in the name of this pod if `POD_NAME` says so.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let instance = std::env::var("POD_NAME").ok();
        Self { recorder: Recorder::new(client, Reporter { controller: MANAGER.to_owned(), instance }) }
    }

    /// Something went as it should.
    pub async fn normal(&self, website: &Website, action: &str, reason: &str, note: String) {
        self.publish(website, EventType::Normal, action, reason, note).await;
    }

    /// Something needs somebody's attention.
    pub async fn warning(&self, website: &Website, action: &str, reason: &str, note: String) {
        self.publish(website, EventType::Warning, action, reason, note).await;
    }

    // A failure is logged and forgotten: an Event tells of work, it must not fail it.
    async fn publish(&self, website: &Website, type_: EventType, action: &str, reason: &str, note: String) {
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, &website.object_ref(&())).await {
            let error = match error {
                kube::Error::Api(status) => status.message,
                other => other.to_string(),
            };
            warn!(reason, "an Event was not published: {error}");
        }
    }
}
