//! C9: no call before the caches of all handlers, and of what they map from, have synced; and what happens when one
//! does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kubehandler::{
    CancellationToken, Context, DefaultHandler, EventHandler, EventLoop, HandlerFuncs, HandlerOptions,
    InformerErrorKind, RunError, SharedInformer, SyncError,
};
use tokio::time::Instant;

use crate::support::network::Sent;
use crate::support::{Outcome, Running, World, eventually, is_real, on_both, on_embedded, quiet, time_passes};

fn secrets(sent: &Sent) -> bool {
    sent.is_about("secrets")
}

// === Waiting for all ===

#[test]
fn no_call_is_made_before_the_caches_of_all_handlers_have_synced() {
    on_both(async |world| {
        world.create("a", "1").await;
        let held = world.network.hold(secrets);
        let recorder = world.recorder("configmaps");
        let mut event_loop = world.event_loop(&[&recorder]);
        event_loop.register(DefaultHandler::new("secrets", world.informers.informer::<Secret>())).unwrap();
        let running = Running::start(event_loop, 2);
        let informer = world.informers.informer::<ConfigMap>();
        eventually("the one cache has synced", || informer.has_synced()).await;
        quiet().await;
        assert!(recorder.calls().is_empty());
        assert!(!running.handle.is_ready());
        drop(held);
        recorder.settles("a", ["add 1"]).await;
        assert!(running.handle.is_ready());
    });
}

#[test]
fn no_call_is_made_before_what_a_handler_maps_from_has_synced() {
    on_both(async |world| {
        world.create("a", "1").await;
        let held = world.network.hold(secrets);
        let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
        let recorder = world.recorder("owner").options(options);
        let running = Running::start(world.event_loop(&[&recorder]), 2);
        let informer = world.informers.informer::<ConfigMap>();
        eventually("its own cache has synced", || informer.has_synced()).await;
        quiet().await;
        assert!(recorder.calls().is_empty());
        drop(held);
        recorder.settles("a", ["add 1"]).await;
        running.stop().await;
    });
}

#[test]
fn what_existed_before_the_start_is_preexisting() {
    on_both(async |world| {
        world.create("old", "1").await;
        let (recorder, _running) = world.start(2).await;
        recorder.tells("old", ["add 1"]).await;
        world.create("new", "1").await;
        recorder.tells("new", ["add 1"]).await;
        assert!(recorder.last("old").preexisting);
        assert!(!recorder.last("new").preexisting);
        world.change("old", "2").await;
        recorder.tells("old", ["add 1", "update 2"]).await;
        assert!(recorder.last("old").preexisting, "it is the same life");
        world.delete("old").await;
        recorder.tells("old", ["add 1", "update 2", "delete 2"]).await;
        assert!(!recorder.last("old").preexisting, "false in a delete");
        world.create("old", "3").await;
        eventually("the new life is told", || recorder.last("old").value() == "3").await;
        assert!(!recorder.last("old").preexisting);
    });
}

/// A handler that asks for more than its informer's sync.
struct Patient {
    informer: SharedInformer<ConfigMap>,
    ready: Arc<AtomicBool>,
    added: Arc<Mutex<Vec<String>>>,
}

impl EventHandler for Patient {
    type Resource = ConfigMap;

    fn name(&self) -> &'static str {
        "patient"
    }

    fn informer(&self) -> &SharedInformer<ConfigMap> {
        &self.informer
    }

    fn has_synced(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    async fn add(&self, _: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        self.added.lock().unwrap().push(name.to_owned());
        Ok(())
    }
}

fn patient(world: &World) -> (EventLoop, Arc<AtomicBool>, Arc<Mutex<Vec<String>>>) {
    let (ready, added) = (Arc::default(), Arc::default());
    let informer = world.informers.informer();
    let mut event_loop = EventLoop::new("patient");
    event_loop.register(Patient { informer, ready: Arc::clone(&ready), added: Arc::clone(&added) }).unwrap();
    (event_loop, ready, added)
}

#[test]
fn a_handler_can_ask_for_more_than_its_informers_sync() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (event_loop, ready, added) = patient(world);
        let running = Running::start(event_loop, 1);
        quiet().await;
        assert!(added.lock().unwrap().is_empty() && !running.handle.is_ready());
        ready.store(true, Ordering::SeqCst);
        eventually("it is called", || *added.lock().unwrap() == ["a"]).await;
        running.stop().await;
    });
}

