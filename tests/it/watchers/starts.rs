//! What it watches, and where it begins (R5).

use kubehandler::{Dynamic, DynamicFields as _, StartFrom};

use super::*;

#[test]
fn r5_it_begins_with_what_exists() {
    on_both(async |world| {
        world.create("b", "1").await;
        world.create("a", "1").await;
        let (_watcher, diary) = start(world).await;
        diary.says(["init", "a created, was there: 1", "b created, was there: 1"]).await;
    });
}

#[test]
fn r5_it_begins_now_and_still_finds_deletions_that_were_missed() {
    on_both(async |world| {
        world.create("a", "1").await;
        world.create("b", "1").await;
        let (scribe, diary) = Scribe::new();
        let watcher = maps(world).start_from(StartFrom::Now).start(scribe);
        eventually("it watches", || watcher.status().lists == 1).await;
        world.change("a", "2").await;
        diary.says(["init", "a modified: 2"]).await;
        world.relist(async || world.delete("b").await).await;
        diary.says(["init", "a modified: 2", "b deleted, found by a list: (not kept: b)"]).await;
    });
}

#[test]
fn r5_it_begins_at_a_version_with_the_servers_own_words() {
    on_both(async |world| {
        world.create("old", "1").await;
        world.create("changed", "1").await;
        let version = world.create("deleted", "1").await.metadata.resource_version.unwrap();
        world.change("changed", "2").await;
        world.delete("deleted").await;
        world.create("new", "1").await;
        let (scribe, diary) = Scribe::new();
        let watcher = maps(world).from_resource_version(version).start(scribe);
        diary.says(["init", "changed modified: 2", "deleted deleted: 1", "new created: 1"]).await;
        assert_eq!(world.network.count(Sent::is_list), 0);
        assert_eq!(watcher.status().lists, 0);
        world.change("changed", "3").await;
        world.change("old", "2").await;
        eventually("both were told", || diary.lines().len() == 6).await;
        // What it knows it does not tell again, what it has not seen it cannot tell the end of.
        world
            .relist(async || {
                world.delete("new").await;
                world.create("newer", "1").await;
            })
            .await;
        eventually("the list was told", || diary.lines().len() == 8).await;
        assert_eq!(
            diary.lines()[6..],
            ["new deleted, found by a list: (not kept: new)", "newer created, was there: 1"]
        );
    });
}

#[test]
fn r5_a_version_that_is_too_old_is_followed_by_a_list_of_what_is_newer() {
    on_both(async |world| {
        world.create("old", "1").await;
        let version = world.create("changed", "1").await.metadata.resource_version.unwrap();
        world.change("changed", "2").await;
        let _expired = world.network.answer_times(1, 410, Sent::is_watch);
        let (scribe, diary) = Scribe::new();
        let _watcher = maps(world).from_resource_version(version).start(scribe);
        diary.says(["init", "changed created, was there: 2"]).await;
    });
}

#[test]
fn r5_selectors_are_membership() {
    on_both(async |world| {
        world.create_labelled("a", "1", &[("app", "shop")]).await;
        world.create_labelled("b", "1", &[("app", "blog")]).await;
        let (scribe, diary) = Scribe::new();
        let config = world.config().label_selector("app=shop");
        let _watcher = world.informers.configured::<ConfigMap>(config).watcher().start(scribe);
        diary.says(["init", "a created, was there: 1"]).await;
        world.label("b", "app", Some("shop")).await;
        world.label("a", "app", Some("blog")).await;
        eventually("both were told", || diary.lines().len() == 4).await;
        let lines = diary.lines();
        assert_eq!(lines[2], "b created: 1");
        assert!(lines[3].starts_with("a deleted"), "{lines:?}");
    });
}

/// Writes down what it is told of objects of any kind.
struct Names(Diary);

impl Watcher for Names {
    type Resource = Dynamic;
    type Message = ();

    async fn handle_event(&mut self, event: WatchEvent, object: &Watched<Dynamic>) -> Flow<()> {
        let object_value = object.object().ok().and_then(|object| object.pointer("/data/value").cloned());
        self.0.write(format!("{} {event} {}", object.key().name(), object_value.unwrap_or_default()));
        Flow::Continue
    }
}

#[test]
fn r5_a_kind_is_watched_by_its_name() {
    on_both(async |world| {
        world.create("a", "1").await;
        let diary = Diary::default();
        let maps = world.informers.configured_kind::<Dynamic>("v1", "ConfigMap", world.config()).unwrap();
        let _watcher = maps.watcher().start(Names(diary.clone()));
        eventually("it was told of what exists", || diary.lines() == ["a created \"1\""]).await;
        world.change("a", "2").await;
        eventually("it was told", || diary.lines().last().is_some_and(|last| last == "a modified \"2\"")).await;
    });
}
