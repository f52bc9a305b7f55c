//! C7: a panic, a call without an end and an object that does not decode harm their own key only; and no Secret's
//! content is ever logged.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubehandler::{CancellationToken, DefaultHandler, EventLoop, HandlerFuncs, HandlerOptions, KeyState};
use serde_json::json;

use crate::support::kinds::{Strict, StrictSecret};
use crate::support::network::Sent;
use crate::support::{
    Function, Logs, Outcome, Recorder, Running, World, eventually, on_both, on_both_in_one_thread, on_embedded, quiet,
    time_passes,
};

// === Panics ===

#[test]
fn a_panic_is_a_failed_call_and_the_worker_lives() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let (recorder, running) = world.start(1).await;
        recorder.script(Function::Add, "a", [Outcome::Panic, Outcome::Panic]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 panicked", "add 1 panicked", "add 1"]).await;
        world.create("b", "1").await;
        recorder.tells("b", ["add 1"]).await;
        assert_eq!(logs.lines_with(&["the script says to panic", "recorder"]).len(), 2, "the payload is in the log");
        let report = running.stop().await;
        assert_eq!((report.calls.panicked, report.calls.failed, report.calls.adds), (2, 2, 4));
        assert!(report.is_clean());
    });
}

#[test]
fn a_panic_before_the_first_await_is_contained_too() {
    on_both(async |world| {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let handler = HandlerFuncs::new("early", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| {
            // Not in the future: in the function that makes it.
            assert!(counted.fetch_add(1, Ordering::SeqCst) > 1, "too early");
            async { Ok(()) }
        });
        let mut event_loop = EventLoop::new("early");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("it succeeded", || count.load(Ordering::SeqCst) == 3).await;
        quiet().await;
        let report = running.stop().await;
        assert_eq!((report.calls.panicked, report.calls.adds), (2, 3));
    });
}

#[test]
fn a_payload_that_is_no_text_is_contained_too() {
    on_both(async |world| {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let handler =
            HandlerFuncs::new("odd", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| async move {
                if !is_done.swap(true, Ordering::SeqCst) {
                    std::panic::panic_any(42_u64);
                }
                Ok(())
            });
        let mut event_loop = EventLoop::new("odd");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("it was called twice", || running.handle.snapshot().calls.adds == 2).await;
        assert_eq!(running.stop().await.calls.panicked, 1);
    });
}

/// An error whose own code panics: when it is printed, or when it is dropped.
struct Rude {
    printed: bool,
    dropped: bool,
}

impl std::fmt::Debug for Rude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rude")
    }
}

impl std::fmt::Display for Rude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert!(!self.printed, "rude when printed");
        f.write_str("rude")
    }
}

impl std::error::Error for Rude {}

impl Drop for Rude {
    fn drop(&mut self) {
        assert!(!self.dropped || std::thread::panicking(), "rude when dropped");
    }
}

#[test]
fn what_an_error_or_a_payload_does_when_it_is_printed_or_dropped_is_contained_too() {
    on_both(async |world| {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let handler =
            HandlerFuncs::new("rude", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| async move {
                match counted.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(Rude { printed: true, dropped: false }.into()),
                    1 => Err(Rude { printed: false, dropped: true }.into()),
                    2 => std::panic::panic_any(Rude { printed: false, dropped: true }),
                    _ => Ok(()),
                }
            });
        let mut event_loop = EventLoop::new("rude");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("it succeeded", || count.load(Ordering::SeqCst) == 4).await;
        quiet().await;
        let report = running.stop().await;
        assert_eq!((report.calls.adds, report.calls.failed, report.calls.panicked), (4, 3, 3));
        assert!(report.is_clean(), "{report}");
    });
}

// === Deadlines ===

#[test]
fn a_call_past_its_deadline_is_dropped_and_made_again() {
    on_both(async |world| {
        let options = HandlerOptions::default().deadline(Duration::from_millis(200));
        let (recorder, running) = world.start_with(1, options).await;
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 dropped", "add 1"]).await;
        let report = running.stop().await;
        assert_eq!((report.calls.timed_out, report.calls.failed), (1, 1));
    });
}

#[test]
fn the_deadline_is_five_minutes_and_a_warning_comes_after_thirty_seconds() {
    on_embedded(async |world| {
        let logs = Logs::capture();
        let (recorder, _running) = world.start(1).await;
        recorder.script(Function::Add, "a", [Outcome::Hang]);
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        let warnings = || logs.lines_with(&["WARN", "slow", "recorder"]).len();
        time_passes(Duration::from_secs(29)).await;
        assert_eq!(warnings(), 0);
        time_passes(Duration::from_secs(2)).await;
        assert_eq!(warnings(), 1);
        time_passes(Duration::from_secs(268)).await;
        assert_eq!(recorder.story("a"), ["add 1 running"]);
        time_passes(Duration::from_secs(2)).await;
        assert_eq!(recorder.story("a"), ["add 1 dropped", "add 1"]);
        assert_eq!(warnings(), 1);
    });
}

