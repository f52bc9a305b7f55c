//! Watches that break, versions that are too old, watchers that are slow: none is missed, none told twice.

use super::*;

#[test]
fn a_watch_that_breaks_is_resumed_without_a_list() {
    on_both(async |world| {
        let (watcher, diary) = start(world).await;
        world.create("a", "1").await;
        eventually("it was told", || diary.lines().len() == 2).await;
        world.network.cut();
        world.change("a", "2").await;
        world.delete("a").await;
        world.create("a", "3").await;
        world.network.heal();
        diary.says(["init", "a created: 1", "a modified: 2", "a deleted: 2", "a created: 3"]).await;
        assert_eq!((watcher.status().lists, watcher.status().relists), (1, 0));
    });
}

#[test]
fn after_a_version_that_is_too_old_the_difference_is_told_as_events_deletions_first() {
    on_both(async |world| {
        for name in ["a", "m", "z"] {
            world.create(name, "1").await;
        }
        let (watcher, diary) = start(world).await;
        eventually("it has begun", || diary.lines().len() == 4).await;
        world
            .relist(async || {
                world.delete("z").await;
                world.delete("m").await;
                world.create("m", "2").await;
                world.create("b", "1").await;
                world.change("a", "2").await;
                world.change("a", "3").await;
            })
            .await;
        eventually("the difference was told", || diary.lines().len() == 9).await;
        assert_eq!(
            diary.lines()[4..],
            [
                "m deleted, found by a list: (not kept: m)",
                "z deleted, found by a list: (not kept: z)",
                "a modified: 3",
                "b created: 1",
                "m created: 2",
            ]
        );
        assert_eq!(watcher.status().relists, 1);
    });
}

#[test]
fn a_deletion_that_was_missed_comes_with_the_last_state_where_that_is_kept() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (scribe, diary) = Scribe::new();
        let _watcher = begun(maps(world).keep_last(true).start(scribe)).await;
        world.change("a", "2").await;
        eventually("it knows the change", || diary.lines().last().is_some_and(|last| last.ends_with(": 2"))).await;
        let told = diary.lines().len();
        world.relist(async || world.delete("a").await).await;
        eventually("the deletion was told", || diary.lines().len() > told).await;
        assert_eq!(diary.lines()[told..], ["a deleted, found by a list: 2"]);
    });
}

#[test]
fn one_that_is_slow_holds_back_the_reading_and_misses_nothing() {
    on_both(async |world| {
        let (scribe, diary) = Scribe::new();
        let watcher = begun(maps(world).buffer(2).start(scribe)).await;
        world.create("a", "0").await;
        eventually("it was told", || diary.lines().len() == 2).await;
        let gate = Gate::closed();
        watcher.send(Note::Wait(gate.clone())).await.unwrap();
        eventually("it waits", || diary.lines().len() == 3).await;
        for value in 1..=30_u32 {
            world.change("a", &value.to_string()).await;
        }
        quiet().await;
        assert!(watcher.pending() <= 3, "{} wait", watcher.pending());
        gate.open();
        eventually("all was told", || diary.lines().len() == 33).await;
        let expected: Vec<String> = (1..=30).map(|value| format!("a modified: {value}")).collect();
        assert_eq!(diary.lines()[3..], expected);
    });
}

/// What a watcher must make of a server that restarts again and again: its own picture is the server's.
#[test]
fn over_twenty_restarts_each_state_is_told_once() {
    on_embedded(async |world| {
        let (watcher, diary) = start(world).await;
        for round in 0..20_u32 {
            world.create(&format!("round-{round:02}"), "1").await;
            if round > 0 {
                world.change(&format!("round-{:02}", round - 1), "2").await;
            }
            if round > 1 {
                world.delete(&format!("round-{:02}", round - 2)).await;
            }
            world.server().restart();
        }
        eventually("the last was told", || diary.lines().iter().any(|line| line == "round-19 created: 1")).await;
        quiet().await;
        for round in 0..20_u32 {
            let mine: Vec<String> =
                diary.lines().into_iter().filter(|line| line.starts_with(&format!("round-{round:02} "))).collect();
            let name = format!("round-{round:02}");
            let mut expected = vec![format!("{name} created: 1")];
            if round < 19 {
                expected.push(format!("{name} modified: 2"));
            }
            if round < 18 {
                expected.push(format!("{name} deleted: 2"));
            }
            assert_eq!(mine, expected);
        }
        assert!(watcher.is_alive());
    });
}
