//! The manifests say what the code says.

use std::collections::BTreeSet;
use std::process::Command;

use kubehandler_testkit::{Fault, Outcome, RequestRecord, Requests, Rule};
use serde_json::{Value, json};

use crate::stage::{CONTROLLER, Stage};

#[test]
fn the_crd_manifest_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_sample-controller")).arg("crd").output().expect("it runs");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        printed == include_str!("../../deploy/crd.yaml"),
        "the type has changed: cargo run -p sample-controller -- crd > sample-controller/deploy/crd.yaml"
    );
}

/// What a role grants or a controller uses: group, resource, verb.
type Right = (String, String, String);

fn granted() -> BTreeSet<Right> {
    let documents = serde_saphyr::from_multiple::<Value>(include_str!("../../deploy/rbac.yaml")).expect("YAML");
    let role = documents.iter().find(|document| document["kind"] == "ClusterRole").expect("a role");
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                rights.extend(texts(rule, "verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    rights
}

fn used(stage: &Stage) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for RequestRecord { request, outcome, .. } in stage.requests() {
        let resource = match &*request.subresource {
            "" => request.resource.clone(),
            subresource => format!("{}/{subresource}", request.resource),
        };
        let right = |verb: &str| (request.group.clone(), resource.clone(), verb.to_owned());
        rights.insert(right(&request.verb));
        // Applying an object that is not there creates it, which is a right of its own.
        if request.verb == "patch" && outcome == Outcome::Answered(201) {
            rights.insert(right("create"));
        }
    }
    rights
}

#[tokio::test(start_paused = true)]
async fn the_role_grants_what_the_controller_does_and_nothing_else() {
    let stage = Stage::set().await;
    // A conflict, after which the finalizer's writer looks at the object itself.
    let finalizer = Requests::of("patch", "websites.example.kubehandler.dev").subresource("").user(CONTROLLER);
    let _conflict = stage.server.faults().install(Rule::new(finalizer, Fault::status(409)).times(1));
    stage.ready("home", 2).await;
    stage.change("home", json!({ "replicas": 3 })).await;
    stage.rest().await;
    stage.make_available("home").await;
    stage.reason("home", "Available").await;
    stage.change("home", json!({ "page": "<script>" })).await;
    stage.reason("home", "InvalidPage").await;
    stage.delete("home").await;
    stage.rest().await;
    let (used, granted) = (used(&stage), granted());
    let missing: Vec<_> = used.difference(&granted).collect();
    let idle: Vec<_> = granted.difference(&used).collect();
    assert!(missing.is_empty() && idle.is_empty(), "missing in deploy/rbac.yaml: {missing:?}; not needed: {idle:?}");
}
