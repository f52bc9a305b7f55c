//! What was measured, beside its budget.

use anyhow::ensure;

/// What a figure is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Budget {
    /// It explains others.
    Free,
    /// At most so much.
    AtMost(f64),
    /// At most so much; the server is noisy, so that it fails above the second figure only.
    Gate(f64, f64),
}

/// Prints each figure as it comes, and remembers what was missed.
pub(crate) struct Report {
    measures: bool,
    only: Option<String>,
    figures: usize,
    held: usize,
    missed: Vec<String>,
}

impl Report {
    pub(crate) fn new(measures: bool, only: Option<String>) -> Self {
        if measures {
            println!("{:<72} {:>10} {:>19}  budget", "", "median", "spread");
        }
        Self { measures, only, figures: 0, held: 0, missed: Vec::new() }
    }

    /// Whether a part is wanted.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| part.contains(only.as_str()))
    }

    /// A figure, of several rounds or of one.
    pub(crate) fn figure(&mut self, name: &str, unit: &str, values: &[f64], budget: Budget) {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return };
        let median = median(values);
        self.figures += 1;
        if !self.measures {
            return;
        }
        let verdict = match budget {
            Budget::Free => String::new(),
            Budget::AtMost(limit) | Budget::Gate(limit, _) if median <= limit => format!("≤ {limit}  holds"),
            Budget::Gate(limit, gate) if median <= gate => format!("≤ {limit}  over, within noise (≤ {gate})"),
            Budget::AtMost(limit) | Budget::Gate(limit, _) => format!("≤ {limit}  MISSED"),
        };
        self.held += usize::from(verdict.ends_with("holds"));
        if verdict.ends_with("MISSED") {
            self.missed.push(name.to_owned());
        }
        let spread = format!("{} – {}", short(least), short(most));
        println!("{name:<72} {:>7} {unit:<2} {spread:>19}  {verdict}", short(median));
    }

    /// The last words; an error if a budget was missed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        ensure!(self.figures > 0, "nothing was measured: no part's name holds what --only asks for");
        if !self.measures {
            println!("budgets: everything works");
            return Ok(());
        }
        ensure!(self.missed.is_empty(), "{} missed: {}", self.missed.len(), self.missed.join("; "));
        println!("budgets: all {} hold", self.held);
        Ok(())
    }
}

/// Three figures that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
