//! The readers' view: reading one's own writes, and all of one moment.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{AtLeastError, SharedInformer};

use super::support::{World, on_both};

const LIMIT: Duration = Duration::from_secs(50);

fn value(map: &ConfigMap) -> Option<&str> {
    map.data.as_ref()?.get("value").map(String::as_str)
}

fn version(map: &ConfigMap) -> &str {
    map.metadata.resource_version.as_deref().expect("a version")
}

/// What the cache says of `name` now.
fn cached(world: &World, maps: &SharedInformer<ConfigMap>, name: &str) -> Option<String> {
    let map = maps.get(&world.key(name))?.expect("it decodes");
    value(&map).map(str::to_owned)
}

#[test]
fn who_waits_for_the_version_of_a_write_reads_it() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let (_recorder, _running) = world.start(1).await;
        for round in 0..20 {
            let (name, value) = (format!("a{}", round % 3), round.to_string());
            let written = if round < 3 { world.create(&name, &value).await } else { world.change(&name, &value).await };
            maps.at_least(version(&written), LIMIT).await.expect("it comes");
            assert_eq!(cached(world, &maps, &name), Some(value));
            // What has been seen is not waited for.
            maps.at_least(version(&written), Duration::ZERO).await.expect("it was there before");
        }
    });
}

#[test]
fn a_wait_that_cannot_succeed_says_why() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        assert!(matches!(maps.at_least("7", LIMIT).await, Err(AtLeastError::Stopped { .. })));
        let (_recorder, running) = world.start(1).await;
        assert_eq!(maps.at_least("x", LIMIT).await, Err(AtLeastError::NoNumber { asked: "x".to_owned() }));
        let future = u64::MAX.to_string();
        let error = maps.at_least(&future, Duration::from_millis(100)).await.expect_err("nobody has seen it");
        assert!(matches!(&error, AtLeastError::Deadline { asked, seen: Some(_), .. } if *asked == future), "{error}");
        let (waited, _report) = tokio::join!(maps.at_least(&future, LIMIT), running.stop());
        assert!(matches!(waited, Err(AtLeastError::Stopped { .. })), "{waited:?}");
    });
}

#[test]
fn a_snapshot_shows_one_moment_and_keeps_what_it_shows() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        for name in ["b", "a", "c"] {
            world.create(name, "1").await;
        }
        let (_recorder, running) = world.start(1).await;
        let before = maps.snapshot();
        let changed = world.change("a", "2").await;
        world.delete("b").await;
        let last = world.create("d", "1").await;
        maps.at_least(version(&last), LIMIT).await.expect("it comes");
        let names = |snapshot: &kubehandler::CacheSnapshot<ConfigMap>| {
            snapshot.metadata().map(|object| object.key().name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((names(&before), before.len()), (["a", "b", "c"].map(str::to_owned).to_vec(), 3));
        let after = maps.snapshot();
        assert_eq!(names(&after), ["a", "c", "d"]);
        // A bookmark may have come behind it.
        let number = |version: &str| version.parse::<u64>().expect("a number");
        assert!(number(&after.resource_version().expect("a version")) >= number(version(&last)));
        let read = |snapshot: &kubehandler::CacheSnapshot<ConfigMap>| {
            snapshot.get(&world.key("a")).map(|map| version(&map.expect("it decodes")).to_owned())
        };
        assert_eq!(read(&after).as_deref(), Some(version(&changed)));
        assert_ne!(read(&before), read(&after));
        running.stop().await;
        assert!(maps.snapshot().is_empty());
        assert!(before.iter().all(|map| map.is_ok_and(|map| value(&map) == Some("1"))));
    });
}
