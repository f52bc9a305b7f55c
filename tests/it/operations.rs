//! Operations on the cluster with the controller's own client (D5).

use std::num::NonZeroUsize;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, VersionMatch};
use kubehandler::ops::{OpErrorKind, Operation, Outcome, Plan, run, run_all};
use kubehandler::{CancellationToken, ObjectKey};
use serde_json::json;

use super::support::logs::Logs;
use super::support::world::config_map;
use super::support::{World, eventually, on_both, on_both_in_one_thread, time_passes};

fn map(world: &World, name: &str, value: &str) -> ConfigMap {
    let mut map = config_map(name, value, &[]);
    map.metadata.namespace = Some(world.namespace.clone());
    map
}

fn value(outcome: Outcome) -> String {
    let object = outcome.object().expect("an object");
    object.data["data"]["value"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn d5_each_operation_does_what_its_name_says() {
    on_both(async |world| {
        let (client, key) = (&world.client, world.key("a"));
        let get = Operation::get::<ConfigMap>(&key, &());
        let created = run(client, &Operation::create(&map(world, "a", "1"), &()).unwrap()).await.unwrap();
        let mut object: ConfigMap = created.object().unwrap().try_parse().unwrap();
        assert_eq!(value(run(client, &get).await.unwrap()), "1");
        object.data.get_or_insert_default().insert("value".to_owned(), "2".to_owned());
        let update = Operation::update(&object, &()).unwrap();
        assert_eq!(value(run(client, &update).await.unwrap()), "2");
        let patch = Operation::patch::<ConfigMap>(&key, &(), json!({"data": {"value": "3"}}));
        assert_eq!(value(run(client, &patch).await.unwrap()), "3");
        let apply = Operation::apply(&map(world, "b", "1"), &(), "it").unwrap();
        assert_eq!(value(run(client, &apply).await.unwrap()), "1");
        let list = Operation::list::<ConfigMap>(Some(&world.namespace), &(), ListParams::default().labels("!other"));
        let Outcome::Objects(objects) = run(client, &list).await.unwrap() else { panic!("a list gives objects") };
        let names: Vec<_> = objects.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
        assert!(names.contains(&"a") && names.contains(&"b"), "{names:?}");
        let delete = Operation::delete::<ConfigMap>(&key, &(), DeleteParams::default());
        assert_eq!(run(client, &delete).await, Ok(Outcome::Deleted));
        assert_eq!(run(client, &get).await.unwrap_err().kind(), OpErrorKind::NotFound);
        // A server of another make says no more than it must.
        let _said = world.network.say(200, r#"{"kind": "Status"}"#, |sent| sent.path.contains("configmaps"));
        assert_eq!(run(&world.network.client(client), &delete).await, Ok(Outcome::Deleted));
    });
}

#[test]
fn d5_what_fails_says_which_operation_why_and_what_to_do() {
    on_both(async |world| {
        let (client, key) = (&world.client, world.key("a"));
        let create = Operation::create(&map(world, "a", "1"), &()).unwrap();
        let stale = run(client, &create).await.unwrap().object().unwrap();
        world.change("a", "2").await;
        let mut stale: ConfigMap = stale.try_parse().unwrap();
        stale.data.get_or_insert_default().insert("value".to_owned(), "3".to_owned());
        let gone = world.key("gone");
        let mut bad = Secret::default();
        bad.metadata.name = Some("bad".to_owned());
        bad.metadata.namespace = Some(world.namespace.clone());
        bad.type_ = Some("kubernetes.io/tls".to_owned());
        bad.string_data = Some([("password".to_owned(), "hunter2".to_owned())].into());
        for (operation, kind, words) in [
            (Operation::get::<ConfigMap>(&gone, &()), OpErrorKind::NotFound, "there is no such object"),
            (create, OpErrorKind::AlreadyExists, "update, patch or apply it"),
            (Operation::update(&stale, &()).unwrap(), OpErrorKind::Conflict, "read it anew"),
            (
                Operation::patch::<ConfigMap>(&key, &(), json!({"data": 7})),
                OpErrorKind::Invalid,
                "not accepted as it is",
            ),
            (Operation::create(&bad, &()).unwrap(), OpErrorKind::Invalid, "not accepted as it is"),
        ] {
            let error = run(client, &operation).await.expect_err("it is refused");
            assert_eq!(error.kind(), kind, "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot {operation}: ")) && text.contains(words), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let nameless = Operation::create(&ConfigMap::default(), &()).unwrap_err();
        assert!(nameless.to_string().contains("no usable name"), "{nameless}");
    });
}

#[test]
fn d5_results_come_in_the_operations_order_each_for_itself() {
    on_both(async |world| {
        world.create("m-3", "there already").await;
        let operations: Vec<Operation> =
            (0..20).map(|n| Operation::create(&map(world, &format!("m-{n}"), &n.to_string()), &()).unwrap()).collect();
        let results = run_all(&world.client, &operations, &Plan::default()).await;
        for (number, result) in results.into_iter().enumerate() {
            match result {
                Err(error) => assert_eq!((number, error.kind()), (3, OpErrorKind::AlreadyExists)),
                Ok(outcome) => assert_eq!(value(outcome), number.to_string()),
            }
        }
        assert!(run_all(&world.client, &[], &Plan::default()).await.is_empty());
    });
}

#[test]
fn d5_a_list_can_stop_at_the_first_failure() {
    on_both(async |world| {
        world.create("m-1", "there already").await;
        let operations: Vec<Operation> =
            (0..4).map(|n| Operation::create(&map(world, &format!("m-{n}"), "1"), &()).unwrap()).collect();
        let plan = Plan::default().at_once(NonZeroUsize::MIN).stop_at_failure(true);
        let results = run_all(&world.client, &operations, &plan).await;
        let kinds: Vec<_> =
            results.iter().map(|result| result.as_ref().err().map(kubehandler::ops::OpError::kind)).collect();
        let skipped = Some(OpErrorKind::Skipped);
        assert_eq!(kinds, [None, Some(OpErrorKind::AlreadyExists), skipped, skipped]);
    });
}

#[test]
fn d5_a_list_that_is_cancelled_says_what_was_not_begun_and_what_is_not_known() {
    on_both(async |world| {
        let client = world.network.client(&world.client);
        let _held = world.network.hold(|sent| sent.is_about("configmaps"));
        let operations: Vec<Operation> =
            (0..5).map(|n| Operation::create(&map(world, &format!("m-{n}"), "1"), &()).unwrap()).collect();
        let cancellation = CancellationToken::new();
        let plan = Plan::default().at_once(NonZeroUsize::MIN.saturating_add(1)).cancellation(cancellation.clone());
        let cancel = async {
            eventually("two are under way", || world.network.count(|sent| sent.is_about("configmaps")) == 2).await;
            time_passes(Duration::from_millis(50)).await;
            cancellation.cancel();
        };
        let (results, ()) = futures::join!(run_all(&client, &operations, &plan), cancel);
        let kinds: Vec<_> = results.into_iter().map(|result| result.unwrap_err().kind()).collect();
        let (dropped, cancelled) = (OpErrorKind::Dropped, OpErrorKind::Cancelled);
        assert_eq!(kinds, [dropped, dropped, cancelled, cancelled, cancelled]);
    });
}

#[test]
fn d5_an_apply_takes_over_what_others_own_only_by_force() {
    on_both(async |world| {
        let theirs = Operation::apply(&map(world, "a", "1"), &(), "theirs").unwrap();
        run(&world.client, &theirs).await.unwrap();
        let ours = Operation::apply(&map(world, "a", "2"), &(), "ours").unwrap();
        let refused = run(&world.client, &ours).await.unwrap_err();
        assert_eq!(refused.kind(), OpErrorKind::Conflict, "{refused}");
        assert_eq!(value(run(&world.client, &ours.force()).await.unwrap()), "2");
        // As kube's own client sees it.
        let map: ConfigMap = world.api().get("a").await.unwrap();
        assert_eq!(map.data.unwrap()["value"], "2");
    });
}

#[test]
fn d5_a_status_is_written_apart_from_the_rest() {
    on_both(async |world| {
        let (client, key) = (&world.client, world.key("a"));
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": world.namespace},
            "spec": {"containers": [{"name": "main", "image": "example.com/main"}]},
        }))
        .unwrap();
        run(client, &Operation::create(&pod, &()).unwrap()).await.unwrap();
        let message = |message: &str| json!({"status": {"message": message}});
        let patch = Operation::patch::<Pod>(&key, &(), message("by the rest"));
        let strategic = Patch::Strategic(message("by the status"));
        let status = Operation::patch_with::<Pod>(&key, &(), strategic, PatchParams::default()).on_status();
        assert!(status.to_string().ends_with("/a (status)"), "{status}");
        let read = Operation::get::<Pod>(&key, &()).on_status();
        for (operation, expected) in
            [(patch, serde_json::Value::Null), (status, json!("by the status")), (read, json!("by the status"))]
        {
            let pod = run(client, &operation).await.unwrap().object().unwrap();
            assert_eq!(pod.data["status"]["message"], expected, "{operation}");
        }
    });
}

