//! C1: within one process never two calls at once for one handler and key; different keys and handlers run in parallel.
//!
//! That calls of one key never overlap is checked after every test of the suite (`support::contract`); here is what
//! provokes it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{EventLoop, HandlerFuncs};

use crate::support::{Function, Gate, Outcome, Running, eventually, on_both, on_embedded_with_threads, quiet};

#[test]
fn a_change_during_a_call_waits_for_its_end() {
    on_both(async |world| {
        let (recorder, _running) = world.start(4).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        for value in 2..=6 {
            world.change("a", &value.to_string()).await;
        }
        recorder.settles("a", ["add 1 running"]).await;
        gate.open();
        recorder.settles("a", ["add 1", "update 6"]).await;
    });
}

#[test]
fn different_keys_run_in_parallel() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        let gate = Gate::closed();
        recorder.otherwise(gate.then(Outcome::Ok));
        world.create("a", "1").await;
        world.create("b", "1").await;
        eventually("both calls run", || recorder.running() == 2).await;
        gate.open();
        recorder.settles("a", ["add 1"]).await;
        recorder.settles("b", ["add 1"]).await;
    });
}

#[test]
fn different_handlers_run_in_parallel_for_one_object() {
    on_both(async |world| {
        let (one, two) = (world.recorder("one"), world.recorder("two"));
        let _running = world.run(&[&one, &two], 2).await;
        let (gate_one, gate_two) = (one.hold(Function::Add, "a"), two.hold(Function::Add, "a"));
        world.create("a", "1").await;
        one.is_in(Function::Add, "a").await;
        two.is_in(Function::Add, "a").await;
        gate_one.open();
        one.settles("a", ["add 1"]).await;
        two.settles("a", ["add 1 running"]).await;
        gate_two.open();
        two.settles("a", ["add 1"]).await;
    });
}

#[test]
fn there_are_never_more_calls_than_workers() {
    on_both(async |world| {
        let (recorder, _running) = world.start(3).await;
        let gate = Gate::closed();
        recorder.otherwise(gate.then(Outcome::Ok));
        for index in 0..10 {
            world.create(&format!("a{index}"), "1").await;
        }
        eventually("three calls run", || recorder.running() == 3).await;
        quiet().await;
        assert_eq!(recorder.running(), 3);
        gate.open();
        eventually("all were called", || recorder.calls().len() == 10).await;
    });
}

#[test]
fn a_storm_of_changes_ends_in_the_servers_state() {
    on_both(async |world| {
        let (recorder, _running) = world.start(4).await;
        recorder.otherwise(Outcome::Slowly(Duration::from_millis(3), Box::new(Outcome::Ok)));
        let names: Vec<_> = (0..20).map(|index| format!("a{index}")).collect();
        for name in &names {
            world.create(name, "0").await;
        }
        for round in 1..=10 {
            let changes = names.iter().map(|name| async {
                if round % 5 == 0 && name.ends_with('3') {
                    world.delete(name).await;
                    world.create(name, "again").await;
                } else {
                    world.change(name, &round.to_string()).await;
                }
            });
            futures::future::join_all(changes).await;
        }
        for name in &names {
            let last = if name.ends_with('3') { "again" } else { "10" };
            eventually(&format!("{name} is settled"), || {
                let call = recorder.last(name);
                !call.is_running() && call.value() == last && call.function != Function::Delete
            })
            .await;
        }
    });
}

/// Two calls that both block their threads until the other one is there.
#[test]
fn calls_run_on_several_threads() {
    on_embedded_with_threads(async |world| {
        let meeting = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let met = Arc::new(AtomicUsize::new(0));
        let (meeting_place, count) = (Arc::clone(&meeting), Arc::clone(&met));
        let handler =
            HandlerFuncs::new("meeting", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| async move {
                let (present, arrived) = &*meeting_place;
                let mut present = present.lock().unwrap();
                *present += 1;
                arrived.notify_all();
                let limit = Duration::from_secs(20);
                let (_present, waited) = arrived.wait_timeout_while(present, limit, |present| *present < 2).unwrap();
                if !waited.timed_out() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        let mut event_loop = EventLoop::new("threads");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 2).ready().await;
        world.create("a", "1").await;
        world.create("b", "1").await;
        eventually("both calls met", || met.load(Ordering::Relaxed) == 2).await;
        running.stop().await;
    });
}
