//! The work queue's promises, under a paused clock.

use super::*;
use crate::event_loop::{Ending, Permanent, Retry};
use crate::sync::Mutex;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Lets paused time pass.
async fn sleep(time: Duration) {
    let elapsed = timeout(time, std::future::pending::<()>()).await;
    assert!(elapsed.is_err());
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// What was called, in order: `add default/a`, and when.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, Instant)>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().push((text.into(), Instant::now()));
    }

    fn texts(&self) -> Vec<String> {
        self.0.lock().iter().map(|(text, _)| text.clone()).collect()
    }
}

/// Registers all three functions for `kind`: they log, wait for `delay`, and answer as `answer` says.
fn register<A>(queue: &mut WorkQueue, kind: &str, log: &Log, delay: Duration, answer: A)
where
    A: Fn(&WorkContext) -> anyhow::Result<()> + Clone + Send + Sync + 'static,
{
    let log = log.clone();
    let function = move |ctx: WorkContext, namespace: String, name: String| async move {
        log.note(format!("{} {namespace}/{name}", ctx.event()));
        sleep(delay).await;
        answer(&ctx)
    };
    queue.register_add_handler(kind, function.clone());
    queue.register_update_handler(kind, function.clone());
    queue.register_delete_handler(kind, function);
}

fn start(queue: WorkQueue, workers: usize) -> (CancellationToken, JoinHandle<Result<WorkQueueReport, WorkQueueError>>) {
    let cancel = CancellationToken::new();
    (cancel.clone(), tokio::spawn(queue.run(cancel, workers)))
}

#[tokio::test(start_paused = true)]
async fn each_event_calls_the_function_registered_for_its_kind() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    for event in ["add", "update", "delete"] {
        let log = log.clone();
        let function = move |ctx: WorkContext, namespace: String, name: String| async move {
            log.note(format!("{event}: {} {} {namespace}/{name} {}", ctx.event(), ctx.kind(), ctx.key()));
            Ok(())
        };
        match event {
            "add" => queue.register_add_handler("pod", function),
            "update" => queue.register_update_handler("pod", function),
            _ => queue.register_delete_handler("pod", function),
        }
    }
    let handle = queue.handle();
    let (cancel, run) = start(queue, 1);
    for (event, name) in [(EventType::Add, "a"), (EventType::Update, "b"), (EventType::Delete, "c")] {
        handle.enqueue("pod", event, key(&format!("default/{name}")));
    }
    sleep(SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.ending, report.calls, report.failed), (Ending::Drained, 3, 0));
    assert_eq!(
        log.texts(),
        [
            "add: add pod default/a default/a",
            "update: update pod default/b default/b",
            "delete: delete pod default/c default/c",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn objects_are_enqueued_by_their_metadata() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "map", &log, Duration::ZERO, |_| Ok(()));
    let object = |namespace: Option<&str>, name: Option<&str>| ConfigMap {
        metadata: ObjectMeta {
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    queue.enqueue_add("map", &object(Some("default"), Some("a"))).unwrap();
    queue.enqueue_update("map", &object(None, Some("b"))).unwrap();
    queue.enqueue_delete("map", &object(Some("default"), Some("c"))).unwrap();
    assert_eq!((queue.len(), queue.is_empty()), (3, false));
    for name in [None, Some("")] {
        let error = queue.enqueue_add("map", &object(Some("default"), name)).unwrap_err();
        assert_eq!(error, EnqueueError::NoName { kind: "map".into() });
    }
    let error = queue.enqueue_add("map", &object(Some("default"), Some("a/b"))).unwrap_err();
    assert!(matches!(error, EnqueueError::NoKey { .. }), "{error}");
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    cancel.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(log.texts(), ["add default/a", "update /b", "delete default/c"]);
}

/// There, a key with a colon is cut in two: `system:node` becomes `system`.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_a_name_with_a_colon_arrives_whole() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "cluster:role", &log, Duration::ZERO, |_| Ok(()));
    queue.handle().enqueue("cluster:role", EventType::Add, key("system:node"));
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    cancel.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(log.texts(), ["add /system:node"]);
}

/// There, add, update and delete of one object are three keys, which run at the same time and in any order.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_add_and_delete_of_one_object_never_run_concurrently() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (log_, running_, most_) = (log.clone(), Arc::clone(&running), Arc::clone(&most));
    let function = move |ctx: WorkContext, _: String, _: String| async move {
        log_.note(ctx.event().to_string());
        most_.fetch_max(running_.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(SECOND).await;
        running_.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    };
    queue.register_add_handler("pod", function.clone());
    queue.register_delete_handler("pod", function.clone());
    queue.register_update_handler("pod", function);
    let handle = queue.handle();
    let (cancel, run) = start(queue, 4);
    handle.enqueue("pod", EventType::Add, key("default/a"));
    sleep(SECOND / 2).await;
    // During the call: the update is overtaken by the delete, which the new object follows.
    for event in [EventType::Update, EventType::Delete, EventType::Add, EventType::Update] {
        handle.enqueue("pod", event, key("default/a"));
    }
    sleep(10 * SECOND).await;
    cancel.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(log.texts(), ["add", "delete", "add"]);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn different_objects_run_in_parallel() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, SECOND, |_| Ok(()));
    for name in ["a", "b", "c", "d"] {
        queue.handle().enqueue("pod", EventType::Add, key(name));
    }
    let begun = Instant::now();
    let (_cancel, _run) = start(queue, 4);
    sleep(SECOND / 2).await;
    assert!(log.0.lock().iter().all(|(_, at)| *at == begun));
    assert_eq!(log.texts().len(), 4);
}

