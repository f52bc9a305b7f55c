//! Children that end in every way, under every policy, on the paused clock.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sync::{Arc, Mutex};

const SECOND: Duration = Duration::from_secs(1);

/// What children did, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|it| *it == line).count()
    }
}

/// A child that writes when it begins and ends, and lives until it is told to end.
fn patient(name: &'static str, diary: &Diary) -> Child {
    let diary = diary.clone();
    Child::new(name, move |token| {
        let diary = diary.clone();
        async move {
            diary.write(format!("{name} begins"));
            token.cancelled().await;
            diary.write(format!("{name} ends"));
        }
    })
}

/// A child that ends at once, so.
fn ends(name: &'static str, diary: &Diary, exit: impl Fn() -> Exit + Send + Sync + 'static) -> Child {
    let (diary, exit) = (diary.clone(), Arc::new(exit));
    Child::new(name, move |_| {
        let (diary, exit) = (diary.clone(), Arc::clone(&exit));
        async move {
            diary.write(name);
            exit()
        }
    })
}

fn supervisor(children: impl IntoIterator<Item = Child>) -> Supervisor {
    let mut supervisor = Supervisor::new("test").seed(7);
    for child in children {
        supervisor.add(child).unwrap();
    }
    supervisor
}

fn run(supervisor: Supervisor) -> (CancellationToken, JoinHandle<Exit>) {
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(supervisor.run(stop)))
}

fn state(handle: &SupervisorHandle, name: &str) -> ChildState {
    handle.children().into_iter().find(|child| &*child.name == name).unwrap().state
}

