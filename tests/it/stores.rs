//! Stores: neon's `watch` (N1–N6, N8), each subscriber at its own pace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{
    CancellationToken, Delivery, Heard, InformerConfig, InitMode, RetryAfter, SharedInformer, Store, StoreEnd,
    Subscriber, SubscriberFuncs, SyncError, WatchConfig, WatchError,
};

use super::support::kinds::Strict;
use super::support::network::Sent;
use super::support::wait::becomes;
use super::support::{Gate, World, eventually, on_both, on_both_in_one_thread, on_embedded, quiet};

mod indexed;
mod metrics;
mod pace;

/// What a subscriber was told, a line each.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

fn line(map: &ConfigMap) -> String {
    let value = map.data.as_ref().and_then(|data| data.get("value")).map_or("-", String::as_str);
    format!("{} {value}", map.metadata.name.as_deref().unwrap_or_default())
}

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until these were told, and no more.
    async fn tells<const N: usize>(&self, lines: [&str; N]) {
        becomes("what the subscriber was told", lines.map(str::to_owned).to_vec(), || self.lines()).await;
        quiet().await;
        assert_eq!(self.lines(), lines);
    }
}

impl Subscriber<ConfigMap> for Diary {
    async fn added(&mut self, map: Arc<ConfigMap>, preexisting: bool) {
        self.write(format!("{} {}", if preexisting { "was there:" } else { "new:" }, line(&map)));
    }

    async fn updated(&mut self, old: Arc<ConfigMap>, new: Arc<ConfigMap>) {
        self.write(format!("{} -> {}", line(&old), line(&new)));
    }

    async fn deleted(&mut self, map: Arc<ConfigMap>, may_be_stale: bool) {
        self.write(format!("{} {}", if may_be_stale { "missed:" } else { "gone:" }, line(&map)));
    }
}

fn maps(world: &World) -> SharedInformer<ConfigMap> {
    world.informers.informer()
}

async fn watch(world: &World) -> (Store<ConfigMap>, Diary) {
    let diary = Diary::default();
    let store = maps(world).watch(WatchConfig::new("diary"), diary.clone()).await.expect("it begins");
    (store, diary)
}

fn uid(map: &ConfigMap) -> String {
    map.metadata.uid.clone().expect("a uid")
}

#[test]
fn sync_tells_what_is_there_before_the_store_is_there() {
    on_both(async |world| {
        world.create("b", "1").await;
        world.create("a", "1").await;
        let (store, diary) = watch(world).await;
        assert_eq!(diary.lines(), ["was there: a 1", "was there: b 1"]);
        assert!(store.has_synced() && store.pending() == 0);
        let names: Vec<_> = store.items().into_iter().map(|map| map.unwrap().metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(store.snapshot().len(), 2);
    });
}

#[test]
fn defer_tells_nothing_before_the_store_is_there() {
    on_both(async |world| {
        world.create("a", "1").await;
        let diary = Diary::default();
        let mut watching = Box::pin(maps(world).watch(WatchConfig::new("diary").init(InitMode::Defer), diary.clone()));
        let store = watching.as_mut().await.expect("it begins");
        world.create("b", "1").await;
        quiet().await;
        assert_eq!((diary.lines(), store.has_synced(), store.pending()), (vec![], false, 2));
        // As after `.await`: the future is gone.
        drop(watching);
        eventually("b is told", || diary.lines().len() == 2).await;
        assert_eq!(diary.lines(), ["was there: a 1", "new: b 1"]);
        eventually("it has synced", || store.has_synced()).await;
    });
}

#[test]
fn each_event_comes_with_its_objects_and_a_deletions_news_before_it() {
    on_both(async |world| {
        let (_store, diary) = watch(world).await;
        world.create("a", "1").await;
        diary.tells(["new: a 1"]).await;
        world.change("a", "2").await;
        diary.tells(["new: a 1", "a 1 -> a 2"]).await;
        world.delete("a").await;
        // The last state has a version of its own.
        diary.tells(["new: a 1", "a 1 -> a 2", "a 2 -> a 2", "gone: a 2"]).await;
    });
}

#[test]
fn deletions_that_a_list_finds_come_before_its_additions_and_may_be_stale() {
    on_both(async |world| {
        for name in ["a", "m", "z"] {
            world.create(name, "1").await;
        }
        let (_store, diary) = watch(world).await;
        let there = ["was there: a 1", "was there: m 1", "was there: z 1"];
        assert_eq!(diary.lines(), there);
        world
            .relist(async || {
                world.delete("z").await;
                world.delete("m").await;
                world.create("m", "2").await;
                world.create("b", "1").await;
                world.change("a", "2").await;
            })
            .await;
        let [a, m, z] = there;
        diary.tells([a, m, z, "missed: m 1", "missed: z 1", "a 1 -> a 2", "new: b 1", "new: m 2"]).await;
    });
}

#[test]
fn who_comes_late_is_told_what_is_there_without_a_gap() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (early, _diary) = watch(world).await;
        world.create("b", "1").await;
        eventually("b is there", || early.items().len() == 2).await;
        let (late, diary) = watch(world).await;
        assert_eq!(diary.lines(), ["was there: a 1", "was there: b 1"], "before it came");
        world.change("b", "2").await;
        diary.tells(["was there: a 1", "was there: b 1", "b 1 -> b 2"]).await;
        drop(early);
        world.change("b", "3").await;
        diary.tells(["was there: a 1", "was there: b 1", "b 1 -> b 2", "b 2 -> b 3"]).await;
        assert!(!late.stopped());
    });
}

