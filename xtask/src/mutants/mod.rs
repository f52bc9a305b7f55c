//! `cargo xtask mutants`: does a test fail for every way to get core/ wrong?
//!
//! `cargo-mutants` changes the code in one place, a *mutant*, and runs the package's tests; a mutant that they do not notice
//! has *survived*. Here its answer is held against [`survivors`]: one that is not listed fails the command, and so does an
//! entry whose mutant is noticed by now or is gone.

mod survivors;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use survivors::{SURVIVORS, Survivor};

use crate::{
    cargo::{cargo, root},
    signals::Signals,
};

/// The version that is installed; another one may know other mutations, so it goes with the list.
const VERSION: &str = "27.1.0";

/// Where a rule for the queue, dispatch or the store is tested, and nothing else.
const PACKAGE: &str = "kubehandler-core";

/// How many cases each property test draws for each mutant. One that fails is not made smaller: nobody will read it.
const CASES: &str = "64";

/// Changes core/ in one place at a time and asks whether a test notices.
///
/// Installs `cargo-mutants` below the target folder if need be. About an hour on two cores for all of core/.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Only mutants of files that match this glob, such as 'core/src/queue/*.rs'; may be repeated.
    #[arg(long = "file", value_name = "GLOB")]
    files: Vec<String>,

    /// How many mutants are tested at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: u32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    run_over(&arguments.files, arguments.jobs)
}

/// Runs over these files (none: all of the package), so many mutants at once.
pub(crate) fn run_over(files: &[String], jobs: u32) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let tool = installed(&signals)?;
    let output = root().join("target/mutants-report");
    let report = output.join("mutants.out/outcomes.json");
    let mut command = Command::new(tool);
    command.current_dir(root()).env("PROPTEST_CASES", CASES).env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.args(["mutants", "--package", PACKAGE, "--no-times", "--jobs", &jobs.to_string(), "--output"]);
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    command.arg(&output).args(files.iter().flat_map(|glob| ["--file", glob]));
    let status = signals.run(&mut command)?;
    ensure!(!signals.arrived(), "interrupted");
    // 0: all were noticed; 2: some were not; 3: some hung. Anything else is no answer.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants failed: {status}");
    let text = fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))?;
    let outcomes: Outcomes = serde_json::from_str(&text).context("cargo-mutants wrote something unexpected")?;
    let verdict = Verdict::new(&outcomes, SURVIVORS);
    println!("{verdict}");
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tool's binary, installed first if it is missing or of another version.
fn installed(signals: &Signals) -> anyhow::Result<PathBuf> {
    let tools = root().join("target/tools");
    let binary = tools.join("bin/cargo-mutants");
    if !has_version(&binary) {
        eprintln!("xtask: installing cargo-mutants {VERSION}");
        let mut install = cargo();
        install.args(["install", "cargo-mutants", "--locked", "--version", VERSION, "--root"]).arg(&tools);
        ensure!(signals.run(&mut install)?.success(), "cargo-mutants {VERSION} cannot be installed");
    }
    Ok(binary)
}

fn has_version(binary: &Path) -> bool {
    let output = Command::new(binary).args(["mutants", "--version"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-mutants {VERSION}"))
}

// === what cargo-mutants writes ===

/// `outcomes.json`; the fields carry its names.
#[derive(Debug, Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Debug, Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

#[derive(Debug, Deserialize)]
struct Mutant {
    /// The file, the line and the column, and what was changed.
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    Timeout,
    Unviable,
    Failure,
}

/// A mutant's name without line and column, which change with every edit of the file.
fn lasting_name(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_line), Some(_column), Some(change)) => format!("{file}:{change}"),
        _ => name.to_owned(),
    }
}

// === the verdict ===

/// The outcomes against the list.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    counts: BTreeMap<Summary, usize>,
    /// Where they are, each.
    unlisted: Vec<String>,
    /// Entries that do not survive as often as they say.
    stale: Vec<String>,
    listed: usize,
}

