//! No hot loop: what is settled causes no writes, and next to no requests.

use std::time::Duration;

use serde_json::json;

use crate::stage::Stage;

const LONG: Duration = Duration::from_secs(6 * 3600);

/// Lets a long time pass and counts what the controller asked for: no writes, no reads but the watches' own.
async fn nothing_happens(stage: &Stage) {
    stage.rest().await;
    stage.server.clear_requests();
    tokio::time::sleep(LONG).await;
    let requests = stage.requests();
    let others: Vec<_> = requests.iter().filter(|record| record.request.verb != "watch").collect();
    assert!(others.is_empty(), "{others:#?}");
    // Each of the four watches is resumed at most every 5 minutes.
    let most = 4 * LONG.as_secs() / 300;
    assert!(requests.len() as u64 <= most, "{} requests, at most {most} were expected", requests.len());
}

#[tokio::test(start_paused = true)]
async fn a_settled_website_causes_no_writes() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    nothing_happens(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_website_causes_no_writes_either() {
    let stage = Stage::set().await;
    stage.create("shop", "<script>", 2).await;
    stage.reason("shop", "InvalidPage").await;
    nothing_happens(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn each_change_takes_the_writes_it_needs_and_no_more() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.rest().await;
    stage.server.clear_requests();
    stage.change("home", json!({ "replicas": 3 })).await;
    stage.rest().await;
    let mut writes = stage.writes();
    // The three owned objects, which all bear the generation, an Event about that, and the status.
    writes.sort();
    let events = writes.iter().filter(|write| write.contains("events")).count();
    writes.retain(|write| !write.contains("events"));
    assert_eq!(events, 1, "{writes:?}");
    let owned = ["patch configmaps/ home", "patch deployments.apps/ home", "patch services/ home"];
    assert_eq!(writes[..3], owned, "{writes:?}");
    assert!(
        writes[3..].iter().all(|write| write == "patch websites.example.kubehandler.dev/status home"),
        "{writes:?}"
    );
    assert!(writes.len() <= 6, "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing_that_is_there_already() {
    let mut stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.create("shop", "<script>", 2).await;
    stage.reason("shop", "InvalidPage").await;
    stage.rest().await;
    let report = stage.stop().await;
    assert_eq!(report.calls.panicked, 0, "{report}");
    stage.server.clear_requests();
    stage.start();
    stage.until("it has started", || stage.handle().is_ready()).await;
    stage.rest().await;
    assert_eq!(stage.writes(), Vec::<String>::new());
}
