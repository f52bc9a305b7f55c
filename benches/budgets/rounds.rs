//! What is measured, by turns, and what it is held to.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokio::runtime::Builder;

use super::address::Address;
use super::beginning::Figures;
use super::child::measure;
use super::connect;
use super::fill;
use super::report::Budget::{AtMost, Free, Gate};
use super::report::{Report, median};
use super::server::Server;
use super::snapshot::a_pod_changes;
use super::task::{By, Mode, Reads, Task};
use super::turns;

const MB: f64 = 1e6;

/// What the program was asked for.
pub(crate) struct Options {
    pub(crate) measures: bool,
    pub(crate) only: Option<String>,
    pods: usize,
    rounds: usize,
    changes: usize,
    modes: Vec<Mode>,
}

impl Options {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let (mut measures, mut smoke, mut only, mut pods, mut rounds) = (false, false, None, None, None);
        let mut modes = vec![Mode::Paged, Mode::Unpaged];
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--bench" => measures = true,
                "--smoke" => smoke = true,
                "--only" => only = Some(value()?),
                "--pods" => pods = Some(value()?.parse()?),
                "--rounds" => rounds = Some(value()?.parse()?),
                "--streaming" => modes.push(Mode::Streaming),
                other => bail!("{other:?} is none of --only NAME, --pods N, --rounds N, --streaming, --smoke"),
            }
        }
        let measures = measures && !smoke;
        let (all, five, changes) = if measures { (20_000, 5, 1_000_000) } else { (1_000, 1, 2_000) };
        Ok(Self { measures, only, pods: pods.unwrap_or(all), rounds: rounds.unwrap_or(five), changes, modes })
    }
}

pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if ["start", "memory", "latency"].iter().any(|part| report.is_chosen(part)) {
        let server = if options.measures { Server::real()? } else { runtime.block_on(Server::embedded())? };
        let begun = Instant::now();
        runtime.block_on(async { fill::fill(&server.client().await?, options.pods).await })?;
        eprintln!("budgets: {} pods created in {:.0?}", options.pods, begun.elapsed());
        if report.is_chosen("start") || report.is_chosen("memory") {
            let client = runtime.block_on(server.client())?;
            let address = Address::of(runtime.block_on(connect::config(&server.kubeconfig))?);
            let awake = || runtime.block_on(a_pod_changes(&client));
            starts(options, report, &server.kubeconfig, &address, awake)?;
        }
        if report.is_chosen("latency") {
            latency(options, report, &server.kubeconfig)?;
        }
    }
    replayed(options, report)
}

/// Measures each task in each round.
fn by_turns<const N: usize>(tasks: &[Task; N], rounds: usize) -> anyhow::Result<[Vec<Figures>; N]> {
    let mut figures = [const { Vec::new() }; N];
    for round in 0..rounds {
        for which in turns::order(round, N) {
            figures[which].push(measure(&tasks[which])?);
        }
    }
    Ok(figures)
}

/// Values of one figure over the rounds.
fn each(rounds: &[Figures], name: &str, unit: f64) -> Vec<f64> {
    rounds.iter().map(|figures| one(figures, name) / unit).collect()
}

/// A figure; no number if the child did not tell it.
fn one(figures: &Figures, name: &str) -> f64 {
    figures.get(name).copied().unwrap_or(f64::NAN)
}

