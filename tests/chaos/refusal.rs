//! kube-apiserver itself refuses every request of the library with 429: priority and fairness with no seat to give.
//!
//! A priority level without seats lets a request in all the same when nobody else is in. So somebody is.

use std::time::Duration;

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use kube::api::{Api, DeleteParams, PostParams};
use kube::client::{Body, Client};
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{GROUP, Stage};
use crate::support::world::config_map;
use crate::support::{eventually, time_passes};

const NAME: &str = "chaos-refuses";
/// How long it refuses.
const STORM: Duration = Duration::from_secs(6);

pub(crate) async fn refuse_requests(stage: &mut Stage<'_>) {
    let client = stage.world.client.clone();
    fill(&client).await;
    begin(&client).await;
    let begun = Instant::now();
    // The server takes up the level in its own time; before that, whoever comes is let in elsewhere.
    let _occupied = loop {
        let occupied = occupy(stage).await;
        // Watches that were let in stay in.
        stage.proxy.cut();
        time_passes(Duration::from_secs(1)).await;
        if refused(&client).await > 0 {
            break occupied;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the server does not refuse");
    };
    eventually("the refusal is told", || stage.running.handle.is_failing()).await;
    let (before, sent) = (refused(&client).await, stage.watches());
    time_passes(STORM).await;
    let (refused, sent) = (refused(&client).await - before, stage.watches() - sent);
    end(&client).await;
    let took = stage.caught_up().await;
    stage.figures.fault("caught up after a storm of 429", took);
    stage.figures.note(format!("{refused} requests were refused by priority and fairness in {STORM:?}"));
    // Waits of at least 0.4, 0.8, 1.6, 3.2 s; kube's client may ask again by itself within one of them.
    assert!(refused > 0 && sent <= 5, "{refused} refused, {sent} sent");
}

/// A list of the same user's that is not read, and longer than what sockets hold: the server cannot end it.
async fn occupy(stage: &Stage<'_>) -> Option<Response<Body>> {
    let request = Request::get("/api/v1/namespaces/default/configmaps").body(Body::empty()).expect("a request");
    stage.as_user.send(request).await.ok()
}

/// 14 MB for [`occupy`].
async fn fill(client: &Client) {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let text = "x".repeat(900_000);
    for number in 0..16 {
        let object = config_map(&format!("long-{number}"), &text, &[]);
        api.create(&PostParams::default(), &object).await.expect("the object is made");
    }
}

async fn begin(client: &Client) {
    let level: PriorityLevelConfiguration = serde_json::from_value(json!({
        "metadata": {"name": NAME},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0,
                "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }))
    .expect("a priority level");
    let schema: FlowSchema = serde_json::from_value(json!({
        "metadata": {"name": NAME},
        "spec": {
            "priorityLevelConfiguration": {"name": NAME},
            // Before everybody's but the masters'.
            "matchingPrecedence": 2,
            "rules": [{
                "subjects": [{"kind": "Group", "group": {"name": GROUP}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
                }],
            }],
        },
    }))
    .expect("a flow schema");
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    levels.create(&PostParams::default(), &level).await.expect("the level is made");
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    schemas.create(&PostParams::default(), &schema).await.expect("the schema is made");
}

async fn end(client: &Client) {
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    schemas.delete(NAME, &DeleteParams::default()).await.expect("the schema is deleted");
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    levels.delete(NAME, &DeleteParams::default()).await.expect("the level is deleted");
}

/// How many requests the server says it has refused so.
async fn refused(client: &Client) -> u64 {
    let request = Request::get("/metrics").body(Vec::new()).expect("a request");
    let metrics = client.request_text(request).await.expect("the server's metrics");
    let lines = metrics.lines().filter(|line| line.starts_with("apiserver_flowcontrol_rejected_requests_total{"));
    let ours = lines.filter(|line| line.contains(&format!("flow_schema=\"{NAME}\"")));
    ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
