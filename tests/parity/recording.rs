//! What the real server answered, kept in `recorded.json` so that the embedded one is held to it without Go.
//!
//! `cargo xtask record` writes it anew; `cargo xtask e2e` fails when it is not what the real server answers.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Context as _;

use crate::answer::Answer;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/recorded.json")
}

/// The real server's answers by the requests' names.
pub(crate) fn read() -> anyhow::Result<BTreeMap<String, Answer>> {
    let path = path();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("cannot understand {}; `cargo xtask record` writes it", path.display()))
}

/// Replaces the recording. One answer a line, in the order of names: a change shows as the lines it changes.
pub(crate) fn write(answers: &[(&'static str, Answer)]) -> anyhow::Result<()> {
    let sorted: BTreeMap<_, _> = answers.iter().map(|(name, answer)| (*name, answer)).collect();
    let mut lines = Vec::new();
    for (name, answer) in sorted {
        lines.push(format!("{}: {}", serde_json::to_string(name)?, serde_json::to_string(answer)?));
    }
    let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
    fs::write(path(), text).with_context(|| format!("cannot write {}", path().display()))
}
