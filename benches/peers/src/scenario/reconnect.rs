//! The API server is killed and started again while objects are created, changed and deleted.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::ensure;
use kubehandler_peers::task::{Does, What};
use tokio::task::JoinSet;

use crate::bench::{Bench, sees_within};
use crate::child::figure;
use crate::link::Link;
use crate::maps::{Maps, names};
use crate::results::{Table, Unit, column, shown};
use crate::server::Server;
use crate::subject::{self, Peer, Subject};
use crate::time;
use crate::truth::Truth;

pub(crate) const NAME: &str = "reconnect";

const WRITERS: usize = 8;
/// Between two operations of a writer.
const PACE: Duration = Duration::from_millis(20);
/// How long is written and seen, and how long is written and lost, before the server is killed.
const LEAD: Duration = Duration::from_secs(1);
const GAP: Duration = Duration::from_millis(500);
/// Behind the moment at which all is seen: whether anything is told twice.
const SETTLING: Duration = Duration::from_secs(1);
/// Before a failed write is tried again.
const RETRY: Duration = Duration::from_millis(20);

pub(crate) async fn run(bench: &Bench, server: &mut Server, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let (survivors, patience) = (bench.scale.survivors, bench.scale.patience);
    let subjects = bench.controllers();
    let rows = bench.by_turns(bench.scale.rounds, &subjects, async |subject: &Subject| {
        let maps = Maps::fresh(&server.client, "reconnect").await?;
        maps.create_all(names(survivors)).await?;
        let link = Link::open(server.kubeconfig(), &server.cluster.url()).await?;
        let subject = subject.on(&link.kubeconfig, What::ConfigMaps, Some(&maps.namespace), Does::Object);
        let (mut child, _) = bench.start_on(&subject, Truth::of(&maps.api).await?.names).await?;
        child.mark().await?;
        let writing = Writing::start(&maps, survivors);
        time::passes(LEAD).await;
        link.set_losing(true);
        time::passes(GAP).await;
        server.kill()?;
        link.set_losing(false);
        let ready = server.start_again(&writing.ends).await?;
        let deletions = writing.end().await?;
        let written = ready.elapsed().as_secs_f64();
        let there_is = Truth::of(&maps.api).await?.versions;
        let view = sees_within(&mut child, there_is, patience).await?;
        let caught_up = (view == there_is).then(|| ready.elapsed().as_secs_f64());
        ensure!(
            caught_up.is_some() || subject.peer != Peer::Kubehandler,
            "the library still sees {view:?} after {patience:?}, and there is {there_is:?}"
        );
        time::passes(SETTLING).await;
        let mut report = child.report().await?;
        child.end().await?;
        let missed = f64::from(deletions) - figure(&report, "deletes")?;
        let unseen = f64::from(u32::try_from(there_is.count.abs_diff(view.count))?);
        let more = [("written", written), ("deleted", f64::from(deletions)), ("missed", missed), ("unseen", unseen)];
        report.extend(more.map(|(name, figure)| (name.to_owned(), figure)));
        report.extend(caught_up.map(|seconds| ("caught up".to_owned(), seconds)));
        anyhow::Ok(report)
    });
    tables.push(Table {
        title: format!("Reconnect, {survivors} ConfigMaps, kube-apiserver killed and restarted under load"),
        explanation: format!(
            "What the server sends in the last {GAP:?} of its life is lost on the way, so that there is something to find out. Counted \
             from the server's readiness; what was due while it was away is written first. Caught up: the handler has seen what there is; \
             a dash stands for who had not after {patience:?}, though nothing changed any more; \
             missing are those that it knows nothing of, not those of which it knows an old version only. Deletions told are compared with those \
             made, each of an object that the handler knew; one that was made anew at once counts, too. A queue of keys alone cannot \
             tell the two lives of a key apart, and kube-rs tells of no deletion."
        ),
        columns: vec![
            shown("written", "all written", Unit::Seconds),
            column("caught up", "caught up", Unit::Seconds),
            shown("unseen", "objects missing", Unit::Count),
            shown("lists", "lists", Unit::Count),
            column("bytes", "received", Unit::Megabytes),
            shown("calls", "calls", Unit::Count),
            shown("deleted", "deletions", Unit::Count),
            shown("missed", "deletions missed", Unit::Count),
            shown("doubled", "deletions doubled", Unit::Count),
        ],
        ours: subject::ours().label,
        rows: rows.await?,
    });
    Ok(())
}

/// Writers at work.
struct Writing {
    /// When the server was back: what is due later is not written.
    ends: Arc<OnceLock<Instant>>,
    writers: JoinSet<anyhow::Result<u32>>,
}

impl Writing {
    fn start(maps: &Maps, survivors: usize) -> Self {
        let (ends, begun) = (Arc::new(OnceLock::new()), Instant::now());
        let mut writers = JoinSet::new();
        for which in 0..WRITERS {
            let own: Vec<String> = names(survivors).skip(which).step_by(WRITERS).collect();
            writers.spawn(write(maps.clone(), which, own, begun, Arc::clone(&ends)));
        }
        Self { ends, writers }
    }

    /// Waits until everything is written that was due when the server was back. How many objects were deleted.
    async fn end(mut self) -> anyhow::Result<u32> {
        let mut deletions = 0;
        while let Some(ended) = self.writers.join_next().await {
            deletions += ended??;
        }
        Ok(deletions)
    }
}

/// One writer: it creates, changes, deletes, and deletes and makes anew, in turns. Each object is deleted at most once, from the
/// first of its own on; those that change are the last third. Tells how many it deleted.
async fn write(
    maps: Maps,
    which: usize,
    own: Vec<String>,
    begun: Instant,
    ends: Arc<OnceLock<Instant>>,
) -> anyhow::Result<u32> {
    let (doomed, lasting) = own.split_at(own.len() * 2 / 3);
    let mut doomed = doomed.iter();
    let mut deletions = 0;
    for number in 0_u32.. {
        let due = begun + PACE * number;
        if ends.get().is_some_and(|ends| due > *ends) {
            break;
        }
        time::passes(due.saturating_duration_since(Instant::now())).await;
        let changed = &lasting[number as usize % lasting.len()];
        match (number % 4, &mut doomed) {
            (0, _) => {
                let name = format!("new-{which}-{number:05}");
                until_done(|| maps.create(&name)).await?;
            }
            (step @ 1..=2, doomed) => match doomed.next() {
                Some(name) => {
                    until_done(|| maps.delete(name)).await?;
                    deletions += 1;
                    if step == 2 {
                        until_done(|| maps.create(name)).await?;
                    }
                }
                None => until_done(|| maps.change(changed)).await?,
            },
            _ => until_done(|| maps.change(changed)).await?,
        }
    }
    Ok(deletions)
}

/// Tries until the server has done it; an answer that was lost shows in the next try's.
async fn until_done<F: Future<Output = kube::Result<()>>>(operation: impl Fn() -> F) -> anyhow::Result<()> {
    loop {
        match operation().await {
            Ok(()) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if (400..429).contains(&status.code) && status.code != 403 => {
                anyhow::bail!("the server refused: {status:?}")
            }
            Err(_) => time::passes(RETRY).await,
        }
    }
}
