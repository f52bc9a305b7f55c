//! What lies between the library's client and the server: a wire that tests can cut, hold and lie on.
//!
//! It sits in front of either server, so a test of a watch gap is the same on both. It records each request that the
//! library sends; the test's own requests go around it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use kube::client::{Body, Client};
use serde_json::json;
use tokio::sync::watch;
use tower::BoxError;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Matches = Arc<dyn Fn(&Sent) -> bool + Send + Sync>;

/// A request that the library sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
}

impl Sent {
    pub(crate) fn is_watch(&self) -> bool {
        self.query.contains("watch=1") || self.query.contains("watch=true")
    }

    pub(crate) fn is_list(&self) -> bool {
        self.method == "GET" && !self.is_watch()
    }

    pub(crate) fn is_patch(&self) -> bool {
        self.method == "PATCH"
    }

    /// Whether it is about this resource (its plural name).
    pub(crate) fn is_about(&self, plural: &str) -> bool {
        self.path.rsplit('/').next() == Some(plural)
    }
}

/// The wire. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
    // How connections were last ended: one ends when this changes.
    ends: watch::Sender<ConnectionEnd>,
    // Tells held requests that a rule has gone.
    released: watch::Sender<u64>,
}

/// How connections end.
#[derive(Clone, Copy, Debug)]
enum ConnectionEnd {
    /// As a server ends an answer.
    Orderly,
    /// As a machine on the way that has had enough.
    Broken,
    /// Not at all, to the one at this end: nothing comes any more, and nobody says so.
    Silent,
}

#[derive(Default)]
struct State {
    down: bool,
    next_rule: u64,
    rules: Vec<Rule>,
    sent: Vec<Sent>,
}

struct Rule {
    id: u64,
    matches: Matches,
    fate: Fate,
    /// How many requests it applies to; `None` is all.
    left: Option<u32>,
}

#[derive(Clone, Copy)]
enum Fate {
    /// The network answers in the server's place.
    Answer(u16),
    /// The network answers with this status and this text.
    Say(u16, &'static str),
    /// The request goes on when the rule has gone.
    Hold,
}

/// Keeps a rule in force until it is dropped.
#[must_use = "dropping it removes the rule"]
pub(crate) struct RuleGuard {
    network: Network,
    id: u64,
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        self.network.state().rules.retain(|rule| rule.id != self.id);
        self.network.released.send_modify(|count| *count += 1);
    }
}

impl Network {
    pub(crate) fn new() -> Self {
        let ends = watch::Sender::new(ConnectionEnd::Orderly);
        Self { state: Arc::default(), ends, released: watch::Sender::new(0) }
    }

