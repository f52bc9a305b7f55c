//! Cases of controller-runtime and of kube-rs.

use std::sync::mpsc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use kubehandler::{Cause, EventLoop, HandlerFuncs, HandlerOptions};

use crate::mapping::{create_owned, reference};
use crate::support::kinds::Strict;
use crate::support::network::Sent;
use crate::support::{Function, Outcome, Running, eventually, on_both, on_embedded, quiet, time_passes};

const CALL: Duration = Duration::from_millis(10);

/// controller-runtime#3496: what the first list holds has a lower priority than all other work, always. Where a
/// controller asks often to be called again, the queue never runs empty, and objects that were created while it was
/// restarting are not reconciled for as long as that lasts.
///
/// Here fresh work goes first, but one call in five belongs to the initial list: its wait is bounded.
#[test]
fn controller_runtime_3496_requeues_do_not_starve_the_initial_list() {
    on_embedded(async |world| {
        for index in 0..40 {
            world.create(&format!("old{index}"), "1").await;
        }
        let recorder = world.recorder("recorder");
        recorder.otherwise(Outcome::Slowly(CALL, Box::new(Outcome::Ok)));
        // Ten objects that are due again before the worker has been round once.
        let again = Outcome::Slowly(CALL, Box::new(Outcome::RequeueAfter(CALL)));
        for index in 0..10 {
            for function in [Function::Add, Function::Reconcile] {
                recorder.always(function, &format!("busy{index}"), again.clone());
            }
        }
        let _running = world.run(&[&recorder], 1).await;
        for index in 0..10 {
            world.create(&format!("busy{index}"), "1").await;
        }
        let old = || recorder.calls().iter().filter(|call| call.key.name().starts_with("old")).count();
        time_passes(40 * 5 * CALL).await;
        assert!((39..=40).contains(&old()), "{} of 40 in 200 calls", old());
        time_passes(10 * CALL).await;
        assert_eq!(old(), 40);
    });
}

/// controller-runtime#654: a deletion gets lost. One function is told a name and reads what is there now: for an object
/// that was deleted and made again in the meantime, it sees an object as any other, and what belonged to the old one is
/// never cleaned up.
///
/// Here an object is known by its uid: the old one is deleted, with its last state, before the new one is added.
#[test]
fn controller_runtime_654_the_delete_of_an_object_that_was_made_again_is_not_lost() {
    on_both(async |world| {
        let (recorder, _running) = world.start(1).await;
        world.create("a", "old").await;
        recorder.tells("a", ["add old"]).await;
        let gate = world.busy(&recorder).await;
        world.delete("a").await;
        world.create("a", "new").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add old", "delete old", "add new"]).await;
        let calls = recorder.calls_of("a");
        assert_eq!(calls[0].uid, calls[1].uid);
        assert_ne!(calls[1].uid, calls[2].uid);
    });
}

/// kube-rs#297: what happens after an error is one function's choice, which is told neither how often this object has
/// failed nor that it succeeded. So everybody returns a constant, and one object that is broken for days is tried as
/// often as one that met a hiccup.
///
/// Here each object has a backoff of its own, which its own success ends, and no other's.
#[test]
fn kube_rs_297_each_object_has_a_backoff_of_its_own() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.always(Function::Add, "broken", Outcome::Fail);
        world.create("broken", "1").await;
        eventually("it failed ten times", || recorder.calls_of("broken").len() == 10 && recorder.running() == 0).await;
        recorder.script(Function::Add, "hiccup", [Outcome::Fail]);
        world.create("hiccup", "1").await;
        recorder.tells("hiccup", ["add 1 failed", "add 1"]).await;
        time_passes(Duration::from_secs(5)).await;
        let wait = |name: &str, call: usize| {
            let calls = recorder.calls_of(name);
            calls[call].began - calls[call - 1].ended.expect("it has ended").0
        };
        assert!(wait("hiccup", 1) < Duration::from_millis(10), "{:?}", wait("hiccup", 1));
        assert!(wait("broken", 10) >= Duration::from_millis(5 << 9), "{:?}", wait("broken", 10));
        assert_eq!(recorder.last("hiccup").attempt, 2);
    });
}

/// kube-rs: after a gap that the server cannot bridge, its watcher lists anew and tells of what is there. What is gone
/// is in no event: a controller's store drops it silently, and neither is its object reconciled nor the owner of an
/// object that went.
///
/// Here two lists are compared: what the second one lacks is a deletion, delivered with the last known state.
#[test]
fn kube_rs_a_deletion_is_not_lost_across_a_relist() {
    on_both(async |world| {
        let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
        let (recorder, _running) = world.start_with(2, options).await;
        let owner = world.create("owner", "1").await;
        recorder.tells("owner", ["add 1"]).await;
        create_owned(world, "owned", vec![reference(&owner)]).await;
        for name in ["gone", "stays"] {
            world.create(name, "1").await;
            recorder.tells(name, ["add 1"]).await;
        }
        recorder.tells("owner", ["add 1", "update 1"]).await;
        let secrets: Api<Secret> = world.api();
        world.relist_of("configmaps", async || world.delete("gone").await).await;
        recorder.settles("gone", ["add 1", "delete 1 (may be stale)"]).await;
        world
            .relist_of("secrets", async || {
                secrets.delete("owned", &DeleteParams::default()).await.unwrap();
            })
            .await;
        recorder.settles("owner", ["add 1", "update 1", "update 1"]).await;
        assert!(recorder.last("owner").causes.contains(Cause::Mapped));
        quiet().await;
        recorder.tells("stays", ["add 1"]).await;
    });
}

/// kube-rs#774: its watcher decodes a list as a whole and a watch event by event. One object that does not fit its type makes
/// the list fail again and again, and the controller sees none of the others.
///
/// Here each object is decoded by itself, when its handler asks: its call fails, its key is parked until its next version, and
/// neither the list nor the watch notices.
#[test]
fn kube_rs_774_one_object_that_does_not_decode_stops_no_other() {
    on_both(async |world| {
        for (name, word) in [("a", "good"), ("b", "neither"), ("c", "better")] {
            world.create(name, word).await;
        }
        let (seen, told) = mpsc::channel();
        let handler = HandlerFuncs::new("strict", world.informers.informer::<Strict>()).on_add(move |ctx, _, name| {
            let seen = seen.clone();
            async move {
                ctx.object()?;
                seen.send(name)?;
                Ok(())
            }
        });
        let mut event_loop = EventLoop::new("strict");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        let all = || told.try_iter().collect::<Vec<_>>();
        let mut names = Vec::new();
        let mut tells = async |expected: &[&str]| {
            eventually("it is told of each that decodes", || {
                names.extend(all());
                names.len() == expected.len()
            })
            .await;
            quiet().await;
            names.extend(all());
            assert_eq!(names, expected);
        };
        tells(&["a", "c"]).await;
        let snapshot = running.handle.snapshot();
        assert!(matches!(&snapshot.keys[..], [only] if only.key == world.key("b")), "{:?}", snapshot.keys);
        world.create("d", "good").await;
        tells(&["a", "c", "d"]).await;
        world.change("b", "good").await;
        tells(&["a", "c", "d", "b"]).await;
        assert_eq!((world.network.count(Sent::is_list), world.network.count(Sent::is_watch)), (1, 1));
        drop(running);
    });
}
