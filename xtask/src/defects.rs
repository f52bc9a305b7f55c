//! `cargo xtask defects`: can the simulation find what it is there to find?
//!
//! Each file in `tests/sim/defects/` is a patch that puts one mistake into the library, below some lines that say which. It
//! is applied to a copy of the tree, and the simulation has to fail there within so many seeds. The product has no
//! switch for any of this.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    cargo::{cargo, root},
    signals::Signals,
};

/// Where the patches are.
const FOLDER: &str = "tests/sim/defects";
/// What a hunt that has found something says, before the number.
const FOUND: &str = "defect-hunt: found after ";

/// How many seeds a defect may take.
const SEEDS: u32 = 2_000;

/// Puts deliberate defects into copies of the tree, one at a time, and counts the seeds that the simulation needs to notice.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those whose file name contains this.
    name: Option<String>,

    /// How many seeds each may take.
    #[arg(long, value_name = "N", default_value_t = SEEDS)]
    seeds: u32,

    /// What the seeds are made from; the commit's hash by default.
    #[arg(long, value_name = "N")]
    base: Option<u64>,

    /// Only check that every patch applies and that there are enough of them.
    #[arg(long)]
    check: bool,
}

/// A deliberate defect.
#[derive(Debug)]
struct Defect {
    name: String,
    patch: PathBuf,
    /// What it does, in the patch's first lines.
    story: String,
}

/// What became of one.
#[derive(Debug)]
struct Hunted {
    name: String,
    story: String,
    /// The seeds that it took; `None` if they were not enough.
    seeds: Option<u32>,
    took: Duration,
}

