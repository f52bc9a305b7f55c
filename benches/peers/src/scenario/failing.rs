//! A handler that fails some objects' first calls, some of which are deleted while it does.

use std::time::Duration;

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kubehandler_peers::handler::{fails, key};
use kubehandler_peers::record::unix_seconds;
use kubehandler_peers::task::{Does, What};

use crate::bench::{Bench, sees};
use crate::child::figure;
use crate::maps::{AT_ONCE, Maps, names};
use crate::results::{Table, Unit, column, shown};
use crate::server::Server;
use crate::subject::{self, Subject};
use crate::time;
use crate::truth::Truth;

pub(crate) const NAME: &str = "failing";

/// When what fails is deleted: three failures take a rate limiter 35 ms, so it still does.
const LIFE: Duration = Duration::from_millis(10);

pub(crate) async fn run(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let objects = bench.scale.failing;
    let one = async |subject: &Subject| {
        let maps = Maps::fresh(&server.client, "failing").await?;
        maps.create("first").await?;
        let subject = subject.on(server.kubeconfig(), What::ConfigMaps, Some(&maps.namespace), Does::Failing);
        let (mut child, _) = bench.start_on(&subject, Truth::of(&maps.api).await?.names).await?;
        child.mark().await?;
        let deleted = write(&maps, objects).await?;
        let written = unix_seconds();
        sees(&mut child, &subject, Truth::of(&maps.api).await?.versions).await?;
        let mut report = child.report().await?;
        child.end().await?;
        ensure!(figure(&report, "failed")? > 0.0, "no call of {} failed", subject.label);
        report.insert("settled".to_owned(), figure(&report, "last")? - written);
        report.insert("deleted".to_owned(), f64::from(deleted));
        anyhow::Ok(report)
    };
    let mut subjects = bench.controllers();
    subjects.push(subject::unlimited());
    let rows = bench.by_turns(bench.scale.rounds, &subjects, one).await?;
    tables.push(Table {
        title: format!("Failing handler, {objects} ConfigMaps, a tenth of which fails three times"),
        explanation: format!(
            "Half of those that fail are deleted {LIFE:?} after their creation. Settled: from the last write's end until the last call's. \
             Retries come from each program's default rate limiter; kube-rs has none, so its error policy imitates client-go's. Ours \
             lets a handler retry 100 times a second, with a burst of 100; the last row is without that. \
             A deletion behind failed calls only is told as well, since such a call may have done half its work: here that is right, and what \
             matters is that none of them runs beside it or behind it. kube-rs does not tell of deletions."
        ),
        columns: vec![
            column("settled", "settled after", Unit::Seconds),
            column("cpu", "CPU", Unit::Seconds),
            shown("calls", "calls", Unit::Count),
            shown("failed", "failed", Unit::Count),
            shown("deleted", "objects deleted", Unit::Count),
            shown("deletes", "deletions told", Unit::Count),
            shown("early", "of these before a call succeeded", Unit::Count),
            shown("doubled", "told twice or of the unknown", Unit::Count),
            shown("concurrent", "concurrent calls", Unit::Count),
            shown("misordered", "calls behind the deletion", Unit::Count),
        ],
        ours: subject::ours().label,
        rows,
    });
    Ok(())
}

/// Creates the objects, and deletes every other of those that fail; how many these were.
async fn write(maps: &Maps, objects: usize) -> anyhow::Result<u32> {
    let failing = names(objects).filter(|name| fails(&key(&maps.namespace, name)));
    let doomed: Vec<String> = failing.step_by(2).collect();
    let doomed = &doomed;
    let one = |name: String| async move {
        maps.create(&name).await?;
        if doomed.contains(&name) {
            time::passes(LIFE).await;
            maps.delete(&name).await?;
        }
        Ok::<(), kube::Error>(())
    };
    stream::iter(names(objects)).map(one).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(u32::try_from(doomed.len())?)
}