#[test]
fn d5_a_deletion_says_whether_the_object_is_gone() {
    on_both(async |world| {
        let (client, key) = (&world.client, world.key("a"));
        // Of pods and service accounts the server sends the last state in any case, of configmaps if they are still there.
        let spec = json!({"containers": [{"name": "main", "image": "example.com/main"}]});
        let named = |finalizers: &[&str]| json!({"name": "a", "namespace": world.namespace, "finalizers": finalizers});
        for finalizers in [&[][..], &["example.com/it"]] {
            let pod: Pod = serde_json::from_value(json!({"metadata": named(finalizers), "spec": spec})).unwrap();
            let account: ServiceAccount = serde_json::from_value(json!({"metadata": named(finalizers)})).unwrap();
            let map: ConfigMap = serde_json::from_value(json!({"metadata": named(finalizers)})).unwrap();
            let params = DeleteParams::default;
            for (create, delete) in [
                (Operation::create(&pod, &()), Operation::delete::<Pod>(&key, &(), params())),
                (Operation::create(&account, &()), Operation::delete::<ServiceAccount>(&key, &(), params())),
                (Operation::create(&map, &()), Operation::delete::<ConfigMap>(&key, &(), params())),
            ] {
                run(client, &create.unwrap()).await.unwrap();
                let outcome = run(client, &delete).await.unwrap();
                assert_eq!(outcome == Outcome::Deleted, finalizers.is_empty(), "{delete}: {outcome:?}");
            }
        }
        // Without finalizers of this sort a namespace waits for what is in it, and a pod on a node for its containers.
        let other = format!("{}-other", world.namespace);
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": other}})).unwrap();
        let mut pod: Pod = serde_json::from_value(json!({"metadata": named(&[]), "spec": spec})).unwrap();
        pod.metadata.name = Some("b".to_owned());
        pod.spec.get_or_insert_default().node_name = Some("north".to_owned());
        let by_name = ObjectKey::new(None, &other).unwrap();
        for (create, delete) in [
            (
                Operation::create(&namespace, &()),
                Operation::delete::<Namespace>(&by_name, &(), DeleteParams::default()),
            ),
            (Operation::create(&pod, &()), Operation::delete::<Pod>(&world.key("b"), &(), DeleteParams::default())),
        ] {
            run(client, &create.unwrap()).await.unwrap();
            let outcome = run(client, &delete).await.unwrap();
            assert!(matches!(outcome, Outcome::Object(_)), "{delete}: {outcome:?}");
        }
    });
}

