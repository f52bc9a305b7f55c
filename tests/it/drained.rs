//! C8: on cancellation no new calls; running ones have until the drain deadline; the report says what was left; nothing
//! runs after `run` has returned or its future was dropped.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{CancellationToken, Ending, EventLoop, EventType, HandlerFuncs, HandlerOptions, KeyState, Predicate};
use tokio::time::Instant;

use crate::support::network::Sent;
use crate::support::{
    Function, Gate, Outcome, Recorder, Running, World, eventually, on_both, on_embedded, on_embedded_with_threads,
    quiet, time_passes,
};

#[test]
fn a_loop_with_nothing_to_do_ends_at_once() {
    on_both(async |world| {
        let (_recorder, running) = world.start(2).await;
        let cancelled = Instant::now();
        let report = running.stop().await;
        assert!(cancelled.elapsed() < Duration::from_secs(5));
        assert!(report.is_clean());
        assert_eq!((report.ending, report.calls.total()), (Ending::Drained, 0));
        assert_eq!(&*report.event_loop, world.namespace);
    });
}

#[test]
fn a_running_call_sees_the_cancellation_and_ends_in_its_own_time() {
    on_both(async |world| {
        let saved = Arc::new(AtomicBool::new(false));
        let (begun, save) = (Arc::new(AtomicBool::new(false)), Arc::clone(&saved));
        let begins = Arc::clone(&begun);
        let handler =
            HandlerFuncs::new("polite", world.informers.informer::<ConfigMap>()).on_add(move |ctx, _, _| async move {
                begins.store(true, Ordering::SeqCst);
                ctx.cancellation().cancelled().await;
                time_passes(Duration::from_millis(100)).await;
                save.store(true, Ordering::SeqCst);
                Ok(())
            });
        let mut event_loop = EventLoop::new("polite");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("the call has begun", || begun.load(Ordering::SeqCst)).await;
        let report = running.stop().await;
        assert!(saved.load(Ordering::SeqCst), "`run` returned before its worker had ended");
        assert!(report.is_clean(), "{report}");
        assert!(report.drained_for >= Duration::from_millis(100));
    });
}

#[test]
fn no_call_begins_after_the_cancellation_and_waiting_keys_are_reported() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        recorder.script(Function::Add, "failing", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        recorder.script(Function::Add, "parked", [Outcome::Permanent]);
        recorder.script(Function::Add, "timer", [Outcome::RequeueAfter(Duration::from_secs(3600))]);
        for name in ["failing", "parked", "timer", "waiting"] {
            world.create(name, "1").await;
            eventually("it was called", || recorder.calls_of(name).iter().any(|call| !call.is_running())).await;
        }
        let gate = world.busy(&recorder).await;
        world.change("waiting", "2").await;
        world.create("new", "1").await;
        world.seen().await;
        running.cancel.cancel();
        quiet().await;
        let calls = recorder.calls().len();
        gate.open();
        let report = running.ended().await.unwrap();
        assert_eq!(recorder.calls().len(), calls, "no call began");
        assert_eq!(report.ending, Ending::Drained);
        assert!(!report.is_clean());
        let abandoned = |name: &str| report.abandoned.iter().find(|key| key.key.name() == name);
        assert!(matches!(abandoned("failing").unwrap().state, KeyState::Backoff { .. }));
        assert!(abandoned("failing").unwrap().last_error.is_some());
        assert_eq!(abandoned("parked").unwrap().state, KeyState::Parked { by_cap: false });
        assert_eq!(abandoned("waiting").unwrap().state, KeyState::Ready);
        assert_eq!(abandoned("new").unwrap().state, KeyState::Ready);
        assert!(abandoned("timer").is_none(), "a timer alone is no work left undone");
        assert!(abandoned("blocker").is_none(), "it was settled while draining");
        let text = report.to_string();
        for part in ["drained after", "failing", "backing off", "parked by a permanent error", "ready"] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
    });
}