#[test]
fn a_handler_whose_own_condition_never_holds_is_named() {
    on_embedded(async |world| {
        let (event_loop, _ready, _added) = patient(world);
        let error = Running::start(event_loop, 1).ended().await.unwrap_err();
        assert!(matches!(&error, RunError::HandlerNotSynced { handler, .. } if &**handler == "patient"), "{error}");
        assert!(error.to_string().contains("has_synced"), "{error}");
    });
}

// === The deadline ===

#[test]
fn a_sync_past_two_minutes_makes_the_run_fail_and_says_which_informer() {
    on_embedded(async |world| {
        world.create("a", "1").await;
        let _held = world.network.hold(secrets);
        let recorder = world.recorder("configmaps");
        let mut event_loop = world.event_loop(&[&recorder]);
        event_loop.register(DefaultHandler::new("vault", world.informers.informer::<Secret>())).unwrap();
        let begun = Instant::now();
        let error = Running::start(event_loop, 2).ended().await.unwrap_err();
        let took = begun.elapsed();
        assert!(took >= Duration::from_secs(120) && took < Duration::from_secs(121), "{took:?}");
        let text = error.to_string();
        for part in ["vault", "secrets", &world.namespace] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(recorder.calls().is_empty(), "no call has been made");
        let sent = world.network.sent().len();
        time_passes(Duration::from_secs(3600)).await;
        assert_eq!(world.network.sent().len(), sent, "and nothing is watched");
    });
}

/// The error of a run whose requests are all answered with `status`.
async fn sync_error(world: &World, status: u16) -> (RunError, Duration) {
    let _answers = world.network.answer(status, |_| true);
    let recorder = world.recorder("configmaps");
    let mut event_loop = EventLoop::builder("it").sync_deadline(Duration::from_secs(10)).build();
    event_loop.register(recorder.clone()).unwrap();
    let begun = Instant::now();
    let error = Running::start(event_loop, 2).ended().await.unwrap_err();
    assert!(recorder.calls().is_empty());
    (error, begun.elapsed())
}

#[test]
fn forbidden_counts_against_the_deadline_and_names_the_rule_that_is_missing() {
    on_both(async |world| {
        let (error, took) = sync_error(world, 403).await;
        assert!(took >= Duration::from_secs(10), "{took:?}");
        let RunError::Sync { handler, why: SyncError::Deadline { why: Some(why), .. } } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((&**handler, why.kind()), ("configmaps", InformerErrorKind::Forbidden));
        let text = error.to_string();
        for part in ["list", "configmaps", &world.namespace, "apiGroups", "\"list\", \"watch\"", "Role"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\n'), "one line: {text}");
    });
}

#[test]
fn each_reason_for_which_a_cache_does_not_sync_is_told() {
    on_both(async |world| {
        for (status, kind) in [
            (401, InformerErrorKind::Unauthorized),
            (429, InformerErrorKind::Busy),
            (500, InformerErrorKind::Server),
            (503, InformerErrorKind::Busy),
        ] {
            if is_real() && status != 401 {
                continue; // Ten real seconds each; one of them shows it.
            }
            let (error, _) = sync_error(world, status).await;
            let RunError::Sync { why: SyncError::Deadline { why: Some(why), .. }, .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(why.kind(), kind, "{error}");
        }
    });
}

#[test]
fn a_handler_of_one_loop_does_not_wait_for_another_loop() {
    on_both(async |world| {
        world.create("a", "1").await;
        let held = world.network.hold(secrets);
        let recorder = world.recorder("configmaps");
        let running = world.run(&[&recorder], 1).await;
        let mut other = EventLoop::new("other");
        other.register(HandlerFuncs::new("secrets", world.informers.informer::<Secret>())).unwrap();
        let waiting = Running::start(other, 1);
        recorder.settles("a", ["add 1"]).await;
        assert!(!waiting.handle.is_ready());
        recorder.script(crate::support::Function::Update, "a", [Outcome::Ok]);
        drop(held);
        eventually("the other one is ready", || waiting.handle.is_ready()).await;
        running.stop().await;
        waiting.stop().await;
    });
}

#[test]
fn nothing_runs_on_when_a_run_has_failed_to_start() {
    on_embedded(async |world| {
        let _held = world.network.hold(Sent::is_list);
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let event_loop = world.event_loop(&[&world.recorder("recorder")]);
        let before = tasks();
        event_loop.run(CancellationToken::new(), 1).await.unwrap_err();
        assert_eq!(tasks(), before, "the informer's task has ended");
    });
}
