//! Watches that break, versions that are too old, watchers that are slow: none is missed, none told twice.

use std::cell::RefCell;

use kubehandler_testcluster::Cluster;

use super::*;
use crate::support::{expire_history, is_real, on_cluster, restart};

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

/// Each object is made before one restart, changed before the next, and deleted before the third; then the history goes.
async fn restarted(world: &World, mut restart: impl FnMut(), forget: impl FnOnce()) {
    let (watcher, diary) = start(world).await;
    let name = |round: u32| format!("round-{round:02}");
    for round in 0..20_u32 {
        world.create(&name(round), "1").await;
        if round > 0 {
            world.change(&name(round - 1), "2").await;
        }
        if round > 1 {
            world.delete(&name(round - 2)).await;
        }
        restart();
        // Three rounds without a watch, and nobody could tell that there was such an object.
        eventually("it was told", || diary.verbs(&name(round)) == ["created"]).await;
    }
    forget();
    world.change(&name(19), "2").await;
    world.create(&name(20), "1").await;
    eventually("the last was told", || diary.verbs(&name(20)) == ["created"]).await;
    quiet().await;
    for round in 0..=20_u32 {
        let all = ["created", "modified", "deleted"];
        let expected = match round {
            ..18 => &all[..],
            18 | 19 => &all[..2],
            _ => &all[..1],
        };
        assert_eq!(diary.verbs(&name(round)), expected, "{}: {:?}", name(round), diary.lines());
    }
    assert!(watcher.is_alive());
}

/// What a watcher must make of a server that restarts again and again, and forgets what was: its own picture is the server's.
#[test]
fn over_twenty_restarts_and_a_compaction_each_state_is_told_once() {
    if is_real() {
        on_cluster(async |world, cluster: &mut Cluster| {
            let cluster = RefCell::new(cluster);
            let forget = || expire_history(&mut cluster.borrow_mut());
            restarted(world, || restart(&mut cluster.borrow_mut()), forget).await;
        });
    } else {
        on_embedded(async |world| {
            let forget = || {
                world.server().compact();
                world.server().restart();
            };
            restarted(world, || world.server().restart(), forget).await;
        });
    }
}