#[test]
fn a_call_that_cancels_the_run_is_the_last_one_and_the_others_wait_untouched() {
    on_embedded(async |world| {
        for name in ["a", "b", "c", "d"] {
            world.create(name, "1").await;
        }
        let (cancel, calls) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
        let (stop, counted) = (cancel.clone(), Arc::clone(&calls));
        // It never waits, so nobody else runs between two calls of the worker.
        let handler = HandlerFuncs::new("last", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            stop.cancel();
            async { Ok(()) }
        });
        let mut event_loop = EventLoop::new("last");
        event_loop.register(handler).unwrap();
        let report = event_loop.run(cancel, 1).await.unwrap();
        assert_eq!((calls.load(Ordering::SeqCst), report.calls.adds), (1, 1));
        assert_eq!(report.abandoned.len(), 3, "{report}");
        assert!(report.abandoned.iter().all(|key| key.state == KeyState::Ready), "{report}");
    });
}

#[test]
fn workers_whose_calls_never_wait_let_others_run() {
    on_embedded(async |world| {
        let object = crate::support::world::config_map("x", "1", &[]);
        let object = serde_json::to_value(object).unwrap();
        for number in 0..2_000 {
            world.server().put_raw("configmaps", Some(&world.namespace), &format!("x{number}"), object.clone());
        }
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let handler = HandlerFuncs::new("busy", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        });
        let mut event_loop = EventLoop::new("busy");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1);
        let mut turns = 0;
        while calls.load(Ordering::SeqCst) < 2_000 {
            if calls.load(Ordering::SeqCst) > 0 {
                turns += 1;
            }
            tokio::task::yield_now().await;
        }
        assert!(turns > 5, "others had {turns} turns");
        running.stop().await;
    });
}

#[test]
fn a_call_that_fails_while_draining_is_reported_as_abandoned() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        let gate = Gate::closed();
        recorder.script(Function::Add, "a", [gate.then(Outcome::Fail)]);
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        running.cancel.cancel();
        quiet().await;
        gate.open();
        let report = running.ended().await.unwrap();
        quiet().await;
        assert_eq!(recorder.story("a"), ["add 1 failed"]);
        assert_eq!(report.abandoned.len(), 1, "{report}");
        assert_eq!(report.abandoned[0].attempts, 1);
    });
}

