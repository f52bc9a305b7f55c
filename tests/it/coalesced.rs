//! C3: changes while a key waits are one call, and the context says what the call stands for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource as _;
use kube::api::{ObjectMeta, PostParams};
use kubehandler::{Cause, EventLoop, EventType, HandlerFuncs, HandlerOptions};
use tokio::time::Instant;

use crate::support::{Function, Gate, Outcome, Running, eventually, on_both, on_embedded, time_passes};

#[test]
fn ten_changes_while_a_key_waits_are_one_call() {
    on_both(async |world| {
        let (recorder, _running) = world.start(1).await;
        world.create("a", "0").await;
        recorder.tells("a", ["add 0"]).await;
        let gate = world.busy(&recorder).await;
        for value in 1..=10 {
            world.change("a", &value.to_string()).await;
        }
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 0", "update 10"]).await;
        let call = recorder.last("a");
        assert_eq!(call.changes, 10);
        assert!(call.causes.contains(Cause::Change), "{}", call.causes);
        assert_eq!((call.event, call.attempt), (EventType::Update, 1));
    });
}

#[test]
fn changes_during_a_call_are_one_call_after_it() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "0").await;
        recorder.is_in(Function::Add, "a").await;
        for value in 1..=7 {
            world.change("a", &value.to_string()).await;
        }
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 0", "update 7"]).await;
        assert_eq!(recorder.last("a").changes, 7);
    });
}

#[test]
fn the_context_tells_since_when_the_oldest_change_waits() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(1).await;
        world.create("a", "0").await;
        recorder.tells("a", ["add 0"]).await;
        let gate = world.busy(&recorder).await;
        let begun = Instant::now();
        world.change("a", "1").await;
        time_passes(Duration::from_secs(60)).await;
        world.change("a", "2").await;
        time_passes(Duration::from_secs(30)).await;
        gate.open();
        recorder.tells("a", ["add 0", "update 2"]).await;
        let call = recorder.last("a");
        let waited = call.began - begun;
        assert!(waited.abs_diff(call.waited) < Duration::from_secs(1), "{:?} of {waited:?}", call.waited);
    });
}

#[test]
fn the_causes_of_all_wakes_are_told() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        world.create("a", "0").await;
        recorder.tells("a", ["add 0"]).await;
        let gate = world.busy(&recorder).await;
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        world.change("a", "1").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 0", "update 1"]).await;
        let causes: Vec<_> = recorder.last("a").causes.iter().collect();
        assert_eq!(causes, [Cause::Change, Cause::Manual]);
    });
}

#[test]
fn the_initial_list_is_named_as_the_cause() {
    on_both(async |world| {
        world.create("a", "0").await;
        let (recorder, _running) = world.start(1).await;
        recorder.settles("a", ["add 0"]).await;
        let causes: Vec<_> = recorder.last("a").causes.iter().collect();
        assert_eq!(causes, [Cause::InitialList]);
        world.create("b", "0").await;
        recorder.settles("b", ["add 0"]).await;
        let causes: Vec<_> = recorder.last("b").causes.iter().collect();
        assert_eq!(causes, [Cause::Change]);
    });
}

