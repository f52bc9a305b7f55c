//! `cargo xtask manifests`: facts that stand in several places say the same.
//!
//! The oldest Rust that works: in every manifest, in the README, and not newer than the compiler at hand.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::cargo::{Metadata, root};

/// Checks that every manifest and the README name the same oldest Rust version.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    let readme = fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    check(&Metadata::read()?, &readme)?;
    Ok(ExitCode::SUCCESS)
}

fn check(metadata: &Metadata, readme: &str) -> anyhow::Result<()> {
    let mut stated = None;
    for package in &metadata.packages {
        let Some(version) = package.rust_version.as_deref() else {
            bail!("{} states no rust-version", package.name);
        };
        match stated {
            None => stated = Some(version),
            Some(other) if other == version => {}
            Some(other) => bail!("{} states rust-version {version}, another manifest {other}", package.name),
        }
    }
    let version = stated.context("there are no packages")?;
    let mentioned = rust_versions(readme);
    if mentioned.is_empty() {
        bail!("README.md names no Rust version; it should say: Rust {version}");
    }
    match mentioned.iter().find(|mentioned| **mentioned != version) {
        Some(other) => bail!("README.md says Rust {other}, the manifests rust-version {version}"),
        None => Ok(()),
    }
}

/// Every `1.N` that follows the word Rust.
fn rust_versions(text: &str) -> Vec<&str> {
    let after = text.match_indices("Rust 1.").map(|(at, _)| &text[at + "Rust ".len()..]);
    after
        .filter_map(|rest| rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next())
        .map(|it| it.trim_end_matches('.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Package;

    fn outcome(versions: &[Option<&str>], readme: &str) -> String {
        let package = |version: Option<&str>| Package {
            name: "some".to_owned(),
            rust_version: version.map(str::to_owned),
            ..Package::default()
        };
        let metadata = Metadata { packages: versions.iter().copied().map(package).collect(), ..Metadata::default() };
        check(&metadata, readme).map_or_else(|error| error.to_string(), |()| "same".to_owned())
    }

    #[test]
    fn one_version_everywhere_passes_and_any_other_is_named() {
        assert_eq!(outcome(&[Some("1.89"), Some("1.89")], "Needs Rust 1.89 or newer (Rust 1.89.)"), "same");
        assert_eq!(outcome(&[Some("1.89"), None], "Rust 1.89"), "some states no rust-version");
        assert!(outcome(&[Some("1.89"), Some("1.90")], "Rust 1.89").contains("another manifest 1.89"));
        assert!(outcome(&[Some("1.89")], "Rust 1.88.").contains("README.md says Rust 1.88,"));
        assert!(outcome(&[Some("1.89")], "any Rust").contains("should say: Rust 1.89"));
    }
}
