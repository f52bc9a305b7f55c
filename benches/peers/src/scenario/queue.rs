//! The queue alone: no server.

use std::path::Path;

use kubehandler_peers::task::{Does, What};

use crate::bench::Bench;
use crate::results::{Table, Unit, column};
use crate::subject::{self, Subject};

pub(crate) const NAME: &str = "queue";

pub(crate) async fn run(bench: &Bench, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let one = async |subject: &Subject| {
        let (child, figures) = bench.start(&subject.on(Path::new(""), What::Queue, None, Does::Key)).await?;
        child.end().await?;
        anyhow::Ok(figures)
    };
    let mut subjects = subject::programs();
    for subject in &mut subjects {
        subject.peer.name().clone_into(&mut subject.label);
    }
    let rows = bench.by_turns(bench.scale.rounds, &subjects, one).await?;
    tables.push(Table {
        title: "Queue alone, nanoseconds a key for add, get and done".to_owned(),
        explanation: "In lockstep; a producer and one worker, or two, at once; 1,000,000 keys filled, then drained by one worker; bytes of \
                      resident memory for each of 100,000 keys that wait, beside the keys themselves."
            .to_owned(),
        columns: vec![
            column("lockstep", "lockstep", Unit::Nanoseconds),
            column("together-1", "one worker", Unit::Nanoseconds),
            column("together-2", "two workers", Unit::Nanoseconds),
            column("drained", "fill, drain", Unit::Nanoseconds),
            column("memory", "a waiting key", Unit::Bytes),
        ],
        ours: subjects[0].label.clone(),
        rows,
    });
    Ok(())
}
