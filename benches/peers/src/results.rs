//! What came of everything: tables of rows, a row for each subject, its figures round by round.

use kubehandler_peers::answer::Figures;
use serde::Serialize;

/// What a figure is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Nanoseconds,
    Megabytes,
    Bytes,
    Count,
    Percent,
}

/// A figure that is shown.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) figure: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    /// Whether ours is divided by theirs: not so for what is a mistake or none.
    pub(crate) compared: bool,
}

/// One subject's rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) rounds: Vec<Figures>,
    /// Why there are none.
    pub(crate) unsupported: Option<String>,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) explanation: String,
    pub(crate) columns: Vec<Column>,
    /// The row whose figures are divided by those of every other.
    pub(crate) ours: String,
    pub(crate) rows: Vec<Row>,
}

/// A column that is compared.
pub(crate) const fn column(figure: &'static str, title: &'static str, unit: Unit) -> Column {
    Column { figure, title, unit, compared: true }
}

/// A column that is only shown.
pub(crate) const fn shown(figure: &'static str, title: &'static str, unit: Unit) -> Column {
    Column { figure, title, unit, compared: false }
}

/// The least, the middle and the most of a figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` if no round has the figure.
    pub(crate) fn of(rounds: &[Figures], figure: &str) -> Option<Self> {
        let mut values: Vec<f64> = rounds.iter().filter_map(|figures| figures.get(figure).copied()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => return None,
            len if len % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Self { least: values[0], median, most: values[values.len() - 1] })
    }
}

#[cfg(test)]
mod tests {
    use kubehandler_peers::answer::figures;

    use super::*;

    #[test]
    fn the_spread_is_of_those_rounds_that_have_the_figure() {
        let rounds = [3.0, 1.0, 2.0].map(|figure| figures([("a", figure)]));
        assert_eq!(Spread::of(&rounds, "a"), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of(&rounds[..2], "a"), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of(&rounds, "b"), None);
    }
}