#[test]
fn an_object_that_does_not_decode_is_told_with_its_next_version_that_does() {
    on_both(async |world| {
        let strict: SharedInformer<Strict> = world.informers.informer();
        let told = Diary::default();
        let (add, update, delete) = (told.clone(), told.clone(), told.clone());
        let name = |object: &Strict| object.metadata.name.clone().unwrap_or_default();
        let funcs = SubscriberFuncs::new()
            .on_add(move |object: Arc<Strict>, _| {
                add.write(format!("new: {}", name(&object)));
                async {}
            })
            .on_update(move |old: Arc<Strict>, new: Arc<Strict>| {
                update.write(format!("{:?} -> {:?}", old.data.value, new.data.value));
                async {}
            })
            .on_delete(move |object: Arc<Strict>, may_be_stale| {
                delete.write(format!("gone: {} {may_be_stale}", name(&object)));
                async {}
            });
        world.create("a", "bad").await;
        world.create("b", "good").await;
        let store = strict.watch(WatchConfig::new("strict").object_name_log_field("map"), funcs).await.unwrap();
        told.tells(["new: b"]).await;
        assert!(store.has_synced(), "one bad object harms nobody else");
        world.change("a", "good").await;
        told.tells(["new: b", "new: a"]).await;
        world.change("a", "bad").await;
        quiet().await;
        world.change("a", "better").await;
        told.tells(["new: b", "new: a", "Good -> Better"]).await;
        world.change("b", "bad").await;
        quiet().await;
        world.delete("b").await;
        told.tells(["new: b", "new: a", "Good -> Better", "gone: b true"]).await;
    });
}

#[test]
fn a_relist_is_over_when_a_list_begun_after_it_was_asked_for_is_in() {
    on_both(async |world| {
        let (store, diary) = watch(world).await;
        let lists = |world: &World| world.network.count(Sent::is_list);
        let before = lists(world);
        let held = world.network.hold(Sent::is_list);
        let mut first = Box::pin(store.relist());
        let mut second = Box::pin(store.relist());
        assert!(futures::poll!(first.as_mut()).is_pending());
        eventually("the list is asked for", || lists(world) > before).await;
        // It was begun before this one.
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(held);
        first.await.expect("it comes");
        world.create("a", "1").await;
        second.await.expect("it comes");
        assert!(lists(world) >= before + 2, "{}", lists(world) - before);
        diary.tells(["new: a 1"]).await;
        assert!(store.informer().status().relists >= 2);
        store.stop();
        let error = store.relist().await.expect_err("it does not run");
        assert!(error.why().is_none(), "{error}");
    });
}

#[test]
fn who_listens_hears_of_one_object() {
    on_both(async |world| {
        let (store, _diary) = watch(world).await;
        let a = world.create("a", "1").await;
        let b = world.create("b", "1").await;
        let version = b.metadata.resource_version.as_deref().unwrap();
        store.at_least(version, Duration::from_secs(50)).await.unwrap();
        let mut listener = store.listen(&uid(&a));
        let mut other = store.listen(&uid(&b));
        world.change("a", "2").await;
        assert_eq!(listener.changed().await, Some(Heard::Changed));
        let seen = store.get(&world.key("a")).unwrap().unwrap();
        assert_eq!(line(&seen), "a 2", "the cache has what was heard of");
        world.delete("a").await;
        assert_eq!(listener.changed().await, Some(Heard::Deleted));
        assert!(futures::poll!(Box::pin(other.changed())).is_pending());
        store.stop();
        assert_eq!(other.changed().await, None);
        assert_eq!(store.listen(&uid(&a)).changed().await, None);
    });
}

#[test]
fn an_object_is_told_again_unchanged_if_it_is_there() {
    on_both(async |world| {
        let a = world.create("a", "1").await;
        let (store, diary) = watch(world).await;
        assert!(store.nop_update(&uid(&a)));
        diary.tells(["was there: a 1", "a 1 -> a 1"]).await;
        assert!(!store.nop_update("no uid of any object"));
        assert!(store.informer().reinject(&world.key("a")));
        assert!(!store.informer().reinject(&world.key("b")));
        diary.tells(["was there: a 1", "a 1 -> a 1", "a 1 -> a 1"]).await;
        world.delete("a").await;
        eventually("it is gone", || !store.nop_update(&uid(&a))).await;
    });
}

