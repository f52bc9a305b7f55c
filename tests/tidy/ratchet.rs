//! Lengths that may only shrink.
//!
//! A file or function above the limit stands in a list with the length it had; growing beyond that fails, and so does
//! an entry that has become larger than needed, so that what was won is not lost again.

use crate::Complaint;
use crate::tree::Source;

const FILE_LIMIT: usize = 500;
const FUNCTION_LIMIT: usize = 70;

/// How far below its entry something may be before the entry has to be lowered: not every line deserves a change here.
const SLACK: usize = 20;

/// Files above the limit: path and lines.
pub(crate) const LONG_FILES: &[(&str, usize)] = &[];

/// Functions above the limit: path, name and lines.
pub(crate) const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Files that are too long, and entries that are too generous.
pub(crate) fn files(sources: &[Source], long: &[(&str, usize)]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        let permitted = long.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
        complaints.extend(judge(&source.path, source.text.lines().count(), FILE_LIMIT, permitted));
    }
    let gone = long.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path));
    complaints.extend(gone.map(|(path, _)| format!("{path} is gone: take it from the list in {}", file!())));
    complaints
}

/// Functions that are too long, and entries that are too generous. Of several with one name the longest counts.
pub(crate) fn functions(sources: &[Source], long: &[(&str, &str, usize)]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        for function in &source.facts.functions {
            let longest =
                source.facts.functions.iter().filter(|other| other.name == function.name).map(|it| it.lines).max();
            if longest == Some(function.lines) {
                let permitted = long.iter().find(|(path, name, _)| *path == source.path && *name == function.name);
                let place = format!("{}:{}: {}", source.path, function.line, function.name);
                complaints.extend(judge(&place, function.lines, FUNCTION_LIMIT, permitted.map(|(_, _, lines)| *lines)));
            }
        }
    }
    for (path, name, _) in long {
        let exists = |source: &Source| source.path == *path && source.facts.functions.iter().any(|it| it.name == *name);
        if !sources.iter().any(exists) {
            complaints.push(format!("{path}: {name} is gone: take it from the list in {}", file!()));
        }
    }
    complaints
}

fn judge(place: &str, lines: usize, limit: usize, permitted: Option<usize>) -> Option<Complaint> {
    match permitted {
        None if lines > limit => {
            Some(format!("{place} has {lines} lines, the limit is {limit}: one concept, one place"))
        }
        Some(permitted) if lines > permitted => {
            Some(format!("{place} has grown to {lines} lines, from {permitted}; the limit is {limit}: split it"))
        }
        Some(_) if lines <= limit => Some(format!("{place} is within the limit: take it from the list in {}", file!())),
        Some(permitted) if lines + SLACK < permitted => {
            Some(format!("{place} has shrunk to {lines} lines: lower its entry of {permitted} in {}", file!()))
        }
        None | Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_length_may_only_shrink() {
        let count = |lines, permitted| judge("it", lines, 100, permitted).into_iter().count();
        assert_eq!([count(100, None), count(101, None)], [0, 1]);
        assert_eq!([count(150, Some(150)), count(151, Some(150))], [0, 1]);
        assert_eq!([count(130, Some(150)), count(129, Some(150)), count(100, Some(110))], [0, 1, 1]);
    }

    #[test]
    fn files_and_functions_are_measured_and_stale_entries_named() {
        let body = "    g();\n".repeat(100);
        let text = format!("fn f() {{\n{body}}}\n{}", "\n".repeat(450));
        let sources = Tree::of(&[("src/lib.rs", &text)]).sources;
        assert!(files(&sources, &[])[0].contains("src/lib.rs has 552 lines"));
        assert!(functions(&sources, &[])[0].contains("src/lib.rs:1: f has 102 lines"));
        assert_eq!(files(&sources, &[("src/lib.rs", 552)]).len(), 0);
        assert_eq!(functions(&sources, &[("src/lib.rs", "f", 102)]).len(), 0);
        assert_eq!(files(&sources, &[("src/lib.rs", 552), ("src/old.rs", 600)]).len(), 1);
        assert_eq!(functions(&sources, &[("src/lib.rs", "f", 102), ("src/lib.rs", "g", 80)]).len(), 1);
    }
}
