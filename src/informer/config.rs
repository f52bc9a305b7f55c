//! What an informer is asked for: scope, selectors and how it speaks to the server.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::transform::{PointerError, Transform};

/// What to do while the server does not know the kind, as when its `CustomResourceDefinition` is not installed yet.
///
/// This is about a kind that has not been there yet. Where one goes while it is watched, the cache stays and the informer fails
/// ([`Store::failing`](crate::Store::failing), [`EventLoopHandle::is_failing`](crate::EventLoopHandle::is_failing)) until the kind returns. What
/// the watch did not tell as deleted is let go of once the `CustomResourceDefinition` is known to be gone, by two reads at least 30 s
/// apart; that takes the right to `get` `customresourcedefinitions`, without which it is held on to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OnMissing {
    /// Wait for it, for as long as it takes: the sync deadline stands still, and one line a minute is logged.
    #[default]
    Wait,
    /// Count as synced, with an empty cache. The objects follow when the kind appears.
    StartWithout,
    /// Fail the sync at once.
    Fail,
}

/// How an informer fetches the objects that exist: at its start, and after a gap that it cannot resume over.
///
/// All three give the newest state, as the server's watch cache serves it, and none tells anything before it is complete.
/// They differ in what they cost; `docs/cache.md` has the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListMode {
    /// A list in pages of so many objects, the next of which is asked for while one is being read, so that the server makes it meanwhile:
    /// where a page says in front of its objects that more follow, as those of all kinds do that are built in. A page that fails is asked
    /// for again by itself, and from then on one comes after the other; if the server has forgotten the snapshot meanwhile, one list in
    /// one piece follows. Of a kind in which nothing has changed for some minutes kube-apiserver reads the pages from etcd, not from its
    /// watch cache: for many objects that rest, one piece spares etcd that.
    Paged(NonZeroU32),
    /// One list in one piece. It must come within the server's limit for a request (`--request-timeout`, 60 s by default):
    /// if it is cut off, stalls, or fails three times in a row, the informer lists in pages of 500 from then on.
    Unpaged,
    /// A watch that begins with what exists (KEP-3157, `sendInitialEvents`) and goes on as the informer's watch: one
    /// request in place of two. Kubernetes 1.32 and later know it. Where the server refuses it (400, 405, 422), takes it for
    /// a plain watch (a bookmark that does not end the list; no new object for
    /// [`read_timeout`](InformerConfig::read_timeout), nor the bookmark that ends the list), or it breaks off three times in
    /// a row, the informer lists in pages of 500 from then on.
    Streaming,
}

impl ListMode {
    /// What takes the place of a mode that does not work.
    pub(crate) const PAGED: Self = Self::Paged(NonZeroU32::MIN.saturating_add(499));
}

impl Default for ListMode {
    /// Pages of 500, as client-go's.
    fn default() -> Self {
        Self::PAGED
    }
}

/// How long to wait before a failed request is tried again.
///
/// The n-th wait in a row is drawn between half of and the whole of `initial × 2ⁿ⁻¹`, at most `max`. A wait that the
/// server asks for (`Retry-After`) is kept where it is longer. Success begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryInterval {
    /// The first wait's upper end: 800 ms by default, as client-go's.
    pub initial: Duration,
    /// No wait is longer, unless the server asks for it: 30 s by default.
    pub max: Duration,
}

impl Default for RetryInterval {
    fn default() -> Self {
        Self { initial: Duration::from_millis(800), max: Duration::from_secs(30) }
    }
}

/// Whether and when a failed request is tried again.
///
/// No wait is shorter than a millisecond, and a wait that the server asks for (`Retry-After`) is kept where it is longer. A page that was
/// late, broke off or met a failed server while another one was under way has not failed yet: it is first asked for alone, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After waits that grow with the failures in a row: the default.
    Backoff(RetryInterval),
    /// After a wait that is drawn anew each time, between these two.
    Between(Duration, Duration),
    /// Not at all: the informer stops, its cache falls behind, and its stores end
    /// ([`StoreEnd::Failed`](crate::StoreEnd::Failed)). An event loop does not take handlers of such an informer.
    Never,
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self::Backoff(RetryInterval::default())
    }
}