#[test]
fn a_store_is_stopped_by_hand_by_its_token_and_when_nobody_holds_it() {
    on_both(async |world| {
        let (by_hand, diary) = watch(world).await;
        let clone = by_hand.clone();
        drop(by_hand);
        world.create("a", "1").await;
        diary.tells(["new: a 1"]).await;
        clone.stop();
        assert!(clone.stopped() && matches!(clone.ended().await, StoreEnd::Stopped));
        let token = CancellationToken::new();
        let config = WatchConfig::new("diary").cancellation(token.clone());
        let by_token = maps(world).watch(config.clone(), Diary::default()).await.unwrap();
        token.cancel();
        assert!(matches!(by_token.ended().await, StoreEnd::Stopped));
        let refused = maps(world).watch(config, Diary::default()).await.expect_err("it is cancelled");
        assert!(matches!(refused, WatchError::Ended { end: StoreEnd::Stopped, .. }), "{refused}");
        let (dropped, silent) = watch(world).await;
        let told = silent.lines();
        drop(dropped);
        world.create("b", "1").await;
        quiet().await;
        assert_eq!((silent.lines(), diary.lines().len()), (told, 1));
        assert!(maps(world).is_empty(), "nobody uses the informer any more");
    });
}

#[test]
fn an_error_that_is_not_to_be_retried_ends_the_store() {
    on_both(async |world| {
        let config = world.config().retry_relist_after(RetryAfter::Never).retry_watch_after(RetryAfter::Never);
        let never: SharedInformer<ConfigMap> = world.informers.configured(config);
        let refused = world.network.answer(403, Sent::is_list);
        let error = never.watch(WatchConfig::new("diary"), Diary::default()).await.expect_err("it may not list");
        let WatchError::Sync { why: SyncError::Stopped { why: Some(_), .. }, .. } = &error else { panic!("{error}") };
        drop(refused);
        let diary = Diary::default();
        let store = never.watch(WatchConfig::new("diary"), diary.clone()).await.expect("another begins anew");
        world.create("a", "1").await;
        diary.tells(["new: a 1"]).await;
        assert!(!store.failing() && !store.stopped());
        let refused = world.network.answer(500, Sent::is_watch);
        world.network.drop_connections();
        let StoreEnd::Failed(why) = store.ended().await else { panic!("it was not stopped") };
        assert!(store.stopped(), "{why}");
        assert!(why.to_string().contains("cannot watch"), "{why}");
        drop(refused);
    });
}

#[test]
fn an_informer_that_fails_is_failing_and_tried_again_in_its_interval() {
    on_embedded(async |world| {
        let (least, most) = (Duration::from_secs(3), Duration::from_secs(4));
        let config = world.config().retry(RetryAfter::Between(least, most));
        let maps: SharedInformer<ConfigMap> = world.informers.configured(config);
        let diary = Diary::default();
        let store = maps.watch(WatchConfig::new("diary"), diary.clone()).await.unwrap();
        let refused = world.network.answer(500, Sent::is_watch);
        world.network.drop_connections();
        eventually("it fails", || store.failing()).await;
        let failures = || world.network.count(Sent::is_watch);
        let before = failures();
        super::support::time_passes(Duration::from_secs(40)).await;
        let tried = failures() - before;
        assert!((10..=14).contains(&tried), "{tried} tries in 40 s");
        drop(refused);
        world.create("a", "1").await;
        diary.tells(["new: a 1"]).await;
        assert!(!store.failing());
    });
}

#[test]
fn a_subscriber_that_panics_is_told_the_next_thing() {
    on_both_in_one_thread(async |world| {
        world.create("a", "1").await;
        world.create("b", "1").await;
        let diary = Diary::default();
        let told = diary.clone();
        let funcs = SubscriberFuncs::new().on_add(move |map: Arc<ConfigMap>, _| {
            assert!(line(&map) != "a 1", "of a");
            told.write(line(&map));
            async {}
        });
        let store = maps(world).watch(WatchConfig::new("panics"), funcs).await.unwrap();
        assert_eq!(diary.lines(), ["b 1"]);
        world.create("c", "1").await;
        diary.tells(["b 1", "c 1"]).await;
        drop(store);
    });
}

#[test]
fn a_store_that_cannot_begin_says_why() {
    on_embedded(async |world| {
        let _maps = maps(world);
        let other: SharedInformer<ConfigMap> =
            world.informers.configured(InformerConfig::clone(&world.config()).decoded_cache(0));
        let conflict = other.watch(WatchConfig::new("diary"), Diary::default()).await.expect_err("another config");
        assert!(matches!(conflict, WatchError::Conflict { .. }), "{conflict}");
        let _refused = world.network.answer(403, Sent::is_list);
        let config = WatchConfig::new("diary").sync_deadline(Duration::from_secs(7));
        let error = maps(world).watch(config, Diary::default()).await.expect_err("it may not list");
        let text = error.to_string();
        assert!(text.contains("store `diary`") && text.contains("did not sync within 7s"), "{text}");
        assert!(maps(world).is_empty() && !maps(world).has_synced());
    });
}
