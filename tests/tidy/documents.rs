//! What the documents promise: links that lead somewhere, examples that compile, tests, files and texts that exist.

use std::collections::BTreeMap;

use crate::Complaint;
use crate::tree::Tree;

/// This document has tables whose first column quotes what the code says, with `…` for what varies.
const OPERATING: &str = "docs/OPERATING.md";

/// How those tables begin.
const QUOTING: &[&str] = &["| log line |", "| the reason says |"];

/// What the name of a file of ours begins with.
const FOLDERS: &[&str] = &[
    "src/",
    "core/",
    "docs/",
    "testkit/",
    "testcluster/",
    "tests/",
    "benches/",
    "sample-controller/",
    "xtask/",
    ".ci/",
];

/// How many underscores make a word in backticks the name of a test: no other name of ours is so long.
const TEST_UNDERSCORES: usize = 4;

/// The lines of a document that are not within a code block, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((at + 1, line))
    })
}

/// What stands in backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A path below `folder`, with `.` and `..` resolved.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Relative links to files that do not exist.
pub(crate) fn links(documents: &BTreeMap<String, String>, exists: impl Fn(&str) -> bool) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in documents {
        for (line, text) in prose(text) {
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains("://") && !exists(&join(folder(path), file)) {
                    complaints.push(format!("{path}:{line}: there is no {file}"));
                }
            }
        }
    }
    complaints
}

/// Rust examples in documents that no `include_str!` makes a doc test of, or that are ignored.
pub(crate) fn examples(tree: &Tree) -> Vec<Complaint> {
    let mut tested = Vec::new();
    for source in &tree.sources {
        let included = source.text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        tested.extend(included.map(|path| join(folder(&source.path), path)));
    }
    let mut complaints = Vec::new();
    for (path, text) in &tree.documents {
        for (at, line) in text.lines().enumerate() {
            let Some(info) = line.trim_start().strip_prefix("```rust") else { continue };
            if info.contains("ignore") || !tested.contains(path) {
                complaints.push(format!("{path}:{}: nobody compiles this example", at + 1));
            }
        }
    }
    complaints
}

/// Names of tests, in backticks, that no source has.
pub(crate) fn named_tests(tree: &Tree) -> Vec<Complaint> {
    let is_test = |word: &str| {
        word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
            && word.chars().filter(|c| *c == '_').count() >= TEST_UNDERSCORES
    };
    let mut complaints = Vec::new();
    for (path, text) in &tree.documents {
        for (line, text) in prose(text) {
            for name in quoted(text).filter(|word| is_test(word)) {
                // In the text, since a test may stand within a macro.
                let function = format!("fn {name}(");
                if !tree.sources.iter().any(|source| source.text.contains(&function)) {
                    complaints.push(format!("{path}:{line}: there is no test {name}"));
                }
            }
        }
    }
    complaints
}

/// Files and folders, in prose or in backticks, that do not exist. `src/queue` may be a folder or `src/queue.rs`.
pub(crate) fn named_files(documents: &BTreeMap<String, String>, exists: impl Fn(&str) -> bool) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in documents {
        for (line, text) in prose(text) {
            let is_between = |c: char| !(c.is_alphanumeric() || "/._-".contains(c));
            let words = text.split(is_between).map(|word| word.trim_end_matches(['.', '/']));
            for word in words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))) {
                let beside = join(folder(path), word);
                if ![word, &format!("{word}.rs"), &beside].into_iter().any(&exists) {
                    complaints.push(format!("{path}:{line}: there is no {word}"));
                }
            }
        }
    }
    complaints
}

/// Log lines and reasons explained in [`OPERATING`] that no source writes.
pub(crate) fn log_lines(tree: &Tree) -> Vec<Complaint> {
    let Some(text) = tree.documents.get(OPERATING) else {
        return vec![format!("{OPERATING} is gone")];
    };
    let mut complaints = Vec::new();
    let (mut in_table, mut rows) = (false, 0);
    for (line, text) in prose(text) {
        if !text.starts_with('|') || QUOTING.iter().any(|head| text.starts_with(head)) {
            in_table = text.starts_with('|');
        } else if in_table && let Some(quoted) = quoted(text).next() {
            rows += 1;
            let says = |text: &str| contains_all(&text.replace("\\\"", "\""), quoted.split('…'));
            if !tree.sources.iter().any(|source| !source.test && says(&source.text)) {
                complaints.push(format!("{OPERATING}:{line}: no source writes `{quoted}`"));
            }
        }
    }
    if rows == 0 {
        complaints.push(format!("{OPERATING}: has no table that begins as {QUOTING:?}"));
    }
    complaints
}

/// Whether these pieces stand in the text, in this order.
fn contains_all<'a>(mut text: &str, pieces: impl Iterator<Item = &'a str>) -> bool {
    for piece in pieces {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_named() {
        let text = "[a](b.md) [c](../README.md#d) [e](https://f) [g](#h)\n[i](j.md)\n```\n[k](l.md)\n```\n";
        let documents = BTreeMap::from([("docs/x.md".to_owned(), text.to_owned())]);
        let complaints = links(&documents, |path| ["docs/b.md", "README.md"].contains(&path));
        assert_eq!(complaints, ["docs/x.md:2: there is no j.md"]);
    }

    #[test]
    fn an_example_that_is_no_doc_test_is_named() {
        let tested = "#[doc = include_str!(\"../README.md\")] struct Readme;";
        let tree =
            |document: &str| Tree::of(&[("src/lib.rs", tested), ("README.md", document), ("docs/x.md", "```sh\n```")]);
        assert_eq!(examples(&tree("```rust\n```")).len(), 0);
        assert_eq!(examples(&tree("```rust,ignore\n```")).len(), 1);
        assert_eq!(
            examples(&Tree::of(&[("docs/x.md", "```rust\n```")])),
            ["docs/x.md:1: nobody compiles this example"]
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_named() {
        let tree = Tree::of(&[
            ("src/a.rs", "p! { fn a_b_c_d_e(x in y()) {} }"),
            ("docs/x.md", "`a_b_c_d_e` and `Type::some` and `a_b_c_d_f`"),
        ]);
        assert_eq!(named_tests(&tree), ["docs/x.md:1: there is no test a_b_c_d_f"]);
    }

    #[test]
    fn a_file_that_does_not_exist_is_named() {
        let text = "See src/a.rs, `src/queue` and src/gone/b.rs.\nhttps://c/src/d.rs sample/src/e.rs";
        let documents = BTreeMap::from([("README.md".to_owned(), text.to_owned())]);
        let complaints = named_files(&documents, |path| ["src/a.rs", "src/queue.rs"].contains(&path));
        assert_eq!(complaints, ["README.md:1: there is no src/gone/b.rs"]);
    }

    #[test]
    fn a_log_line_that_nobody_writes_is_named() {
        let table = "| log line | means |\n|---|---|\n| `slow: … for …` | x |\n| `gone: …` | y |\n\n| other |\n|---|\n| `z` |\n";
        let source = "fn f() { warn!(\"slow: the call {} for {}s\"); }";
        let tree = Tree::of(&[("src/a.rs", source), (OPERATING, table)]);
        assert_eq!(log_lines(&tree), ["docs/OPERATING.md:4: no source writes `gone: …`"]);
        assert_eq!(
            log_lines(&Tree::of(&[(OPERATING, "words")])),
            ["docs/OPERATING.md: has no table that begins as [\"| log line |\", \"| the reason says |\"]"]
        );
    }
}
