//! Cases of Go's kubehandler, from which this library has its name and its shape. `src/work_queue/tests.rs` has more of
//! them, on the queue alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kubehandler::{EventLoop, HandlerFuncs};

use crate::support::{Function, Gate, Outcome, Running, eventually, on_both, time_passes};

/// There, a function's error is logged and its event is gone: an object stays wrong until somebody changes it.
#[test]
fn go_kubehandler_an_error_is_not_swallowed() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        for function in [Function::Add, Function::Update, Function::Delete] {
            recorder.script(function, "a", [Outcome::Fail]);
        }
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed", "add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 failed", "add 1", "update 2 failed", "update 2"]).await;
        world.delete("a").await;
        let settled = ["add 1 failed", "add 1", "update 2 failed", "update 2", "delete 2 failed", "delete 2"];
        recorder.settles("a", settled).await;
        assert!(running.handle.snapshot().keys.is_empty());
    });
}

/// There, a queued key is a text of kind, function, namespace and name with colons in between, and is cut at the colons:
/// `team:reader` arrives as `team`.
#[test]
fn go_kubehandler_a_name_with_a_colon_arrives_whole() {
    on_both(async |world| {
        let recorder = world.recorder_of("roles", world.informers.informer::<Role>());
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).unwrap();
        let _running = Running::start(event_loop, 1).ready().await;
        let roles: Api<Role> = world.api();
        for name in ["team:reader", "team", "a:b:c:"] {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            roles.create(&PostParams::default(), &Role { metadata, ..Role::default() }).await.unwrap();
            recorder.tells(name, ["add -"]).await;
            assert_eq!(recorder.last(name).key, world.key(name));
        }
        roles.delete("team:reader", &DeleteParams::default()).await.unwrap();
        recorder.settles("team:reader", ["add -", "delete -"]).await;
        recorder.tells("team", ["add -"]).await;
    });
}

/// There, the add and the delete of an object are two keys, which two workers take at once: the delete may end first, and
/// what the add makes stays for ever.
#[test]
fn go_kubehandler_add_and_delete_never_run_at_once() {
    on_both(async |world| {
        let (recorder, _running) = world.start(4).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        world.change("a", "2").await;
        world.delete("a").await;
        recorder.settles("a", ["add 1 running"]).await;
        gate.open();
        recorder.settles("a", ["add 1", "delete 2"]).await;
    });
}

/// There, a deletion that the watch missed comes wrapped in a tombstone, which the handler takes for an object of its
/// kind, fails to, and drops.
#[test]
fn go_kubehandler_a_deletion_that_the_watch_missed_is_delivered_with_the_object() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.relist(async || world.delete("a").await).await;
        recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        let (added, deleted) = (&recorder.calls_of("a")[0], recorder.last("a"));
        assert_eq!((&deleted.object, &deleted.uid), (&added.object, &added.uid), "the whole object, as last seen");
    });
}

/// There, nothing stands between a function that panics and the process.
#[test]
fn go_kubehandler_a_panic_in_a_worker_does_not_kill_the_process() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        for function in [Function::Add, Function::Update, Function::Delete] {
            recorder.script(function, "a", [Outcome::Panic]);
        }
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 panicked", "add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 panicked", "add 1", "update 2 panicked", "update 2"]).await;
        world.delete("a").await;
        let settled = ["add 1 panicked", "add 1", "update 2 panicked", "update 2", "delete 2 panicked", "delete 2"];
        recorder.settles("a", settled).await;
        let report = running.stop().await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.calls.panicked, 3);
    });
}

/// There, `Run` returns as soon as it is told to stop, with its workers still at it: the process ends in the middle of
/// their calls.
#[test]
fn go_kubehandler_run_does_not_return_before_its_workers() {
    on_both(async |world| {
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
        let gate = Gate::closed();
        let opens = gate.clone();
        let informer = world.informers.informer::<ConfigMap>();
        let handler = HandlerFuncs::new("thorough", informer).on_add(move |_, _, _| async move {
            begins.fetch_add(1, Ordering::SeqCst);
            gate.passed().await;
            // What a call does after the last thing that it waited for counts, too.
            time_passes(Duration::from_millis(50)).await;
            ends.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let mut event_loop = EventLoop::new("thorough");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 3).ready().await;
        for name in ["a", "b", "c"] {
            world.create(name, "1").await;
        }
        eventually("all workers are at it", || begun.load(Ordering::SeqCst) == 3).await;
        running.cancel.cancel();
        time_passes(Duration::from_millis(100)).await;
        assert!(!running.is_finished());
        opens.open();
        let report = running.ended().await.unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 3);
        assert!(report.is_clean(), "{report}");
    });
}
