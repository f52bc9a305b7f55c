//! Many changes of few objects, and a handler that takes its time.

use std::time::Instant;

use anyhow::ensure;
use futures::future::try_join_all;
use kubehandler_peers::record::unix_seconds;
use kubehandler_peers::task::{Does, What};

use crate::bench::{Bench, sees};
use crate::child::figure;
use crate::maps::{AT_ONCE, Maps, names};
use crate::results::{Table, Unit, column, shown};
use crate::server::Server;
use crate::subject::{self, Subject};
use crate::truth::Truth;

pub(crate) const NAME: &str = "burst";

pub(crate) async fn run(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let (changes, keys) = bench.scale.burst;
    let one = async |subject: &Subject| {
        let maps = Maps::fresh(&server.client, "burst").await?;
        maps.create_all(names(keys)).await?;
        let subject = subject.on(server.kubeconfig(), What::ConfigMaps, Some(&maps.namespace), Does::Busy);
        let (mut child, ready) = bench.start_on(&subject, Truth::of(&maps.api).await?.names).await?;
        child.mark().await?;
        let begun = Instant::now();
        write(&maps, changes, keys).await?;
        let (written, took) = (unix_seconds(), begun.elapsed().as_secs_f64());
        sees(&mut child, &subject, Truth::of(&maps.api).await?.versions).await?;
        let mut report = child.report().await?;
        child.end().await?;
        ensure!(figure(&report, "concurrent")? == 0.0, "{} made concurrent calls for one object", subject.label);
        let quiet = figure(&report, "last")? - written;
        let growth = figure(&report, "resident")? - figure(&ready, "resident")?;
        report
            .extend([("quiet", quiet), ("writing", took), ("growth", growth)].map(|(name, it)| (name.to_owned(), it)));
        anyhow::Ok(report)
    };
    let rows = bench.by_turns(bench.scale.rounds, &bench.controllers(), one).await?;
    tables.push(Table {
        title: format!("Burst, {changes} changes of {keys} ConfigMaps, a handler of 5 ms"),
        explanation: "Two workers: as many calls as fit into the time are made, each with the newest state. Quiet: from the last write's \
                      end until the last call's; what was written while it ran is handled by then."
            .to_owned(),
        columns: vec![
            shown("writing", "writing", Unit::Seconds),
            column("calls", "calls", Unit::Count),
            column("quiet", "quiet after", Unit::Seconds),
            column("cpu", "CPU", Unit::Seconds),
            column("resident", "RSS", Unit::Megabytes),
            column("growth", "RSS growth", Unit::Megabytes),
        ],
        ours: subject::ours().label,
        rows,
    });
    Ok(())
}

/// Writers with keys of their own, so that no two write to one object at once.
async fn write(maps: &Maps, changes: usize, keys: usize) -> anyhow::Result<()> {
    let writer = |which: usize| async move {
        for number in (which..changes).step_by(AT_ONCE) {
            // Rounds over this writer's keys: those whose number leaves `which`.
            let own = keys.saturating_sub(which).div_ceil(AT_ONCE).max(1);
            let key = which % keys + (number / AT_ONCE % own) * AT_ONCE;
            maps.change(&format!("map-{key:05}")).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..AT_ONCE).map(writer)).await.map(drop)
}
