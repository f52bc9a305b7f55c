//! The first list, what is asked for, and what is kept.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::DynamicObject;
use kube::core::{ApiResource, PartialObjectMeta};
use serde_json::json;

use super::fixture::{Diary, Fixture, PATIENCE, paged};
use crate::informer::{InformerConfig, SharedInformer};
use kubehandler_testkit::ApiServer;

#[tokio::test(start_paused = true)]
async fn the_first_list_is_told_sorted_then_synced_then_each_change() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new().list_mode(paged(2)));
    for name in ["e", "b", "d", "a", "c"] {
        fixture.put(name, "1");
    }
    assert!(!fixture.maps.has_synced());
    fixture.start();
    fixture.maps.informer().wait_synced(PATIENCE).await.unwrap();
    let told = ["+a! initial", "+b! initial", "+c! initial", "+d! initial", "+e! initial", "synced"];
    assert_eq!(fixture.told(6).await, told);
    assert!(fixture.maps.has_synced());
    fixture.put("f", "1");
    fixture.put("a", "2");
    fixture.remove("b");
    assert_eq!(fixture.told(3).await, ["+f watch", "~a watch", "-b watch"]);
    assert_eq!(fixture.names(), ["a", "c", "d", "e", "f"]);
}

#[tokio::test(start_paused = true)]
async fn the_list_goes_in_pages_without_a_version_and_the_watch_begins_where_they_were_taken() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new().list_mode(paged(2)));
    for name in ["a", "b", "c"] {
        fixture.put(name, "1");
    }
    let version = fixture.server.resource_version();
    fixture.start();
    fixture.told(4).await;
    let lists = fixture.queries("list");
    assert_eq!((lists.len(), lists[0].as_str()), (2, "limit=2"));
    assert!(lists[1].starts_with("limit=2&continue="), "{lists:?}");
    let watches = fixture.queries("watch");
    let begin = format!("watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=");
    assert!(watches.len() == 1 && watches[0].starts_with(&begin), "{watches:?}");
}

#[tokio::test(start_paused = true)]
async fn objects_are_typed_on_demand_without_managed_fields() {
    let fixture = Fixture::synced(&[], InformerConfig::new()).await;
    let managed =
        json!([{"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}]);
    let map = json!({"metadata": {"managedFields": managed}, "data": {"value": "1"}});
    fixture.server.put_raw("configmaps", Some("default"), "a", map);
    fixture.told(1).await;
    let key = "default/a".parse().unwrap();
    let map: Arc<ConfigMap> = fixture.maps.get(&key).unwrap().unwrap();
    assert_eq!(map.data.as_ref().unwrap()["value"], "1");
    assert_eq!(map.metadata.managed_fields, None);
    assert!(fixture.maps.get(&"default/b".parse().unwrap()).is_none());
    assert_eq!(fixture.maps.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn objects_of_a_kind_known_only_at_run_time_say_what_they_are() {
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    // The same resource and scope: the same informer, though the types differ.
    let resource = ApiResource::erase::<ConfigMap>(&());
    let dynamic: SharedInformer<DynamicObject> = fixture.factory.informer_with(&resource);
    assert_eq!(dynamic.informer().id(), fixture.maps.informer().id());
    let object = dynamic.get(&"default/a".parse().unwrap()).unwrap().unwrap();
    let types = object.types.clone().unwrap();
    assert_eq!((types.api_version.as_str(), types.kind.as_str()), ("v1", "ConfigMap"));
}

#[tokio::test(start_paused = true)]
async fn leaving_the_selector_is_a_deletion_and_entering_it_an_addition() {
    let labelled = |tier: &str| json!({"metadata": {"labels": {"tier": tier}}});
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new().label_selector("tier in (web,api)"));
    fixture.server.put_raw("configmaps", Some("default"), "a", labelled("web"));
    fixture.server.put_raw("configmaps", Some("default"), "b", labelled("db"));
    fixture.start();
    assert_eq!(fixture.told(2).await, ["+a! initial", "synced"]);
    fixture.server.put_raw("configmaps", Some("default"), "a", labelled("db"));
    fixture.server.put_raw("configmaps", Some("default"), "b", labelled("api"));
    assert_eq!(fixture.told(2).await, ["-a watch", "+b watch"]);
    assert_eq!(fixture.maps.describe(), "configmaps in namespace default, labels tier in (web,api)");
}

#[tokio::test(start_paused = true)]
async fn metadata_only_is_asked_of_the_server_and_kept_apart_from_whole_objects() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    let pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    fixture.server.put_raw("pods", Some("default"), "p", pod);
    fixture.start();
    let metadata: SharedInformer<PartialObjectMeta<Pod>> = fixture.factory.informer();
    let whole: SharedInformer<Pod> = fixture.factory.informer();
    assert_ne!(metadata.informer().id(), whole.informer().id());
    let _subscription = metadata.informer().subscribe(Arc::new(Diary::default()));
    metadata.informer().wait_synced(PATIENCE).await.unwrap();
    let key = "default/p".parse().unwrap();
    let found = metadata.get(&key).unwrap().unwrap();
    assert_eq!(found.metadata.labels.as_ref().unwrap()["a"], "b");
    let body = metadata.informer().read(&key, |entry| entry.unwrap().object.decode::<serde_json::Value>().unwrap());
    assert_eq!((&body["kind"], &body["spec"]), (&json!("PartialObjectMetadata"), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_for_the_same_share_one_list_and_one_watch() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    fixture.start();
    let again: SharedInformer<ConfigMap> = fixture.factory.clone().informer();
    let diary = Arc::new(Diary::default());
    let _subscription = again.informer().subscribe(diary);
    fixture.told(1).await;
    assert!(again.has_synced());
    assert_eq!((fixture.queries("list").len(), fixture.queries("watch").len()), (1, 1));
    for other in [InformerConfig::new(), InformerConfig::new().namespace("default").field_selector("metadata.name=a")] {
        let other: SharedInformer<ConfigMap> = fixture.factory.configured(other);
        assert_ne!(other.informer().id(), fixture.maps.informer().id());
        assert!(other.conflict().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn other_options_for_a_shared_informer_are_a_conflict_that_names_them() {
    let fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    let config = fixture.factory.defaults().clone().list_mode(paged(7)).keep_managed_fields(true);
    let other: SharedInformer<ConfigMap> = fixture.factory.configured(config);
    assert_eq!(other.informer().id(), fixture.maps.informer().id());
    let conflict = other.conflict().unwrap();
    assert_eq!(
        conflict.differences(),
        ["keep_managed_fields is false and true", "list_mode is Paged(500) and Paged(7)"]
    );
    assert!(conflict.to_string().contains("configmaps in namespace default"), "{conflict}");
    // Once nobody holds the first one, the next request makes an informer of its own.
    let Fixture { maps, factory, .. } = fixture;
    drop((maps, other));
    let config = factory.defaults().clone().list_mode(paged(7));
    assert!(factory.configured::<ConfigMap>(config).conflict().is_none());
}
