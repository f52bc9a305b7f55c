//! Faults on request: which requests go wrong, when, how often, and how.
//!
//! A [`Rule`] says which requests ([`Requests`]) meet which [`Fault`], optionally only after some, only so many times, only in a
//! span of time, or only with a probability drawn from the server's seed. Installing it gives a [`RuleGuard`]; dropping that
//! heals the fault. Of several rules that match, the one installed first acts.
//!
//! Invariant: with the same seed and the same requests in the same order, the same faults happen.
//!
//! ```
//! use std::time::Duration;
//! use kubehandler_testkit::{ApiServer, Fault, Requests, Rule};
//!
//! let server = ApiServer::new();
//! // The second and third list of pods are told to come back later.
//! let busy = Fault::status(429).retry_after(Duration::from_secs(1));
//! let guard = server.faults().install(Rule::new(Requests::of("list", "pods"), busy).skip(1).times(2));
//! assert_eq!(guard.hits(), 0);
//! drop(guard);
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::record::RequestInfo;

type Predicate = Arc<dyn Fn(&RequestInfo) -> bool + Send + Sync>;

/// Which requests a rule is about. The default is all of them; each setter narrows it.
#[derive(Clone, Default)]
pub struct Requests {
    verb: Option<String>,
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    user_agent_prefix: Option<String>,
    user: Option<String>,
    predicate: Option<Predicate>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("verb", &self.verb)
            .field("resource", &self.resource)
            .field("subresource", &self.subresource)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("user_agent_prefix", &self.user_agent_prefix)
            .field("user", &self.user)
            .field("predicate", &self.predicate.is_some())
            .finish()
    }
}

impl Requests {
    /// Every request.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Requests with a verb (`list`, `watch`, `patch`, …) on a resource (`pods`, `deployments.apps`).
    #[must_use]
    pub fn of(verb: &str, resource: &str) -> Self {
        Self::all().verb(verb).resource(resource)
    }

    /// Only this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[must_use]
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only this resource, with its group: `pods`, `deployments.apps`.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only this subresource; the empty text stands for the object itself.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    /// Only this namespace; the empty text stands for requests without one.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only the object of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only clients whose user agent begins so.
    #[must_use]
    pub fn user_agent(mut self, prefix: &str) -> Self {
        self.user_agent_prefix = Some(prefix.to_owned());
        self
    }

    /// Only this user.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Only requests that satisfy a predicate as well.
    #[must_use]
    pub fn matching(mut self, predicate: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// Whether a request is one of these.
    #[must_use]
    pub fn matches(&self, request: &RequestInfo) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.verb, &request.verb)
            && is(&self.resource, &request.group_resource())
            && is(&self.subresource, &request.subresource)
            && is(&self.namespace, &request.namespace)
            && is(&self.name, &request.name)
            && is(&self.user, &request.user)
            && self.user_agent_prefix.as_deref().is_none_or(|prefix| request.user_agent.starts_with(prefix))
            && self.predicate.as_ref().is_none_or(|predicate| predicate(request))
    }
}

/// How a request goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is answered with an error `Status` and not carried out. See [`Fault::status`].
    Status {
        /// The HTTP status code.
        code: u16,
        /// What the `Retry-After` header says, in whole seconds.
        retry_after: Option<Duration>,
    },
    /// It is answered with 403 in the real server's words, which name user, verb, resource and scope.
    Forbid,
    /// The connection is refused: the request is not looked at.
    Refuse,
    /// It is carried out, but the connection breaks before the answer.
    LoseAnswer,
    /// It is carried out after a delay.
    Delay(Duration),
    /// It is carried out, but the answer is cut off in the middle of its JSON.
    MalformedJson,
    /// Its resourceVersion or continue token counts as no longer known: 410. A request without one passes.
    Expire,
    /// A running watch goes wrong at its next frame. See [`WatchFault`].
    Watch(WatchFault),
}

impl Fault {
    /// An error answer with this code (400 and above) and the reason that goes with it.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after: None }
    }

    /// Adds a `Retry-After` header to an error answer; other faults stay as they are.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        match self {
            Self::Status { code, .. } => Self::Status { code, retry_after: Some(delay) },
            other => other,
        }
    }
}

