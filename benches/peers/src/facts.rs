//! What the results were measured with: versions, the class of the machine, the date and the command.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use kubehandler_testcluster::Binaries;
use serde::Serialize;

use crate::child::Programs;
use crate::subject::Peer;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// Everything that a figure depends on besides the code.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    date: String,
    command: String,
    versions: BTreeMap<String, String>,
    cores: usize,
    processor: String,
    memory_gigabytes: u64,
}

impl Facts {
    pub(crate) fn gather(programs: &Programs, command: &str) -> anyhow::Result<Self> {
        let mut versions = BTreeMap::from([("kube-apiserver".to_owned(), Binaries::version().to_owned())]);
        for name in ["kubehandler", "kube", "kube-runtime", "k8s-openapi", "tokio"] {
            versions.insert(name.to_owned(), locked(LOCK, name).with_context(|| format!("{name} is in no lock"))?);
        }
        for (peer, module) in
            [(Peer::ClientGo, "k8s.io/client-go"), (Peer::ControllerRuntime, "sigs.k8s.io/controller-runtime")]
        {
            let built = built_with(&peer.path(programs))?;
            versions.insert(module.to_owned(), module_version(&built, module).context("an odd Go program")?);
            let go = built.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
            versions.insert("go".to_owned(), go.to_owned());
        }
        let memory = field(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or_default();
        let kilobytes: u64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        Ok(Self {
            date: jiff::Timestamp::now().to_string().chars().take("2000-01-01".len()).collect(),
            command: command.to_owned(),
            versions,
            cores: std::thread::available_parallelism()?.get(),
            processor: field(&fs::read_to_string("/proc/cpuinfo")?, "model name").unwrap_or_default(),
            memory_gigabytes: kilobytes / 1_000_000,
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = String::from("# Peers\n\n");
        let _ = writeln!(
            text,
            "{}, by `{}`, on {} cores ({}) with {} GB of memory, which programs, kube-apiserver, etcd and the conductor share.\n\n{}.\n\n\
             Medians of all rounds, the least and the most in brackets. MB = 10⁶ bytes. Compare within one run: absolute times move with \
             the machine.\n",
            self.date,
            self.command,
            self.cores,
            self.processor,
            self.memory_gigabytes,
            versions.join(", "),
        );
        text
    }
}

/// What Go says that a program was built with.
fn built_with(program: &std::path::Path) -> anyhow::Result<String> {
    let output = Command::new("go").args(["version", "-m"]).arg(program).output().context("cannot run go")?;
    ensure!(output.status.success(), "go version -m failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The version of a module among the lines `dep MODULE VERSION …`.
fn module_version(built: &str, module: &str) -> Option<String> {
    let words = built.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find_map(|words| match words.as_slice() {
        ["dep", name, version, ..] if *name == module => Some((*version).to_owned()),
        _ => None,
    })
}

/// The version of a package in Cargo's lock.
fn locked(lock: &str, name: &str) -> Option<String> {
    let rest = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1)?;
    Some(rest.split('"').next()?.to_owned())
}

/// The value behind `name:` in one of `/proc`'s files.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_where_they_stand() {
        assert_eq!(locked("[[package]]\nname = \"a-b\"\nversion = \"1.2.3\"\n", "a-b").as_deref(), Some("1.2.3"));
        assert!(locked(LOCK, "kube").is_some());
        let built = "p: go1.26.8\n\tpath\tx\n\tdep\tk8s.io/client-go\tv0.37.0\th1:x=\n";
        assert_eq!(module_version(built, "k8s.io/client-go").as_deref(), Some("v0.37.0"));
        assert_eq!(field("model name\t: Some CPU\nMemTotal:  5 kB\n", "MemTotal").as_deref(), Some("5 kB"));
        assert_eq!(field("model name\t: Some CPU\n", "model name").as_deref(), Some("Some CPU"));
    }
}