/// There, an error is logged and the event is gone.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_an_error_is_retried_not_swallowed() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, Duration::ZERO, |ctx| {
        anyhow::ensure!(ctx.attempt() > 3, "not yet");
        Ok(())
    });
    let handle = queue.handle();
    handle.enqueue("pod", EventType::Add, key("a"));
    let (cancel, run) = start(queue, 2);
    sleep(Duration::from_millis(12)).await;
    // Comes while the add has failed: the retry stands for the update, the delete comes after it.
    handle.enqueue("pod", EventType::Update, key("a"));
    handle.enqueue("pod", EventType::Delete, key("a"));
    sleep(100 * SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    let times: Vec<_> = log.0.lock().windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert_eq!(log.texts()[..4], ["add /a", "add /a", "add /a", "add /a"]);
    assert_eq!(times[..3], [5, 10, 20].map(Duration::from_millis));
    assert_eq!(log.texts()[4..], ["delete /a"; 4]);
    assert_eq!((report.calls, report.failed, report.abandoned.len()), (8, 6, 0));
}

/// There, a panic in a handler ends the process.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_a_worker_survives_a_panic() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, Duration::ZERO, |ctx| {
        assert!(ctx.attempt() > 2, "in a test");
        Ok(())
    });
    queue.register_add_handler("sync", |ctx: WorkContext, _, _| {
        // Before the first await, and before there is a future at all.
        assert!(ctx.attempt() > 1, "in a test");
        async { Ok(()) }
    });
    for kind in ["pod", "sync"] {
        queue.handle().enqueue(kind, EventType::Add, key("a"));
    }
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.calls, report.failed, report.ending), (5, 3, Ending::Drained));
}

