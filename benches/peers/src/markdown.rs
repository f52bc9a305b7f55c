//! Tables for people: medians with their spread, and ours divided by theirs.

use std::fmt::Write as _;

use crate::results::{Column, Loss, Row, Spread, Table, Unit};

/// One scenario as Markdown.
pub(crate) fn table(table: &Table) -> String {
    let mut text = format!("## {}\n\n{}\n\n", table.title, table.explanation);
    let heads: Vec<String> = table.columns.iter().map(|column| head(*column)).collect();
    write_row(&mut text, "", &heads);
    write_row(&mut text, "---", &vec!["---:".to_owned(); heads.len()]);
    for row in &table.rows {
        let cells: Vec<String> = match &row.unsupported {
            Some(why) => {
                [format!("not there: {why}")].into_iter().chain(vec![String::new(); heads.len() - 1]).collect()
            }
            None => table.columns.iter().map(|column| cell(row, *column)).collect(),
        };
        write_row(&mut text, &row.label, &cells);
    }
    ratios(&mut text, table);
    text.push('\n');
    text
}

/// Where we lose, as Markdown.
pub(crate) fn losses(losses: &[Loss<'_>]) -> String {
    let mut text = "## Where kubehandler takes more\n\n\
                    Every ratio to another in these tables that is 1.005 or more, the worst first. A figure of theirs that is nought or \
                    less, as memory that shrank, gives no ratio.\n\n"
        .to_owned();
    if losses.is_empty() {
        text.push_str("None.\n\n");
        return text;
    }
    write_row(&mut text, "", &["than", "of what", "times"].map(str::to_owned));
    write_row(&mut text, "---", &["---", "---", "---:"].map(str::to_owned));
    for Loss { scenario, figure, peer, ratio } in losses {
        write_row(&mut text, scenario, &[(*peer).to_owned(), (*figure).to_owned(), number(*ratio)]);
    }
    text.push('\n');
    text
}

fn ratios(text: &mut String, table: &Table) {
    let Some(ours) = table.rows.iter().find(|row| row.label == table.ours) else { return };
    let compared: Vec<Column> = table.columns.iter().copied().filter(|column| column.compared).collect();
    let others: Vec<&Row> =
        table.rows.iter().filter(|row| row.label != ours.label && row.unsupported.is_none()).collect();
    if compared.is_empty() || others.is_empty() {
        return;
    }
    let _ = write!(text, "\n{}, divided by … (below 1 is less):\n\n", ours.label);
    write_row(text, "", &compared.iter().map(|column| column.title.to_owned()).collect::<Vec<_>>());
    write_row(text, "---", &vec!["---:".to_owned(); compared.len()]);
    for row in others {
        let cells: Vec<String> = compared.iter().map(|column| ratio(table, row, *column)).collect();
        write_row(text, &row.label, &cells);
    }
}

fn write_row(text: &mut String, label: &str, cells: &[String]) {
    let _ = writeln!(text, "| {label} | {} |", cells.join(" | "));
}

fn head(column: Column) -> String {
    let unit = match column.unit {
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Nanoseconds => "ns",
        Unit::Megabytes => "MB",
        Unit::Bytes => "B",
        Unit::Count => return column.title.to_owned(),
        Unit::Percent => "%",
    };
    format!("{}, {unit}", column.title)
}

fn scale(unit: Unit) -> f64 {
    match unit {
        Unit::Seconds | Unit::Nanoseconds | Unit::Bytes | Unit::Count => 1.0,
        Unit::Milliseconds => 1e3,
        Unit::Megabytes => 1e-6,
        Unit::Percent => 1e2,
    }
}

fn cell(row: &Row, column: Column) -> String {
    let Some(spread) = Spread::of(&row.rounds, column.figure) else { return "–".to_owned() };
    let scale = scale(column.unit);
    let median = number(spread.median * scale);
    let (least, most) = (number(spread.least * scale), number(spread.most * scale));
    if least == most { median } else { format!("{median} ({least}–{most})") }
}

fn ratio(table: &Table, theirs: &Row, column: Column) -> String {
    table.ratio(theirs, column).map_or_else(|| "–".to_owned(), number)
}

/// Three figures that count; thousands apart.
fn number(value: f64) -> String {
    let decimals = |size: f64| match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    let size = value.abs();
    let text = if size.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        // It may be rounded up to one that has a figure more in front.
        let rounded = format!("{size:.*}", decimals(size)).parse().unwrap_or(size);
        format!("{value:.*}", decimals(rounded))
    };
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

#[cfg(test)]
mod tests {
    use kubehandler_peers::answer::figures;

    use super::*;
    use crate::results::{column, shown};

    #[test]
    fn numbers_have_three_figures_that_count() {
        let cases = [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (12_345.6, "12,346"),
            (7.0, "7"),
            (0.099_97, "0.100"),
            (0.999_7, "1.00"),
            (9.997, "10.0"),
            (99.96, "100"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(number(-1_234.0), "-1,234");
    }

    #[test]
    fn a_table_shows_medians_spread_ratios_and_what_is_not_there() {
        let row = |label: &str, seconds: &[f64]| Row {
            label: label.to_owned(),
            rounds: seconds.iter().map(|seconds| figures([("seconds", *seconds), ("lists", 1.0)])).collect(),
            unsupported: None,
        };
        let missing = Row { unsupported: Some("no".to_owned()), ..row("c", &[]) };
        let shown = shown("lists", "lists", Unit::Count);
        let text = table(&Table {
            title: "T".to_owned(),
            explanation: "E".to_owned(),
            columns: vec![column("seconds", "time", Unit::Milliseconds), shown],
            ours: "a".to_owned(),
            rows: vec![row("a", &[0.001, 0.002, 0.003]), row("b", &[0.004]), missing],
        });
        let expected = "## T\n\nE\n\n|  | time, ms | lists |\n| --- | ---: | ---: |\n| a | 2 (1–3) | 1 |\n| b | 4 | 1 |\n\
                        | c | not there: no |  |\n\na, divided by … (below 1 is less):\n\n|  | time |\n| --- | ---: |\n| b | 0.500 |\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn losses_are_a_table_or_said_to_be_none() {
        let loss = Loss { scenario: "S", figure: "time", peer: "b", ratio: 1.5 };
        let text = losses(&[loss]);
        assert!(
            text.ends_with("|  | than | of what | times |\n| --- | --- | --- | ---: |\n| S | b | time | 1.50 |\n\n"),
            "{text}"
        );
        assert!(losses(&[]).ends_with("None.\n\n"));
    }
}