#[test]
fn the_contexts_token_is_cancelled_when_its_call_ends_however_it_ends() {
    on_both(async |world| {
        let tokens: Arc<Mutex<Vec<CancellationToken>>> = Arc::default();
        let kept = Arc::clone(&tokens);
        let handler = HandlerFuncs::new("tokens", world.informers.informer::<ConfigMap>())
            .options(HandlerOptions::default().deadline(Duration::from_millis(100)))
            .on_add(move |ctx, _, _| async move {
                assert!(!ctx.cancellation().is_cancelled());
                let count = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(ctx.cancellation().clone());
                    kept.len()
                };
                match count {
                    1 => anyhow::bail!("an error"),
                    2 => panic!("a panic"),
                    3 => std::future::pending().await,
                    _ => Ok(()),
                }
            });
        let mut event_loop = EventLoop::new("tokens");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("all four calls ended", || {
            let tokens = tokens.lock().unwrap();
            tokens.len() == 4 && tokens.iter().all(CancellationToken::is_cancelled)
        })
        .await;
        running.stop().await;
    });
}

// === Objects that do not decode ===

async fn strict(world: &World) -> (Recorder<Strict>, Running) {
    let recorder = world.recorder_of("strict", world.informers.informer::<Strict>());
    let mut event_loop = EventLoop::new("strict");
    event_loop.register(recorder.clone()).unwrap();
    (recorder, Running::start(event_loop, 2).ready().await)
}

#[test]
fn an_object_that_does_not_decode_is_parked_and_the_others_flow() {
    on_both(async |world| {
        world.create("a", "good").await;
        world.create("bad", "ugly").await;
        world.create("c", "better").await;
        let (recorder, running) = strict(world).await;
        recorder.settles("a", ["add good"]).await;
        recorder.settles("c", ["add better"]).await;
        recorder.settles("bad", ["add ? failed for good"]).await;
        let parked = running.handle.snapshot().keys.remove(0);
        assert_eq!((parked.key, parked.state), (world.key("bad"), KeyState::Parked { by_cap: false }));
        let error = parked.last_error.unwrap();
        assert!(error.contains("data.value"), "the path is named: {error}");
        assert!(!error.contains("ugly"), "the content is not: {error}");
        // The watch brings another one.
        world.create("worse", "hideous").await;
        world.create("d", "good").await;
        recorder.settles("d", ["add good"]).await;
        recorder.settles("worse", ["add ? failed for good"]).await;
    });
}

#[test]
fn an_object_that_does_not_decode_is_told_when_it_does() {
    on_both(async |world| {
        let (recorder, running) = strict(world).await;
        world.create("a", "ugly").await;
        recorder.tells("a", ["add ? failed for good"]).await;
        world.change("a", "hideous").await;
        recorder.tells("a", ["add ? failed for good", "add ? failed for good"]).await;
        world.change("a", "good").await;
        recorder.tells("a", ["add ? failed for good", "add ? failed for good", "add good"]).await;
        world.change("a", "ugly").await;
        world.seen().await;
        eventually("the update failed", || recorder.story("a").last().unwrap() == "update ? failed for good").await;
        world.change("a", "better").await;
        eventually("the update succeeded", || recorder.story("a").last().unwrap() == "update better").await;
        assert!(running.handle.snapshot().keys.iter().all(|key| key.key != world.key("a")));
    });
}

