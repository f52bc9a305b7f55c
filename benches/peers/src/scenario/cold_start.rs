//! From the start of a program until each pod was handled once; beside it the same list read by a plain client.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kubehandler_peers::answer::Figures;
use kubehandler_peers::task::{Content, Does, Floor, Mode, What};

use crate::bench::Bench;
use crate::child::Child;
use crate::results::{Column, Row, Table, Unit, column, shown};
use crate::server::Server;
use crate::snapshot::a_pod_changes;
use crate::subject::{self, Subject};
use crate::truth::Truth;
use crate::turns;

pub(crate) const NAME: &str = "cold start";

const HANDLERS: [(Does, &str); 2] = [(Does::Key, "uses the key only"), (Does::Object, "reads the object")];

fn columns() -> Vec<Column> {
    vec![
        column("seconds", "time", Unit::Seconds),
        column("cpu", "CPU", Unit::Seconds),
        column("resident", "settled RSS", Unit::Megabytes),
        column("peak", "peak RSS", Unit::Megabytes),
        column("bytes", "received", Unit::Megabytes),
        shown("lists", "lists", Unit::Count),
    ]
}

/// Everybody, on as many pods as there are.
pub(crate) async fn all(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let pods = bench.scale.pods;
    tables.push(floors(bench, server).await?);
    for (handler, what) in HANDLERS {
        let explanation = format!(
            "From the start of the client until each of {pods} pods was handled once, by a handler that {what}; RSS a second later. \
             kube-rs's Controller is given the object in any case; its reflector calls nobody and is done when its store is."
        );
        tables.push(
            starts(bench, server, &format!("handler {what}"), explanation, &subject::starts(handler), handler).await?,
        );
    }
    let explanation = format!("The same with {pods} times `PartialObjectMetadata` in place of pods.");
    tables.push(starts(bench, server, "metadata only", explanation, &subject::metadata(), Does::Key).await?);
    Ok(())
}

/// The main ones on fewer pods.
pub(crate) async fn fewer(bench: &Bench, server: &Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    for (handler, what) in HANDLERS {
        let explanation = format!("To see what grows: the same as below, on fewer pods, by a handler that {what}.");
        let title = format!("handler {what}");
        tables.push(starts(bench, server, &title, explanation, &subject::main_starts(handler), handler).await?);
    }
    Ok(())
}

async fn starts(
    bench: &Bench,
    server: &Server,
    title: &str,
    explanation: String,
    subjects: &[Subject],
    handler: Does,
) -> anyhow::Result<Table> {
    let truth = Truth::of(&Api::<Pod>::all(server.client.clone())).await?;
    let run = async |subject: &Subject| {
        a_pod_changes(&server.client).await?;
        let subject = subject.on(server.kubeconfig(), What::Pods, None, handler);
        let (child, figures) = bench.start_on(&subject, truth.names).await?;
        child.end().await?;
        anyhow::Ok(figures)
    };
    let rows = bench.by_turns(bench.scale.rounds, subjects, run).await?;
    Ok(Table {
        title: format!("Cold start, {} pods, {title}", truth.names.count),
        explanation,
        columns: columns(),
        ours: subjects[0].label.clone(),
        rows,
    })
}

/// Ways to read the list and drop it.
fn plain() -> Vec<(String, Floor)> {
    let mut ways = Vec::new();
    for (content, word, modes) in [
        (Content::Json, "JSON", &[Mode::Unpaged, Mode::Paged, Mode::Streaming][..]),
        (Content::Protobuf, "protobuf", &[Mode::Unpaged, Mode::Streaming]),
        (Content::Metadata, "metadata, JSON", &[Mode::Unpaged]),
    ] {
        for &mode in modes {
            for http2 in [false, true] {
                let protocol = if http2 { "HTTP/2" } else { "HTTP/1.1" };
                let how = match mode {
                    Mode::Unpaged => "one list",
                    Mode::Paged => "paged",
                    Mode::Streaming => "streaming",
                };
                let floor = Floor { kubeconfig: std::path::PathBuf::new(), mode, content, http2, gzip: false };
                if content == Content::Json && mode == Mode::Unpaged {
                    ways.push((format!("{word}, {how}, {protocol}, gzip"), Floor { gzip: true, ..floor.clone() }));
                }
                ways.push((format!("{word}, {how}, {protocol}"), floor));
            }
        }
    }
    ways
}

async fn floors(bench: &Bench, server: &Server) -> anyhow::Result<Table> {
    let ways = plain();
    let mut rows: Vec<Row> = Vec::new();
    for (label, _) in &ways {
        rows.push(Row { label: label.clone(), rounds: Vec::new(), unsupported: None });
    }
    // One round more than is kept: the first lists after a fill warm the server up. A single round means nothing anyway.
    let warm_ups = usize::from(bench.scale.rounds > 1);
    for round in 0..bench.scale.rounds + warm_ups {
        for which in turns::order(round, ways.len()) {
            let (label, floor) = &ways[which];
            a_pod_changes(&server.client).await?;
            let figures =
                read(bench, label, &Floor { kubeconfig: server.kubeconfig().to_owned(), ..floor.clone() }).await?;
            if round >= warm_ups {
                rows[which].rounds.push(figures);
            }
        }
    }
    Ok(Table {
        title: format!("Floors, {} pods", bench.scale.pods),
        explanation: "The same list read by a plain HTTP client that drops it: what nobody can go below. kubehandler and kube-rs speak \
                      HTTP/1.1, as kube's client does; the Go programs negotiate HTTP/2."
            .to_owned(),
        columns: columns(),
        ours: String::new(),
        rows,
    })
}

async fn read(bench: &Bench, label: &str, floor: &Floor) -> anyhow::Result<Figures> {
    let program = bench.programs.rust.join("floor");
    let (child, figures) = Child::start(&program, label, floor, &bench.programs.log).await?;
    child.end().await?;
    Ok(figures)
}
