//! Informers of thirty kinds at once.

use kubehandler_peers::task::{Does, Kind, What};

use crate::bench::Bench;
use crate::results::{Table, Unit, column};
use crate::server::Server;
use crate::subject::{self, Subject};

pub(crate) const NAME: &str = "kinds";

pub(crate) async fn run(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let one = async |subject: &Subject| {
        let subject = subject.on(server.kubeconfig(), What::Kinds, None, Does::Object);
        let (mut child, mut figures) = bench.start(&subject).await?;
        let mut idle = child.idle(bench.scale.idle_seconds).await?;
        child.end().await?;
        let busy = idle.remove("cpu").unwrap_or_default();
        figures.extend(idle);
        figures.insert("idle".to_owned(), busy);
        anyhow::Ok(figures)
    };
    let mut subjects = bench.controllers();
    subjects.retain(|subject| subject.task.kind != Kind::Controller);
    subjects.insert(1, subject::reflector());
    let rows = bench.by_turns(bench.scale.rounds, &subjects, one).await?;
    tables.push(Table {
        title: "Thirty kinds at once".to_owned(),
        explanation: format!(
            "Informers of thirty built-in kinds on an empty cluster, until all have synced; then {} s without anything to do.",
            bench.scale.idle_seconds
        ),
        columns: vec![
            column("seconds", "start", Unit::Seconds),
            column("cpu", "CPU of it", Unit::Seconds),
            column("resident", "RSS", Unit::Megabytes),
            column("wake-ups", "wake-ups a second", Unit::Count),
            column("idle", "CPU while idle", Unit::Percent),
        ],
        ours: subject::ours().label,
        rows,
    });
    Ok(())
}