#[test]
fn each_cause_is_told_by_its_name() {
    on_embedded(async |world| {
        let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
        let options = options.resync(Duration::from_secs(600));
        world.create("a", "0").await;
        let (recorder, running) = world.start_with(1, options).await;
        let minute = Duration::from_secs(60);
        recorder.script(Function::Update, "a", [Outcome::Fail, Outcome::RequeueAfter(minute)]);
        recorder.tells("a", ["add 0"]).await;
        let owner = world.change("a", "1").await;
        recorder.tells("a", ["add 0", "update 1 failed", "update 1"]).await;
        time_passes(minute).await;
        recorder.tells("a", ["add 0", "update 1 failed", "update 1", "reconcile 1"]).await;
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        eventually("the wake by hand was told", || recorder.calls_of("a").len() == 5).await;
        let owner_references = Some(vec![owner.controller_owner_ref(&()).unwrap()]);
        let metadata = ObjectMeta { name: Some("s".to_owned()), owner_references, ..ObjectMeta::default() };
        let secret = Secret { metadata, ..Secret::default() };
        world.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        eventually("the mapped change was told", || recorder.calls_of("a").len() == 6).await;
        time_passes(10 * minute).await;
        assert_eq!(recorder.calls_of("a").len(), 7, "the resync");
        world.relist(async || drop(world.change("a", "2").await)).await;
        eventually("the relist was told", || recorder.calls_of("a").len() == 8).await;
        let causes: Vec<_> = recorder.calls_of("a").iter().map(|call| call.causes.to_string()).collect();
        let expected = ["initial list", "change", "change, retry", "requeue", "by hand", "mapped", "resync", "relist"]
            .map(str::to_owned);
        assert_eq!(causes, expected);
        let changes: Vec<_> = recorder.calls_of("a").iter().map(|call| call.changes).collect();
        assert_eq!(changes[..], [1, 1, 1, 0, 1, 1, 0, 1], "a retry stands for what the failed call stood for");
    });
}

/// What a handler read from its context before and after the object changed.
type Reads = Arc<Mutex<Vec<(String, Option<String>)>>>;

#[test]
fn the_object_is_pinned_when_the_call_starts_and_latest_reads_the_cache() {
    on_both(async |world| {
        let value = |object: &ConfigMap| object.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap();
        let (gates, reads) = ([Gate::closed(), Gate::closed(), Gate::closed()], Reads::default());
        let (inside, seen) = (gates.clone(), Arc::clone(&reads));
        let informer = world.informers.informer::<ConfigMap>();
        let handler = HandlerFuncs::new("reader", informer.clone()).on_add(move |ctx, _, name| async move {
            if name != "a" {
                return Ok(()); // What `seen` creates.
            }
            for gate in &inside {
                gate.passed().await;
                let (object, latest) = (ctx.object()?, ctx.latest()?);
                seen.lock().unwrap().push((value(&object), latest.map(|latest| value(&latest))));
            }
            Ok(())
        });
        let mut event_loop = EventLoop::new("pinned");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        let read = |count: usize| {
            eventually("it was read", {
                let reads = Arc::clone(&reads);
                move || reads.lock().unwrap().len() == count
            })
        };

        world.create("a", "1").await;
        gates[0].open();
        read(1).await;
        world.change("a", "2").await;
        world.seen().await;
        gates[1].open();
        read(2).await;
        world.delete("a").await;
        let key = world.key("a");
        eventually("the cache has lost it", || informer.get(&key).is_none()).await;
        gates[2].open();
        read(3).await;
        let one = || "1".to_owned();
        assert_eq!(*reads.lock().unwrap(), [(one(), Some(one())), (one(), Some("2".to_owned())), (one(), None)]);
        running.stop().await;
    });
}

#[test]
fn a_call_settles_the_version_it_was_given() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        let gate = recorder.hold(Function::Update, "a");
        world.create("a", "0").await;
        recorder.tells("a", ["add 0"]).await;
        let first = world.change("a", "1").await;
        recorder.is_in(Function::Update, "a").await;
        let second = world.change("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 0", "update 1", "update 2"]).await;
        let versions: Vec<_> = recorder.calls_of("a").into_iter().skip(1).map(|call| Some(call.version)).collect();
        assert_eq!(versions, [first.metadata.resource_version, second.metadata.resource_version]);
    });
}

#[test]
fn a_change_that_was_settled_already_makes_no_call() {
    on_both(async |world| {
        let (recorder, _running) = world.start(1).await;
        let gate = world.busy(&recorder).await;
        // Both events wake the key; the add that follows settles the newest version.
        world.create("a", "0").await;
        world.change("a", "1").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1"]).await;
        assert_eq!(recorder.last("a").changes, 2);
    });
}
