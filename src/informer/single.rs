//! Objects' metadata, asked of the server itself and changed there.
//!
//! For those few places where the cache's word is not enough. Nothing of the object but its metadata is asked for, so a
//! Secret's content does not travel.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kubehandler_core::ObjectKey;
use tokio::time::timeout;

use super::client::Place;
use super::error::{InformerErrorKind as Kind, Verb};
use super::machine::PageRequest;
use super::shared::Informer;
use super::source::{METADATA, RequestError, Source};
use super::split::OBJECT_MAX;
use super::target::{Asked, Target};
use crate::cache::StoredObject;

/// What the server says of one object.
pub(crate) enum Answer {
    /// Its metadata, as they are now.
    Found(StoredObject),
    /// There is no object of this name. A resource that the server does not know is an error, and never says that.
    Gone,
    /// It has changed since the version that the patch named: nothing was changed.
    Conflict,
}

impl Informer {
    /// Asks the server for the object's metadata.
    pub(crate) async fn fetch(&self, key: &ObjectKey) -> Result<Answer, RequestError> {
        let request = |path| Request::get(path).header(ACCEPT, METADATA).body(Body::empty());
        self.single(Verb::Get, key, request).await
    }

    /// Merges `patch` into the object. It should name the resourceVersion that it builds on.
    pub(crate) async fn patch(&self, key: &ObjectKey, patch: &serde_json::Value) -> Result<Answer, RequestError> {
        let request = |path| {
            Request::patch(path)
                .header(ACCEPT, METADATA)
                .header(CONTENT_TYPE, "application/merge-patch+json")
                .body(Body::from(patch.to_string().into_bytes()))
        };
        self.single(Verb::Patch, key, request).await
    }

    /// Lists the metadata of all objects that it would watch, and returns those that `wanted` picks.
    pub(crate) async fn find(&self, wanted: impl Fn(&StoredObject) -> bool) -> Result<Vec<StoredObject>, RequestError> {
        let mut found = Vec::new();
        for (asked, _) in &self.parts {
            let (_, target) = self.locate(asked).await?;
            let (target, types) = (Target { metadata_only: true, ..target.clone() }, target.types());
            let source = Source::new(self.client.clone(), target, self.config.read_timeout);
            let mut body = source.list(&PageRequest { limit: None, continue_token: None }).await?;
            while let Some(item) = body.next().await? {
                // What cannot be stored is no object that anybody could be asked to change.
                found.extend(StoredObject::parse(&item, &types, false).ok().filter(&wanted));
            }
            body.finish()?;
        }
        Ok(found)
    }

    /// Where what is asked for is.
    async fn locate(&self, asked: &Asked) -> Result<(Place, Target), RequestError> {
        Source::new(self.client.clone(), asked.clone(), self.config.read_timeout).located().await
    }

    async fn single(
        &self,
        verb: Verb,
        key: &ObjectKey,
        request: impl FnOnce(String) -> http::Result<Request<Body>>,
    ) -> Result<Answer, RequestError> {
        let limit = self.config.read_timeout;
        let (place, target) = self.locate(&self.target).await?;
        let types = target.types();
        let source = Source::new(self.client.clone(), target, limit);
        let answer = source.answer(verb, request(source.target.object_path(key))).await?;
        let code = answer.status();
        if !code.is_success() {
            let (status, error) = source.refused(verb, answer).await;
            return match code {
                StatusCode::NOT_FOUND if status.is_gone(key.name()) => Ok(Answer::Gone),
                StatusCode::CONFLICT => Ok(Answer::Conflict),
                StatusCode::NOT_FOUND => {
                    self.client.forget(&place);
                    Err(error)
                }
                _ => Err(error),
            };
        }
        match timeout(limit, Limited::new(answer.into_body(), OBJECT_MAX).collect()).await {
            Err(_) => Err(source.failed(verb, Kind::Stalled, "the answer stalled")),
            Ok(Err(_)) => Err(source.failed(verb, Kind::Truncated, "the answer ended in the middle")),
            Ok(Ok(body)) => StoredObject::parse(&body.to_bytes(), &types, false)
                .map(Answer::Found)
                .map_err(|error| source.failed(verb, Kind::Malformed, &format!("the answer is unusable: {error}"))),
        }
    }
}
