//! The handle: what a running loop tells of itself, and the hand that reaches into it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{Cause, EventLoop, EventType, HandlerFuncs, KeyState, ObjectKey};

use crate::support::{Function, Gate, Outcome, Running, eventually, on_both, quiet};

#[test]
fn the_snapshot_tells_where_each_unsettled_key_stands() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Add, "failing", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        recorder.script(Function::Add, "parked", [Outcome::Permanent]);
        recorder.script(Function::Add, "timer", [Outcome::RequeueAfter(Duration::from_secs(3600))]);
        for name in ["failing", "parked", "timer", "settled"] {
            world.create(name, "1").await;
            eventually("it was called", || recorder.calls_of(name).iter().any(|call| !call.is_running())).await;
        }
        let gate = Gate::closed();
        for name in ["running-1", "running-2"] {
            recorder.script(Function::Add, name, [gate.then(Outcome::Ok)]);
            world.create(name, "1").await;
            recorder.is_in(Function::Add, name).await;
        }
        world.create("waiting", "1").await;
        world.seen().await;
        let snapshot = running.handle.snapshot();
        let keys: Vec<_> = snapshot.keys.iter().map(|key| key.key.name().to_owned()).collect();
        let marker = keys.iter().find(|name| name.starts_with("marker")).cloned().unwrap();
        let sorted = ["failing", marker.as_str(), "parked", "running-1", "running-2", "timer", "waiting"];
        assert_eq!(keys, sorted, "sorted, and nothing that is settled");
        let key = |name: &str| snapshot.keys.iter().find(|key| key.key.name() == name).unwrap();
        assert!(matches!(key("failing").state, KeyState::Backoff { due_in } if due_in > Duration::from_secs(3500)));
        assert_eq!((key("failing").attempts, key("failing").record), (1, "Adding"));
        assert!(key("failing").last_error.as_ref().is_some_and(|error| error.contains("the script says to wait")));
        assert_eq!(key("parked").state, KeyState::Parked { by_cap: false });
        assert!(matches!(key("timer").state, KeyState::Delayed { due_in } if due_in > Duration::from_secs(3500)));
        assert_eq!((key("timer").record, key("timer").attempts), ("Known", 0));
        assert_eq!((key("running-1").state, key("running-1").record), (KeyState::Running, "Adding"));
        assert_eq!((key("waiting").state, key("waiting").record), (KeyState::Ready, "Unseen"));
        assert!(snapshot.keys.iter().all(|key| &*key.handler == "recorder"));
        let calls: Vec<_> = snapshot.running.iter().map(|call| (call.key.name(), call.event)).collect();
        assert_eq!(calls, [("running-1", EventType::Add), ("running-2", EventType::Add)]);
        assert_eq!((snapshot.calls.adds, snapshot.calls.failed), (6, 2), "those that run are counted, too");
        gate.open();
        eventually("they are done", || running.handle.snapshot().running.is_empty()).await;
    });
}

#[test]
fn release_is_for_parked_keys_and_enqueue_brings_a_retry_forward() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600)), Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 failed"]).await;
        assert!(!running.handle.release("recorder", &world.key("a")).unwrap(), "it is not parked");
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        recorder.settles("a", ["add 1 failed", "add 1 failed for good"]).await;
        assert!(running.handle.release("recorder", &world.key("a")).unwrap());
        recorder.settles("a", ["add 1 failed", "add 1 failed for good", "add 1"]).await;
        assert!(!running.handle.release("recorder", &world.key("a")).unwrap(), "it is settled");
        assert!(!running.handle.release("recorder", &world.key("unheard-of")).unwrap());
    });
}

#[test]
fn enqueue_wakes_by_hand_and_only_what_is_there() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        running.handle.enqueue("recorder", &world.key("unheard-of")).unwrap();
        running.handle.enqueue("recorder", &ObjectKey::new(None, "a").unwrap()).unwrap();
        recorder.settles("a", ["add 1", "update 1"]).await;
        let causes: Vec<_> = recorder.last("a").causes.iter().collect();
        assert_eq!(causes, [Cause::Manual]);
        assert_eq!(recorder.calls().len(), 2);
        assert!(running.handle.snapshot().keys.is_empty(), "nothing is left of keys that are not there");
    });
}

#[test]
fn a_handler_that_is_not_registered_is_named() {
    on_both(async |world| {
        let (_recorder, running) = world.start(1).await;
        let error = running.handle.enqueue("nobody", &world.key("a")).unwrap_err();
        assert!(error.to_string().contains("`nobody`"), "{error}");
        assert!(running.handle.release("nobody", &world.key("a")).is_err());
    });
}

#[test]
fn a_loop_is_ready_from_its_sync_to_its_end() {
    on_both(async |world| {
        let held = world.network.hold(|_| true);
        let recorder = world.recorder("recorder");
        let event_loop = world.event_loop(&[&recorder]);
        let handle = event_loop.handle();
        assert!(!handle.is_ready(), "before the start");
        let running = Running::start(event_loop, 1);
        quiet().await;
        assert!(!handle.is_ready(), "while the caches sync");
        drop(held);
        eventually("it is ready", || handle.is_ready()).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        running.cancel.cancel();
        quiet().await;
        assert!(!handle.is_ready(), "while it drains");
        gate.open();
        running.ended().await.unwrap();
        assert!(!handle.is_ready(), "after its end");
    });
}

#[test]
fn a_loop_is_failing_while_it_cannot_watch() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        assert!(!running.handle.is_failing());
        world.network.cut();
        eventually("it is failing", || running.handle.is_failing()).await;
        assert!(running.handle.is_ready(), "it goes on with what it knows");
        world.network.heal();
        eventually("it has recovered", || !running.handle.is_failing()).await;
        world.create("a", "1").await;
        recorder.settles("a", ["add 1"]).await;
        let handle = running.handle.clone();
        running.stop().await;
        assert!(!handle.is_failing(), "nothing is wanted any more");
    });
}

#[test]
fn the_handle_works_before_the_start_and_a_wake_by_hand_waits_for_it() {
    on_both(async |world| {
        world.create("a", "1").await;
        let recorder = world.recorder("recorder");
        let mut event_loop = EventLoop::new("early");
        let handle = event_loop.handle();
        assert!(handle.enqueue("recorder", &world.key("a")).is_err(), "nobody is registered yet");
        event_loop.register(recorder.clone()).unwrap();
        handle.enqueue("recorder", &world.key("a")).unwrap();
        assert_eq!(handle.snapshot().calls.total(), 0);
        assert!(world.informers.informer::<ConfigMap>().is_empty());
        let _running = Running::start(event_loop, 1).ready().await;
        recorder.settles("a", ["add 1"]).await;
        assert!(recorder.last("a").causes.contains(Cause::Manual));
    });
}

#[test]
fn the_last_error_of_a_key_is_kept_in_short() {
    on_both(async |world| {
        let handler = HandlerFuncs::new("wordy", world.informers.informer::<ConfigMap>())
            .on_add(|_, _, _| async move { anyhow::bail!("the answer was {}", "ü".repeat(100_000)) });
        let mut event_loop = EventLoop::new("wordy");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("it failed", || running.handle.snapshot().keys.iter().any(|key| key.last_error.is_some())).await;
        let error = running.handle.snapshot().keys[0].last_error.clone().unwrap();
        assert!(error.starts_with("the answer was ü"));
        assert!(error.len() < 5_000 && error.ends_with('…'), "{} bytes", error.len());
    });
}
