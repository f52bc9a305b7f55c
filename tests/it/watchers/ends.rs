//! How it ends, and who is told (R1, R4, R6).

use super::*;

#[test]
fn r1_init_comes_before_any_request_and_may_end_it() {
    on_both(async |world| {
        let (mut scribe, diary) = Scribe::new();
        scribe.first = Some(Flow::Stop(Exit::ShutdownWith("not today".into())));
        let watcher = maps(world).start(scribe);
        let exit = watcher.join().await;
        assert!(matches!(&exit, Exit::ShutdownWith(why) if &**why == "not today"), "{exit}");
        assert_eq!(diary.lines(), ["init", &format!("terminate: {exit}")]);
        assert_eq!(world.network.count(|_| true), 0);
    });
}

/// Ends a watcher in one way.
struct Way {
    name: &'static str,
    panics: Option<&'static str>,
    answers: Vec<Flow<Note>>,
    ends: fn(&WatcherHandle<Note>, &CancellationToken),
    is_abnormal: bool,
}

#[test]
fn r4_terminate_is_called_once_on_every_way_out() {
    on_both(async |world| {
        world.create("a", "1").await;
        let way = |name| Way { name, panics: None, answers: vec![], ends: |_, _| {}, is_abnormal: false };
        let failed = || Flow::Stop(Exit::failed(anyhow::anyhow!("no more paper")));
        let ways = [
            Way { answers: vec![Flow::Stop(Exit::Normal)], ..way("an answer") },
            Way { answers: vec![failed()], is_abnormal: true, ..way("an answer that is a failure") },
            Way { ends: |watcher, _| watcher.stop(Exit::Normal), ..way("stopped") },
            Way { ends: |_, token| token.cancel(), ..way("its token") },
            Way { panics: Some("init"), is_abnormal: true, ..way("a panic in init") },
            Way { panics: Some("handle_event"), is_abnormal: true, ..way("a panic in handle_event") },
            Way { answers: vec![Flow::Then(Note::Panic)], is_abnormal: true, ..way("a panic in handle_info") },
            Way {
                panics: Some("terminate"),
                answers: vec![Flow::Stop(Exit::Normal)],
                is_abnormal: true,
                ..way("a panic in terminate")
            },
        ];
        for (number, Way { name, panics, answers, ends, is_abnormal }) in ways.into_iter().enumerate() {
            let (mut scribe, diary) = Scribe::new();
            scribe.panics = panics;
            let token = CancellationToken::new();
            let watcher = maps(world).cancellation(token.clone()).start(scribe.answering(answers));
            eventually("it has begun", || !diary.lines().is_empty()).await;
            ends(&watcher, &token);
            let exit = watcher.join().await;
            assert_eq!(exit.is_abnormal(), is_abnormal, "{name}: {exit}");
            assert!(!watcher.is_alive(), "{name}");
            let ends = diary.lines().iter().filter(|line| line.starts_with("terminate")).count();
            assert_eq!(ends, 1, "{name}: {:?}", diary.lines());
            assert!(diary.lines().last().is_some_and(|last| last.starts_with("terminate")), "{name}");
            // No request of it is left.
            let sent = world.network.count(|_| true);
            world.create(&format!("after-{number}"), "1").await;
            quiet().await;
            assert_eq!(world.network.count(|_| true), sent, "{name}");
        }
    });
}

#[test]
fn r4_an_informer_that_is_not_to_try_again_ends_it_abnormally() {
    on_both(async |world| {
        let _forbidden = world.network.answer(403, Sent::is_list);
        let config: InformerConfig = world.config().retry(RetryAfter::Never);
        let (scribe, diary) = Scribe::new();
        let watcher = world.informers.configured::<ConfigMap>(config).watcher().start(scribe);
        let exit = watcher.join().await;
        assert!(exit.is_abnormal() && exit.to_string().contains("forbidden"), "{exit}");
        assert_eq!(diary.lines().len(), 2);
    });
}

#[test]
fn r4_a_life_that_is_dropped_ends_without_terminate_and_who_waits_learns_of_it() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (scribe, diary) = Scribe::new();
        let (watcher, life) = maps(world).build(scribe);
        tokio::select! {
            biased;
            exit = life => panic!("it ended: {exit}"),
            () = eventually("it was told", || diary.lines().len() == 2) => {}
        }
        assert!(watcher.join().await.is_abnormal());
        assert_eq!(watcher.send(Note::Say("hello")).await, Err(WatcherEnded));
        diary.says(["init", "a created, was there: 1"]).await;
    });
}

#[test]
fn r6_one_that_has_ended_takes_no_messages_and_answers_none() {
    on_both(async |world| {
        let (watcher, diary) = start(world).await;
        let gate = Gate::closed();
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        eventually("it waits", || diary.lines().len() == 2).await;
        // One waits in the mailbox when it ends.
        let mut early = Box::pin(watcher.call(Note::Count));
        assert!(futures::poll!(early.as_mut()).is_pending());
        watcher.stop(Exit::ShutdownWith("first".into()));
        watcher.stop(Exit::Normal);
        assert!(watcher.is_alive(), "the call that is being made is waited for");
        gate.open();
        assert_eq!(early.await, Err(CallError::Ended(WatcherEnded)));
        let (one, two) = (watcher.join().await, watcher.clone().join().await);
        assert_eq!((one.to_string(), two.to_string()), ("shut down: first".into(), "shut down: first".into()));
        assert_eq!(watcher.send(Note::Say("late")).await, Err(WatcherEnded));
        assert_eq!(watcher.call(Note::Count).await, Err(CallError::Ended(WatcherEnded)));
        diary.says(["init", "waits", "terminate: shut down: first"]).await;
    });
}
