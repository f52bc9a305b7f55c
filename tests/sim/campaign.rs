//! Many seeds: which, on how many threads, and what is told of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::canary;
use super::checks::{Violation, check};
use super::handlers::PANIC;
use super::history::{Entry, Event};
use super::regressions::SEEDS;
use super::transition::Trouble;
use super::world::{Lived, live};

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Replay this one, and print its history.
    seed: Option<u64>,
    /// How many fresh seeds.
    seeds: Option<usize>,
    /// What fresh seeds are made from; the commit's hash by default.
    base: Option<u64>,
    jobs: Option<usize>,
    /// Stop at the first failure, and say in one line how many seeds that took.
    hunt: bool,
    /// A name was asked for that is not this test's.
    others: bool,
}

/// Fresh seeds of an ordinary test run, which is not optimised.
const FRESH: usize = 24;
/// Seeds that are lived twice to see that nothing but the seed decides.
const TWICE: usize = 3;
/// Histories that are spoilt to see that it is noticed.
const CANARIES: u64 = 20;
/// A world that takes longer in real time spins within one instant.
const HANGS_AFTER: Duration = Duration::from_secs(60);
/// How many events before a violation are printed.
const WINDOW: usize = 70;

impl Arguments {
    /// Reads the command line. What the standard harness would take is accepted and ignored.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut number = || -> Result<u64, String> {
                let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
                value.parse().map_err(|_| format!("{word} needs a number, not {value}"))
            };
            match word.as_str() {
                "--seed" => arguments.seed = Some(number()?),
                "--seeds" => arguments.seeds = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
                "--base" => arguments.base = Some(number()?),
                "--jobs" => arguments.jobs = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
                "--defect-hunt" => arguments.hunt = true,
                "--nocapture" | "--quiet" | "-q" | "--exact" | "--show-output" | "--include-ignored" => {}
                "--ignored" | "--list" => arguments.others = true,
                "--test-threads" | "--format" | "--color" | "--skip" | "-Z" => drop(words.next()),
                _ if word.starts_with("--test-threads=") || word.starts_with("--color=") => {}
                _ if word.starts_with('-') => return Err(format!("unknown flag {word}")),
                _ => arguments.others |= !"simulation".contains(&word),
            }
        }
        Ok(arguments)
    }
}

/// What came of one seed.
#[derive(Default)]
struct Outcome {
    seed: u64,
    /// The violation, and the story round it.
    failure: Option<String>,
    calls: usize,
    events: usize,
    lives: usize,
    virtual_time: Duration,
    troubles: BTreeMap<Trouble, u64>,
}

/// All of them together.
#[derive(Default)]
struct Summary {
    passed: usize,
    failed: Vec<u64>,
    calls: usize,
    events: usize,
    lives: usize,
    virtual_time: Duration,
    troubles: BTreeMap<Trouble, u64>,
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.others {
        return ExitCode::SUCCESS;
    }
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<String>().is_none_or(|text| text != PANIC) {
            default(panic);
        }
    }));
    match arguments.seed {
        Some(seed) => replay(seed),
        None => many(arguments),
    }
}

