//! C5: backoff counts attempts, per key; a change is seen within a second all the same, and a failing handler that
//! writes to its own object cannot drive itself.
//!
//! Exact times need virtual time, so most of these run on the embedded server only.

use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kubehandler::{EventLoop, HandlerFuncs, HandlerOptions, KeyState, RetryLimit};
use serde_json::json;
use tokio::time::Instant;

use crate::support::recorder::Recorded;
use crate::support::{
    Function, Logs, Outcome, Recorder, Running, World, eventually, on_both, on_embedded, time_passes,
};

/// How much later than planned something may happen: nothing takes virtual time but the steps of timers.
const SLACK: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// The times between the end of a call and the begin of the next.
fn gaps(calls: &[Recorded]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].began - pair[0].ended.expect("it has ended").0).collect()
}

#[track_caller]
fn assert_about(seen: Duration, planned: Duration) {
    assert!(seen >= planned && seen <= planned + SLACK, "{seen:?} where {planned:?} was planned");
}

/// A recorder on a running loop, for which every call for `a` fails; `a` exists.
async fn failing(world: &World) -> (Recorder, Running) {
    let (recorder, running) = world.start(2).await;
    for function in [Function::Add, Function::Update, Function::Delete] {
        recorder.always(function, "a", Outcome::Fail);
    }
    world.create("a", "1").await;
    (recorder, running)
}

#[test]
fn retries_come_after_5_ms_doubling_to_1000_s() {
    on_embedded(async |world| {
        let (recorder, _running) = failing(world).await;
        time_passes(Duration::from_secs(4_000)).await;
        let calls = recorder.calls_of("a");
        let mut planned = Duration::from_millis(5);
        for (attempt, gap) in gaps(&calls).into_iter().enumerate() {
            assert_eq!(calls[attempt].attempt as usize, attempt + 1);
            assert_about(gap, planned);
            planned = (planned * 2).min(Duration::from_secs(1_000));
        }
        assert_eq!(planned, Duration::from_secs(1_000), "it got that far: {} calls", calls.len());
    });
}

#[test]
fn the_snapshot_tells_when_the_retry_comes() {
    on_embedded(async |world| {
        let (recorder, running) = failing(world).await;
        eventually("ten attempts failed", || recorder.calls_of("a").len() == 10 && recorder.running() == 0).await;
        let key = running.handle.snapshot().keys.remove(0);
        let KeyState::Backoff { due_in } = key.state else { panic!("{key:?}") };
        assert!(due_in <= Duration::from_millis(5 << 9) && due_in > SECOND, "{due_in:?}");
        assert_eq!((key.attempts, key.record), (10, "Adding"));
        assert!(key.last_error.is_some_and(|error| error.contains("the script says to fail")));
    });
}

#[test]
fn retry_after_is_obeyed() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        let delays = [Duration::from_secs(90), Duration::from_millis(1), Duration::from_secs(7)];
        recorder.script(Function::Add, "a", delays.map(Outcome::RetryAfter));
        world.create("a", "1").await;
        eventually("it succeeded", || recorder.calls_of("a").len() == 4).await;
        let calls = recorder.calls_of("a");
        for (gap, delay) in gaps(&calls).into_iter().zip(delays) {
            assert_about(gap, delay);
        }
        assert_eq!(calls[3].attempt, 4, "each counts as a failed attempt");
    });
}

#[test]
fn changes_neither_reset_nor_inflate_the_backoff() {
    on_embedded(async |world| {
        let (recorder, _running) = failing(world).await;
        // Twelve attempts: the next one is planned for 10.24 s later.
        eventually("twelve attempts failed", || recorder.calls_of("a").len() == 12 && recorder.running() == 0).await;
        for value in 2..=50 {
            world.change("a", &value.to_string()).await;
        }
        eventually("the changes were tried", || recorder.calls_of("a").len() == 13 && recorder.running() == 0).await;
        time_passes(Duration::from_secs(90)).await;
        let calls = recorder.calls_of("a");
        let gaps = gaps(&calls);
        assert!(gaps[11] <= SECOND + SLACK, "pulled forward: {:?}", gaps[11]);
        assert_about(gaps[12], Duration::from_millis(5 << 12));
        assert_about(gaps[13], Duration::from_millis(5 << 13));
    });
}