/// Hunts every defect with as many seeds as by default.
pub(crate) fn hunt_all() -> anyhow::Result<ExitCode> {
    run(&Arguments { name: None, seeds: SEEDS, base: None, check: false })
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let all = defects()?;
    let copy = Copy::make()?;
    for defect in &all {
        copy.apply(defect)?;
        copy.undo(defect)?;
    }
    if arguments.check {
        println!("{} defects, each applies", all.len());
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = all.into_iter().filter(|it| arguments.name.as_ref().is_none_or(|name| it.name.contains(name)));
    let mut hunted = Vec::new();
    for defect in chosen {
        ensure!(!signals.arrived(), "interrupted");
        copy.apply(&defect)?;
        let found = copy.hunt(&signals, &defect, arguments);
        copy.undo(&defect)?;
        hunted.push(found?);
    }
    ensure!(!hunted.is_empty(), "no defect has such a name");
    print!("{}", table(&hunted));
    let missed = hunted.iter().filter(|it| it.seeds.is_none()).count();
    println!("{} defects, {missed} of them not found in {} seeds", hunted.len(), arguments.seeds);
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The patches, by name.
fn defects() -> anyhow::Result<Vec<Defect>> {
    let folder = root().join(FOLDER);
    let mut defects = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let patch = entry?.path();
        let Some(name) = patch.file_name().and_then(|name| name.to_str()?.strip_suffix(".patch")) else { continue };
        let text = fs::read_to_string(&patch).with_context(|| format!("cannot read {}", patch.display()))?;
        let story = story(&text).with_context(|| format!("{} does not say what it does", patch.display()))?;
        defects.push(Defect { name: name.to_owned(), story, patch });
    }
    defects.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(defects)
}

/// What stands above the first file's changes, on one line.
fn story(patch: &str) -> Option<String> {
    let head: Vec<&str> =
        patch.lines().take_while(|line| !line.starts_with("--- ") && !line.starts_with("diff ")).collect();
    let story = head.join(" ").trim().to_owned();
    (!story.is_empty()).then_some(story)
}

fn table(hunted: &[Hunted]) -> String {
    let row = |Hunted { name, story, seeds, took }: &Hunted| {
        let seeds = seeds.map_or_else(|| "**not found**".to_owned(), |seeds| seeds.to_string());
        format!("| {name} | {story} | {seeds} | {} s |\n", took.as_secs())
    };
    let rows: String = hunted.iter().map(row).collect();
    format!("| defect | what it does | seeds needed | time |\n|---|---|---|---|\n{rows}")
}

/// A copy of the tree's files that git knows, kept between the defects so that little is compiled again.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make() -> anyhow::Result<Self> {
        let target = root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        let tree = target.join("defects");
        let listed = succeeded(Command::new("git").args(["ls-files", "-z"]).current_dir(root()))?;
        let files = String::from_utf8(listed.stdout).context("git names a file that is not UTF-8")?;
        let files: BTreeSet<PathBuf> = files.split_terminator('\0').map(|file| tree.join(file)).collect();
        remove_all_but(&files, &tree)?;
        for copy in &files {
            copy_if_changed(&root().join(copy.strip_prefix(&tree)?), copy)?;
        }
        Ok(Self { tree, target })
    }

    fn apply(&self, defect: &Defect) -> anyhow::Result<()> {
        self.git(defect, &[]).with_context(|| format!("{} no longer applies: write it anew", defect.patch.display()))
    }

    fn undo(&self, defect: &Defect) -> anyhow::Result<()> {
        self.git(defect, &["--reverse"])
    }

    fn git(&self, defect: &Defect, flags: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("git");
        // Within the real tree's repository git would look for its files there.
        command.env("GIT_CEILING_DIRECTORIES", &self.target).current_dir(&self.tree);
        command.args(["apply", "--whitespace=nowarn"]).args(flags).arg(&defect.patch);
        succeeded(&mut command).map(drop)
    }

    fn hunt(&self, signals: &Signals, defect: &Defect, arguments: &Arguments) -> anyhow::Result<Hunted> {
        eprintln!("xtask: {}: {}", defect.name, defect.story);
        let simulation = || {
            let mut command = cargo();
            command.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
            command.args(["test", "--quiet", "--package", "kubehandler", "--test", "sim", "--profile", "sim"]);
            command
        };
        let built = signals.run(simulation().arg("--no-run"))?;
        ensure!(built.success(), "the tree does not compile with the defect {}", defect.name);
        let began = Instant::now();
        let mut command = simulation();
        command.args(["--", "--defect-hunt", "--seeds", &arguments.seeds.to_string()]);
        if let Some(base) = arguments.base {
            command.args(["--base", &base.to_string()]);
        }
        let log = self.target.join(format!("defect-{}.log", defect.name));
        command.stdout(fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
        let status = signals.run(&mut command)?;
        let said = fs::read_to_string(&log)?;
        let seeds = said.lines().find_map(|line| line.strip_prefix(FOUND)?.split(' ').next()?.parse().ok());
        ensure!(
            status.success() == seeds.is_none(),
            "{}: the simulation did not end as it should: see {}",
            defect.name,
            log.display()
        );
        Ok(Hunted { name: defect.name.clone(), story: defect.story.clone(), seeds, took: began.elapsed() })
    }
}

/// Removes what an earlier copy held and the tree has lost: a module that became a folder would be there twice.
fn remove_all_but(files: &BTreeSet<PathBuf>, folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            remove_all_but(files, &path)?;
        } else if !files.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Leaves the time of what has not changed, by which cargo knows what to compile.
fn copy_if_changed(from: &Path, to: &Path) -> anyhow::Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}, which git knows", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(to, content).with_context(|| format!("cannot write {}", to.display()))
}

fn succeeded(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_it_does_above_its_changes() {
        let patch = "A wake is lost\nwhile a call runs.\n\n--- a/x.rs\n+++ b/x.rs\n@@ -1 +1 @@\n-a\n+b\n";
        assert_eq!(story(patch).as_deref(), Some("A wake is lost while a call runs."));
        assert_eq!(story("--- a/x.rs\n+++ b/x.rs\n"), None);
    }
}