#[test]
fn a_life_that_waits_for_the_delete_before_it_is_reported() {
    on_both(async |world| {
        let (recorder, running) = world.start(1).await;
        world.create("a", "1").await;
        recorder.settles("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Delete, "a");
        let busy = world.busy(&recorder).await;
        world.delete("a").await;
        world.create("a", "2").await;
        world.seen().await;
        busy.open();
        recorder.is_in(Function::Delete, "a").await;
        running.cancel.cancel();
        quiet().await;
        gate.open();
        let report = running.ended().await.unwrap();
        assert_eq!(recorder.story("a"), ["add 1", "delete 1"]);
        let successor = report.abandoned.iter().find(|abandoned| abandoned.key.name() == "a");
        assert_eq!(successor.map(|it| it.state), Some(KeyState::Ready), "its `add` was not made: {report}");
    });
}

#[test]
fn a_call_that_does_not_end_is_dropped_at_the_drain_deadline() {
    on_embedded(async |world| {
        let (recorder, running) = world.start(1).await;
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        let cancelled = Instant::now();
        let report = running.stop().await;
        let took = cancelled.elapsed();
        assert!(took >= Duration::from_secs(25) && took < Duration::from_secs(26), "{took:?}");
        assert_eq!(recorder.story("a"), ["add 1 dropped"]);
        assert_eq!(report.ending, Ending::DeadlinePassed);
        assert!(report.abandoned.iter().any(|key| key.key == world.key("a")), "{report}");
        assert!(report.stuck.is_empty());
    });
}

#[test]
fn a_second_token_ends_the_run_at_once() {
    on_both(async |world| {
        let abort = CancellationToken::new();
        let recorder = world.recorder("recorder");
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        let mut event_loop = EventLoop::builder("abort").abort(abort.clone()).build();
        event_loop.register(recorder.clone()).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        running.cancel.cancel();
        quiet().await;
        assert_eq!(recorder.story("a"), ["add 1 running"]);
        let aborted = Instant::now();
        abort.cancel();
        let report = running.ended().await.unwrap();
        assert!(aborted.elapsed() < Duration::from_secs(5));
        assert_eq!((report.ending, report.abandoned.len()), (Ending::Aborted, 1));
        assert_eq!(recorder.story("a"), ["add 1 dropped"]);
    });
}

#[test]
fn the_abort_token_alone_ends_the_run_too() {
    on_both(async |world| {
        let abort = CancellationToken::new();
        let recorder = world.recorder("recorder");
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        let mut event_loop = EventLoop::builder("abort").abort(abort.clone()).build();
        event_loop.register(recorder.clone()).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        abort.cancel();
        assert_eq!(running.ended().await.unwrap().ending, Ending::Aborted);
    });
}

#[test]
fn a_cancellation_before_the_caches_have_synced_is_no_error() {
    on_both(async |world| {
        world.create("a", "1").await;
        let held = world.network.hold(Sent::is_list);
        let recorder = world.recorder("recorder");
        let running = Running::start(world.event_loop(&[&recorder]), 1);
        quiet().await;
        let report = running.stop().await;
        drop(held);
        assert!(report.is_clean());
        assert!(recorder.calls().is_empty());
    });
}

#[test]
fn dropping_the_runs_future_leaves_nothing_behind() {
    on_both(async |world| {
        let canary = Arc::new(());
        let recorder = world.recorder("recorder");
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        recorder.always(Function::Add, "b", Outcome::Fail);
        let kept = Arc::clone(&canary);
        let holder =
            HandlerFuncs::new("holder", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| async move {
                std::future::pending::<()>().await;
                drop(kept);
                Ok(())
            });
        let mut event_loop = world.event_loop(&[&recorder]);
        event_loop.register(holder).unwrap();
        let handle = event_loop.handle();
        let running = Running::start(event_loop, 4).ready().await;
        for name in ["a", "b"] {
            world.create(name, "1").await;
        }
        recorder.is_in(Function::Add, "a").await;
        eventually("b has failed", || recorder.calls_of("b").len() > 2).await;
        assert!(Arc::strong_count(&canary) > 2, "a call holds it");

        drop(running);
        eventually("the calls are dropped", || recorder.running() == 0).await;
        drop(handle);
        eventually("the handlers are dropped", || Arc::strong_count(&canary) == 1).await;
        let (calls, sent) = (recorder.calls().len(), world.network.sent().len());
        world.change("a", "2").await;
        quiet().await;
        assert_eq!((recorder.calls().len(), world.network.sent().len()), (calls, sent), "no call and no request");
        assert_eq!(recorder.story("a"), ["add 1 dropped"]);
    });
}

#[test]
fn after_the_run_nothing_is_watched_and_the_cache_is_empty() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let handle = running.handle.clone();
        running.stop().await;
        let informer = world.informers.informer::<ConfigMap>();
        assert!(informer.is_empty() && !informer.has_synced());
        let sent = world.network.sent().len();
        world.change("a", "2").await;
        world.network.drop_connections();
        quiet().await;
        assert_eq!(world.network.sent().len(), sent);
        assert_eq!(recorder.story("a"), ["add 1"]);
        assert!(!handle.is_ready());
        assert_eq!(handle.snapshot().calls.adds, 1, "a handle outlives its loop");
    });
}

/// A call that blocks its thread until it is released.
#[derive(Clone, Default)]
struct Block(Arc<(Mutex<[bool; 2]>, Condvar)>);

impl Block {
    fn block(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state[0] = true;
        // At most so long: a test that fails must still end.
        let _ = changed.wait_timeout_while(state, Duration::from_secs(30), |state| !state[1]).unwrap();
    }