#[test]
fn d5_a_refusal_is_told_from_what_nobody_knows() {
    on_both(async |world| {
        let client = world.network.client(&world.client);
        let create = Operation::create(&map(world, "a", "1"), &()).unwrap();
        for (codes, kind) in [
            (&[400, 405, 410, 413, 415, 422][..], OpErrorKind::Invalid),
            (&[408, 504], OpErrorKind::Failed),
            (&[429, 500, 502, 503], OpErrorKind::Unavailable),
        ] {
            for &code in codes {
                let _answer = world.network.answer(code, |sent| sent.is_about("configmaps"));
                assert_eq!(run(&client, &create).await.unwrap_err().kind(), kind, "{code}");
            }
        }
    });
}

#[test]
fn d5_without_a_usable_answer_the_error_says_what_is_in_the_way() {
    on_both(async |world| {
        let client = world.network.client(&world.client);
        let create = Operation::create(&map(world, "a", "1"), &()).unwrap();
        let versionless = ListParams::default().matching(VersionMatch::Exact);
        let list = Operation::list::<ConfigMap>(Some(&world.namespace), &(), versionless);
        let error = run(&client, &list).await.unwrap_err();
        assert_eq!(error.kind(), OpErrorKind::Invalid, "what contradicts itself is not sent: {error}");
        assert_eq!(world.network.count(|sent| sent.is_about("configmaps")), 0);
        let nonsense = world.network.talk_nonsense(|sent| sent.is_about("configmaps"));
        let error = run(&client, &create).await.unwrap_err();
        assert_eq!(error.kind(), OpErrorKind::Failed);
        assert!(error.to_string().contains("the answer is not what was asked for, at line 1, column 1"), "{error}");
        drop(nonsense);
        world.network.cut();
        let error = run(&client, &create).await.unwrap_err();
        assert_eq!(error.kind(), OpErrorKind::Failed);
        assert!(error.to_string().contains("refuses connections"), "{error}");
        world.network.heal();
        run(&client, &create).await.unwrap();
    });
}