#[tokio::test(start_paused = true)]
async fn errors_steer_retries() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "later", &log, Duration::ZERO, |ctx| match ctx.attempt() {
        1 => Err(anyhow::Error::new(Retry::after(30 * SECOND)).context("the quota is used up")),
        _ => Ok(()),
    });
    register(&mut queue, "never", &log, Duration::ZERO, |ctx| match ctx.event() {
        EventType::Add => Err(Permanent::new("no such thing").into()),
        _ => Ok(()),
    });
    queue.handle().enqueue("later", EventType::Add, key("a"));
    queue.handle().enqueue("never", EventType::Add, key("b"));
    queue.handle().enqueue("never", EventType::Delete, key("c"));
    let handle = queue.handle();
    let begun = Instant::now();
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    handle.enqueue("never", EventType::Update, key("b"));
    sleep(60 * SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.given_up, report.abandoned.len()), (1, 0));
    let (last, at) = log.0.lock().last().unwrap().clone();
    assert_eq!((last.as_str(), at - begun), ("add /a", 30 * SECOND));
    assert!(log.texts().contains(&"update /b".to_owned()), "what comes later is delivered");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nothing_is_registered_for_is_dropped() {
    let mut queue = WorkQueue::new("test");
    queue.register_add_handler("pod", |_, _, _| async { Ok(()) });
    let handle = queue.handle();
    handle.enqueue("pod", EventType::Delete, key("a"));
    handle.enqueue("node", EventType::Add, key("a"));
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    assert!(handle.is_empty());
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.calls, report.abandoned.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn no_call_is_made_before_all_is_synced() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, Duration::ZERO, |_| Ok(()));
    let synced = Arc::new(AtomicBool::new(false));
    queue.add_synced("always", || true);
    let asked = Arc::clone(&synced);
    queue.add_synced("pods", move || asked.load(Ordering::SeqCst));
    queue.handle().enqueue("pod", EventType::Add, key("a"));
    let (cancel, run) = start(queue, 1);
    sleep(60 * SECOND).await;
    assert!(log.texts().is_empty());
    synced.store(true, Ordering::SeqCst);
    sleep(SECOND).await;
    assert_eq!(log.texts(), ["add /a"]);
    cancel.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_keeps_run_from_its_work_is_said() {
    let cancel = CancellationToken::new();
    let error = WorkQueue::new("empty").run(cancel.clone(), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "work queue `empty` has nothing to call: register a function before `run`");
    let with_function = || {
        let mut queue = WorkQueue::new("test");
        queue.register_add_handler("pod", |_, _, _| async { Ok(()) });
        queue
    };
    assert!(matches!(with_function().run(cancel.clone(), 0).await, Err(WorkQueueError::NoWorkers { .. })));
    let mut queue = with_function();
    queue.add_synced("pods", || false);
    let error = queue.run(cancel.clone(), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "work queue `test` cannot start: `pods` was still not synced after 120s");
    // Cancelled while it waits: nothing was done, and nothing went wrong.
    let mut queue = with_function();
    queue.add_synced("pods", || false);
    queue.handle().enqueue("pod", EventType::Add, key("a"));
    cancel.cancel();
    let report = queue.run(cancel, 1).await.unwrap();
    assert_eq!((report.calls, report.abandoned.len()), (0, 1));
}

