//! What the conductor is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// The same work done by this library and its peers, on one real control plane: `cargo xtask peers` builds what it needs.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// The folder with the Go programs.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) go_programs: PathBuf,

    /// Where peers.md, peers.json and the programs' logs go; part.md and part.json if not all is measured.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    /// Only scenarios whose name holds this.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,

    /// How many rounds of each scenario.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,

    /// How many pods.
    #[arg(long, value_name = "N")]
    pub(crate) pods: Option<usize>,

    /// Few objects, one round: does every program do all the work?
    #[arg(long)]
    pub(crate) smoke: bool,

    /// The command that the user gave, to stand in the results.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) command: String,
}

/// How large everything is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Whether every scenario has all variants of every controller, or one of each.
    pub(crate) all_variants: bool,
    pub(crate) pods: usize,
    /// A smaller number of pods, to see growth; none if there is nothing to be seen.
    pub(crate) fewer_pods: Option<usize>,
    /// Changes a second in the churn, and for how many seconds.
    pub(crate) churn: (u64, u64),
    pub(crate) creations: usize,
    /// Objects that are there when the server is restarted.
    pub(crate) survivors: usize,
    /// How long a peer has after a restart to see what there is.
    pub(crate) patience: Duration,
    /// Changes of the burst, and on how many keys.
    pub(crate) burst: (usize, usize),
    pub(crate) failing: usize,
    pub(crate) idle_seconds: u64,
}

const FULL: Scale = Scale {
    rounds: 3,
    all_variants: true,
    pods: 20_000,
    fewer_pods: Some(5_000),
    churn: (200, 60),
    creations: 500,
    survivors: 2_000,
    patience: Duration::from_secs(30),
    burst: (10_000, 100),
    failing: 2_000,
    idle_seconds: 10,
};

const SMOKE: Scale = Scale {
    rounds: 1,
    all_variants: false,
    pods: 500,
    fewer_pods: None,
    churn: (100, 2),
    creations: 20,
    survivors: 300,
    patience: Duration::from_secs(5),
    burst: (500, 20),
    failing: 200,
    idle_seconds: 1,
};

impl Options {
    pub(crate) fn scale(&self) -> Scale {
        let scale = if self.smoke { SMOKE } else { FULL };
        let pods = self.pods.unwrap_or(scale.pods);
        Scale {
            rounds: self.rounds.unwrap_or(scale.rounds),
            pods,
            fewer_pods: scale.fewer_pods.filter(|fewer| *fewer < pods),
            ..scale
        }
    }

    /// How the results' files are named. Only all of it is published, and a part does not take its place.
    pub(crate) fn stem(&self) -> &'static str {
        let has_rounds = self.rounds.is_none_or(|rounds| rounds >= FULL.rounds);
        let is_whole = !self.smoke && self.only.is_none() && self.pods.is_none() && has_rounds;
        if is_whole { "peers" } else { "part" }
    }

    pub(crate) fn is_chosen(&self, scenario: &str) -> bool {
        self.only.as_ref().is_none_or(|part| scenario.contains(part.as_str()))
    }

    /// As [`Self::is_chosen`], and says that it begins.
    pub(crate) fn begins(&self, scenario: &str) -> bool {
        let chosen = self.is_chosen(scenario);
        if chosen {
            eprintln!("peers: {scenario}");
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_is_named_as_what_is_published() {
        let stem = |flags: &[&str]| {
            let needed = ["peers", "--go-programs", "go", "--out", "out"];
            Options::parse_from(needed.iter().chain(flags)).stem()
        };
        assert_eq!([stem(&[]), stem(&["--rounds", "5"])], ["peers"; 2]);
        for part in [&["--smoke"][..], &["--only", "queue"], &["--pods", "1000"], &["--rounds", "2"]] {
            assert_eq!(stem(part), "part", "{part:?}");
        }
    }
}