#[test]
fn a_users_fix_is_tried_within_a_second() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        let changed = Instant::now();
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 failed", "add 2"]).await;
        // On the real server the machine's own delays come on top.
        let limit = if crate::support::is_real() { 10 * SECOND } else { SECOND + SLACK };
        assert!(recorder.last("a").began - changed <= limit);
    });
}

#[test]
fn a_change_long_after_the_failure_is_tried_at_once() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        time_passes(Duration::from_secs(600)).await;
        let changed = Instant::now();
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 failed", "add 2"]).await;
        assert!(recorder.last("a").began - changed <= SLACK);
    });
}

#[test]
fn a_change_never_delays_a_retry_that_comes_sooner() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_millis(300))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 failed", "add 2"]).await;
        assert_about(gaps(&recorder.calls_of("a"))[0], Duration::from_millis(300));
    });
}

#[test]
fn a_failing_handler_that_writes_to_its_object_cannot_drive_itself() {
    on_embedded(async |world| {
        let api: Api<ConfigMap> = world.api();
        let calls = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = std::sync::Arc::clone(&calls);
        let work = move |name: String| {
            let (api, log) = (api.clone(), std::sync::Arc::clone(&log));
            async move {
                let attempt = {
                    let mut log = log.lock().unwrap();
                    log.push(Instant::now());
                    log.len()
                };
                let status = json!({"metadata": {"annotations": {"attempt": attempt.to_string()}}});
                api.patch(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
                anyhow::bail!("not yet")
            }
        };
        let again = work.clone();
        let handler = HandlerFuncs::new("writer", world.informers.informer::<ConfigMap>())
            .on_add(move |_, _, name| work(name))
            .on_update(move |_, _, name| again(name));
        let mut event_loop = EventLoop::new("writes");
        event_loop.register(handler).unwrap();
        let _running = Running::start(event_loop, 2).ready().await;
        world.create("a", "1").await;
        time_passes(Duration::from_secs(3600)).await;
        let calls = calls.lock().unwrap().clone();
        // Ten retries reach the first settle of 1 s; from there on it doubles to a minute.
        assert!(calls.len() < 90, "{} calls in an hour", calls.len());
        let last = calls[calls.len() - 1] - calls[calls.len() - 2];
        assert_about(last, Duration::from_secs(60));
    });
}

#[test]
fn a_change_of_the_spec_resets_the_time_to_settle() {
    on_embedded(async |world| {
        let deployment = |replicas: u32| {
            let labels = json!({"matchLabels": {"app": "a"}});
            let template = json!({
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}]},
            });
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                "spec": {"replicas": replicas, "selector": labels, "template": template},
            })
        };
        let recorder = world.recorder_of("deployments", world.informers.informer::<Deployment>());
        recorder.otherwise(Outcome::RetryAfter(Duration::from_secs(3600)));
        let mut event_loop = EventLoop::new("generation");
        event_loop.register(recorder.clone()).unwrap();
        let _running = Running::start(event_loop, 1).ready().await;
        let api: Api<Deployment> = world.api();
        let created: Deployment = serde_json::from_value(deployment(1)).unwrap();
        api.create(&PostParams::default(), &created).await.unwrap();
        // Labels do not change the generation: each attempt that they pull forward doubles the settle.
        for round in 1..=6_usize {
            eventually("the attempt failed", || recorder.calls().len() == round && recorder.running() == 0).await;
            let note = json!({"metadata": {"labels": {"round": round.to_string()}}});
            api.patch("a", &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
        }
        eventually("the attempt failed", || recorder.calls().len() == 7 && recorder.running() == 0).await;
        let waits = gaps(&recorder.calls());
        for (wait, planned) in waits.iter().zip([1, 2, 4, 8, 16, 32]) {
            assert_about(*wait, Duration::from_secs(planned));
        }
        let spec = json!({"spec": {"replicas": 2}});
        api.patch("a", &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();
        eventually("the new spec was tried", || recorder.calls().len() == 8).await;
        assert_about(gaps(&recorder.calls())[6], SECOND);
    });
}