#[test]
fn d5_what_a_secret_holds_reaches_no_log_and_no_error() {
    const ANSWERS: [(u16, &str, OpErrorKind); 7] = [
        (200, r#"{"kind": "Secret", "metadata": {"name": "hunter2", "labels": "hunter2"}}"#, OpErrorKind::Failed),
        (200, "hunter2", OpErrorKind::Failed),
        (
            403,
            r#"{"kind": "Status", "reason": "Forbidden", "message": "a webhook denied the request: no hunter2 here", "code": 403}"#,
            OpErrorKind::Forbidden,
        ),
        // A webhook chooses its code and its reason, too.
        (
            409,
            r#"{"kind": "Status", "message": "admission webhook \"w\" denied the request: no hunter2 here", "code": 409}"#,
            OpErrorKind::Conflict,
        ),
        (
            403,
            r#"{"kind": "Status", "message": "admission webhook \"w\" denied the request: is forbidden: User hunter2", "code": 403}"#,
            OpErrorKind::Forbidden,
        ),
        (403, r#"{"kind": "Status", "reason": "hunter2", "message": "no", "code": 403}"#, OpErrorKind::Forbidden),
        (500, "hunter2", OpErrorKind::Unavailable),
    ];
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let client = world.network.client(&world.client);
        let get = Operation::get::<Secret>(&world.key("a"), &());
        for (status, body, kind) in ANSWERS {
            let _said = world.network.say(status, body, |sent| sent.path.contains("secrets"));
            let error = run(&client, &get).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!format!("{error} {error:?} {}", logs.text()).contains("hunter2"), "{error}: {}", logs.text());
        }
        let forbidden = r#"{"reason": "Forbidden", "message": "secrets \"a\" is forbidden: User \"me\" cannot get it", "code": 403}"#;
        let _said = world.network.say(403, forbidden, |sent| sent.path.contains("secrets"));
        let error = run(&client, &get).await.unwrap_err();
        assert!(error.to_string().contains("User \"me\" cannot get it"), "who lacks a right is told: {error}");
    });
}

#[test]
fn d5_no_more_are_under_way_than_the_plan_says() {
    on_both(async |world| {
        let client = world.network.client(&world.client);
        let held = world.network.hold(|sent| sent.is_about("configmaps"));
        let operations: Vec<Operation> =
            (0..30).map(|n| Operation::create(&map(world, &format!("m-{n}"), "1"), &()).unwrap()).collect();
        let plan = Plan::default().at_once(NonZeroUsize::new(7).unwrap());
        let sent = || world.network.count(|sent| sent.is_about("configmaps"));
        let release = async {
            eventually("as many as may be are under way", || sent() == 7).await;
            time_passes(Duration::from_millis(50)).await;
            assert_eq!(sent(), 7);
            drop(held);
        };
        let (results, ()) = futures::join!(run_all(&client, &operations, &plan), release);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(sent(), 30);
    });
}
