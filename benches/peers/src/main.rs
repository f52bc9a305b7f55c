//! The same work done by this library and its peers on one real control plane, by turns: `cargo xtask peers`.
//!
//! This is the conductor. It starts the servers, makes the objects, starts the programs (README.md tells how it talks to them),
//! writes changes, knows the truth and checks that every program has seen it, and tells what came of it in Markdown and JSON.
//!
//! | file | owns |
//! |---|---|
//! | `options` | what is asked for, how large it is |
//! | `subject` | who takes part: programs and their variants |
//! | `child` | a program at work, and the words exchanged with it |
//! | `bench` | turns, starts, proofs |
//! | `scenario/` | what is done, a file each |
//! | `server`, `link`, `maps`, `truth` | the server, the way to it, what is written to it, what it holds |
//! | `seed`, `facts` | what the pods are like; versions, machine, date |
//! | `results`, `markdown` | figures round by round; tables |

mod bench;
mod child;
mod facts;
mod link;
mod maps;
mod markdown;
mod options;
mod results;
mod scenario;
mod seed;
mod server;
#[path = "../../budgets/snapshot.rs"]
mod snapshot;
mod subject;
mod time;
mod truth;
#[path = "../../budgets/turns.rs"]
mod turns;

use std::fs;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::bench::Bench;
use crate::child::Programs;
use crate::facts::Facts;
use crate::options::Options;
use crate::results::Table;
use crate::scenario::{burst, churn, cold_start, failing, kinds, latency, queue, reconnect};
use crate::seed::Seed;
use crate::server::Server;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(conduct(&options))
}

/// Everything that peers.json holds.
#[derive(Serialize)]
struct Results {
    facts: Facts,
    seed: Option<Seed>,
    tables: Vec<Table>,
}

async fn conduct(options: &Options) -> anyhow::Result<()> {
    fs::create_dir_all(&options.out)?;
    let beside = std::env::current_exe()?.parent().context("a program is in a folder")?.to_owned();
    let log = options.out.join("programs.log");
    fs::write(&log, "")?;
    let programs = Programs { rust: beside, go: options.go_programs.clone(), log };
    let facts = Facts::gather(&programs, &options.command)?;
    let bench = Bench { scale: options.scale(), programs };
    let mut results = Results { facts, seed: None, tables: Vec::new() };
    if options.is_chosen(cold_start::NAME) || options.is_chosen(churn::NAME) {
        on_pods(options, &bench, &mut results).await?;
    }
    on_maps(options, &bench, &mut results.tables).await?;
    if options.begins(queue::NAME) {
        queue::run(&bench, &mut results.tables).await?;
    }
    ensure!(!results.tables.is_empty(), "no scenario's name holds what --only asks for");
    write(options, &results)
}

/// The scenarios on many pods, the fewer ones first: they are part of all.
async fn on_pods(options: &Options, bench: &Bench, results: &mut Results) -> anyhow::Result<()> {
    let server = Server::start().await?;
    let pods = bench.scale.pods;
    let fewer = bench.scale.fewer_pods.filter(|_| options.is_chosen(cold_start::NAME)).unwrap_or_default();
    server.make_namespaces().await?;
    if fewer > 0 {
        server.fill(0, fewer, pods).await?;
        options.begins(cold_start::NAME);
        cold_start::fewer(bench, &server, &mut results.tables).await?;
    }
    server.fill(fewer, pods, pods).await?;
    results.seed = Some(Seed::look(&server.client, pods).await?);
    if options.begins(cold_start::NAME) {
        cold_start::all(bench, &server, &mut results.tables).await?;
    }
    if options.begins(churn::NAME) {
        churn::run(bench, &server, &mut results.tables).await?;
    }
    Ok(())
}

/// The scenarios on a server without pods.
async fn on_maps(options: &Options, bench: &Bench, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    if ![kinds::NAME, latency::NAME, burst::NAME, failing::NAME, reconnect::NAME].iter().any(|it| options.is_chosen(it))
    {
        return Ok(());
    }
    let mut server = Server::start().await?;
    if options.begins(kinds::NAME) {
        kinds::run(bench, &server, tables).await?;
    }
    if options.begins(latency::NAME) {
        latency::run(bench, &server, tables).await?;
    }
    if options.begins(burst::NAME) {
        burst::run(bench, &server, tables).await?;
    }
    if options.begins(failing::NAME) {
        failing::run(bench, &server, tables).await?;
    }
    if options.begins(reconnect::NAME) {
        reconnect::run(bench, &mut server, tables).await?;
    }
    Ok(())
}

fn write(options: &Options, results: &Results) -> anyhow::Result<()> {
    let mut text = results.facts.markdown();
    text.extend(results.seed.as_ref().map(Seed::markdown));
    text.extend(results.tables.iter().map(markdown::table));
    text.push_str(&markdown::losses(&results::losses(&results.tables)));
    let [markdown, json] = ["md", "json"].map(|kind| options.out.join(format!("{}.{kind}", options.stem())));
    fs::write(&markdown, &text)?;
    fs::write(&json, serde_json::to_vec_pretty(results)?)?;
    println!("{text}");
    eprintln!("peers: {} and {} written", markdown.display(), json.display());
    Ok(())
}