    /// A client whose requests go over this wire and then through `inner`.
    pub(crate) fn client(&self, inner: &Client) -> Client {
        let (network, client) = (self.clone(), inner.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (network, inner) = (network.clone(), client.clone());
            async move { network.carry(request, &inner).await }
        });
        Client::new(service, inner.default_namespace())
    }

    /// Ends every open connection; requests are refused until [`heal`](Self::heal).
    pub(crate) fn cut(&self) {
        self.state().down = true;
        self.drop_connections();
    }

    /// Breaks every open connection; new ones work.
    pub(crate) fn drop_connections(&self) {
        self.ends.send_replace(ConnectionEnd::Broken);
    }

    /// Ends every open answer in good order, as a server does with a watch whose time is over.
    pub(crate) fn end_answers(&self) {
        self.ends.send_replace(ConnectionEnd::Orderly);
    }

    /// Leaves every open connection half-open: nothing comes over it any more. New ones work.
    pub(crate) fn stall(&self) {
        self.ends.send_replace(ConnectionEnd::Silent);
    }

    pub(crate) fn heal(&self) {
        self.state().down = false;
    }

    /// Answers matching requests with this status and a `Status` body, in the server's place.
    pub(crate) fn answer(&self, status: u16, matches: impl Fn(&Sent) -> bool + Send + Sync + 'static) -> RuleGuard {
        self.rule(Fate::Answer(status), None, matches)
    }

    /// As [`answer`](Self::answer), for the next `times` requests.
    pub(crate) fn answer_times(
        &self,
        times: u32,
        status: u16,
        matches: impl Fn(&Sent) -> bool + Send + Sync + 'static,
    ) -> RuleGuard {
        self.rule(Fate::Answer(status), Some(times), matches)
    }

    /// Answers matching requests with something that is no JSON.
    pub(crate) fn talk_nonsense(&self, matches: impl Fn(&Sent) -> bool + Send + Sync + 'static) -> RuleGuard {
        self.say(200, "<html>Please log in</html>", matches)
    }

    /// Answers matching requests with this status and this body, in the server's place.
    pub(crate) fn say(
        &self,
        status: u16,
        body: &'static str,
        matches: impl Fn(&Sent) -> bool + Send + Sync + 'static,
    ) -> RuleGuard {
        self.rule(Fate::Say(status, body), None, matches)
    }

    /// Holds matching requests back until the guard is dropped.
    pub(crate) fn hold(&self, matches: impl Fn(&Sent) -> bool + Send + Sync + 'static) -> RuleGuard {
        self.rule(Fate::Hold, None, matches)
    }

    /// What the library has sent so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// How many requests the library has sent that match.
    pub(crate) fn count(&self, matches: impl Fn(&Sent) -> bool) -> usize {
        self.state().sent.iter().filter(|sent| matches(sent)).count()
    }

    fn rule(
        &self,
        fate: Fate,
        left: Option<u32>,
        matches: impl Fn(&Sent) -> bool + Send + Sync + 'static,
    ) -> RuleGuard {
        let mut state = self.state();
        let id = state.next_rule;
        state.next_rule += 1;
        state.rules.push(Rule { id, matches: Arc::new(matches), fate, left });
        RuleGuard { network: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(&self, request: Request<Body>, inner: &Client) -> Result<Answer, BoxError> {
        let mut cut = self.ends.subscribe();
        let mut released = self.released.subscribe();
        let sent = Sent {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        };
        self.state().sent.push(sent.clone());
        loop {
            let (down, fate) = self.look_up(&sent);
            if down {
                return Err(refused());
            }
            match fate {
                Some(Fate::Answer(status)) => return Ok(status_answer(status)),
                Some(Fate::Say(status, body)) => return Ok(answer(status, body.to_owned())),
                Some(Fate::Hold) => tokio::select! {
                    biased;
                    _ = cut.changed() => return ended(&cut).await,
                    _ = released.changed() => {}
                },
                None => break,
            }
        }
        let response = tokio::select! {
            biased;
            _ = cut.changed() => return ended(&cut).await,
            response = inner.send(request) => response?,
        };
        Ok(response.map(|body| until_cut(body, cut)))
    }

    fn look_up(&self, sent: &Sent) -> (bool, Option<Fate>) {
        let mut state = self.state();
        let down = state.down;
        let rule = state.rules.iter_mut().find(|rule| rule.left != Some(0) && (rule.matches)(sent));
        let fate = rule.map(|rule| {
            rule.left = rule.left.map(|left| left - 1);
            rule.fate
        });
        (down, fate)
    }
}

/// What becomes of a request whose connection is ended before there is an answer.
async fn ended(cut: &watch::Receiver<ConnectionEnd>) -> Result<Answer, BoxError> {
    let end = *cut.borrow();
    match end {
        ConnectionEnd::Orderly | ConnectionEnd::Broken => Err(reset()),
        ConnectionEnd::Silent => std::future::pending().await,
    }
}

/// The body's frames until the connection is ended, one way or the other.
fn until_cut(body: Body, cut: watch::Receiver<ConnectionEnd>) -> UnsyncBoxBody<Bytes, BoxError> {
    let frames = futures::stream::unfold(Some((BodyStream::new(body), cut)), |connection| async {
        let (mut frames, mut cut) = connection?;
        tokio::select! {
            biased;
            _ = cut.changed() => {
                let end = *cut.borrow();
                match end {
                    ConnectionEnd::Orderly => None,
                    ConnectionEnd::Broken => Some((Err(reset()), None)),
                    ConnectionEnd::Silent => std::future::pending().await,
                }
            }
            frame = frames.next() => frame.map(|frame| (frame.map_err(BoxError::from), Some((frames, cut)))),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn refused() -> BoxError {
    std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused by the test").into()
}

fn reset() -> BoxError {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection cut by the test").into()
}

fn status_answer(status: u16) -> Answer {
    let reason = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "Unknown",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("answered {status} by the test"), "reason": reason, "code": status,
    });
    answer(status, body.to_string())
}

fn answer(status: u16, body: String) -> Answer {
    let body = Full::from(body).map_err(BoxError::from).boxed_unsync();
    let answer = Response::builder().status(status).header("content-type", "application/json").body(body);
    answer.expect("a response")
}
