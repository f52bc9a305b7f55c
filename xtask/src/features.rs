//! `cargo xtask features`: does every package compile with every feature alone, with none and with all?
//!
//! Checks the libraries and binaries without their tests: a gate forgotten in a body shows there, and dev-dependencies
//! would switch features of dependencies on that a user does not have. By clippy, since that denies warnings without
//! another set of compiler flags, for which every dependency would be checked again.

use std::process::ExitCode;

use anyhow::ensure;

use crate::{
    cargo::{Metadata, Package, cargo},
    signals::Signals,
};

/// Checks every package with no features, each feature alone, and all of them, as users' builds see it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the combinations and check nothing.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let mut failed = Vec::new();
    for package in Metadata::read()?.packages {
        for features in combinations(&package) {
            let what = format!("{} with {}", package.name, features.as_deref().unwrap_or("no features"));
            eprintln!("xtask: {what}");
            if arguments.list {
                continue;
            }
            let mut command = cargo();
            command.args(["clippy", "--quiet", "--no-default-features", "--package", &package.name]);
            command.args(features.iter().flat_map(|names| ["--features", names]));
            let passed = signals.run(command.args(["--", "-Dwarnings"]))?.success();
            ensure!(!signals.arrived(), "interrupted");
            if !passed {
                failed.push(what);
            }
        }
    }
    ensure!(failed.is_empty(), "these do not compile without warnings: {}", failed.join("; "));
    Ok(ExitCode::SUCCESS)
}

/// None, each alone, all. `default` is a feature like any other: it stands for what it switches on. A package without
/// features has one combination, or none if nobody but this workspace builds it.
fn combinations(package: &Package) -> Vec<Option<String>> {
    let private = package.publish.as_ref().is_some_and(Vec::is_empty);
    if private && package.features.is_empty() {
        return Vec::new();
    }
    let names: Vec<_> = package.features.keys().cloned().collect();
    let all = (names.len() > 1).then(|| names.join(","));
    [None].into_iter().chain(names.into_iter().map(Some)).chain(all.map(Some)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combinations_of(features: &[&str]) -> Vec<Option<String>> {
        let features = features.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        combinations(&Package { features, ..Package::default() })
    }

    #[test]
    fn each_feature_is_checked_alone_and_with_all_others() {
        assert_eq!(combinations_of(&[]), [None]);
        assert_eq!(combinations_of(&["a"]), [None, Some("a".to_owned())]);
        let three = ["a", "b", "a,b"].map(|names| Some(names.to_owned()));
        assert_eq!(combinations_of(&["b", "a"])[1..], three);
    }

    #[test]
    fn a_package_for_the_workspace_alone_is_checked_for_its_features_only() {
        let mut package = Package { publish: Some(Vec::new()), ..Package::default() };
        assert_eq!(combinations(&package), []);
        package.features.insert("a".to_owned(), Vec::new());
        assert_eq!(combinations(&package).len(), 2);
    }
}
