//! The informer under every fault at once, drawn from a seed: what it tells is always in order, nothing is deleted that
//! lives, and when the faults end the cache is what the server has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_core::{Life, ObjectKey, ResourceVersion};
use kubehandler_testkit::{ApiServer, ExpiredWatch, Fault, Requests, Rule, WatchFault};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::fixture::{config_map, paged, pass};
use super::log;
use crate::cache::{Change, Later, Origin, Subscriber};
use crate::informer::{InformerConfig, InformerFactory, ListMode, SharedInformer};

/// Folds what it is told, and remembers which lives have ended.
#[derive(Default)]
struct Fold(Mutex<Folded>);

#[derive(Default)]
struct Folded {
    objects: BTreeMap<ObjectKey, (Life, ResourceVersion)>,
    ended: Vec<Life>,
    synced: bool,
}

impl Subscriber for Fold {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let mut folded = self.0.lock().unwrap();
        assert_eq!(folded.synced, origin != Origin::InitialList, "told as {origin:?}");
        match change {
            Change::Added { new } => {
                let state = (new.object.life().clone(), new.object.version().clone());
                assert!(!folded.ended.contains(&state.0), "a life that had ended: {:?}", new.object.key());
                assert_eq!(folded.objects.insert(new.object.key().clone(), state), None, "added twice");
            }
            Change::Updated { old, new } => {
                let state = (new.object.life().clone(), new.object.version().clone());
                assert!(!state.1.is_older_than(old.version()), "back in time without a new list of the past");
                let before = folded.objects.insert(new.object.key().clone(), state);
                assert_eq!(before, Some((old.life().clone(), old.version().clone())));
                assert_eq!(old.life(), new.object.life());
            }
            Change::Removed { last, may_be_stale, .. } => {
                let (life, _) = folded.objects.remove(last.key()).expect("removed though it was not there");
                assert_eq!(&life, last.life());
                assert!(origin == Origin::Watch || may_be_stale);
                folded.ended.push(life);
            }
        }
        None
    }

    fn synced(&self) {
        assert!(!std::mem::replace(&mut self.0.lock().unwrap().synced, true), "synced twice");
    }
}

/// What goes wrong, and how often.
fn break_things(server: &ApiServer, rng: &mut StdRng) {
    let watches = || Requests::of("watch", "configmaps");
    let all = || Requests::all().resource("configmaps");
    let faults = [
        (watches(), Fault::Watch(WatchFault::End)),
        (watches(), Fault::Watch(WatchFault::Reset)),
        (watches(), Fault::Watch(WatchFault::Truncate)),
        (watches(), Fault::Watch(WatchFault::Expire)),
        (watches(), Fault::Watch(WatchFault::Malformed)),
        (watches(), Fault::Watch(WatchFault::Duplicate)),
        (watches(), Fault::Watch(WatchFault::Delay(Duration::from_secs(3)))),
        (watches(), Fault::Watch(WatchFault::Stall)),
        (all(), Fault::status(500)),
        (all(), Fault::status(429).retry_after(Duration::from_secs(2))),
        (all(), Fault::status(503)),
        (all(), Fault::status(404)),
        (all(), Fault::status(504)),
        (all(), Fault::Forbid),
        (all(), Fault::Refuse),
        (all(), Fault::LoseAnswer),
        (all(), Fault::Expire),
        (all(), Fault::Delay(Duration::from_secs(2))),
        (Requests::of("list", "configmaps"), Fault::MalformedJson),
    ];
    for (requests, fault) in faults {
        server.faults().install(Rule::new(requests, fault).probability(rng.random_range(0.0..0.12))).forget();
    }
}

/// Changes objects at random moments; now and then the history goes, or the server is restarted.
async fn live(server: &ApiServer, rng: &mut StdRng) {
    for step in 0..150 {
        let name = format!("map-{}", rng.random_range(0..6));
        match rng.random_range(0..20) {
            0..11 => drop(server.put_raw("configmaps", Some("default"), &name, config_map(&step.to_string()))),
            11..17 => drop(server.remove_raw("configmaps", Some("default"), &name)),
            17 => server.compact(),
            18 => server.restart(),
            _ => drop(server.end_watches(&Requests::all())),
        }
        pass(Duration::from_millis(rng.random_range(0..4000))).await;
    }
}

/// What the server has: its objects' lives and versions by key.
fn truth(server: &ApiServer) -> BTreeMap<ObjectKey, (Life, ResourceVersion)> {
    let objects = server.objects("configmaps");
    let metadata = objects.iter().map(|object| &object["metadata"]);
    let state = |metadata: &serde_json::Value| {
        let text = |field: &str| metadata[field].as_str();
        let key = ObjectKey::new(text("namespace"), text("name").unwrap()).unwrap();
        (key, (Life::new(text("uid"), None), ResourceVersion::new(text("resourceVersion").unwrap())))
    };
    metadata.map(state).collect()
}

async fn storm(seed: u64, list_mode: ListMode, status: bool) {
    log::prepare();
    let mut rng = StdRng::seed_from_u64(seed);
    let mode = if status { ExpiredWatch::HttpStatus } else { ExpiredWatch::Event };
    let server = ApiServer::builder().seed(seed).expired_watch(mode).build();
    for number in 0..5 {
        server.put_raw("configmaps", Some("default"), &format!("map-{number}"), config_map("first"));
    }
    let config = InformerConfig::new()
        .list_mode(list_mode)
        .watch_timeout(Duration::from_secs(20))
        .watch_grace(Duration::from_secs(5));
    let factory = InformerFactory::new(server.client()).with_seed(seed);
    let maps: SharedInformer<ConfigMap> = factory.configured(config);
    let fold = Arc::new(Fold::default());
    break_things(&server, &mut rng);
    let _subscription = maps.informer().subscribe(Arc::clone(&fold) as Arc<dyn Subscriber>);
    live(&server, &mut rng).await;
    server.faults().clear();
    let truth = truth(&server);
    // Longer than any wait or silence that the faults can have left behind.
    pass(Duration::from_secs(600)).await;
    assert_eq!(fold.0.lock().unwrap().objects, truth, "{:?}", maps.status());
    let keys: Vec<ObjectKey> = truth.keys().cloned().collect();
    assert_eq!(maps.keys(), keys);
    let ended = &fold.0.lock().unwrap().ended;
    assert!(truth.values().all(|(life, _)| !ended.contains(life)), "something was deleted that lives");
}

/// Few by default, since each is long; as many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var_os("PROPTEST_CASES").map_or(24, |_| ProptestConfig::default().cases)
}

fn modes() -> impl Strategy<Value = ListMode> {
    prop_oneof![(1_u32..4).prop_map(paged), Just(ListMode::Unpaged), Just(ListMode::Streaming)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_goes_wrong_the_cache_ends_as_the_server_is(seed: u64, list_mode in modes(), status: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(storm(seed, list_mode, status));
    }
}