/// How a running watch goes wrong, in place of its next frame (event or bookmark).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFault {
    /// The stream ends, as when a server shuts down; the frame is not sent.
    End,
    /// The connection breaks with an error; the frame is not sent.
    Reset,
    /// Half of the frame is sent, then the stream ends.
    Truncate,
    /// Nothing more is sent and the stream stays open, until the rule is removed or has had its time.
    Stall,
    /// The frame is sent, later.
    Delay(Duration),
    /// The frame is sent twice.
    Duplicate,
    /// An `ERROR` event of code 410 is sent and the stream ends.
    Expire,
    /// A line that is no JSON is sent before the frame.
    Malformed,
}

/// Which requests meet which fault, and when.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    requests: Requests,
    fault: Fault,
    skip: u64,
    times: Option<u64>,
    probability: f64,
    after_frames: u64,
    from: Duration,
    until: Option<Duration>,
}

impl Rule {
    /// Every one of these requests meets this fault, until the guard is dropped.
    pub fn new(requests: Requests, fault: Fault) -> Self {
        Self {
            requests,
            fault,
            skip: 0,
            times: None,
            probability: 1.0,
            after_frames: 0,
            from: Duration::ZERO,
            until: None,
        }
    }

    /// Spares the first `count` of them.
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Acts at most `count` times.
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Acts with this probability, from 0 to 1, drawn from the server's seed.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability.clamp(0.0, 1.0);
        self
    }

    /// For watch faults: spares each watch's first `count` frames.
    pub fn after_frames(mut self, count: u64) -> Self {
        self.after_frames = count;
        self
    }

    /// Acts only in this span of time since the server's start, on tokio's clock.
    pub fn between(mut self, from: Duration, until: Duration) -> Self {
        self.from = from;
        self.until = Some(until);
        self
    }
}

#[derive(Debug)]
struct Installed {
    id: u64,
    rule: Rule,
    /// How many requests or frames matched so far.
    seen: u64,
    hits: Arc<Mutex<u64>>,
    /// Cancelled when the rule is removed.
    removed: CancellationToken,
}

#[derive(Debug)]
struct State {
    rules: Vec<Installed>,
    next_id: u64,
    rng: StdRng,
}

/// The faults of one server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Told at each change, so that waiting watches look again.
    changed: watch::Sender<u64>,
}

