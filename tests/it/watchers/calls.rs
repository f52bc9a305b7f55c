//! What it is called for, and what its answers do (R2, R3, R6).

use super::*;

#[test]
fn r2_every_event_is_told_by_itself_and_in_order() {
    on_both(async |world| {
        let (watcher, diary) = start(world).await;
        world.create("a", "1").await;
        eventually("it was told", || diary.lines().len() == 2).await;
        let gate = Gate::closed();
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        eventually("it waits", || diary.lines().len() == 3).await;
        for value in ["2", "3", "4"] {
            world.change("a", value).await;
        }
        world.delete("a").await;
        world.create("a", "5").await;
        eventually("all wait", || watcher.pending() == 5).await;
        gate.open();
        diary
            .says([
                "init",
                "a created: 1",
                "waits",
                "a modified: 2",
                "a modified: 3",
                "a modified: 4",
                "a deleted: 4",
                "a created: 5",
            ])
            .await;
    });
}

#[test]
fn r3_messages_come_in_order_and_questions_are_answered() {
    on_both(async |world| {
        let (watcher, diary) = start(world).await;
        for text in ["one", "two", "three"] {
            watcher.send(Note::Say(text)).await.unwrap();
        }
        assert_eq!(watcher.call(Note::Count).await, Ok(4));
        assert_eq!(watcher.call(Note::Ignore).await, Err(CallError::NoAnswer));
        diary.says(["init", "one", "two", "three", "ignored"]).await;
    });
}

#[test]
fn r3_what_follows_a_call_comes_before_anything_that_waits() {
    on_both(async |world| {
        let (scribe, diary) = Scribe::new();
        let gate = Gate::closed();
        let answers = [Flow::Then(Note::Say("first")), Flow::Then(Note::Say("second"))];
        let watcher = begun(maps(world).start(scribe.answering(answers))).await;
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        watcher.send(Note::Say("later")).await.unwrap();
        world.create("a", "1").await;
        eventually("all wait", || watcher.pending() == 1).await;
        gate.open();
        // Then by turns: a message was the last thing that had waited.
        diary.says(["init", "waits", "then first", "then second", "a created: 1", "later"]).await;
    });
}

#[test]
fn neither_events_nor_messages_keep_the_other_out() {
    on_both(async |world| {
        let (watcher, diary) = start(world).await;
        let gate = Gate::closed();
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        for name in ["a", "b", "c"] {
            world.create(name, "1").await;
            watcher.send(Note::Say("message")).await.unwrap();
        }
        eventually("all wait", || watcher.pending() == 3).await;
        gate.open();
        diary
            .says(["init", "waits", "a created: 1", "message", "b created: 1", "message", "c created: 1", "message"])
            .await;
    });
}

#[test]
fn r3_a_timeout_comes_when_nothing_else_does_and_only_once() {
    on_embedded(async |world| {
        let (scribe, diary) = Scribe::new();
        let within = || Flow::ContinueWithin(Duration::from_secs(600));
        let watcher = begun(maps(world).start(scribe.answering([within(), within(), Flow::Continue]))).await;
        quiet().await;
        world.create("a", "1").await;
        time_passes(Duration::from_secs(599)).await;
        // Re-armed by what comes.
        watcher.send(Note::Say("still here")).await.unwrap();
        time_passes(Duration::from_secs(599)).await;
        assert_eq!(diary.lines(), ["init", "a created: 1", "still here"]);
        time_passes(Duration::from_secs(2)).await;
        assert_eq!(diary.lines(), ["init", "a created: 1", "still here", "timeout"]);
        time_passes(Duration::from_secs(6_000)).await;
        assert_eq!(diary.lines().len(), 4, "an answer without a time ends it");
    });
}

#[test]
fn r3_one_that_hibernates_wakes_for_whatever_comes() {
    on_both(async |world| {
        let (scribe, diary) = Scribe::new();
        let watcher = begun(maps(world).start(scribe.answering([Flow::Hibernate, Flow::Hibernate]))).await;
        world.create("a", "1").await;
        watcher.send(Note::Say("awake")).await.unwrap();
        eventually("both came", || diary.lines().len() == 3).await;
        world.change("a", "2").await;
        eventually("it was told", || diary.lines().last().is_some_and(|last| last == "a modified: 2")).await;
    });
}

#[test]
fn a_full_mailbox_lets_senders_wait() {
    on_both(async |world| {
        let (scribe, diary) = Scribe::new();
        let watcher = begun(maps(world).mailbox(1).start(scribe)).await;
        let gate = Gate::closed();
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        eventually("it waits", || diary.lines().len() == 2).await;
        watcher.send(Note::Say("one")).await.unwrap();
        let mut second = Box::pin(watcher.send(Note::Say("two")));
        assert!(futures::poll!(second.as_mut()).is_pending());
        gate.open();
        second.await.unwrap();
        diary.says(["init", "waits", "one", "two"]).await;
    });
}
