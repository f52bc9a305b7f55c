//! Runs shapes in rounds and prints each figure's median, its spread, its budget, and whether that holds.

use std::time::Duration;

/// What a figure is to be.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// There is none: the figure explains others.
    Free,
    AtMost(f64),
    AtLeast(f64),
    /// At most the first; what else is at work there is noisy, so that it is missed above the second only.
    Gate(f64, f64),
}

/// How large the shapes are, and how often they run.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Keys of a short round.
    pub(crate) keys: usize,
    /// Keys of those shapes that are about many.
    pub(crate) million: usize,
}

const FULL: Scale = Scale { rounds: 9, keys: 300_000, million: 1_000_000 };
const SMOKE: Scale = Scale { rounds: 1, keys: 2_000, million: 5_000 };

/// What is to run, and what came of it.
pub(crate) struct Report {
    pub(crate) scale: Scale,
    pub(crate) measures: bool,
    chosen: Vec<String>,
    rows: usize,
    budgets: usize,
    missed: Vec<String>,
}

impl Report {
    /// As the program's arguments say.
    pub(crate) fn new() -> Self {
        let (flags, chosen): (Vec<String>, Vec<String>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
        let has = |flag: &str| flags.iter().any(|other| other == flag);
        Self::of(has("--bench") && !has("--smoke"), chosen)
    }

    /// Whether it measures or only tries, and what is chosen by parts of names: all if there is none.
    pub(crate) fn of(measures: bool, chosen: Vec<String>) -> Self {
        let scale = if measures { FULL } else { SMOKE };
        if measures {
            println!("{:<72} {:>9} {:>17}  budget", "", "median", "spread");
        }
        Self { scale, measures, chosen, rows: 0, budgets: 0, missed: Vec::new() }
    }

    pub(crate) fn is_chosen(&self, name: &str) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|part| name.contains(part.as_str()))
    }

    /// Measures nanoseconds a key: rounds of `shape`, after one that warms up.
    pub(crate) fn time(&mut self, name: &str, budget: Budget, keys: usize, mut shape: impl FnMut() -> Duration) {
        self.figure(name, "ns", budget, || shape().as_secs_f64() * 1e9 / as_number(keys));
    }

    /// Measures anything: rounds of `shape`, after one that warms up.
    pub(crate) fn figure(&mut self, name: &str, unit: &str, budget: Budget, mut shape: impl FnMut() -> f64) {
        if !self.is_chosen(name) {
            return;
        }
        if self.measures {
            shape();
        }
        let values = (0..self.scale.rounds).map(|_| shape()).collect();
        self.row(name, unit, budget, values);
    }

    /// Prints what rounds have measured elsewhere.
    pub(crate) fn row(&mut self, name: &str, unit: &str, budget: Budget, mut values: Vec<f64>) {
        self.rows += 1;
        values.sort_unstable_by(f64::total_cmp);
        if self.measures {
            self.print(name, unit, budget, &values);
        }
    }

    /// How many figures there were.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn print(&mut self, name: &str, unit: &str, budget: Budget, sorted: &[f64]) {
        let median = median(sorted);
        // Three figures that count.
        let decimals = match median.abs() {
            size if size < 10.0 => 2,
            size if size < 100.0 => 1,
            _ => 0,
        };
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        let (bound, holds) = match budget {
            Budget::Free => (String::new(), None),
            Budget::AtMost(bound) => (format!("≤ {bound}"), Some(median <= bound)),
            Budget::AtLeast(bound) => (format!("≥ {bound}"), Some(median >= bound)),
            Budget::Gate(bound, gate) => (format!("≤ {bound}"), Some(median <= gate)),
        };
        let verdict = match (holds, budget) {
            (None, _) => "",
            (Some(true), Budget::Gate(bound, _)) if median > bound => "over, within noise",
            (Some(true), _) => "holds",
            (Some(false), _) => "MISSED",
        };
        self.budgets += usize::from(holds.is_some());
        if holds == Some(false) {
            self.missed.push(name.to_owned());
        }
        let spread = format!("{least:.decimals$} – {most:.decimals$}");
        println!("{name:<72} {:>9} {spread:>17}  {bound:<6} {verdict}", format!("{median:.decimals$} {unit}"));
    }

    /// Says how many budgets hold, and gives the names of those that do not.
    pub(crate) fn finish(self) -> Vec<String> {
        if self.measures && self.missed.is_empty() {
            println!("all {} budgets hold", self.budgets);
        } else if self.measures {
            println!("{} of {} budgets missed: {}", self.missed.len(), self.budgets, self.missed.join("; "));
        }
        self.missed
    }
}

/// The middle one, or the mean of the two in the middle; no number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Counts are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn as_number(count: usize) -> f64 {
    count as f64
}
