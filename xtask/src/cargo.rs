//! Cargo as a tool: commands in the workspace's root, and what the manifests say.

use std::{collections::BTreeMap, env, path::PathBuf, process::Command};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The Cargo that runs this xtask, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Cargo tells a program that it runs which package it is. A build script that looks at that (ring's) would take it for
    // a change, and have all that depends on it compiled anew at each turn between `cargo` and `cargo xtask`.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(tells_the_package)) {
        command.env_remove(name);
    }
    command
}

fn tells_the_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    // invariant: xtask/ lies in the root, so there is a parent.
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// What `cargo metadata` tells about the workspace's own packages; the fields carry its names.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) rust_version: Option<String>,
    /// The registries it may go to; an empty list is `publish = false`.
    pub(crate) publish: Option<Vec<String>>,
    /// A feature and what it switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Metadata {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version=1"])
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata wrote something unexpected")
    }

    /// The names of all targets of a kind (`test`, `bench`), sorted.
    pub(crate) fn targets(&self, kind: &str) -> Vec<&str> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let mut names: Vec<_> = targets
            .filter(|target| target.kind.iter().any(|it| it == kind))
            .map(|target| target.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_package_is_is_not_passed_on() {
        // Cargo has told this test, as it tells xtask.
        assert!(env::var_os("CARGO_PKG_NAME").is_some() && env::var_os("CARGO_MANIFEST_DIR").is_some());
        let removed = |name: &str| cargo().get_envs().any(|(it, value)| it == name && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"));
        assert!(!removed("PATH") && !removed("CARGO"));
    }
}