    fn is_blocking(&self) -> bool {
        self.0.0.lock().unwrap()[0]
    }

    fn release(&self) {
        self.0.0.lock().unwrap()[1] = true;
        self.0.1.notify_all();
    }
}

#[test]
fn a_call_that_blocks_its_thread_is_named_in_the_report() {
    on_embedded_with_threads(async |world| {
        let block = Block::default();
        let inside = block.clone();
        let handler =
            HandlerFuncs::new("blocking", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| async move {
                inside.block();
                Ok(())
            });
        let mut event_loop = EventLoop::builder("stuck").drain_deadline(Duration::from_millis(10)).build();
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("the call blocks", || block.is_blocking()).await;
        running.cancel.cancel();
        // It counts as stuck a second after it should have been dropped; the run waits for it all the same.
        time_passes(Duration::from_millis(1_500)).await;
        assert!(!running.is_finished());
        block.release();
        let report = running.ended().await.unwrap();
        assert_eq!(report.ending, Ending::DeadlinePassed);
        assert_eq!(report.stuck.len(), 1, "{report}");
        assert_eq!((&*report.stuck[0].handler, report.stuck[0].event), ("blocking", EventType::Add));
        assert!(report.to_string().contains("stuck: blocking add"), "{report}");
    });
}

// === Several loops over one factory ===

async fn loop_of(world: &World, name: &str) -> (Recorder, Running) {
    let recorder = world.recorder(name);
    let running = world.run(&[&recorder], 2).await;
    (recorder, running)
}

#[test]
fn several_event_loops_share_one_watch_and_end_apart() {
    on_both(async |world| {
        let (one, running_one) = loop_of(world, "one").await;
        world.create("a", "1").await;
        one.tells("a", ["add 1"]).await;
        let (two, running_two) = loop_of(world, "two").await;
        two.tells("a", ["add 1"]).await;
        assert_eq!(world.network.count(Sent::is_list), 1, "the second loop reads what the first one listed");
        running_one.stop().await;
        world.change("a", "2").await;
        two.settles("a", ["add 1", "update 2"]).await;
        assert_eq!(one.story("a"), ["add 1"]);
        assert_eq!(world.network.count(Sent::is_list), 1);
        running_two.stop().await;
        // A third one begins anew.
        let (three, _running) = loop_of(world, "three").await;
        three.settles("a", ["add 2"]).await;
        assert_eq!(world.network.count(Sent::is_list), 2);
    });
}

#[test]
fn handlers_over_one_kind_share_one_watch() {
    on_both(async |world| {
        let (one, two) = (world.recorder("one"), world.recorder("two"));
        let _running = world.run(&[&one, &two], 2).await;
        world.create("a", "1").await;
        one.settles("a", ["add 1"]).await;
        two.settles("a", ["add 1"]).await;
        assert_eq!(world.network.count(Sent::is_list), 1);
        assert_eq!(world.network.count(Sent::is_watch), 1);
    });
}

#[test]
fn a_predicate_that_is_being_asked_is_waited_for_though_the_informer_lives_on() {
    on_embedded_with_threads(async |world| {
        let block = Block::default();
        let inside = block.clone();
        let predicate = Predicate::when_metadata(move |_, _| {
            inside.block();
            true
        });
        let one = world.recorder("one").options(HandlerOptions::default().predicate(predicate));
        let running_one = world.run(&[&one], 1).await;
        let (two, _running_two) = loop_of(world, "two").await;
        world.create("a", "1").await;
        one.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        eventually("the predicate is asked", || block.is_blocking()).await;
        running_one.cancel.cancel();
        time_passes(Duration::from_millis(300)).await;
        assert!(!running_one.is_finished(), "nothing of it may run on behind it");
        block.release();
        assert_eq!(running_one.ended().await.unwrap().ending, Ending::Drained);
        two.tells("a", ["add 1", "update 2"]).await;
        assert_eq!(one.story("a"), ["add 1"]);
    });
}
