//! Cases of client-go and of the controllers that ship with Kubernetes.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kubehandler::{Cause, Ending, HandlerOptions, KeyState};

use crate::mapping::{create_owned, reference};
use crate::support::recorder::End;
use crate::support::world::config_map;
use crate::support::{Function, Outcome, Recorder, World, eventually, on_both, on_embedded, quiet, time_passes};

const SECOND: Duration = Duration::from_secs(1);

/// How many calls for `name` have failed, which is what the backoff counts.
fn failures(recorder: &Recorder, name: &str) -> usize {
    recorder.story(name).iter().filter(|call| call.ends_with("failed")).count()
}

/// kubernetes#132805: a key that failed is put into the queue at once by the next event, which does not wait for its
/// backoff. The call fails again, and the rate limiter counts one failure more: under a storm of events a one-minute
/// outage drives the backoff to its maximum, and the object rests for a quarter of an hour after all is well again.
///
/// Here events may pull a retry forward, to `settle` at the earliest, which doubles, too. So a storm costs an object no
/// more than a failure or two, and it recovers with the first event after `settle`.
#[test]
fn kubernetes_132805_events_do_not_inflate_the_backoff() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        for name in ["stormy", "silent"] {
            recorder.always(Function::Add, name, Outcome::Fail);
            world.create(name, "0").await;
        }
        for event in 1..=600 {
            world.change("stormy", &event.to_string()).await;
            time_passes(SECOND / 10).await;
        }
        let (stormy, silent) = (failures(&recorder, "stormy"), failures(&recorder, "silent"));
        assert!(stormy <= silent + 2, "{stormy} failures under 600 events, {silent} without");
        // The outage is over; the next event comes.
        recorder.always(Function::Add, "stormy", Outcome::Ok);
        world.change("stormy", "well").await;
        time_passes(60 * SECOND).await;
        assert_eq!(recorder.story("stormy").last().map(String::as_str), Some("add well"));
    });
}

/// kubernetes#136853: the same in a rolling update. A quota keeps a `ReplicaSet` from creating pods; each old pod that goes
/// wakes it, each attempt fails, and within seconds its next one is a quarter of an hour away, long after there is room.
///
/// Here an owner that fails is woken by what it owns no more often than by itself: at `settle`.
#[test]
fn kubernetes_136853_what_an_object_owns_does_not_inflate_its_backoff() {
    on_embedded(async |world| {
        let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
        let (recorder, _running) = world.start_with(2, options).await;
        recorder.always(Function::Add, "set", Outcome::Fail);
        let owner = world.create("set", "1").await;
        let secrets: Api<Secret> = world.api();
        for pod in 0..100 {
            let name = format!("pod{pod}");
            create_owned(world, &name, vec![reference(&owner)]).await;
            time_passes(SECOND / 20).await;
            secrets.delete(&name, &DeleteParams::default()).await.unwrap();
            time_passes(SECOND / 20).await;
        }
        // Ten seconds and two hundred events: the backoff alone makes eleven attempts.
        let failed = failures(&recorder, "set");
        assert!((8..=13).contains(&failed), "{failed} failures");
        assert!(recorder.last("set").causes.contains(Cause::Mapped));
        recorder.always(Function::Add, "set", Outcome::Ok);
        create_owned(world, "room", vec![reference(&owner)]).await;
        time_passes(60 * SECOND).await;
        assert_eq!(recorder.last("set").end(), Some(End::Ok));
    });
}

/// kubernetes#141079: draining waits until nothing is being processed. When the last call ends while keys are still
/// queued, it returns although they were promised to be processed, and nobody is told which they were.
///
/// Here a drain is not meant to empty the queue: it makes no new call. But it waits for every call that runs, it names
/// each key that it leaves, those woken again during their call included, and the next start finds all of them.
#[test]
fn kubernetes_141079_a_drain_names_every_key_that_is_still_queued() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        let gate = world.busy(&recorder).await;
        for name in ["a", "b", "c"] {
            world.create(name, "1").await;
        }
        world.change("blocker", "again").await;
        world.seen().await;
        running.cancel.cancel();
        quiet().await;
        assert!(!running.is_finished(), "a call is running");
        gate.open();
        let report = running.ended().await.unwrap();
        assert_eq!(report.ending, Ending::Drained);
        let mut left: Vec<_> = report.abandoned.iter().map(|key| (key.key.name(), key.state)).collect();
        left.retain(|(name, _)| !name.starts_with("marker"));
        assert_eq!(left, ["a", "b", "blocker", "c"].map(|name| (name, KeyState::Ready)));
        let next = world.recorder("next");
        let _running = world.run(&[&next], 1).await;
        for (name, story) in [("a", "add 1"), ("b", "add 1"), ("c", "add 1"), ("blocker", "add again")] {
            next.tells(name, [story]).await;
            assert!(next.last(name).preexisting);
        }
    });
}

