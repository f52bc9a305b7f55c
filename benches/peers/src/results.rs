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

/// A figure of which ours is more than a peer's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loss<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) figure: &'static str,
    pub(crate) peer: &'a str,
    /// Ours divided by theirs.
    pub(crate) ratio: f64,
}

impl Table {
    /// Ours divided by theirs, medians; `None` where either has none.
    pub(crate) fn ratio(&self, theirs: &Row, column: Column) -> Option<f64> {
        let ours = self.rows.iter().find(|row| row.label == self.ours)?;
        let of = |row: &Row| Spread::of(&row.rounds, column.figure).map(|spread| spread.median);
        let (ours, theirs) = (of(ours)?, of(theirs)?);
        (theirs > 0.0).then_some(ours / theirs)
    }
}

/// Where this library takes more than a peer does, the worst first. Less than half a percent is none.
pub(crate) fn losses(tables: &[Table]) -> Vec<Loss<'_>> {
    const US: &str = "kubehandler";
    let mut losses = Vec::new();
    for table in tables.iter().filter(|table| table.ours.starts_with(US)) {
        for row in table.rows.iter().filter(|row| !row.label.starts_with(US)) {
            for column in table.columns.iter().filter(|column| column.compared) {
                let Some(ratio) = table.ratio(row, *column).filter(|ratio| *ratio >= 1.005) else { continue };
                losses.push(Loss { scenario: &table.title, figure: column.title, peer: &row.label, ratio });
            }
        }
    }
    losses.sort_by(|one, other| other.ratio.total_cmp(&one.ratio));
    losses
}

#[cfg(test)]
mod tests {
    use kubehandler_peers::answer::figures;

    use super::*;

    #[test]
    fn losses_are_those_to_others_the_worst_first() {
        let row = |label: &str, seconds: f64, bytes: f64| Row {
            label: label.to_owned(),
            rounds: vec![figures([("seconds", seconds), ("bytes", bytes), ("lists", 0.0)])],
            unsupported: None,
        };
        let columns = ["seconds", "bytes"].map(|figure| column(figure, figure, Unit::Count));
        let table = |ours: &str, rows: Vec<Row>| Table {
            title: "T".to_owned(),
            explanation: String::new(),
            columns: columns.into_iter().chain([shown("lists", "lists", Unit::Count)]).collect(),
            ours: ours.to_owned(),
            rows,
        };
        let rows = vec![
            row("kubehandler, paged", 2.0, 3.0),
            row("kubehandler, streaming", 1.0, 1.0),
            row("a", 1.0, 4.0),
            row("b", 2.0, 1.0),
        ];
        let floors = table("plain", vec![row("plain", 9.0, 9.0), row("other", 1.0, 1.0)]);
        let tables = [floors, table("kubehandler, paged", rows)];
        let found = losses(&tables);
        let loss = |figure, peer, ratio| Loss { scenario: "T", figure, peer, ratio };
        assert_eq!(found, [loss("bytes", "b", 3.0), loss("seconds", "a", 2.0)]);
    }

    #[test]
    fn the_spread_is_of_those_rounds_that_have_the_figure() {
        let rounds = [3.0, 1.0, 2.0].map(|figure| figures([("a", figure)]));
        assert_eq!(Spread::of(&rounds, "a"), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of(&rounds[..2], "a"), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of(&rounds, "b"), None);
    }
}
