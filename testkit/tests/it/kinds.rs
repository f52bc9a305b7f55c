//! What single built-in kinds do.

use k8s_openapi::api::{
    core::v1::{Event, Pod, Secret, Service},
    events::v1::Event as NewEvent,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use kubehandler_testkit::ApiServer;
use serde_json::{Value, json};

use crate::support::send;

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_of_one_group_is_an_event_of_the_other() {
    let server = ApiServer::new();
    let core: Api<Event> = Api::namespaced(server.client(), "default");
    let new: Api<NewEvent> = Api::namespaced(server.client(), "default");
    let regarding = json!({"kind": "Pod", "namespace": "default", "name": "p"});
    let event =
        json!({"metadata": {"name": "a"}, "involvedObject": regarding, "reason": "R", "message": "M", "count": 2});
    core.create(&PostParams::default(), &read(event)).await.unwrap();
    let seen = new.get("a").await.unwrap();
    assert_eq!((seen.note.as_deref(), seen.deprecated_count), (Some("M"), Some(2)));
    assert_eq!(seen.regarding.unwrap().name.as_deref(), Some("p"));

    let event = json!({
        "metadata": {"name": "b"}, "regarding": regarding, "reason": "R", "note": "N", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/x", "reportingInstance": "i",
    });
    new.create(&PostParams::default(), &read(event)).await.unwrap();
    let seen = core.get("b").await.unwrap();
    assert_eq!((seen.message.as_deref(), seen.reporting_component.as_deref()), (Some("N"), Some("example.com/x")));
    for (resource, selector) in
        [("/api/v1", "involvedObject.name%3Dp"), ("/apis/events.k8s.io/v1", "regarding.name%3Dp")]
    {
        let (_, list) =
            send(&server.client(), "GET", &format!("{resource}/events?fieldSelector={selector}"), None).await;
        assert_eq!(list["items"].as_array().unwrap().len(), 2, "{resource}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_stores_its_plain_text_encoded_and_no_error_shows_it() {
    let server = ApiServer::new();
    let secrets: Api<Secret> = Api::namespaced(server.client(), "default");
    let secret: Secret = read(json!({"metadata": {"name": "a"}, "stringData": {"password": "hunter2"}}));
    let created = secrets.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(created.data.unwrap()["password"].0, b"hunter2");
    let client = server.client();
    for (method, path, body) in [
        ("POST", "/api/v1/namespaces/default/secrets", json!({"metadata": {"name": "b"}, "data": {"x": "hunter2!"}})),
        ("POST", "/api/v1/namespaces/default/secrets", json!(["hunter2"])),
        ("PUT", "/api/v1/namespaces/default/secrets/a", json!({"metadata": {"name": "a"}, "data": ["hunter2"]})),
    ] {
        let (code, status) = send(&client, method, path, Some(body)).await;
        assert!(code >= 400 && !status.to_string().contains("hunter2"), "{status}");
    }
    let patch = Patch::Merge(json!({"data": ["hunter2"]}));
    let refused = secrets.patch("a", &PatchParams::default(), &patch).await.unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn services_get_addresses_and_keep_them() {
    let server = ApiServer::new();
    let services: Api<Service> = Api::namespaced(server.client(), "default");
    let service = |name: &str, spec: Value| read::<Service>(json!({"metadata": {"name": name}, "spec": spec}));
    let ports = json!([{"port": 80}]);
    let created = services.create(&PostParams::default(), &service("a", json!({"ports": ports}))).await.unwrap();
    let address = created.spec.unwrap().cluster_ip.unwrap();
    let changed = service("a", json!({"ports": ports, "selector": {"app": "x"}}));
    let replaced = services.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(replaced.spec.unwrap().cluster_ip.as_deref(), Some(address.as_str()));
    let headless = service("b", json!({"clusterIP": "None", "ports": ports}));
    let created = services.create(&PostParams::default(), &headless).await.unwrap();
    assert_eq!(created.spec.unwrap().cluster_ips, Some(vec!["None".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_at_once_until_it_runs_on_a_node() {
    let server = ApiServer::new();
    let pods: Api<Pod> = Api::namespaced(server.client(), "default");
    let pod = |name: &str, node: Option<&str>| {
        let spec = json!({"nodeName": node, "containers": [{"name": "main", "image": "image"}]});
        read::<Pod>(json!({"metadata": {"name": name}, "spec": spec}))
    };
    pods.create(&PostParams::default(), &pod("pending", None)).await.unwrap();
    pods.delete("pending", &DeleteParams::default()).await.unwrap();
    assert!(pods.get_opt("pending").await.unwrap().is_none());

    pods.create(&PostParams::default(), &pod("running", Some("node"))).await.unwrap();
    let marked = pods.delete("running", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    assert!(pods.get_opt("running").await.unwrap().is_some());
    pods.delete("running", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(pods.get_opt("running").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_as_selected() {
    let server = ApiServer::new();
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": app}}});
        server.create(&object).unwrap();
    }
    let maps = crate::support::config_maps(&server);
    let selected = ListParams::default().labels("app=x");
    maps.delete_collection(&DeleteParams::default(), &selected).await.unwrap();
    assert_eq!(server.objects("configmaps").len(), 1);
}