#[test]
fn a_handler_that_fails_on_everything_is_held_to_its_retry_limit() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(4).await;
        recorder.otherwise(Outcome::Fail);
        for index in 0..400 {
            world.create(&format!("a{index}"), "1").await;
        }
        let begun = Instant::now();
        time_passes(20 * SECOND).await;
        let retries = |from: Duration, to: Duration| {
            let within = |call: &&Recorded| {
                let at = call.began.saturating_duration_since(begun);
                call.attempt > 1 && at >= from && at < to
            };
            recorder.calls().iter().filter(within).count()
        };
        let first = retries(Duration::ZERO, SECOND);
        assert!(first <= 200 + 5, "a burst of 100 and 100 a second: {first}");
        for second in 1..10 {
            let count = retries(second * SECOND, (second + 1) * SECOND);
            assert!(count <= 105, "{count} retries in second {second}");
        }
        assert!(retries(Duration::ZERO, 20 * SECOND) > 1_000, "and it does use what it may");
    });
}

#[test]
fn deletes_and_pulled_forward_retries_are_exempt_from_the_retry_limit() {
    on_embedded(async |world| {
        let one = NonZeroU32::MIN;
        let limit = RetryLimit { per_second: one, burst: one };
        let (recorder, running) = world.start_with(4, HandlerOptions::default().retry_limit(Some(limit))).await;
        recorder.otherwise(Outcome::Fail);
        for index in 0..100 {
            world.create(&format!("a{index}"), "1").await;
        }
        eventually("keys are throttled", || {
            running.handle.snapshot().keys.iter().filter(|key| key.state == KeyState::Throttled).count() > 80
        })
        .await;
        for function in [Function::Add, Function::Delete] {
            recorder.script(function, "a50", [Outcome::Ok, Outcome::Ok]);
            recorder.script(function, "a60", [Outcome::Fail, Outcome::Fail, Outcome::Fail]);
        }
        let changed = Instant::now();
        world.change("a50", "2").await;
        eventually("the change was tried", || recorder.last("a50").value() == "2").await;
        assert!(changed.elapsed() <= SECOND + SLACK, "{:?}", changed.elapsed());
        let deleted = Instant::now();
        world.delete("a60").await;
        let attempts = || recorder.calls_of("a60").iter().filter(|call| call.function == Function::Delete).count();
        eventually("the delete was tried four times", || attempts() >= 4).await;
        assert!(deleted.elapsed() <= 2 * SECOND, "{:?}", deleted.elapsed());
    });
}

#[test]
fn a_handler_that_always_asks_to_run_at_once_cannot_spin_and_is_named_in_a_warning() {
    on_embedded(async |world| {
        let logs = Logs::capture();
        let (recorder, _running) = world.start(1).await;
        recorder.always(Function::Add, "a", Outcome::RequeueAfter(Duration::ZERO));
        recorder.always(Function::Reconcile, "a", Outcome::RequeueAfter(Duration::ZERO));
        world.create("a", "1").await;
        time_passes(Duration::from_secs(600)).await;
        let calls = recorder.calls_of("a").len();
        assert!((500..1_000).contains(&calls), "{calls} calls in ten minutes");
        let warnings = logs.lines_with(&["WARN", "asks to be called again at once", "recorder"]);
        assert_eq!(warnings.len(), 1, "once, though its requeues are spaced out hundreds of times");
    });
}
