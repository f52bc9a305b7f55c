//! Stores in numbers, for Prometheus: the six of neon's `watch.Metrics`, with its names, labels and rule for prefixes.
//!
//! Nothing is counted twice: what an informer asks and hears is read from its own counters when somebody scrapes, less what
//! it had before the store began.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::informer::{Counts, ErrorSource, EventKind, Informer};
use crate::store::{Observed, Observer, WatchConfig};
use crate::sync::{Arc, Mutex};

/// Metrics of stores ([`WatchConfig::metrics`](crate::WatchConfig::metrics)), one set for any number of them. Cheap to clone.
///
/// Each carries the label `watcher_instance`, the store's name:
///
/// | name, behind the prefix | further label | what |
/// |---|---|---|
/// | `client_calls_total` | `method`: `List`, `Watch` | requests of the store's informer since the store began |
/// | `relist_requests_total` | | calls of [`Store::relist`](crate::Store::relist) |
/// | `events_total` | `type`: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR` | events that its watches sent |
/// | `errors_total` | `source`: `List`, `Watch`, `Watch.Event` | requests that failed, watches that broke, ERROR events |
/// | `alive_current` | | 1 while the store lives |
/// | `failing_current` | | 1 while its informer cannot list or watch and waits to try again |
///
/// Stores of one informer each count what it does. Stores of one name add up.
///
/// ```
/// use kubehandler::{Metrics, WatchConfig};
/// use prometheus_client::registry::Registry;
///
/// let (mut registry, metrics) = (Registry::default(), Metrics::new("autoscaler_watchers_"));
/// metrics.register(&mut registry);
/// let config = WatchConfig::new("pods").metrics(&metrics);
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    prefix: String,
    instances: Mutex<Instances>,
}

#[derive(Default)]
struct Instances {
    next: u64,
    alive: BTreeMap<u64, Instance>,
    // What stores that have ended have left, by name.
    ended: BTreeMap<String, Total>,
}

/// A store that lives.
struct Instance {
    name: String,
    informer: Weak<Informer>,
    before: Counts,
    relists: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Default)]
struct Total {
    counts: Counts,
    relists: u64,
    alive: i64,
    failing: i64,
}

impl Instance {
    fn total(&self) -> Total {
        let informer = self.informer.upgrade();
        let now = informer.as_ref().map_or(self.before, |informer| informer.counters().read());
        Total {
            counts: now.since(self.before),
            relists: self.relists.load(Ordering::Relaxed),
            alive: 1,
            failing: informer.is_some_and(|informer| informer.is_failing()).into(),
        }
    }
}

impl Total {
    fn plus(self, other: Self) -> Self {
        Self {
            counts: self.counts.plus(other.counts),
            relists: self.relists + other.relists,
            alive: self.alive + other.alive,
            failing: self.failing + other.failing,
        }
    }
}

impl Metrics {
    /// Metrics whose names begin with `prefix`, just as it is: `autoscaler_watchers_`, say.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { shared: Arc::new(Shared { prefix: prefix.into(), instances: Mutex::default() }) }
    }

    /// Lets `registry` ask for them. A registry's own prefix comes before this one's.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    fn totals(&self) -> BTreeMap<String, Total> {
        let instances = self.shared.instances.lock();
        let mut totals = instances.ended.clone();
        for instance in instances.alive.values() {
            let total = totals.entry(instance.name.clone()).or_default();
            *total = total.plus(instance.total());
        }
        totals
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.shared.prefix).finish_non_exhaustive()
    }
}

impl WatchConfig {
    /// Counts what the store and its informer do, under the store's name.
    #[must_use]
    pub fn metrics(self, metrics: &Metrics) -> Self {
        self.observer(Arc::new(metrics.clone()))
    }
}

/// Lets a store's numbers stay when it ends.
struct Registration {
    shared: Arc<Shared>,
    id: u64,
    relists: Arc<AtomicU64>,
}

impl Observer for Metrics {
    fn begins(&self, store: &str, informer: &Arc<Informer>) -> Box<dyn Observed> {
        let relists = Arc::new(AtomicU64::new(0));
        let instance = Instance {
            name: store.to_owned(),
            informer: Arc::downgrade(informer),
            before: informer.counters().read(),
            relists: Arc::clone(&relists),
        };
        let mut instances = self.shared.instances.lock();
        let id = instances.next;
        instances.next += 1;
        instances.alive.insert(id, instance);
        Box::new(Registration { shared: Arc::clone(&self.shared), id, relists })
    }
}

impl Observed for Registration {
    fn relist_requested(&self) {
        self.relists.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut instances = self.shared.instances.lock();
        let Some(instance) = instances.alive.remove(&self.id) else { return };
        let left = Total { alive: 0, failing: 0, ..instance.total() };
        let ended = instances.ended.entry(instance.name).or_default();
        *ended = ended.plus(left);
    }
}

const fn type_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
        EventKind::Bookmark => "BOOKMARK",
        EventKind::Error => "ERROR",
    }
}

const fn source_of(source: ErrorSource) -> &'static str {
    match source {
        ErrorSource::List => "List",
        ErrorSource::Watch => "Watch",
        ErrorSource::WatchEvent => "Watch.Event",
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let totals = self.totals();
        let mut counter =
            |name: &str, help: &str, label: Option<&str>, of: &dyn Fn(&Total) -> Vec<(&'static str, u64)>| {
                let name = format!("{}{name}", self.shared.prefix);
                let mut family =
                    encoder.encode_descriptor(&name, help, None, ConstCounter::<u64>::new(0).metric_type())?;
                for (instance, total) in &totals {
                    for (value, count) in of(total) {
                        let labels: Vec<_> = [("watcher_instance", instance.as_str())]
                            .into_iter()
                            .chain(label.map(|label| (label, value)))
                            .collect();
                        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                    }
                }
                Ok::<(), fmt::Error>(())
            };
        counter("client_calls", "Requests to list and to watch", Some("method"), &|total| {
            vec![("List", total.counts.lists), ("Watch", total.counts.watches)]
        })?;
        counter("relist_requests", "Lists that were asked for by hand", None, &|total| vec![("", total.relists)])?;
        counter("events", "Events of watches, errors included", Some("type"), &|total| {
            EventKind::ALL.into_iter().map(type_of).zip(total.counts.events).collect()
        })?;
        counter("errors", "Lists and watches that failed, and error events", Some("source"), &|total| {
            ErrorSource::ALL.into_iter().map(source_of).zip(total.counts.errors).collect()
        })?;
        let mut gauge = |name: &str, help: &str, of: &dyn Fn(&Total) -> i64| {
            let name = format!("{}{name}", self.shared.prefix);
            let mut family = encoder.encode_descriptor(&name, help, None, ConstGauge::<i64>::new(0).metric_type())?;
            for (instance, total) in &totals {
                ConstGauge::new(of(total)).encode(family.encode_family(&[("watcher_instance", instance.as_str())])?)?;
            }
            Ok::<(), fmt::Error>(())
        };
        gauge("alive_current", "1 while the store lives", &|total| total.alive)?;
        gauge("failing_current", "1 while the last request has failed and is to be tried again", &|total| total.failing)
    }
}
