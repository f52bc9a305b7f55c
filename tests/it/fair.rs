//! C6: handlers share the workers by weight; within one, fresh work goes ahead of the initial list and of resyncs, which
//! keep a share of their own.
//!
//! Each call takes 10 ms of virtual time and there is one worker, so an order is an order.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use kubehandler::HandlerOptions;

use crate::support::recorder::Recorded;
use crate::support::{Gate, Outcome, Recorder, World, eventually, on_both, on_embedded, quiet, time_passes};

const CALL: Duration = Duration::from_millis(10);

fn slow(recorder: &Recorder) {
    recorder.otherwise(Outcome::Slowly(CALL, Box::new(Outcome::Ok)));
}

fn weight(weight: u32) -> HandlerOptions {
    HandlerOptions::default().weight(NonZeroU32::new(weight).unwrap())
}

/// The calls of several recorders in the order in which they began, each with its recorder's place.
fn interleaved(recorders: &[&Recorder]) -> Vec<(usize, Recorded)> {
    let calls =
        recorders.iter().enumerate().flat_map(|(at, recorder)| recorder.calls().into_iter().map(move |it| (at, it)));
    let mut calls: Vec<_> = calls.collect();
    calls.sort_by_key(|(_, call)| call.began);
    calls
}

/// Creates `count` objects before the loop starts.
async fn existing(world: &World, count: usize) {
    for index in 0..count {
        world.create(&format!("old{index}"), "1").await;
    }
}

#[test]
fn handlers_of_equal_weight_take_turns() {
    on_embedded(async |world| {
        existing(world, 100).await;
        let (one, two) = (world.recorder("one"), world.recorder("two"));
        slow(&one);
        slow(&two);
        let _running = world.run(&[&one, &two], 1).await;
        eventually("all were called", || one.calls().len() + two.calls().len() == 200).await;
        let calls = interleaved(&[&one, &two]);
        let of_one = calls[..100].iter().filter(|(at, _)| *at == 0).count();
        assert!((49..=51).contains(&of_one), "{of_one} of the first 100 calls");
    });
}

#[test]
fn handlers_share_the_workers_by_weight() {
    on_embedded(async |world| {
        existing(world, 120).await;
        let (heavy, light) = (world.recorder("heavy").options(weight(3)), world.recorder("light"));
        slow(&heavy);
        slow(&light);
        let _running = world.run(&[&heavy, &light], 1).await;
        eventually("all were called", || heavy.calls().len() + light.calls().len() == 240).await;
        let calls = interleaved(&[&heavy, &light]);
        let of_heavy = calls[..120].iter().filter(|(at, _)| *at == 0).count();
        assert!((88..=92).contains(&of_heavy), "{of_heavy} of the first 120 calls");
    });
}

#[test]
fn a_handler_with_much_to_do_does_not_delay_another_one() {
    on_embedded(async |world| {
        existing(world, 300).await;
        let few = world.informers.configured(world.config().label_selector("few=yes"));
        let (busy, idle) = (world.recorder("busy"), world.recorder_of("idle", few));
        slow(&busy);
        slow(&idle);
        let _running = world.run(&[&busy, &idle], 1).await;
        time_passes(50 * CALL).await;
        world.create_labelled("new", "1", &[("few", "yes")]).await;
        let before = busy.calls().len();
        idle.tells("new", ["add 1"]).await;
        assert!(busy.calls().len() - before <= 3, "{} calls in between", busy.calls().len() - before);
    });
}

#[test]
fn a_change_goes_ahead_of_the_initial_list() {
    on_embedded(async |world| {
        existing(world, 300).await;
        let recorder = world.recorder("recorder");
        slow(&recorder);
        let _running = world.run(&[&recorder], 1).await;
        time_passes(20 * CALL).await;
        let before = recorder.calls().len();
        world.create("new", "1").await;
        world.change("old299", "2").await;
        eventually("both were called", || !recorder.story("new").is_empty() && !recorder.story("old299").is_empty())
            .await;
        assert!(recorder.calls().len() - before <= 5, "{} calls in between", recorder.calls().len() - before);
        recorder.tells("old299", ["add 2"]).await;
    });
}

#[test]
fn the_initial_list_keeps_one_call_in_five() {
    on_embedded(async |world| {
        existing(world, 60).await;
        let recorder = world.recorder("recorder");
        slow(&recorder);
        let _running = world.run(&[&recorder], 1).await;
        // Fresh work arrives faster than it is done, for as long as this takes.
        for index in 0..400 {
            world.create(&format!("new{index}"), "1").await;
        }
        time_passes(200 * CALL).await;
        let calls = recorder.calls();
        assert!(recorder.calls().len() < 460, "there is fresh work left");
        let window = &calls[calls.len() - 150..];
        let old = window.iter().filter(|call| call.key.name().starts_with("old")).count();
        assert!((29..=31).contains(&old), "{old} of 150 calls");
    });
}

#[test]
fn a_resync_waits_behind_changes() {
    on_embedded(async |world| {
        existing(world, 100).await;
        let recorder = world.recorder("recorder").options(HandlerOptions::default().resync(Duration::from_secs(60)));
        let _running = world.run(&[&recorder], 1).await;
        eventually("all are known", || recorder.calls().len() == 100).await;
        slow(&recorder);
        time_passes(Duration::from_secs(59)).await;
        eventually("the resync has begun", || recorder.calls().len() > 110).await;
        let before = recorder.calls().len();
        world.change("old99", "2").await;
        eventually("the change was told", || recorder.last("old99").value() == "2").await;
        assert!(recorder.calls().len() - before <= 3, "{} calls in between", recorder.calls().len() - before);
    });
}

#[test]
fn a_key_that_always_changes_does_not_starve_others() {
    on_embedded(async |world| {
        let recorder = world.recorder("recorder");
        slow(&recorder);
        let _running = world.run(&[&recorder], 1).await;
        world.create("hot", "0").await;
        let heat = async {
            for value in 1.. {
                world.change("hot", &value.to_string()).await;
                time_passes(CALL / 4).await;
            }
        };
        let others = async {
            time_passes(20 * CALL).await;
            for index in 0..20 {
                world.create(&format!("a{index}"), "1").await;
            }
            let before = recorder.calls().len();
            eventually("all others were called", || {
                (0..20).all(|index| !recorder.story(&format!("a{index}")).is_empty())
            })
            .await;
            recorder.calls().len() - before
        };
        let calls = tokio::select! {
            biased;
            calls = others => calls,
            () = heat => unreachable!("it never ends"),
        };
        assert!(calls <= 42, "{calls} calls for 20 objects");
    });
}

#[test]
fn max_concurrent_bounds_the_calls_of_one_handler_and_leaves_workers_to_others() {
    on_both(async |world| {
        let two = HandlerOptions::default().max_concurrent(NonZeroUsize::new(2).unwrap());
        let (bounded, free) = (world.recorder("bounded").options(two), world.recorder("free"));
        let gate = Gate::closed();
        bounded.otherwise(gate.then(Outcome::Ok));
        let _running = world.run(&[&bounded, &free], 4).await;
        for index in 0..8 {
            world.create(&format!("a{index}"), "1").await;
        }
        eventually("the free one is done", || free.calls().len() == 8).await;
        quiet().await;
        assert_eq!(bounded.calls().len(), 2);
        gate.open();
        eventually("the bounded one is done", || bounded.calls().len() == 8).await;
    });
}
