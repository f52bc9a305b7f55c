//! How a file is written: its first words, its exceptions from lints, the examples in its docs.

use crate::Complaint;
use crate::tree::Source;

/// Files that do not begin with `//!`.
pub(crate) fn module_docs(sources: &[Source]) -> Vec<Complaint> {
    let bare = sources.iter().filter(|source| !source.text.starts_with("//!"));
    bare.map(|source| format!("{}:1: begin with `//!`: what it owns, what it must not know", source.path)).collect()
}

/// `#[allow]` and `#[expect]` without `reason = "…"`. Clippy sees only what is compiled for this machine.
pub(crate) fn reasons(sources: &[Source]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        let bare = source.facts.exceptions.iter().filter(|exception| !exception.has_reason);
        complaints
            .extend(bare.map(|exception| format!("{}:{}: say why: `reason = \"…\"`", source.path, exception.line)));
    }
    complaints
}

/// Examples that nobody compiles.
pub(crate) fn ignored_examples(sources: &[Source]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        for (at, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else { continue };
            let Some(info) = doc.trim_start().strip_prefix("```") else { continue };
            if info.split([',', ' ']).any(|word| word.starts_with("ignore")) {
                complaints.push(format!(
                    "{}:{}: an ignored example rots: let it compile (`no_run`), or write it as `text`",
                    source.path,
                    at + 1
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn sources(text: &str) -> Vec<Source> {
        Tree::of(&[("src/a.rs", text)]).sources
    }

    #[test]
    fn a_file_that_begins_otherwise_is_named() {
        assert_eq!(module_docs(&sources("//! Docs.\n")).len(), 0);
        assert_eq!(module_docs(&sources("\n//! Docs.\n")).len(), 1);
        assert_eq!(module_docs(&sources("")).len(), 1);
    }

    #[test]
    fn an_exception_without_a_reason_is_named_with_its_line() {
        assert_eq!(reasons(&sources("#[expect(dead_code, reason = \"r\")]\nfn f() {}")).len(), 0);
        assert!(reasons(&sources("\n#[allow(dead_code)]\nfn f() {}"))[0].starts_with("src/a.rs:2:"));
        assert_eq!(reasons(&sources("#![allow(dead_code)]")).len(), 1);
        assert_eq!(reasons(&sources("fn f() { #[expect(unused)] let x = 1; }")).len(), 1);
    }

    #[test]
    fn an_ignored_example_is_named() {
        assert_eq!(ignored_examples(&sources("//! ```\n//! ```\n/// ```no_run\nfn ignore() {}")).len(), 0);
        assert!(ignored_examples(&sources("\n/// ```ignore\nfn f() {}"))[0].starts_with("src/a.rs:2:"));
        assert_eq!(ignored_examples(&sources("//! ```rust,ignore-wasm\n")).len(), 1);
    }
}