impl RetryAfter {
    /// For what is tried again in any case: this, or the default where it says never.
    pub(super) fn in_any_case(self) -> Self {
        if self == Self::Never { Self::default() } else { self }
    }
}

impl From<RetryInterval> for RetryAfter {
    fn from(interval: RetryInterval) -> Self {
        Self::Backoff(interval)
    }
}

/// How an informer holds its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Representation {
    /// As the JSON that the server sent, compressed. The typed object is decoded when somebody asks; those decoded lately
    /// are at hand ([`InformerConfig::decoded_cache`]).
    #[default]
    Compact,
    /// Besides, each object stays decoded once somebody has asked for it, for as long as this state of it is held; of two
    /// types over one informer the one asked for last. For those who list a large cache again and again: a decoded object
    /// takes about six times its JSON.
    Typed,
}

/// What an informer lists and watches, and how.
///
/// Informers are shared by resource, namespace and selectors; all other options must then be equal
/// ([`SharedInformer::conflict`](crate::SharedInformer::conflict) says where they are not).
///
/// ```
/// use kubehandler::InformerConfig;
///
/// let config = InformerConfig::new().namespace("web").label_selector("app=shop");
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformerConfig {
    pub(crate) namespaces: Option<Vec<String>>,
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    pub(crate) keep_managed_fields: bool,
    pub(crate) representation: Representation,
    pub(crate) decoded_cache: usize,
    pub(super) compress_above: usize,
    pub(super) transform: Transform,
    pub(crate) list_mode: ListMode,
    pub(crate) watch_timeout: Duration,
    pub(crate) watch_grace: Duration,
    pub(crate) watch_silence: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) on_missing: OnMissing,
    pub(crate) retry_relist: RetryAfter,
    pub(crate) retry_watch: RetryAfter,
}

impl Default for InformerConfig {
    /// All namespaces, no selector, pages of 500, client-go's watch timeout and retry intervals.
    fn default() -> Self {
        Self {
            namespaces: None,
            label_selector: None,
            field_selector: None,
            keep_managed_fields: false,
            representation: Representation::default(),
            decoded_cache: 8_000_000,
            compress_above: 2 << 20,
            transform: Transform::default(),
            list_mode: ListMode::default(),
            watch_timeout: Duration::from_secs(5 * 60),
            watch_grace: Duration::from_secs(30),
            watch_silence: Duration::from_secs(150),
            read_timeout: Duration::from_secs(60),
            on_missing: OnMissing::default(),
            retry_relist: RetryAfter::default(),
            retry_watch: RetryAfter::default(),
        }
    }
}