#[test]
fn the_deletion_of_an_object_that_does_not_decode_is_delivered() {
    on_both(async |world| {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&deleted);
        let handler = HandlerFuncs::new("deletes", world.informers.informer::<Strict>())
            .on_add(|ctx, _, _| async move { Ok(ctx.object().map(drop)?) })
            .on_delete(move |ctx, _, name| async move {
                let decodes = ctx.object().is_ok();
                log.lock().unwrap().push((name, decodes));
                Ok(())
            });
        let mut event_loop = EventLoop::new("deletes");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 2).ready().await;
        world.create("bad", "ugly").await;
        eventually("it is parked", || {
            running.handle.snapshot().keys.iter().any(|key| matches!(key.state, KeyState::Parked { .. }))
        })
        .await;
        world.delete("bad").await;
        eventually("it is deleted", || *deleted.lock().unwrap() == [("bad".to_owned(), false)]).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn an_object_that_no_handler_reads_need_not_decode() {
    on_both(async |world| {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let handler =
            HandlerFuncs::new("blind", world.informers.informer::<Strict>()).on_add(move |_, _, _| async move {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
        let mut event_loop = EventLoop::new("blind");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 2).ready().await;
        world.create("bad", "ugly").await;
        eventually("it was told", || count.load(Ordering::SeqCst) == 1).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn another_object_that_does_not_decode_is_an_ordinary_error_and_tried_again() {
    on_both(async |world| {
        let others = world.informers.informer::<StrictSecret>();
        let (reader, key) = (others.clone(), world.key("a"));
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        // Of the same name, so that only its life tells it apart from the object that the call is about.
        let handler = HandlerFuncs::new("reader", world.informers.informer::<ConfigMap>()).on_add(move |_, _, _| {
            let (reader, key, counted) = (reader.clone(), key.clone(), Arc::clone(&counted));
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                reader.get(&key).transpose()?;
                Ok(())
            }
        });
        let mut event_loop = EventLoop::new("reader");
        event_loop.register(handler).unwrap();
        event_loop.register(DefaultHandler::new("others", others)).unwrap();
        world.api::<Secret>().create(&PostParams::default(), &secret("a")).await.unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "1").await;
        eventually("it was tried again", || calls.load(Ordering::SeqCst) >= 3).await;
        world.api::<Secret>().delete("a", &DeleteParams::default()).await.unwrap();
        eventually("it is settled", || running.handle.snapshot().keys.is_empty()).await;
    });
}

// === Secrets ===

/// What must appear nowhere: as it is, and as the server sends it.
const TOKEN: &str = "correct-horse-battery-staple";
const TOKEN_BASE64: &str = "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";

fn secret(name: &str) -> Secret {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let data = [("token".to_owned(), ByteString(TOKEN.into()))].into();
    Secret { metadata, data: Some(data), ..Secret::default() }
}

#[test]
fn a_secrets_content_never_reaches_a_log_or_an_error() {
    on_both_in_one_thread(async |world| {
        let secrets: Api<Secret> = world.api();
        secrets.create(&PostParams::default(), &secret("before")).await.unwrap();
        let logs = Logs::capture();
        let strict = world.recorder_of("strict", world.informers.informer::<StrictSecret>());
        let typed = world.recorder_of("typed", world.informers.informer::<Secret>());
        typed.script(Function::Add, "before", [Outcome::Fail, Outcome::Panic, Outcome::Permanent]);
        let mut event_loop = EventLoop::new("secrets");
        event_loop.register(strict.clone()).unwrap();
        event_loop.register(typed.clone()).unwrap();
        let running = Running::start(event_loop, 2).ready().await;
        strict.tells("before", ["add ? failed for good"]).await;
        eventually("the typed one is parked", || typed.calls_of("before").len() == 3).await;
        let note = json!({"metadata": {"annotations": {"touched": "yes"}}});
        secrets.patch("before", &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
        eventually("the change was told", || strict.calls_of("before").len() == 2).await;
        world.network.drop_connections();
        secrets.delete("before", &DeleteParams::default()).await.unwrap();
        eventually("the deletion was told", || strict.last("before").function == Function::Delete).await;
        quiet().await;
        let snapshot = format!("{:?}", running.handle.snapshot());
        let report = running.stop().await;
        let debug = format!("{:?} {:?}", world.informers.informer::<Secret>(), world.informers);
        let logged = logs.text();
        assert!(logged.contains("StrictSecret") || logged.contains("data.token"), "the failure itself is logged");
        for told in [logged, snapshot, format!("{report} {report:?}"), debug] {
            for content in [TOKEN, TOKEN_BASE64, "Y29ycmVj"] {
                assert!(!told.contains(content), "{content} is in: {told}");
            }
        }
    });
}

#[test]
fn what_a_webhook_says_of_a_secret_whose_finalizer_it_refuses_is_nowhere() {
    on_both_in_one_thread(async |world| {
        // A webhook is sent all of the Secret, though the patch names its finalizers only.
        let words = r#"{"message":"admission webhook \"w\" denied the request: correct-horse-battery-staple is bad","code":422}"#;
        let _said = world.network.say(422, words, Sent::is_patch);
        let secrets: Api<Secret> = world.api();
        secrets.create(&PostParams::default(), &secret("a")).await.unwrap();
        let logs = Logs::capture();
        let options = HandlerOptions::default().finalizer("example.com/it");
        let recorder = world.recorder_of("secrets", world.informers.informer::<Secret>()).options(options);
        let mut event_loop = EventLoop::new("secrets");
        event_loop.register(recorder.clone()).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        eventually("the refusal is logged", || !logs.lines_with(&["cannot add the finalizer", "422"]).is_empty()).await;
        let snapshot = format!("{:?}", running.handle.snapshot());
        let report = running.stop().await;
        for told in [logs.text(), snapshot, format!("{report} {report:?}")] {
            assert!(!told.contains(TOKEN), "{told}");
        }
    });
}