/// There, `Run` returns when it is cancelled, whatever its workers do.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_run_returns_after_its_workers_have_ended() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    let noted = log.clone();
    queue.register_add_handler("pod", move |ctx: WorkContext, _, name| async move {
        ctx.cancellation().cancelled().await;
        sleep(10 * SECOND).await;
        noted.note(format!("{name} ended"));
        Ok(())
    });
    for name in ["a", "b", "c"] {
        queue.handle().enqueue("pod", EventType::Add, key(name));
    }
    let (cancel, run) = start(queue, 2);
    sleep(SECOND).await;
    let cancelled = Instant::now();
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!(cancelled.elapsed(), 10 * SECOND);
    assert_eq!((report.ending, report.calls), (Ending::Drained, 2));
    let mut ended = log.texts();
    ended.sort();
    assert_eq!(ended, ["a ended", "b ended"]);
    let left: Vec<_> = report.abandoned.iter().map(|item| (item.key.as_str(), &item.events[..])).collect();
    assert_eq!(left, [("c", &[EventType::Add][..])]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_delete_that_ends_while_draining_is_reported() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, 10 * SECOND, |_| Ok(()));
    for event in [EventType::Delete, EventType::Add] {
        queue.handle().enqueue("pod", event, key("a"));
    }
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!(log.texts(), ["delete /a"]);
    let left: Vec<_> = report.abandoned.iter().map(|item| (item.key.as_str(), &item.events[..])).collect();
    assert_eq!(left, [("a", &[EventType::Add][..])]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_outlast_the_drain_deadline_are_dropped_and_reported() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, 100 * SECOND, |_| Ok(()));
    let handle = queue.handle();
    handle.enqueue("pod", EventType::Update, key("a"));
    let (cancel, run) = start(queue, 2);
    sleep(SECOND).await;
    handle.enqueue("pod", EventType::Delete, key("a"));
    let cancelled = Instant::now();
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.ending, cancelled.elapsed()), (Ending::DeadlinePassed, 25 * SECOND));
    assert_eq!(report.abandoned[0].events, [EventType::Update, EventType::Delete]);
    // The end is final.
    handle.enqueue("pod", EventType::Add, key("b"));
    assert!(handle.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_is_dropped_and_retried() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test").call_deadline(2 * SECOND));
    register(&mut queue, "pod", &log, 100 * SECOND, |_| Ok(()));
    queue.handle().enqueue("pod", EventType::Add, key("a"));
    let (_cancel, _run) = start(queue, 1);
    sleep(SECOND * 5 / 2).await;
    assert_eq!(log.texts(), ["add /a", "add /a"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_runs_future_ends_its_calls() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    let canary = Arc::new(());
    let held = Arc::clone(&canary);
    queue.register_add_handler("pod", move |_, _, _| async move {
        std::future::pending::<()>().await;
        drop(held);
        Ok(())
    });
    register(&mut queue, "node", &log, Duration::ZERO, |_| Ok(()));
    let handle = queue.handle();
    handle.enqueue("pod", EventType::Add, key("a"));
    let (_cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    assert!(Arc::strong_count(&canary) > 1);
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&canary), 1);
    handle.enqueue("node", EventType::Add, key("a"));
    assert!(handle.is_empty() && log.texts().is_empty());
}

/// There, two thousand adds take 190 s: ten a second pass the queue's bucket.
#[tokio::test(start_paused = true)]
async fn go_kubehandler_events_are_not_rate_limited() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    register(&mut queue, "pod", &log, Duration::ZERO, |_| Ok(()));
    for index in 0..2_000 {
        queue.handle().enqueue("pod", EventType::Add, key(&format!("default/pod-{index}")));
    }
    let begun = Instant::now();
    let (cancel, run) = start(queue, 2);
    while log.texts().len() < 2_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    cancel.cancel();
    run.await.unwrap().unwrap();
}

/// An error that panics when it is printed.
#[derive(Debug)]
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("not printable")
    }
}

impl std::error::Error for Unprintable {}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_it_is_printed_is_a_failed_call_and_the_worker_lives() {
    let (log, mut queue) = (Log::default(), WorkQueue::new("test"));
    let answer = |ctx: &WorkContext| if ctx.attempt() == 1 { Err(Unprintable.into()) } else { Ok(()) };
    register(&mut queue, "pod", &log, Duration::ZERO, answer);
    queue.handle().enqueue("pod", EventType::Add, key("default/a"));
    let (cancel, run) = start(queue, 1);
    sleep(SECOND).await;
    cancel.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!(log.texts(), ["add default/a", "add default/a"]);
    assert_eq!((report.calls, report.failed, report.abandoned), (2, 1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cancels_the_run_is_the_last_one() {
    let mut queue = WorkQueue::new("test");
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    // It never waits, so nobody else runs between two calls of the worker.
    queue.register_add_handler("pod", move |_, _, _| {
        stop.cancel();
        async { Ok(()) }
    });
    for name in ["a", "b", "c"] {
        queue.handle().enqueue("pod", EventType::Add, key(name));
    }
    let report = queue.run(cancel, 1).await.unwrap();
    assert_eq!((report.calls, report.abandoned.len()), (1, 2));
}
