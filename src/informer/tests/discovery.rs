//! Where a kind is: which documents are asked for, when again, and what their words become.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::fixture::pass;
use crate::informer::InformerErrorKind as Kind;
use crate::informer::client::{Client, Place};
use crate::informer::kind::KindName;
use crate::informer::source::{RequestError, Source};
use crate::informer::target::{Target, Wanted};

/// How long the server takes for an answer.
const ANSWER: Duration = Duration::from_millis(100);

/// A server that has nothing but discovery documents.
#[derive(Clone, Default)]
struct Documents {
    // A status, and a body.
    answer: Arc<Mutex<(u16, Value)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Documents {
    fn of(document: Value) -> (Self, Client) {
        let documents = Self::default();
        documents.say(200, document);
        let server = documents.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                server.asked.lock().unwrap().push(request.uri().path().to_owned());
                pass(ANSWER).await;
                let (status, body) = server.answer.lock().unwrap().clone();
                let answer = Response::builder().status(status).body(Body::from(body.to_string().into_bytes()));
                Ok::<_, Infallible>(answer.unwrap())
            }
        });
        (documents, Client::new(kube::Client::new(service, "default")))
    }

    fn say(&self, status: u16, document: Value) {
        *self.answer.lock().unwrap() = (status, document);
    }

    /// How often it was asked since the last time.
    fn asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }
}

/// A version that has widgets, or gadgets of the same kind.
fn version(plural: &str) -> Value {
    let verbs = ["get", "list", "watch"];
    json!({"resources": [{"name": plural, "kind": "Widget", "namespaced": true, "verbs": verbs}]})
}

async fn locate(client: &Client, kind: &str) -> Result<Place, RequestError> {
    let resource = Wanted::Kind(KindName::parse("example.com/v1", kind).unwrap());
    let (namespaces, label_selector, field_selector) = (Some(vec!["web".to_owned()]), None, None);
    let target = Target { resource, namespaces, label_selector, field_selector, metadata_only: false };
    Source::new(client.clone(), target, Duration::from_secs(60)).locate().await
}

async fn plural(client: &Client) -> String {
    locate(client, "Widget").await.unwrap_or_else(|error| panic!("{}", error.error)).resource.plural
}

async fn refused(client: &Client, kind: &str) -> RequestError {
    match locate(client, kind).await {
        Ok(place) => panic!("{}", place.resource),
        Err(error) => error,
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_while_another_asks_wait_for_the_same_answer() {
    let (documents, client) = Documents::of(version("widgets"));
    let found = tokio::join!(plural(&client), plural(&client), plural(&client));
    assert_eq!((found.0.as_str(), found.2.as_str(), documents.asked()), ("widgets", "widgets", 1));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_its_asker_drops_is_asked_by_the_next() {
    let (documents, client) = Documents::of(version("widgets"));
    tokio::select! {
        biased;
        found = plural(&client) => panic!("{found}"),
        () = pass(ANSWER / 2) => {}
    }
    assert_eq!((plural(&client).await.as_str(), documents.asked()), ("widgets", 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_kept_until_it_proves_out_of_date() {
    let (documents, client) = Documents::of(version("widgets"));
    let (mine, theirs) = (locate(&client, "Widget").await.ok().unwrap(), locate(&client, "Widget").await.ok().unwrap());
    documents.say(200, version("gadgets"));
    pass(Duration::from_secs(3600)).await;
    assert_eq!((plural(&client).await.as_str(), documents.asked()), ("widgets", 1));
    client.forget(&mine);
    assert_eq!((plural(&client).await.as_str(), documents.asked()), ("gadgets", 1));
    client.forget(&theirs);
    assert_eq!((plural(&client).await.as_str(), documents.asked()), ("gadgets", 0), "what is newer stays");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_missing_is_looked_for_anew_at_most_once_a_second() {
    for (status, document) in [(200, version("widgets")), (404, json!({"reason": "NotFound"}))] {
        let (documents, client) = Documents::of(document.clone());
        documents.say(status, document);
        for (pause, asks) in [(0, 1), (400, 0), (400, 0), (400, 1)] {
            pass(Duration::from_millis(pause)).await;
            let error = refused(&client, "Gizmo").await;
            assert_eq!((error.failure().kind, documents.asked()), (Kind::Missing, asks), "{pause}: {}", error.error);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_kept_by_nobody_and_says_nothing_about_lists() {
    let (documents, client) = Documents::of(version("widgets"));
    for (status, body, kind, machine) in [
        (500, json!({}), Kind::Server, Kind::Busy),
        (503, json!({}), Kind::Busy, Kind::Busy),
        (400, json!({}), Kind::Rejected, Kind::Busy),
        (200, json!([1]), Kind::Malformed, Kind::Busy),
        (401, json!({}), Kind::Unauthorized, Kind::Unauthorized),
        (403, json!({"message": "no"}), Kind::Forbidden, Kind::Forbidden),
    ] {
        documents.say(status, body);
        let error = refused(&client, "Widget").await;
        assert_eq!((error.error.kind(), error.failure().kind), (kind, machine), "{}", error.error);
        assert!(error.error.to_string().starts_with("cannot discover Widget (example.com/v1) in namespace web: "));
    }
    assert!(refused(&client, "Widget").await.error.to_string().ends_with("grant the ClusterRole system:discovery"));
    documents.say(200, version("widgets"));
    assert_eq!(plural(&client).await, "widgets");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_watched_as_it_is_wanted_is_refused_in_clear_words() {
    for (namespaced, verbs, words) in [
        (true, json!(["create"]), "widgets.example.com can only be asked for one by one, neither listed nor watched"),
        (
            false,
            json!(["list", "watch"]),
            "widgets.example.com have no namespaces: ask for all (InformerConfig::all_namespaces)",
        ),
    ] {
        let entry = json!({"name": "widgets", "kind": "Widget", "namespaced": namespaced, "verbs": verbs});
        let (_, client) = Documents::of(json!({"resources": [entry]}));
        let error = refused(&client, "Widget").await.error;
        assert_eq!(error.kind(), Kind::Rejected);
        assert_eq!(error.to_string(), format!("cannot discover Widget (example.com/v1) in namespace web: {words}"));
    }
}