/// What a watch does at a frame.
#[derive(Clone, Debug)]
pub(crate) struct FrameFault {
    pub(crate) fault: WatchFault,
    /// Cancelled when the rule is removed: a stalled watch goes on then.
    pub(crate) removed: CancellationToken,
    /// How long the rule still has, when it ends by itself.
    pub(crate) remaining: Option<Duration>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        // A stream of its own: faults do not shift the uids.
        let rng = StdRng::seed_from_u64(seed ^ 0x5eed_fa17);
        Self {
            state: Arc::new(Mutex::new(State { rules: Vec::new(), next_id: 0, rng })),
            changed: watch::Sender::new(0),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Installs a rule. Running watches meet it from their next frame on.
    pub fn install(&self, rule: Rule) -> RuleGuard {
        let hits = Arc::new(Mutex::new(0));
        let id = self.with(|state| {
            let id = state.next_id;
            state.next_id += 1;
            let (hits, removed) = (Arc::clone(&hits), CancellationToken::new());
            state.rules.push(Installed { id, rule, seen: 0, hits, removed });
            id
        });
        self.changed.send_modify(|count| *count += 1);
        RuleGuard { faults: Some(self.clone()), id, hits }
    }

    /// Removes every rule, those whose guards were forgotten included.
    pub fn clear(&self) {
        self.remove_where(|_| true);
    }

    fn remove_where(&self, goes: impl Fn(&Installed) -> bool) {
        self.with(|state| {
            state.rules.iter().filter(|installed| goes(installed)).for_each(|installed| installed.removed.cancel());
            state.rules.retain(|installed| !goes(installed));
        });
        self.changed.send_modify(|count| *count += 1);
    }

    /// The fault that a new request meets, if any.
    pub(crate) fn on_request(&self, request: &RequestInfo, now: Duration) -> Option<Fault> {
        self.draw(request, now, |rule| !matches!(rule.fault, Fault::Watch(_))).map(|(fault, _, _)| fault)
    }

    /// The fault that a watch meets which is about to send its frame number `sent` (from 0).
    pub(crate) fn on_frame(&self, request: &RequestInfo, sent: u64, now: Duration) -> Option<FrameFault> {
        let drawn =
            self.draw(request, now, |rule| matches!(rule.fault, Fault::Watch(_)) && sent >= rule.after_frames)?;
        match drawn {
            (Fault::Watch(fault), removed, remaining) => Some(FrameFault { fault, removed, remaining }),
            _ => None,
        }
    }

    fn draw(
        &self,
        request: &RequestInfo,
        now: Duration,
        concerns: impl Fn(&Rule) -> bool,
    ) -> Option<(Fault, CancellationToken, Option<Duration>)> {
        self.with(|state| {
            let State { rules, rng, .. } = state;
            rules.iter_mut().find_map(|installed| {
                let rule = &installed.rule;
                let in_time = now >= rule.from && rule.until.is_none_or(|until| now < until);
                if !in_time || !concerns(rule) || !rule.requests.matches(request) {
                    return None;
                }
                installed.seen += 1;
                let mut hits = installed.hits.lock().unwrap_or_else(PoisonError::into_inner);
                let acts = installed.seen > rule.skip
                    && rule.times.is_none_or(|times| *hits < times)
                    && (rule.probability >= 1.0 || rng.random_bool(rule.probability));
                if !acts {
                    return None;
                }
                *hits += 1;
                let remaining = rule.until.map(|until| until.saturating_sub(now));
                Some((rule.fault.clone(), installed.removed.clone(), remaining))
            })
        })
    }
}

/// Keeps a rule installed; dropping it removes the rule.
#[derive(Debug)]
#[must_use = "dropping the guard removes the rule at once"]
pub struct RuleGuard {
    /// `None` once forgotten.
    faults: Option<Faults>,
    id: u64,
    hits: Arc<Mutex<u64>>,
}

impl RuleGuard {
    /// How often the rule has acted.
    #[must_use]
    pub fn hits(&self) -> u64 {
        *self.hits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the rule installed for the rest of the server's life.
    pub fn forget(mut self) {
        self.faults = None;
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        if let Some(faults) = self.faults.take() {
            faults.remove_where(|installed| installed.id == self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_pods() -> RequestInfo {
        RequestInfo { verb: "list".into(), resource: "pods".into(), ..RequestInfo::default() }
    }

    #[test]
    fn a_rule_skips_counts_and_ends_with_its_guard() {
        let faults = Faults::new(0);
        let guard = faults.install(Rule::new(Requests::of("list", "pods"), Fault::status(500)).skip(1).times(2));
        let hits: Vec<bool> = (0..4).map(|_| faults.on_request(&list_pods(), Duration::ZERO).is_some()).collect();
        assert_eq!(hits, [false, true, true, false]);
        assert_eq!(guard.hits(), 2);
        drop(guard);
        let guard = faults.install(Rule::new(Requests::all(), Fault::Refuse));
        assert_eq!(faults.on_request(&list_pods(), Duration::ZERO), Some(Fault::Refuse));
        drop(guard);
        assert_eq!(faults.on_request(&list_pods(), Duration::ZERO), None);
    }

    #[test]
    fn a_rule_acts_only_in_its_time() {
        let faults = Faults::new(0);
        let (from, until) = (Duration::from_secs(1), Duration::from_secs(2));
        let _guard = faults.install(Rule::new(Requests::all(), Fault::Forbid).between(from, until));
        for (now, acts) in [(0, false), (1000, true), (1999, true), (2000, false)] {
            let fault = faults.on_request(&list_pods(), Duration::from_millis(now));
            assert_eq!(fault.is_some(), acts, "{now} ms");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let draw = |seed| -> Vec<bool> {
            let faults = Faults::new(seed);
            faults.install(Rule::new(Requests::all(), Fault::Refuse).probability(0.5)).forget();
            (0..64).map(|_| faults.on_request(&list_pods(), Duration::ZERO).is_some()).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).contains(&true) && draw(1).contains(&false));
    }

    #[test]
    fn rules_match_what_they_name() {
        let request = RequestInfo {
            verb: "watch".into(),
            group: "apps".into(),
            resource: "deployments".into(),
            namespace: "a".into(),
            user_agent: "kubectl/v1".into(),
            ..RequestInfo::default()
        };
        assert!(Requests::of("watch", "deployments.apps").namespace("a").user_agent("kubectl").matches(&request));
        assert!(!Requests::of("watch", "deployments").matches(&request));
        assert!(!Requests::all().namespace("").matches(&request));
        assert!(!Requests::all().matching(|request| request.name == "x").matches(&request));
    }
}
