//! Create, read, replace, patch, delete.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api,
    api::{DeleteParams, ListParams, ObjectList, Patch, PatchParams, PostParams},
};
use kubehandler_testkit::ApiServer;
use serde_json::json;

use crate::support::{config_map, config_maps, create, send};

#[tokio::test(start_paused = true)]
async fn what_was_created_is_read_replaced_and_deleted() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let created = api.create(&PostParams::default(), &config_map("a", "web")).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());

    let mut changed = api.get("a").await.unwrap();
    changed.data.as_mut().unwrap().insert("key".into(), "other".into());
    let replaced = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(replaced.metadata.resource_version, created.metadata.resource_version);
    assert_eq!(replaced.metadata.uid, created.metadata.uid);

    let stale = api.replace("a", &PostParams::default(), &created).await.unwrap_err();
    let kube::Error::Api(status) = stale else { panic!("{stale}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));

    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_takes_no_version() {
    let server = ApiServer::new();
    let created = create(&server, &["a"]).await.remove(0);
    let again = config_maps(&server).replace("a", &PostParams::default(), &created).await.unwrap();
    assert_eq!(again.metadata.resource_version, created.metadata.resource_version);
}

#[tokio::test(start_paused = true)]
async fn generated_names_differ() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let template: ConfigMap = serde_json::from_value(json!({"metadata": {"generateName": "job-"}})).unwrap();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(api.create(&PostParams::default(), &template).await.unwrap().metadata.name.unwrap());
    }
    assert!(names.iter().all(|name| name.starts_with("job-") && name.len() == 9), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pages_are_consistent_and_selectors_select() {
    let server = ApiServer::new();
    create(&server, &["a", "b", "c"]).await;
    let api = config_maps(&server);
    api.create(&PostParams::default(), &config_map("d", "db")).await.unwrap();

    let first: ObjectList<ConfigMap> = api.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (3, Some(1)));
    create(&server, &["e"]).await;
    let token = first.metadata.continue_.unwrap();
    let rest = api.list(&ListParams::default().limit(3).continue_token(&token)).await.unwrap();
    assert_eq!(rest.items.len(), 1);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);

    assert_eq!(api.list(&ListParams::default().labels("app=db")).await.unwrap().items.len(), 1);
    assert_eq!(api.list(&ListParams::default().fields("metadata.name=b")).await.unwrap().items.len(), 1);
    assert_eq!(Api::<ConfigMap>::all(server.client()).list(&ListParams::default()).await.unwrap().items.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn status_is_apart_from_spec_and_the_generation_follows_the_spec() {
    let server = ApiServer::new();
    let api: Api<Deployment> = Api::namespaced(server.client(), "default");
    let deployment = |replicas: i32, available: i32| -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web"}]},
                },
            },
            "status": {"replicas": available, "readyReplicas": available, "availableReplicas": available},
        }))
        .unwrap()
    };
    let available = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.available_replicas);
    let created = api.create(&PostParams::default(), &deployment(1, 7)).await.unwrap();
    assert_eq!((created.metadata.generation, available(&created)), (Some(1), None));

    let changed = api.replace("web", &PostParams::default(), &deployment(2, 7)).await.unwrap();
    assert_eq!((changed.metadata.generation, available(&changed)), (Some(2), None));

    let reported = api.replace_status("web", &PostParams::default(), &deployment(9, 7)).await.unwrap();
    assert_eq!((reported.metadata.generation, available(&reported)), (Some(2), Some(7)));
    assert_eq!(reported.spec.unwrap().replicas, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_holds_the_object_until_it_is_gone() {
    let server = ApiServer::new();
    create(&server, &["a"]).await;
    let api = config_maps(&server);
    let merge = |patch: serde_json::Value| Patch::Merge(patch);
    let finalizers = merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    api.patch("a", &PatchParams::default(), &finalizers).await.unwrap();

    let marked = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let more = merge(json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}));
    let refused = api.patch("a", &PatchParams::default(), &more).await.unwrap_err();
    assert!(refused.to_string().contains("no new finalizers can be added"), "{refused}");

    api.patch("a", &PatchParams::default(), &merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let server = ApiServer::new();
    let client = server.client();
    let path = "/api/v1/namespaces/default/configmaps";
    let (code, object) =
        send(&client, "POST", &format!("{path}?dryRun=All"), Some(json!({"metadata": {"name": "a"}}))).await;
    assert_eq!((code, object["metadata"]["name"].as_str()), (201, Some("a")));
    assert_eq!(object["metadata"].get("resourceVersion"), None);
    assert!(server.objects("configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn errors_have_the_real_servers_words() {
    let server = ApiServer::new();
    create(&server, &["a"]).await;
    let client = server.client();
    let maps = "/api/v1/namespaces/default/configmaps";
    let object = |meta: serde_json::Value| Some(json!({ "metadata": meta }));
    for (method, path, body, code, message) in [
        ("GET", format!("{maps}/x"), None, 404, r#"configmaps "x" not found"#),
        ("POST", maps.into(), object(json!({"name": "a"})), 409, r#"configmaps "a" already exists"#),
        (
            "POST",
            maps.into(),
            object(json!({})),
            422,
            r#"ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#,
        ),
        (
            "POST",
            maps.into(),
            object(json!({"name": "b", "namespace": "other"})),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "POST",
            "/api/v1/namespaces/none/configmaps".into(),
            object(json!({"name": "b"})),
            404,
            r#"namespaces "none" not found"#,
        ),
        (
            "PUT",
            format!("{maps}/a"),
            object(json!({"name": "a", "resourceVersion": "1"})),
            409,
            r#"Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#,
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default".into(),
            None,
            403,
            r#"namespaces "default" is forbidden: this namespace may not be deleted"#,
        ),
        (
            "DELETE",
            "/api/v1/configmaps".into(),
            None,
            405,
            "the server does not allow this method on the requested resource",
        ),
        ("GET", "/api/v1/foos".into(), None, 404, "the server could not find the requested resource"),
    ] {
        let (actual, status) = send(&client, method, &path, body).await;
        assert_eq!((actual, status["message"].as_str()), (code, Some(message)), "{method} {path}");
        assert_eq!(status["kind"], "Status");
    }
}