/// The list until all is handled: time, CPU, memory; beside it the same list read and dropped, and kube-rs.
///
/// `awake` before each minute or two of lists.
fn starts(
    options: &Options,
    report: &mut Report,
    kubeconfig: &Path,
    server: &Address,
    awake: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let kubeconfig = kubeconfig.to_owned();
    let task = |mode, reads| Task::Start { server: Box::new(server.clone()), mode, reads, pods: options.pods };
    // The first list after a fill warms the server up.
    measure(&Task::ReadList { kubeconfig: kubeconfig.clone(), mode: Mode::Unpaged })?;
    let pods = one(&measure(&Task::ScanAndCompress { kubeconfig: kubeconfig.clone() })?, "items");
    let mut memory = Vec::new();
    for &mode in &options.modes {
        awake()?;
        let floor = Task::ReadList { kubeconfig: kubeconfig.clone(), mode };
        let work = Task::ScanAndCompress { kubeconfig: kubeconfig.clone() };
        let [floors, keys, objects, loops] =
            by_turns(&[floor, task(mode, Reads::Key), task(mode, Reads::Object), work], options.rounds)?;
        if mode == Mode::Paged {
            report.row("a pod as the server sends it", "KB", Free, vec![median(&each(&floors, "bytes", 1e3)) / pods]);
        }
        let (floor, loops) = (each(&floors, "seconds", 1.0), median(&each(&loops, "cpu", 1.0)));
        let idle = median(&each(&floors, "cpu", 1.0));
        report.row(&format!("start, {mode:?}: the plain reader"), "s", Free, floor.clone());
        report.row(&format!("start, {mode:?}: key only"), "s", Free, each(&keys, "seconds", 1.0));
        for (name, rounds, limit, gate, times) in
            [("key only", &keys, 1.10, 1.25, 2.0), ("object read", &objects, 1.20, 1.35, 4.0)]
        {
            let ratio = median(&each(rounds, "seconds", 1.0)) / median(&floor);
            report.row(
                &format!("start, {mode:?}: {name}, against the plain reader"),
                "x",
                Gate(limit, gate),
                vec![ratio],
            );
            let work: Vec<f64> = each(rounds, "cpu", 1.0).iter().map(|cpu| (cpu - idle) / loops).collect();
            report.row(
                &format!("start, {mode:?}: CPU over the plain reader's, {name}, in loops"),
                "x",
                AtMost(times),
                work.clone(),
            );
        }
        memory.push((mode, keys, objects));
    }
    for (mode, keys, objects) in &memory {
        for (name, rounds, settled, peak) in [("key only", keys, 40.0, 45.0), ("object read", objects, 50.0, 55.0)] {
            report.row(
                &format!("memory, {mode:?}: settled, {name}"),
                "MB",
                AtMost(settled),
                each(rounds, "resident", MB),
            );
            report.row(&format!("memory, {mode:?}: peak, {name}"), "MB", AtMost(peak), each(rounds, "peak", MB));
        }
        report.row(&format!("memory, {mode:?}: the process before"), "MB", Free, each(keys, "before", MB));
        report.row(&format!("memory, {mode:?}: JSON in the cache"), "MB", Free, each(keys, "json", MB));
        report.row(&format!("memory, {mode:?}: the same as it is held"), "MB", Free, each(keys, "held", MB));
    }
    awake()?;
    // Starts differ by half a megabyte either way: which pages of the program the kernel has brought in with others.
    let [metadata] = by_turns(&[task(Mode::Paged, Reads::Metadata)], options.rounds)?;
    report.row("memory: settled, metadata only", "MB", Gate(25.0, 25.5), each(&metadata, "resident", MB));
    reflectors(report, &kubeconfig)
}

/// The same list in kube-rs's reflector.
fn reflectors(report: &mut Report, kubeconfig: &Path) -> anyhow::Result<()> {
    for strip in [false, true] {
        let name = if strip { "kube-rs's reflector, managedFields removed" } else { "kube-rs's reflector" };
        let peer = [measure(&Task::Reflector { kubeconfig: kubeconfig.to_owned(), strip })?];
        report.row(&format!("start: {name}"), "s", Free, each(&peer, "seconds", 1.0));
        report.row(&format!("memory: {name}"), "MB", Free, each(&peer, "resident", MB));
    }
    Ok(())
}

/// From a creation until it is handled, against a bare watcher.
fn latency(options: &Options, report: &mut Report, kubeconfig: &Path) -> anyhow::Result<()> {
    let creations = if options.measures { 500 } else { 20 };
    let task = |bare| Task::Latency { kubeconfig: kubeconfig.to_owned(), bare, creations };
    // What the server cleans up meanwhile moves a median by more than the budget: so many pairs, each of two that ran in turn.
    let rounds = if options.measures { 4 * options.rounds } else { options.rounds };
    let [ours, bare] = by_turns(&[task(false), task(true)], rounds)?;
    for (name, rounds) in [("the handler", &ours), ("a bare kube_runtime::watcher", &bare)] {
        report.row(&format!("latency: create to {name}, p50"), "ms", Free, each(rounds, "p50", 1e-3));
        report.row(&format!("latency: create to {name}, p99"), "ms", Free, each(rounds, "p99", 1e-3));
    }
    let pairs = each(&ours, "p50", 1e-3).into_iter().zip(each(&bare, "p50", 1e-3));
    report.row(
        "latency: p50 over the bare watcher's",
        "ms",
        AtMost(0.1),
        pairs.map(|(ours, bare)| ours - bare).collect(),
    );
    Ok(())
}

