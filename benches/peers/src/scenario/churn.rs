//! Steady changes of many pods.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use kubehandler_peers::task::{Does, Kind, What};

use crate::bench::{Bench, sees};
use crate::child::figure;
use crate::maps::{AT_ONCE, change};
use crate::results::{Table, Unit, column, shown};
use crate::server::Server;
use crate::subject::{self, Subject};
use crate::time;
use crate::truth::Truth;

pub(crate) const NAME: &str = "churn";

/// How far apart pods that are changed one after the other are, so that changes meet all of them.
const STRIDE: usize = 7_919;

/// A change behind the last one's time: that everything is handled then.
const SETTLING: Duration = Duration::from_secs(1);

pub(crate) async fn run(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let (rate, seconds) = bench.scale.churn;
    let all = Api::<Pod>::all(server.client.clone());
    let listed = all.list_metadata(&ListParams::default()).await?;
    let pods: Vec<(String, String)> =
        listed.items.iter().map(|pod| (pod.namespace().unwrap_or_default(), pod.name_any())).collect();
    let mut subjects = bench.controllers();
    subjects.push(subject::reflector());
    let one = async |subject: &Subject| {
        let truth = Truth::of(&all).await?;
        let subject = subject.on(server.kubeconfig(), What::Pods, None, Does::Object);
        let (mut child, ready) = bench.start_on(&subject, truth.names).await?;
        child.mark().await?;
        let changes = write(&server.client, &pods, rate, Duration::from_secs(seconds)).await?;
        time::passes(SETTLING).await;
        let mut report = child.report().await?;
        sees(&mut child, &subject, Truth::of(&all).await?.versions).await?;
        child.end().await?;
        let growth = figure(&report, "resident")? - figure(&ready, "resident")?;
        report.insert("growth".to_owned(), growth);
        report.insert("changes".to_owned(), f64::from(changes));
        if subject.task.kind == Kind::Reflector {
            report.retain(|name, _| !["p50", "p90", "p99"].contains(&name.as_str()));
        } else {
            ensure!(figure(&report, "lagged")? > 0.0, "{} was called with no change", subject.label);
        }
        anyhow::Ok(report)
    };
    // Once each: a minute is long enough to tell.
    let rows = bench.by_turns(1, &subjects, one).await?;
    tables.push(Table {
        title: format!("Steady churn, {rate} changes a second for {seconds} s on {} pods", pods.len()),
        explanation: "One round. CPU of the process from the first change until a second after the last; the lag is from just before the \
                      request until the handler is called."
            .to_owned(),
        columns: vec![
            column("cpu", "CPU", Unit::Seconds),
            column("growth", "RSS growth", Unit::Megabytes),
            column("resident", "RSS then", Unit::Megabytes),
            column("p50", "lag p50", Unit::Milliseconds),
            column("p99", "lag p99", Unit::Milliseconds),
            column("bytes", "received", Unit::Megabytes),
            shown("changes", "changes", Unit::Count),
            shown("calls", "calls", Unit::Count),
        ],
        ours: subject::ours().label,
        rows,
    });
    Ok(())
}

/// Changes one pod after the other at this rate; how many that were.
async fn write(client: &Client, pods: &[(String, String)], rate: u64, length: Duration) -> anyhow::Result<u32> {
    let begun = Instant::now();
    let changes = u32::try_from(rate * length.as_secs())?;
    let one = |number: u32| async move {
        let due = length * number / changes;
        time::passes(due.saturating_sub(begun.elapsed())).await;
        let (namespace, name) = &pods[(number as usize * STRIDE) % pods.len()];
        change(&Api::<Pod>::namespaced(client.clone(), namespace), name).await
    };
    stream::iter(0..changes).map(one).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(changes)
}