fn replay(seed: u64) -> ExitCode {
    let lived = live(seed);
    println!("{:#?}", lived.options);
    lived.entries.iter().for_each(|entry| println!("{entry}"));
    match check(&lived.options, &lived.entries) {
        Ok(()) => {
            println!("seed {seed}: the contract holds, {} events", lived.entries.len());
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{}", story(seed, &lived, &violation));
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let base = arguments.base.unwrap_or_else(commit);
    let fresh = arguments.seeds.unwrap_or(FRESH);
    // A hunt asks what seeds find that nobody has chosen.
    let kept = if arguments.hunt { &[] } else { SEEDS };
    let seeds: Vec<u64> = kept.iter().map(|(seed, _)| *seed).chain((0..fresh as u64).map(|at| mix(base, at))).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or(cores).max(1);
    println!("simulation: {} regressions, {fresh} fresh seeds from base {base}, {jobs} threads", kept.len());
    let mut summary = Summary::default();
    if !arguments.hunt {
        summary.check_canaries();
        // The last ones: fresh, as far as there are so many.
        summary.check_reproducible(&seeds[seeds.len().saturating_sub(TWICE)..]);
    }
    summary.live_all(&seeds, jobs, arguments.hunt);
    summary.print(began.elapsed());
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The commit's hash as a number: another commit, other seeds; the same commit, the same.
fn commit() -> u64 {
    let git = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let hash = git.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    u64::from_str_radix(hash.get(..15).unwrap_or("0"), 16).unwrap_or(0)
}

/// The `at`-th seed of a base (`SplitMix64`).
fn mix(base: u64, at: u64) -> u64 {
    let mut z = base.wrapping_add((at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Lives a seed and judges it.
fn judge(seed: u64) -> Outcome {
    let lived = catch_unwind(AssertUnwindSafe(|| live(seed)));
    let Ok(lived) = lived else {
        let failure = Some(format!("seed {seed}: the world panicked\n{}", command(seed)));
        return Outcome { seed, failure, ..Outcome::default() };
    };
    let verdict = check(&lived.options, &lived.entries);
    let count = |is: fn(&Event) -> bool| lived.entries.iter().filter(|entry| is(&entry.event)).count();
    Outcome {
        seed,
        calls: count(|event| matches!(event, Event::Began(_))),
        lives: count(|event| matches!(event, Event::Started)),
        events: lived.entries.len(),
        virtual_time: lived.entries.last().map_or(Duration::ZERO, |entry| entry.at),
        failure: verdict.err().map(|violation| story(seed, &lived, &violation)),
        troubles: lived.troubles,
    }
}

fn command(seed: u64) -> String {
    format!("replay it:  cargo xtask simulate --seed {seed}")
}

/// A failure as somebody wants to read it.
fn story(seed: u64, lived: &Lived, violation: &Violation) -> String {
    let mut text = format!("seed {seed} breaks the contract\n{:#?}\n", lived.options);
    let from = violation.at.saturating_sub(WINDOW);
    let _ = writeln!(text, "… {from} events before");
    for (at, entry) in lived.entries.iter().enumerate().skip(from).take(violation.at - from + 4) {
        let mark = if at == violation.at { ">" } else { " " };
        let _ = writeln!(text, "{mark}{entry}");
    }
    let _ = writeln!(text, "seed {seed} breaks {violation}");
    text + &command(seed)
}

impl Summary {
    /// The same seed gives the same history, to the last event.
    fn check_reproducible(&mut self, seeds: &[u64]) {
        let told = |seed| -> Vec<String> { live(seed).entries.iter().map(Entry::to_string).collect() };
        for seed in seeds {
            let (one, two) = (told(*seed), told(*seed));
            let differs = one.iter().zip(&two).position(|(one, two)| one != two);
            let differs = differs.or_else(|| (one.len() != two.len()).then_some(one.len().min(two.len())));
            match differs {
                None => self.passed += 1,
                Some(at) => {
                    println!(
                        "seed {seed} is not reproducible: event {at} is\n  {:?}\nand\n  {:?}",
                        one.get(at),
                        two.get(at)
                    );
                    self.failed.push(*seed);
                }
            }
        }
    }

    /// The checks notice what is wrong on purpose.
    fn check_canaries(&mut self) {
        let lived: Vec<_> = (0..CANARIES).map(|at| live(mix(0, at))).collect();
        let unnoticed = canary::unnoticed(&lived);
        if unnoticed.is_empty() {
            self.passed += 1;
        } else {
            println!("the checks do not notice: {}", unnoticed.join("; "));
            self.failed.push(0);
        }
    }

    fn live_all(&mut self, seeds: &[u64], jobs: usize, hunt: bool) {
        let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let running: Arc<Mutex<BTreeMap<usize, (u64, Instant)>>> = Arc::default();
        let (send, receive) = channel();
        let seeds: Arc<[u64]> = seeds.into();
        for job in 0..jobs {
            let (seeds, send, next, stop, running) =
                (Arc::clone(&seeds), send.clone(), Arc::clone(&next), Arc::clone(&stop), Arc::clone(&running));
            std::thread::spawn(move || work(job, &seeds, &send, &next, &stop, &running));
        }
        drop(send);
        let mut done = 0;
        loop {
            match receive.recv_timeout(Duration::from_secs(1)) {
                Ok(outcome) => {
                    done += 1;
                    let failed = outcome.failure.is_some();
                    self.add(outcome);
                    if failed && hunt {
                        stop.store(true, Ordering::Relaxed);
                        println!("defect-hunt: found after {done} seeds");
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some((seed, _)) = running.values().find(|(_, since)| since.elapsed() > HANGS_AFTER) {
                        println!("seed {seed} spins: it has run for {HANGS_AFTER:?}\n{}", command(*seed));
                        println!("defect-hunt: found after {} seeds", done + 1);
                        self.failed.push(*seed);
                        return;
                    }
                }
            }
        }
        if hunt {
            println!("defect-hunt: nothing found in {done} seeds");
        }
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome.failure {
            None => self.passed += 1,
            Some(story) => {
                // The first ones are enough to read.
                if self.failed.len() < 3 {
                    println!("{story}\n");
                } else {
                    println!("seed {} fails, too", outcome.seed);
                }
                self.failed.push(outcome.seed);
            }
        }
        self.calls += outcome.calls;
        self.events += outcome.events;
        self.lives += outcome.lives;
        self.virtual_time += outcome.virtual_time;
        for (trouble, hits) in outcome.troubles {
            *self.troubles.entry(trouble).or_default() += hits;
        }
    }

    fn print(&self, took: Duration) {
        println!(
            "{} calls in {} lives of a controller, {} events; {:.1} h of virtual time in {:.1} s",
            self.calls,
            self.lives,
            self.events,
            self.virtual_time.as_secs_f64() / 3600.0,
            took.as_secs_f64()
        );
        let troubles: Vec<_> = self.troubles.iter().map(|(trouble, hits)| format!("{trouble:?} {hits}")).collect();
        println!("faults: {}", troubles.join(", "));
        if !self.failed.is_empty() {
            let seeds: Vec<_> = self.failed.iter().take(20).map(u64::to_string).collect();
            println!("failed seeds: {}", seeds.join(" "));
        }
        println!("simulation: {} passed, {} failed", self.passed, self.failed.len());
    }
}

fn work(
    job: usize,
    seeds: &[u64],
    send: &Sender<Outcome>,
    next: &AtomicUsize,
    stop: &AtomicBool,
    running: &Mutex<BTreeMap<usize, (u64, Instant)>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let Some(chosen) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
        running.lock().unwrap_or_else(PoisonError::into_inner).insert(job, (*chosen, Instant::now()));
        if send.send(judge(*chosen)).is_err() {
            break;
        }
    }
    running.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
}