impl Verdict {
    fn new(outcomes: &Outcomes, list: &[Survivor]) -> Self {
        let mut verdict = Self::default();
        let mut survived: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut files: Vec<&str> = Vec::new();
        for outcome in &outcomes.outcomes {
            let Scenario::Mutant(mutant) = &outcome.scenario else { continue };
            *verdict.counts.entry(outcome.summary).or_default() += 1;
            files.extend(mutant.name.split(':').next());
            if outcome.summary == Summary::MissedMutant {
                survived.entry(lasting_name(&mutant.name)).or_default().push(&mutant.name);
            }
        }
        // What was left out by `--file` says nothing about the list's entries for it.
        let tried = |entry: &&Survivor| files.iter().any(|file| entry.mutant.split(':').next() == Some(*file));
        for Survivor { mutant, times, reason } in list.iter().filter(tried) {
            let found = survived.remove(*mutant).map_or(0, |places| places.len());
            if found == *times {
                verdict.listed += found;
            } else {
                verdict.stale.push(format!("{mutant}: {times} listed ({reason}), {found} survived"));
            }
        }
        verdict.unlisted = survived.into_values().flatten().map(str::to_owned).collect();
        verdict
    }

    fn count(&self, summary: Summary) -> usize {
        self.counts.get(&summary).copied().unwrap_or_default()
    }

    fn is_good(&self) -> bool {
        self.unlisted.is_empty() && self.stale.is_empty() && self.count(Summary::Failure) == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.counts.values().sum();
        let [caught, unviable, hung, missed] =
            [Summary::CaughtMutant, Summary::Unviable, Summary::Timeout, Summary::MissedMutant]
                .map(|summary| self.count(summary));
        write!(f, "{total} mutants: {caught} caught, {unviable} do not compile, {hung} hang, {missed} survived")?;
        write!(f, " ({} of them listed)", self.listed)?;
        for mutant in &self.unlisted {
            write!(f, "\n  survived and is not listed: {mutant}")?;
        }
        for entry in &self.stale {
            write!(f, "\n  listed and does not survive so: {entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: Survivor = Survivor { mutant: "a.rs: replace f -> u32 with 0", times: 1, reason: "a test" };

    fn verdict(mutants: &[(&str, &str)], list: &[Survivor]) -> Verdict {
        let outcome = |(name, summary): &(&str, &str)| serde_json::json!({"scenario": {"Mutant": {"name": name, "line": 1}}, "summary": summary});
        let mut outcomes: Vec<_> = mutants.iter().map(outcome).collect();
        outcomes.push(serde_json::json!({"scenario": "Baseline", "summary": "Success"}));
        Verdict::new(&serde_json::from_value(serde_json::json!({"outcomes": outcomes})).unwrap(), list)
    }

    #[test]
    fn caught_and_listed_mutants_are_good() {
        let mutants = [("a.rs:7:3: replace f -> u32 with 0", "MissedMutant"), ("a.rs:8:3: x", "CaughtMutant")];
        let verdict = verdict(&mutants, &[LISTED]);
        assert!(verdict.is_good());
        let text = "2 mutants: 1 caught, 0 do not compile, 0 hang, 1 survived (1 of them listed)";
        assert_eq!(verdict.to_string(), text);
    }

    #[test]
    fn a_survivor_that_is_not_listed_is_named_with_its_place() {
        let verdict = verdict(&[("a.rs:7:3: replace + with -", "MissedMutant")], &[]);
        assert!(!verdict.is_good());
        assert_eq!(verdict.unlisted, ["a.rs:7:3: replace + with -"]);
    }

    #[test]
    fn an_entry_that_is_caught_or_gone_or_too_frequent_is_stale() {
        let survives = ("a.rs:7:3: replace f -> u32 with 0", "MissedMutant");
        for mutants in [&[("a.rs:7:3: replace f -> u32 with 0", "CaughtMutant")][..], &[survives, survives]] {
            let verdict = verdict(mutants, &[LISTED]);
            assert!(!verdict.is_good());
            assert_eq!(verdict.stale.len(), 1);
        }
    }

    #[test]
    fn entries_of_files_that_were_left_out_are_not_judged() {
        assert!(verdict(&[("b.rs:1:1: x", "CaughtMutant")], &[LISTED]).is_good());
    }

    #[test]
    fn every_entry_has_its_reason_and_its_file_and_none_comes_twice() {
        for (index, entry) in SURVIVORS.iter().enumerate() {
            // One whose file is gone is not judged, as if `--file` had left it out.
            assert!(entry.mutant.split(':').next().is_some_and(|file| root().join(file).is_file()), "{entry:?}");
            assert!(entry.reason.len() > 20 && entry.times > 0, "{entry:?}");
            assert!(SURVIVORS[..index].iter().all(|other| other.mutant != entry.mutant), "{entry:?}");
        }
    }
}
