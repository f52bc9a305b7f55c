//! The client of all informers of a factory, and what discovery has told it of the server's kinds: asked once, for all.
//!
//! A document is kept until a request shows that it is out of date: what it names does not exist (404). One that lacks a kind
//! is asked for again whenever somebody looks for that kind; for a second it is good for all who do. Who comes while a document
//! is being asked for waits for the same answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::ACCEPT;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::discovery::{Document, Listed};
use super::error::{InformerErrorKind as Kind, Verb};
use super::kind::KindName;
use super::source::{RequestError, Source};
use super::target::{Resource, Target, Wanted};
use crate::sync::{Arc, Mutex};

/// For how long a document is good in which a kind is missing.
const LACKING_MAX: Duration = Duration::from_secs(1);
/// A document that is larger than this is no document of discovery.
const DOCUMENT_MAX: usize = 8 << 20;

/// A client, and what it knows of the server's kinds. Clones share.
#[derive(Clone)]
pub(crate) struct Client {
    kube: kube::Client,
    documents: Arc<Mutex<BTreeMap<String, Cell>>>,
}

/// A document's place, by its path: one asks, the others wait for the same answer, and nobody holds the lock meanwhile.
type Cell = Arc<OnceCell<Arc<Answer>>>;

/// What the server has answered.
struct Answer {
    // `None`: there is no such group, or version (404).
    document: Option<Document>,
    asked: Instant,
}

/// Where a kind is.
pub(super) struct Place {
    pub(super) resource: Resource,
    // What says so.
    answers: Vec<(String, Arc<Answer>)>,
}

impl Client {
    pub(super) fn new(kube: kube::Client) -> Self {
        Self { kube, documents: Arc::default() }
    }

    pub(super) fn kube(&self) -> &kube::Client {
        &self.kube
    }

    /// What says that a kind is at this place is out of date: what is newer already stays.
    pub(super) fn forget(&self, place: &Place) {
        for (path, answer) in &place.answers {
            self.forget_answer(path, answer);
        }
    }

    fn forget_answer(&self, path: &str, answer: &Arc<Answer>) {
        let mut documents = self.documents.lock();
        let held = documents.get(path).and_then(|cell| cell.get());
        if held.is_some_and(|held| Arc::ptr_eq(held, answer)) {
            documents.remove(path);
        }
    }

    fn cell(&self, path: &str) -> Cell {
        let mut documents = self.documents.lock();
        Arc::clone(documents.entry(path.to_owned()).or_default())
    }
}

impl Source<Wanted> {
    /// Where the kind is. A kind that is named by its resource needs no question.
    pub(super) async fn locate(&self) -> Result<Place, RequestError> {
        let name = match &self.target.resource {
            Wanted::Resource(resource) => return Ok(Place { resource: resource.clone(), answers: Vec::new() }),
            Wanted::Kind(name) => name,
        };
        if let Ok(place) = self.look_for(name, None).await? {
            return Ok(place);
        }
        self.look_for(name, Some(LACKING_MAX)).await?.map_err(|why| self.failed(Verb::Discover, Kind::Missing, &why))
    }

    /// As [`locate`](Self::locate), for requests.
    pub(super) async fn located(&self) -> Result<(Place, Target), RequestError> {
        let place = self.locate().await?;
        let target = self.target.at(place.resource.clone());
        Ok((place, target))
    }

    /// Looks into the documents, none older than `age_max`; says in which words the kind is missing, if it is.
    async fn look_for(
        &self,
        name: &KindName,
        age_max: Option<Duration>,
    ) -> Result<Result<Place, String>, RequestError> {
        let KindName { group, kind, .. } = name;
        let mut answers = Vec::new();
        let versions = if let Some(version) = &name.version {
            vec![version.clone()]
        } else {
            let path = format!("/apis/{group}");
            let answer = self.ask(&path, age_max).await?;
            let Some(document) = &answer.document else { return Ok(Err(format!("there is no group {group}"))) };
            let versions = document.versions().map(str::to_owned).collect();
            answers.push((path, answer));
            versions
        };
        let mut lacking = format!("discovery lacks {}", name.api_version());
        for version in versions {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            let answer = self.ask(&path, age_max).await?;
            if let Some(document) = &answer.document {
                if let Some(listed) = document.find(kind) {
                    let (group, plural, kind) = (group.clone(), listed.plural.clone(), kind.clone());
                    let resource = Resource { group, version, plural, kind };
                    self.check(listed, &resource)?;
                    answers.push((path, answer));
                    return Ok(Ok(Place { resource, answers }));
                }
                let hint = document.similar(kind).map(|similar| format!(": is {similar} meant?")).unwrap_or_default();
                lacking = format!("discovery has no such kind{hint}");
            }
            answers.push((path, answer));
        }
        Ok(Err(lacking))
    }

    /// Whether what is wanted of the kind can be had.
    fn check(&self, listed: &Listed, resource: &Resource) -> Result<(), RequestError> {
        let refused = |detail: &str| Err(self.failed(Verb::Discover, Kind::Rejected, &format!("{resource} {detail}")));
        if !listed.namespaced && self.target.namespaces.is_some() {
            return refused("have no namespaces: ask for all (InformerConfig::all_namespaces)");
        }
        if listed.is_watchable() {
            Ok(())
        } else {
            refused("can only be asked for one by one, neither listed nor watched")
        }
    }

    /// The document at `path`, as it was told before or now.
    async fn ask(&self, path: &str, age_max: Option<Duration>) -> Result<Arc<Answer>, RequestError> {
        let answer = Arc::clone(self.client.cell(path).get_or_try_init(|| self.fetch(path)).await?);
        if age_max.is_none_or(|age_max| answer.asked.elapsed() <= age_max) {
            return Ok(answer);
        }
        self.client.forget_answer(path, &answer);
        Ok(Arc::clone(self.client.cell(path).get_or_try_init(|| self.fetch(path)).await?))
    }

    async fn fetch(&self, path: &str) -> Result<Arc<Answer>, RequestError> {
        let verb = Verb::Discover;
        let asked = Instant::now();
        let request = Request::get(path).header(ACCEPT, "application/json").body(Body::empty());
        let answer = self.answer(verb, request).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Arc::new(Answer { document: None, asked }));
        }
        if !answer.status().is_success() {
            return Err(self.refused(verb, answer).await.1);
        }
        let body = Limited::new(answer.into_body(), DOCUMENT_MAX).collect();
        let body = match timeout(self.read_timeout, body).await {
            Err(_) => return Err(self.failed(verb, Kind::Stalled, "the answer stalled")),
            Ok(Err(_)) => return Err(self.failed(verb, Kind::Truncated, "the answer ended in the middle")),
            Ok(Ok(body)) => body.to_bytes(),
        };
        let document = serde_json::from_slice(&body)
            .map_err(|_| self.failed(verb, Kind::Malformed, "the answer is no discovery document"))?;
        Ok(Arc::new(Answer { document: Some(document), asked }))
    }
}