#[tokio::test(start_paused = true)]
async fn each_way_to_end_is_followed_by_what_the_policy_says() {
    type Make = fn() -> Exit;
    let exits: [(&str, Make, bool); 8] = [
        ("normal", || Exit::Normal, false),
        ("shutdown", || Exit::Shutdown, false),
        ("shutdown with a reason", || Exit::ShutdownWith("tired".into()), false),
        ("failed", || Exit::failed(anyhow::anyhow!("no")), true),
        ("panicked", || panic!("as it was told to"), true),
        ("an error", || Err::<(), _>(anyhow::anyhow!("no")).into_exit(), true),
        ("no error", || anyhow::Ok(()).into_exit(), false),
        ("no error, but a failure", || anyhow::Ok(Exit::failed(anyhow::anyhow!("no"))).into_exit(), true),
    ];
    for (what, exit, is_abnormal) in exits {
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let diary = Diary::default();
            let child = ends("child", &diary, exit).restart(restart);
            // Another one keeps the supervisor alive.
            let supervisor = supervisor([child, patient("other", &diary)]).intensity(100, SECOND);
            let handle = supervisor.handle();
            let (stop, running) = run(supervisor);
            sleep(20 * SECOND).await;
            let again = restart == Restart::Permanent || (restart == Restart::Transient && is_abnormal);
            assert_eq!(diary.count("child") > 1, again, "{what}, {restart:?}");
            let status = &handle.children()[0];
            assert_eq!(status.last_exit.as_ref().map(Exit::is_abnormal), Some(is_abnormal), "{what}: {status}");
            assert_eq!(status.restarts > 0, again, "{what}: {status}");
            stop.cancel();
            assert!(matches!(running.await.unwrap(), Exit::Shutdown), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_the_reverse_order() {
    let diary = Diary::default();
    let children = ["a", "b", "c"].map(|name| patient(name, &diary));
    let (stop, running) = run(supervisor(children));
    sleep(SECOND).await;
    stop.cancel();
    assert!(matches!(running.await.unwrap(), Exit::Shutdown));
    assert_eq!(diary.lines(), ["a begins", "b begins", "c begins", "c ends", "b ends", "a ends"]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_restarts_is_given_up_and_the_others_are_ended() {
    let diary = Diary::default();
    let fails = ends("fails", &diary, || Exit::failed(anyhow::anyhow!("no disk")));
    let supervisor = supervisor([patient("other", &diary), fails]);
    let handle = supervisor.handle();
    let (_stop, running) = run(supervisor);
    let exit = running.await.unwrap();
    let why = exit.to_string();
    assert!(exit.is_abnormal(), "{why}");
    for part in ["supervisor `test`", "child `fails`", "no disk", "more than 5 restarts within 60s"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(diary.count("fails"), 6, "five restarts are endured");
    assert_eq!(diary.lines().last().map(String::as_str), Some("other ends"));
    assert!(handle.children().iter().all(|child| child.state == ChildState::Ended));
}

#[tokio::test(start_paused = true)]
async fn waits_grow_with_the_restarts_in_a_row_and_begin_anew_after_a_long_life() {
    let begins = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&begins);
    let child = Child::new("child", move |_| {
        let noted = Arc::clone(&noted);
        async move {
            let count = {
                let mut noted = noted.lock();
                noted.push(Instant::now());
                noted.len()
            };
            // The fourth life is a long one.
            if count == 4 {
                sleep(120 * SECOND).await;
            }
            anyhow::bail!("again");
            #[expect(unreachable_code, reason = "it says what the future gives")]
            Ok(())
        }
    });
    let (stop, running) = run(supervisor([child]).intensity(100, 60 * SECOND));
    sleep(140 * SECOND).await;
    stop.cancel();
    running.await.unwrap();
    let begins = begins.lock().clone();
    let waits: Vec<f64> = begins.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    for (wait, whole) in waits.iter().zip([1.0, 2.0, 4.0, 121.0, 2.0]) {
        let least = if whole > 100.0 { 120.5 } else { whole / 2.0 };
        assert!((least..=whole + 0.1).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_end_in_time_is_dropped() {
    struct Dropped(Diary);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.write("dropped");
            panic!("as it was told to");
        }
    }
    let diary = Diary::default();
    let noted = diary.clone();
    let stubborn = move |_: CancellationToken| {
        let dropped = Dropped(noted.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
    };
    for (shutdown, takes) in [(Shutdown::Within(7 * SECOND), 7 * SECOND), (Shutdown::AtOnce, Duration::ZERO)] {
        let child = Child::new("stubborn", stubborn.clone()).shutdown(shutdown);
        let supervisor = supervisor([patient("other", &diary), child]);
        let handle = supervisor.handle();
        let (stop, running) = run(supervisor);
        sleep(SECOND).await;
        let begun = Instant::now();
        stop.cancel();
        running.await.unwrap();
        assert_eq!(begun.elapsed(), takes, "{shutdown:?}");
        let status = &handle.children()[1];
        assert!(matches!(&status.last_exit, Some(Exit::Panicked(_))), "its end is contained: {status}");
    }
    assert_eq!((diary.count("dropped"), diary.count("other ends")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_may_take_for_ever_is_waited_for() {
    let child = Child::new("slow", |token: CancellationToken| async move {
        token.cancelled().await;
        sleep(86_400 * SECOND).await;
    });
    let supervisor = supervisor([child.shutdown(Shutdown::Within(Duration::MAX))]);
    let handle = supervisor.handle();
    let (stop, running) = run(supervisor);
    sleep(SECOND).await;
    stop.cancel();
    running.await.unwrap();
    assert!(matches!(handle.children()[0].last_exit, Some(Exit::Normal)), "{}", handle.children()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_no_clock_can_tell_is_a_year() {
    let diary = Diary::default();
    let fails = ends("fails", &diary, || Exit::failed(anyhow::anyhow!("no")));
    let (_stop, running) = run(supervisor([fails]).backoff(Duration::MAX, Duration::MAX).intensity(1, SECOND));
    sleep(366 * 86_400 * SECOND).await;
    assert!(!running.is_finished());
    assert_eq!(diary.count("fails"), 2);
}

/// An error that panics when it is printed or dropped.
#[derive(Debug)]
struct Hostile(Option<SupervisorHandle>);

impl std::fmt::Display for Hostile {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("printed");
    }
}

impl std::error::Error for Hostile {}

impl Drop for Hostile {
    fn drop(&mut self) {
        // Under the lock of what is shown this would hang.
        assert!(self.0.as_ref().is_none_or(|handle| handle.children().len() == 1));
        panic!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_it_is_printed_or_dropped_ends_nothing() {
    let mut supervisor = Supervisor::new("test").seed(7).intensity(100, SECOND);
    let handle = supervisor.handle();
    let shown = handle.clone();
    let child = Child::new("hostile", move |_| std::future::ready(Exit::failed(Hostile(Some(shown.clone())))));
    supervisor.add(child).unwrap();
    let (stop, running) = run(supervisor);
    sleep(20 * SECOND).await;
    let status = handle.children().remove(0);
    assert!(status.restarts >= 3, "{status}");
    assert!(status.to_string().contains("panics when it is printed: printed"), "{status}");
    stop.cancel();
    assert!(matches!(running.await.unwrap(), Exit::Shutdown));
    // The last one is dropped with whoever holds it last.
    std::mem::forget((status, handle));
}

#[tokio::test(start_paused = true)]
async fn a_last_error_that_panics_when_it_is_dropped_goes_with_the_supervisor_that_nobody_looks_at() {
    let child = Child::new("hostile", |_| std::future::ready(Exit::failed(Hostile(None))));
    let (_stop, running) = run(supervisor([child.restart(Restart::Temporary)]));
    assert!(matches!(running.await.unwrap(), Exit::Normal));
}

#[tokio::test(start_paused = true)]
async fn a_second_token_drops_all_at_once() {
    let diary = Diary::default();
    let hangs = |name: &'static str| Child::new(name, |_| std::future::pending::<()>());
    let abort = CancellationToken::new();
    let (stop, running) = run(supervisor([hangs("a"), hangs("b"), patient("c", &diary)]).abort(abort.clone()));
    sleep(SECOND).await;
    stop.cancel();
    sleep(SECOND).await;
    let begun = Instant::now();
    abort.cancel();
    running.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_abort_waits_for_none_before_it_drops_the_others() {
    /// Looks, when it is dropped, how it stands with the other child.
    struct Looks(SupervisorHandle, mpsc::UnboundedSender<ChildState>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let _ = self.1.send(state(&self.0, "first"));
        }
    }
    let abort = CancellationToken::new();
    let mut supervisor = supervisor([patient("first", &Diary::default())]).abort(abort.clone());
    let (handle, (tells, mut told)) = (supervisor.handle(), mpsc::unbounded_channel());
    let last = Child::new("last", move |_| {
        let looks = Looks(handle.clone(), tells.clone());
        async move {
            std::future::pending::<()>().await;
            drop(looks);
        }
    });
    supervisor.add(last).unwrap();
    let (_stop, running) = run(supervisor);
    sleep(SECOND).await;
    abort.cancel();
    running.await.unwrap();
    assert_eq!(told.recv().await, Some(ChildState::Stopping));
}

#[tokio::test(start_paused = true)]
async fn what_makes_a_child_may_panic_when_it_is_dropped() {
    struct Hostile;
    impl Drop for Hostile {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let hostile = Hostile;
    let child = Child::new("hostile", move |_| {
        let _it = &hostile;
        std::future::ready(Exit::Normal)
    });
    let (_stop, running) = run(supervisor([child.restart(Restart::Transient)]));
    assert!(matches!(running.await.unwrap(), Exit::Normal));
}

#[tokio::test(start_paused = true)]
async fn when_none_is_left_it_has_done_its_work() {
    let diary = Diary::default();
    let once = ends("once", &diary, || Exit::Normal).restart(Restart::Transient);
    let never = ends("never again", &diary, || Exit::failed(anyhow::anyhow!("no"))).restart(Restart::Temporary);
    let (_stop, running) = run(supervisor([once, never]));
    assert!(matches!(running.await.unwrap(), Exit::Normal));
    assert!(matches!(run(Supervisor::new("empty")).1.await.unwrap(), Exit::Normal));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_a_child_like_any_other() {
    let diary = Diary::default();
    let inner = diary.clone();
    let nested = Child::new("nested", move |token| {
        let fails = ends("fails", &inner, || Exit::failed(anyhow::anyhow!("no")));
        supervisor([fails]).intensity(1, 60 * SECOND).run(token)
    });
    let outer = supervisor([nested]);
    let handle = outer.handle();
    let (stop, running) = run(outer);
    sleep(20 * SECOND).await;
    assert!(handle.children()[0].restarts >= 2, "{}", handle.children()[0]);
    assert!(handle.children()[0].last_exit.as_ref().is_some_and(|exit| exit.to_string().contains("gives up")));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_what_makes_a_child_is_its_own() {
    let child = Child::new("child", |_| -> std::future::Ready<()> { panic!("as it was told to") });
    let supervisor = supervisor([child.restart(Restart::Temporary)]);
    let handle = supervisor.handle();
    assert!(matches!(run(supervisor).1.await.unwrap(), Exit::Normal));
    assert!(matches!(&handle.children()[0].last_exit, Some(Exit::Panicked(text)) if &**text == "as it was told to"));
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_after_its_future_was_dropped() {
    let (alive, mut gone) = mpsc::channel::<()>(1);
    let child = Child::new("child", move |_| {
        let alive = alive.clone();
        async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        }
    });
    let supervisor = supervisor([child]);
    let handle = supervisor.handle();
    let (_stop, running) = run(supervisor);
    sleep(SECOND).await;
    assert_eq!(state(&handle, "child"), ChildState::Running);
    running.abort();
    assert_eq!(gone.recv().await, None, "the child is dropped, and what makes it");
    assert_eq!(state(&handle, "child"), ChildState::Ended);
}

#[test]
fn a_name_is_needed_and_each_has_its_own() {
    let diary = Diary::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut supervisor = supervisor([patient("a", &diary)]);
    let refused = supervisor.add(patient("a", &diary)).unwrap_err();
    assert!(refused.to_string().contains("give each its own name"), "{refused}");
    let refused = supervisor.add(patient("", &diary)).unwrap_err();
    assert!(refused.to_string().contains("has no name"), "{refused}");
    assert_eq!(supervisor.handle().children().len(), 1);
    assert_eq!(state(&supervisor.handle(), "a"), ChildState::Waiting);
}