impl InformerConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this namespace; all by default. For a kind that has no namespaces the server answers 404 then.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespaces =
            Some(namespace.into()).filter(|namespace| !namespace.is_empty()).map(|namespace| vec![namespace]);
        self
    }

    /// Only these namespaces, one list and one watch for each; without any the informer is empty, and synced at once.
    ///
    /// For a controller that may read some namespaces only. Each watch is a connection's stream of its own, each list a request, and above
    /// [`compress_above`](Self::compress_above) each namespace has a dictionary (about 1 MB): with the right to read all namespaces, one
    /// informer of all, maybe with a label selector, costs the server and the client less from a dozen on.
    ///
    /// The cache is one, and has synced when all have. [`at_least`](crate::SharedInformer::at_least) waits for each of them, and a quiet
    /// namespace learns of new versions once a minute. A failure in one is the informer's; the others go on.
    #[must_use]
    pub fn namespaces<N: Into<String>>(mut self, namespaces: impl IntoIterator<Item = N>) -> Self {
        let namespaces: BTreeSet<String> = namespaces.into_iter().map(Into::into).collect();
        self.namespaces = Some(namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect());
        self
    }

    /// All namespaces, the default.
    #[must_use]
    pub fn all_namespaces(mut self) -> Self {
        self.namespaces = None;
        self
    }

    /// Only objects whose labels match, in `kubectl`'s syntax (`app=shop,tier in (web, api)`).
    ///
    /// A selector is membership: an object that leaves it is deleted, to whoever reads this informer.
    #[must_use]
    pub fn label_selector(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into()).filter(|selector| !selector.is_empty());
        self
    }

    /// Only objects whose fields match (`spec.nodeName=node-1`); which fields can be used depends on the kind.
    #[must_use]
    pub fn field_selector(mut self, selector: impl Into<String>) -> Self {
        self.field_selector = Some(selector.into()).filter(|selector| !selector.is_empty());
        self
    }

    /// Whether to keep `metadata.managedFields`, often half of an object. Dropped by default.
    #[must_use]
    pub fn keep_managed_fields(mut self, keep: bool) -> Self {
        self.keep_managed_fields = keep;
        self
    }

    /// How objects are held: compact by default.
    #[must_use]
    pub fn representation(mut self, representation: Representation) -> Self {
        self.representation = representation;
        self
    }

    /// How many bytes of decoded objects are held, the most recently used ones, where objects are held
    /// [compact](Representation::Compact): 8 MB by default, 0 for none. What an object takes is estimated, as six times its JSON. Once
    /// they are used up, an object that is decoded for the second time takes the place of the one used least recently.
    #[must_use]
    pub fn decoded_cache(mut self, bytes: usize) -> Self {
        self.decoded_cache = bytes;
        self
    }

    /// From how many bytes of JSON on objects are compressed, by a dictionary made of some of them: 2 MiB by default,
    /// `usize::MAX` for never. A dictionary and what it takes to use it need about 1 MB.
    #[must_use]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = bytes;
        self
    }

    /// Drops fields of each object before it is held: what nobody reads costs no memory, and what nobody should read is not there.
    /// Each is a JSON pointer (RFC 6901), `/spec/template`; `*` stands for every element of an array,
    /// `/spec/containers/*/env`. An object that has no such field is left as it is. Adds to what was named before.
    ///
    /// All readers see objects without these fields, selectors by label and mapping by owner included. The server still
    /// sends them: [`PartialObjectMeta`](kube::core::PartialObjectMeta) asks for less.
    ///
    /// ```
    /// use kubehandler::InformerConfig;
    ///
    /// let last_applied = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
    /// let config = InformerConfig::new().drop_fields([last_applied, "/spec/containers/*/env"])?;
    /// # let _ = config;
    /// # Ok::<(), kubehandler::PointerError>(())
    /// ```
    ///
    /// # Errors
    /// What is no pointer, and what names a part of an object's identity (type, name, namespace, uid, resourceVersion,
    /// timestamps) or its finalizers.
    pub fn drop_fields<'a>(mut self, pointers: impl IntoIterator<Item = &'a str>) -> Result<Self, PointerError> {
        for pointer in pointers {
            self.transform.cuts.add(pointer)?;
        }
        Ok(self)
    }

    /// Lets `edit` change each object before it is held, client-go's `SetTransform`; behind
    /// [`drop_fields`](Self::drop_fields), and in place of an earlier function.
    ///
    /// Each object is decoded and written anew for it when it arrives, which costs several times what dropping fields does.
    /// `K` is the type that is watched, or one that reads all of its fields: what it does not know is lost.
    /// An object that does not fit `K`, on which the function panics, or whose name, namespace, uid, resourceVersion,
    /// deletionTimestamp or finalizers it changed, is held **as the server sent it**: logged, and counted in
    /// [`InformerStatus::untransformed`](crate::InformerStatus::untransformed). What must not be held is dropped by its pointer.
    ///
    /// Requests for one informer agree on the function if one config is the other's clone.
    #[must_use]
    pub fn transform<K, F>(mut self, edit: F) -> Self
    where
        K: DeserializeOwned + Serialize,
        F: Fn(&mut K) + Send + Sync + 'static,
    {
        self.transform.edit(edit);
        self
    }

    /// How the objects that exist are fetched: in pages of 500 by default.
    #[must_use]
    pub fn list_mode(mut self, mode: ListMode) -> Self {
        self.list_mode = mode;
        self
    }

    /// After how long the server shall end a watch, which is then resumed: drawn for each watch between this and its
    /// double, so that watches of many clients do not end together. 5 minutes by default; between a second and a day.
    #[must_use]
    pub fn watch_timeout(mut self, timeout: Duration) -> Self {
        self.watch_timeout = timeout.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        self
    }

    /// How much longer than its timeout a watch may stay silent before it is dropped: 30 s by default. It matters where
    /// that comes before [`watch_silence`](Self::watch_silence).
    #[must_use]
    pub fn watch_grace(mut self, grace: Duration) -> Self {
        self.watch_grace = grace;
        self
    }

    /// How long a watch may stay silent before it is dropped and resumed from the last version seen, which loses nothing:
    /// 2.5 minutes by default; between 4 seconds and a day.
    ///
    /// This bounds how long a half-open connection goes unnoticed, one on which nothing comes although nobody has closed
    /// it: a machine on the way has forgotten it, or the server's machine is gone. A connection at work is not silent:
    /// kube-apiserver sends a bookmark about once a minute, once the kind was changed, or listed, anywhere in the cluster
    /// since the watch began. Where neither happens, and of Events, there is none: that costs a request every 75 to 113 seconds.
    ///
    /// The first such silence is taken for everyday life. It is told as a failure when the resumed watch fails, or is
    /// silent as well.
    #[must_use]
    pub fn watch_silence(mut self, silence: Duration) -> Self {
        self.watch_silence = silence.clamp(Duration::from_secs(4), Duration::from_secs(24 * 60 * 60));
        self
    }

    /// How long the server may take to begin an answer, and how long a list may then stay silent, or a list as a stream
    /// bring no new object: 60 s by default, the server's own limit for a list.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// What to do while the server does not know the kind. Waits by default.
    #[must_use]
    pub fn on_missing(mut self, on_missing: OnMissing) -> Self {
        self.on_missing = on_missing;
        self
    }

    /// Whether and when a failed request is tried again, list or watch.
    #[must_use]
    pub fn retry(self, retry: impl Into<RetryAfter>) -> Self {
        let retry = retry.into();
        self.retry_relist_after(retry).retry_watch_after(retry)
    }

    /// Whether and when a list that failed is tried again. A page or a list mode that failed counts as well, but what takes its
    /// place at once ([`ListMode`]) is no retry.
    #[must_use]
    pub fn retry_relist_after(mut self, retry: impl Into<RetryAfter>) -> Self {
        self.retry_relist = retry.into();
        self
    }

    /// Whether and when a watch that failed is tried again. One that ends in order, breaks after a while or goes silent is
    /// resumed at once, and one whose version is too old is followed by a list: these are no retries.
    #[must_use]
    pub fn retry_watch_after(mut self, retry: impl Into<RetryAfter>) -> Self {
        self.retry_watch = retry.into();
        self
    }

    /// Whether there are failures after which the informer stops.
    pub(crate) fn may_stop(&self) -> bool {
        self.retry_relist == RetryAfter::Never || self.retry_watch == RetryAfter::Never
    }

    /// The options, other than what makes an informer another one, in which `self` and `other` differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |option: &str, one: &dyn std::fmt::Debug, two: &dyn std::fmt::Debug| {
            let (one, two) = (format!("{one:?}"), format!("{two:?}"));
            if one != two {
                differences.push(format!("{option} is {one} and {two}"));
            }
        };
        compare("keep_managed_fields", &self.keep_managed_fields, &other.keep_managed_fields);
        compare("representation", &self.representation, &other.representation);
        compare("decoded_cache", &self.decoded_cache, &other.decoded_cache);
        compare("compress_above", &self.compress_above, &other.compress_above);
        compare("transform", &self.transform, &other.transform);
        compare("list_mode", &self.list_mode, &other.list_mode);
        compare("watch_timeout", &self.watch_timeout, &other.watch_timeout);
        compare("watch_grace", &self.watch_grace, &other.watch_grace);
        compare("watch_silence", &self.watch_silence, &other.watch_silence);
        compare("read_timeout", &self.read_timeout, &other.read_timeout);
        compare("on_missing", &self.on_missing, &other.on_missing);
        compare("retry_relist_after", &self.retry_relist, &other.retry_relist);
        compare("retry_watch_after", &self.retry_watch, &other.retry_watch);
        differences
    }
}