/// kubernetes#129024: a handler that panics takes the process with it, or, where crashing is switched off, loses the event
/// that it panicked on and holds up all that come after it for a second.
///
/// Here a panic is a failed call: made again for the same state of the same object, while the others flow.
#[test]
fn kubernetes_129024_a_panicking_handler_loses_no_event_and_delays_no_other() {
    on_both(async |world| {
        let (panicking, other) = (world.recorder("panicking"), world.recorder("other"));
        panicking.script(Function::Add, "a", [Outcome::Panic, Outcome::Panic, Outcome::Panic]);
        let running = world.run(&[&panicking, &other], 1).await;
        world.create("a", "1").await;
        world.create("b", "1").await;
        panicking.settles("a", ["add 1 panicked", "add 1 panicked", "add 1 panicked", "add 1"]).await;
        panicking.tells("b", ["add 1"]).await;
        other.tells("a", ["add 1"]).await;
        other.tells("b", ["add 1"]).await;
        let attempts = panicking.calls_of("a");
        assert!(panicking.last("b").began <= attempts[3].began, "it did not wait for what panicked");
        assert_eq!(running.stop().await.calls.panicked, 3);
    });
}

/// kubernetes#137314: between the informer and a handler lies a buffer that keeps each event until the handler has come
/// to it; behind a slow one it grows until the process is killed. (The report asks for a metric to see that coming.)
///
/// Here keys wait, not events: what waits is bounded by the number of objects, however much they change.
#[test]
fn kubernetes_137314_behind_a_handler_that_is_stuck_wait_objects_not_events() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        let gate = world.busy(&recorder).await;
        let names: Vec<_> = (0..5).map(|number| format!("a{number}")).collect();
        for name in &names {
            world.create(name, "0").await;
        }
        for value in 1..=60 {
            for name in &names {
                world.change(name, &value.to_string()).await;
            }
        }
        world.seen().await;
        let waiting = running.handle.snapshot().keys;
        let waiting = waiting.iter().filter(|key| key.state == KeyState::Ready && key.key.name().starts_with('a'));
        assert_eq!(waiting.count(), names.len());
        gate.open();
        for name in &names {
            recorder.tells(name, ["add 60"]).await;
            assert_eq!(recorder.last(name).changes, 61, "its creation and all of its changes");
        }
    });
}

/// kubernetes#25744: one queue, first in, first out. A tenant who creates a thousand objects makes the next one wait for
/// all of them.
///
/// Here handlers have shares of the workers: a handler a tenant, and none waits for more than a turn. (Within one
/// handler fresh keys still go first in, first out, each once.)
#[test]
fn kubernetes_25744_one_tenants_thousand_objects_do_not_hold_up_another_tenant() {
    on_both(async |world| {
        let other = other_tenant(world).await;
        let (many, few) = (world.recorder("many"), world.recorder_of("few", world.informers.configured(other.0)));
        let running = world.run(&[&many, &few], 1).await;
        let gate = world.busy(&many).await;
        for index in 0..60 {
            world.create(&format!("a{index}"), "1").await;
        }
        world.seen().await;
        other.1.create(&PostParams::default(), &config_map("b", "1", &[])).await.unwrap();
        eventually("it is queued", || running.handle.snapshot().keys.iter().any(|key| key.key.name() == "b")).await;
        gate.open();
        few.tells("b", ["add 1"]).await;
        eventually("all were called", || many.calls().len() >= 61).await;
        let before = many.calls().iter().filter(|call| call.began < few.last("b").began).count();
        assert!(before <= 3, "{before} calls for the other tenant came first");
    });
}

/// Another namespace, and what an informer in it is asked for.
async fn other_tenant(world: &World) -> (kubehandler::InformerConfig, Api<ConfigMap>) {
    let name = format!("{}-other", world.namespace);
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is created");
    (world.config().namespace(&name), Api::namespaced(world.client.clone(), &name))
}
