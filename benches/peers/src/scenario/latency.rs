//! How long until the handler is called for what was just created.

use std::time::Duration;

use anyhow::ensure;
use kubehandler_peers::task::{Does, What};

use crate::bench::{Bench, sees};
use crate::child::figure;
use crate::maps::{Maps, names};
use crate::results::{Table, Unit, column};
use crate::server::Server;
use crate::subject::{self, Subject};
use crate::time;
use crate::truth::Truth;

pub(crate) const NAME: &str = "latency";

/// Between two creations, so that each finds the program at rest.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn run(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let creations = bench.scale.creations;
    let one = async |subject: &Subject| {
        let maps = Maps::fresh(&server.client, "latency").await?;
        maps.create("first").await?;
        let subject = subject.on(server.kubeconfig(), What::ConfigMaps, Some(&maps.namespace), Does::Object);
        let (mut child, _) = bench.start_on(&subject, Truth::of(&maps.api).await?.names).await?;
        child.mark().await?;
        for name in names(creations) {
            maps.create(&name).await?;
            time::passes(PAUSE).await;
        }
        sees(&mut child, &subject, Truth::of(&maps.api).await?.versions).await?;
        let report = child.report().await?;
        child.end().await?;
        let lagged = figure(&report, "lagged")?;
        ensure!(lagged.to_string() == creations.to_string(), "{lagged} of {creations} creations were handled");
        anyhow::Ok(report)
    };
    let rows = bench.by_turns(bench.scale.rounds, &bench.controllers(), one).await?;
    tables.push(Table {
        title: format!("Create to handler, {creations} ConfigMaps one after the other"),
        explanation: "From just before the request until the handler is called.".to_owned(),
        columns: vec![
            column("p50", "p50", Unit::Milliseconds),
            column("p90", "p90", Unit::Milliseconds),
            column("p99", "p99", Unit::Milliseconds),
        ],
        ours: subject::ours().label,
        rows,
    });
    Ok(())
}
