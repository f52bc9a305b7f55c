//! Operations on the cluster with the controller's own client (D5).

use std::num::NonZeroUsize;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams};
use kubehandler::CancellationToken;
use kubehandler::ops::{OpErrorKind, Operation, Outcome, Plan, run, run_all};
use serde_json::json;

use super::support::world::config_map;
use super::support::{World, eventually, on_both, time_passes};

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
            (Operation::patch::<ConfigMap>(&key, &(), json!({"data": 7})), OpErrorKind::Invalid, "does not accept it"),
            (Operation::create(&bad, &()).unwrap(), OpErrorKind::Invalid, "does not accept it"),
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
