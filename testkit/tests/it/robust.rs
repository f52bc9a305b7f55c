//! Nothing that a client sends brings the server down.

use kubehandler_testkit::ApiServer;
use proptest::{prelude::*, sample::select};
use serde_json::json;
use tower::Service as _;

const PATHS: &[&str] = &[
    "/",
    "/api",
    "/apis",
    "/apis/apps",
    "/api/v1",
    "/version",
    "/openapi/v3",
    "/openapi/v3/api/v1",
    "//",
    "/api//v1/",
    "/apis/%ff/v1/x",
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/pods/a",
    "/api/v1/namespaces/default/pods/a/status",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/configmaps/a",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/secrets/a",
    "/api/v1/namespaces/a",
    "/api/v1/namespaces",
    "/api/v1/namespaces/a/finalize",
    "/api/v1/nodes/a",
    "/api/v1/events",
    "/apis/events.k8s.io/v1/namespaces/default/events/a",
    "/apis/apps/v1/namespaces/default/deployments/a",
    "/apis/apps/v1/namespaces/default/deployments/a/scale",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toys.example.com",
    "/apis/example.com/v1/namespaces/default/toys/a",
    "/api/v1/watch/pods",
];

const QUERIES: &[&str] = &[
    "",
    "limit=1",
    "limit=-9223372036854775808",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIvXHUwMDAwIn0",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTksInN0YXJ0Ijoiw6QifQ",
    "resourceVersion=0",
    "resourceVersion=3&resourceVersionMatch=Exact",
    "resourceVersion=18446744073709551615",
    "watch=1&timeoutSeconds=1",
    "watch=1&timeoutSeconds=18446744073709551615&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    "labelSelector=a%3D%C3%A4",
    "labelSelector=%3C%3E!(",
    "fieldSelector=metadata.name%3D%5C",
    "fieldManager=m&force=true",
    "dryRun=All&fieldValidation=Strict",
    "propagationPolicy=Foreground&gracePeriodSeconds=-1",
    "%zz=%&&==",
];

const TYPES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "x",
];

fn json_like() -> impl Strategy<Value = serde_json::Value> {
    let names = select(vec![
        "metadata",
        "name",
        "spec",
        "status",
        "kind",
        "apiVersion",
        "namespace",
        "labels",
        "finalizers",
        "containers",
        "ownerReferences",
        "uid",
        "replicas",
        "data",
        "op",
        "path",
        "value",
        "versions",
        "names",
        "managedFields",
        "$patch",
        "resourceVersion",
        "deletionTimestamp",
        "template",
        "selector",
        "ports",
        "generateName",
        "preconditions",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        select(vec![
            "a",
            "",
            "v1",
            "Pod",
            "ConfigMap",
            "add",
            "/metadata/labels",
            "/-",
            "ä\u{0}",
            "replace",
            "2020-01-01T00:00:00Z"
        ])
        .prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|fields| json!(fields)),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => json_like().prop_map(|value| value.to_string().into_bytes()),
        2 => json_like().prop_map(|value| {
            let mut object = json!({
                "metadata": {"name": "a"},
                "spec": {"containers": [{"name": "a", "image": "i"}]},
            });
            if let (Some(object), Some(more)) = (object.as_object_mut(), value.as_object()) {
                object.extend(more.clone());
            }
            object.to_string().into_bytes()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| [b"k8s\0".as_slice(), &bytes].concat()),
    ]
}

#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let methods = select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]);
    (methods, select(PATHS), select(QUERIES), select(TYPES), body())
        .prop_map(|(method, path, query, content_type, body)| Sent { method, path, query, content_type, body })
}

async fn survive(requests: Vec<Sent>) {
    let server = ApiServer::new();
    for sent in requests {
        let request = http::Request::builder()
            .method(sent.method)
            .uri(format!("{}?{}", sent.path, sent.query))
            .header("content-type", sent.content_type)
            .body(http_body_util::Full::new(bytes::Bytes::from(sent.body)))
            .unwrap();
        let mut service = server.service();
        let response = service.call(request).await.unwrap();
        let code = response.status().as_u16();
        assert!((200..=504).contains(&code), "{code}");
        if code >= 400 {
            let text = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
            let is_status =
                serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|body| body["kind"] == "Status");
            assert!(is_status || text.as_ref() == b"404 page not found\n", "{text:?}");
        }
    }
    // Whatever was stored, the background's work goes through it too.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (code, _) = crate::support::send(&server.client(), "GET", "/api/v1/pods", None).await;
    assert_eq!(code, 200);
}

proptest! {
    #[test]
    fn every_request_is_answered(requests in prop::collection::vec(sent(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(survive(requests));
    }
}
