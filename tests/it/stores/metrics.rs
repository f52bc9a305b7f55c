//! Stores in numbers (N7).

use std::collections::BTreeMap;

use kubehandler::Metrics;
use kubehandler_testkit::{Fault, Requests, Rule, WatchFault};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::*;

/// Every line but the comments: name with labels, and value.
fn scrape(registry: &Registry) -> BTreeMap<String, u64> {
    let mut text = String::new();
    encode(&mut text, registry).expect("it is encoded");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

fn errors(registry: &Registry, source: &str) -> Option<u64> {
    let name = format!("test_watchers_errors_total{{watcher_instance=\"maps\",source=\"{source}\"}}");
    scrape(registry).get(&name).copied()
}

fn registered() -> (Registry, Metrics) {
    let (mut registry, metrics) = (Registry::default(), Metrics::new("test_watchers_"));
    metrics.register(&mut registry);
    (registry, metrics)
}

#[test]
fn a_stores_calls_events_errors_and_state_are_counted_under_its_name() {
    on_both(async |world| {
        let (registry, metrics) = registered();
        let value = |name: &str| {
            let scraped = scrape(&registry);
            *scraped.get(&format!("test_watchers_{name}")).unwrap_or_else(|| panic!("no {name} in {scraped:?}"))
        };
        // Its watch began before the store: that counts for nobody.
        let (_early, _diary) = watch(world).await;
        eventually("the watch is open", || world.network.count(Sent::is_watch) == 1).await;
        let store = maps(world).watch(WatchConfig::new("maps").metrics(&metrics), Diary::default()).await.unwrap();
        let calls =
            |method: &str| value(&format!("client_calls_total{{watcher_instance=\"maps\",method=\"{method}\"}}"));
        let events = |kind: &str| value(&format!("events_total{{watcher_instance=\"maps\",type=\"{kind}\"}}"));
        let errors = |source: &str| value(&format!("errors_total{{watcher_instance=\"maps\",source=\"{source}\"}}"));
        assert_eq!((calls("List"), calls("Watch")), (0, 0));
        assert_eq!(
            (value("alive_current{watcher_instance=\"maps\"}"), value("failing_current{watcher_instance=\"maps\"}")),
            (1, 0)
        );
        world.create("a", "1").await;
        world.change("a", "2").await;
        world.delete("a").await;
        eventually("all three came", || events("DELETED") == 1).await;
        assert_eq!((events("ADDED"), events("MODIFIED"), events("ERROR")), (1, 1, 0));
        store.relist().await.unwrap();
        let relists = "relist_requests_total{watcher_instance=\"maps\"}";
        assert_eq!((value(relists), calls("List")), (1, 1));
        let refused = world.network.answer(500, Sent::is_watch);
        world.network.drop_connections();
        let failing = "failing_current{watcher_instance=\"maps\"}";
        eventually("it fails", || value(failing) == 1 && errors("Watch") > 0).await;
        drop(refused);
        eventually("it works again", || value(failing) == 0).await;
        let before = (calls("List"), events("ADDED"), errors("Watch"));
        store.stop();
        assert_eq!(value("alive_current{watcher_instance=\"maps\"}"), 0);
        assert_eq!((calls("List"), events("ADDED"), errors("Watch")), before, "counters never go back");
        let again = maps(world).watch(WatchConfig::new("maps").metrics(&metrics), Diary::default()).await.unwrap();
        assert_eq!(value("alive_current{watcher_instance=\"maps\"}"), 1);
        drop(again);
    });
}

#[test]
fn a_list_that_fails_has_a_source_of_its_own() {
    on_both(async |world| {
        let (registry, metrics) = registered();
        let errors = |source: &str| errors(&registry, source);
        let _refused = world.network.answer_times(2, 500, Sent::is_list);
        let _store = maps(world).watch(WatchConfig::new("maps").metrics(&metrics), Diary::default()).await.unwrap();
        assert_eq!((errors("List"), errors("Watch"), errors("Watch.Event")), (Some(2), Some(0), Some(0)));
    });
}

#[test]
fn an_error_event_has_a_source_of_its_own_and_is_an_event() {
    on_embedded(async |world| {
        let (registry, metrics) = registered();
        let errors = |source: &str| errors(&registry, source);
        let _store = maps(world).watch(WatchConfig::new("maps").metrics(&metrics), Diary::default()).await.unwrap();
        let expired = Rule::new(Requests::of("watch", "configmaps"), Fault::Watch(WatchFault::Expire)).times(1);
        world.server().faults().install(expired).forget();
        world.create("a", "1").await;
        eventually("the watch was told of an error", || errors("Watch.Event") == Some(1)).await;
        assert_eq!((errors("List"), errors("Watch")), (Some(0), Some(0)));
        assert_eq!(scrape(&registry)["test_watchers_events_total{watcher_instance=\"maps\",type=\"ERROR\"}"], 1);
    });
}

#[test]
fn names_and_labels_are_the_six_of_neons_metrics() {
    on_embedded(async |world| {
        let (registry, metrics) = registered();
        let _store = maps(world).watch(WatchConfig::new("maps").metrics(&metrics), Diary::default()).await.unwrap();
        let scraped: Vec<String> = scrape(&registry).into_keys().collect();
        let instance = "{watcher_instance=\"maps\"";
        let expected = [
            format!("test_watchers_alive_current{instance}}}"),
            format!("test_watchers_client_calls_total{instance},method=\"List\"}}"),
            format!("test_watchers_client_calls_total{instance},method=\"Watch\"}}"),
            format!("test_watchers_errors_total{instance},source=\"List\"}}"),
            format!("test_watchers_errors_total{instance},source=\"Watch\"}}"),
            format!("test_watchers_errors_total{instance},source=\"Watch.Event\"}}"),
            format!("test_watchers_events_total{instance},type=\"ADDED\"}}"),
            format!("test_watchers_events_total{instance},type=\"BOOKMARK\"}}"),
            format!("test_watchers_events_total{instance},type=\"DELETED\"}}"),
            format!("test_watchers_events_total{instance},type=\"ERROR\"}}"),
            format!("test_watchers_events_total{instance},type=\"MODIFIED\"}}"),
            format!("test_watchers_failing_current{instance}}}"),
            format!("test_watchers_relist_requests_total{instance}}}"),
        ];
        assert_eq!(scraped, expected);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("# TYPE test_watchers_client_calls counter"), "{text}");
        assert!(text.contains("# TYPE test_watchers_alive_current gauge"), "{text}");
    });
}