/// What needs no server: the same bytes each time.
fn replayed(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let pods = options.pods.min(1_000);
    if report.is_chosen("change") {
        a_change(options, report, pods)?;
    }
    if report.is_chosen("events") {
        events(options, report, pods)?;
    }
    if report.is_chosen("reconcile") {
        reconciles(options, report)?;
    }
    if report.is_chosen("rejected") {
        rejections(options, report)?;
    }
    if report.is_chosen("decode") {
        let [rounds] = by_turns(&[Task::Decode { pods }], options.rounds)?;
        let ratio = median(&each(&rounds, "cold", 1.0)) / median(&each(&rounds, "plain", 1.0));
        report.row("decode: object(), cold", "µs", Free, each(&rounds, "cold", 1e-6));
        report.row("decode: object(), cold, against serde_json::from_slice", "x", AtMost(1.5), vec![ratio]);
        report.row("decode: object(), decoded lately", "µs", AtMost(1.0), each(&rounds, "recent", 1e-6));
    }
    if report.is_chosen("growth") {
        let steps = if options.measures { vec![5_000, 20_000, 100_000] } else { vec![pods] };
        for pods in steps {
            let figures = measure(&Task::Growth { pods })?;
            let each = |bytes: f64| vec![bytes / pods as f64];
            // The code that the first list runs through is loaded then, which is no growth of the pods.
            report.row(
                &format!("growth: a pod of {pods}, over the process before"),
                "B",
                AtMost(1_500.0),
                each(one(&figures, "grown")),
            );
            let whole = one(&figures, "resident") - one(&figures, "before");
            report.row("growth: the same with the program's code", "B", Free, each(whole));
        }
    }
    if report.is_chosen("leak") {
        let figures = measure(&Task::Changes { pods, changes: options.changes, per_second: None, by: By::Loop })?;
        let grown = (one(&figures, "resident") - one(&figures, "resident early")) / MB;
        report.row(
            &format!("leak: growth by {} changes of {pods} pods", options.changes),
            "MB",
            AtMost(2.0),
            vec![grown],
        );
    }
    if report.is_chosen("idle") {
        let figures = measure(&Task::Idle { informers: 50, seconds: if options.measures { 20 } else { 1 } })?;
        report.row("idle: wake-ups a second, 50 informers", "", AtMost(5.0), vec![one(&figures, "wake-ups")]);
        report.row("idle: CPU, 50 informers", "%", AtMost(0.2), vec![one(&figures, "cpu") * 100.0]);
    }
    Ok(())
}

/// What a change costs from its bytes to the handler's entry, at once and at a pace.
fn a_change(options: &Options, report: &mut Report, pods: usize) -> anyhow::Result<()> {
    let changes = |changes, per_second, by| Task::Changes { pods, changes, per_second, by };
    let some = options.changes / 50;
    let [ours, plain] = by_turns(&[changes(some, None, By::Loop), changes(some, None, By::Nobody)], options.rounds)?;
    let read = median(&each(&plain, "cpu", 1e-6));
    let work = median(&each(&ours, "cpu", 1e-6)) - read;
    report.row("change: CPU from its bytes to the handler's entry", "µs", Free, vec![work]);
    report.row("change: the same, in loops", "x", AtMost(4.0), vec![work / median(&each(&plain, "loop", 1e-6))]);
    let (count, rate) = if options.measures { (2_000, 100) } else { (50, 100) };
    let task = |by| changes(count, Some(rate), by);
    let [mine, theirs, nobodys] =
        by_turns(&[task(By::Loop), task(By::Reflector), task(By::Nobody)], options.rounds.min(3))?;
    // What it takes to bring the changes and to wake a process for each is nobody's merit.
    let idle = median(&each(&nobodys, "cpu", 1e-6));
    let over = |rounds: &[Figures]| each(rounds, "cpu", 1e-6).into_iter().map(|cpu| cpu - idle).collect::<Vec<_>>();
    let (mine, theirs) = (over(&mine), over(&theirs));
    let ratio = median(&mine) / median(&theirs);
    report.row("change: CPU at 100/s", "µs", Free, mine.clone());
    report.row("change: CPU at 100/s, kube-rs's reflector", "µs", Free, theirs.clone());
    report.row("change: CPU at 100/s, against kube-rs's reflector", "x", AtMost(0.5), vec![ratio]);
    Ok(())
}

/// How many events a second a stateful watcher takes, beside kube-rs's bare one.
fn events(options: &Options, report: &mut Report, pods: usize) -> anyhow::Result<()> {
    let task = |bare| Task::Events { pods, changes: options.changes / 50, bare };
    let [ours, bare] = by_turns(&[task(false), task(true)], options.rounds)?;
    let ratio = median(&each(&bare, "rate", 1.0)) / median(&each(&ours, "rate", 1.0));
    report.row("events: a second, a watcher that decodes each", "", Free, each(&ours, "rate", 1.0));
    report.row("events: a second, a bare kube_runtime::watcher", "", Free, each(&bare, "rate", 1.0));
    report.row("events: time for each, against the bare watcher", "x", Gate(1.0, 1.1), vec![ratio]);
    Ok(())
}

/// What it takes to reconcile every object once in half a minute.
fn reconciles(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let every = if options.measures { 30 } else { 1 };
    for (name, objects) in [("by key", false), ("each object read", true)] {
        let figures = measure(&Task::Reconcile { pods: options.pods, every, objects })?;
        let share = vec![one(&figures, "cpu") * 100.0];
        report.row(&format!("reconcile: CPU of {} pods each {every} s, {name}", options.pods), "%", Free, share);
    }
    Ok(())
}

/// What is kept of each object that a schema rejects, beside what is kept of each that passes.
fn rejections(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let pods = options.pods.min(10_000);
    let task = |rejects| Task::Rejected { pods, rejects };
    let [rejected, passed] = by_turns(&[task(true), task(false)], options.rounds.min(3))?;
    let of_each = |rounds: &[Figures]| median(&each(rounds, "grown", pods as f64));
    let over = of_each(&rejected) - of_each(&passed);
    report.row(&format!("rejected: a pod of {pods} over one that passes the schema"), "B", AtMost(500.0), vec![over]);
    Ok(())
}
