//! What there is: the workspace's sources, manifests and documents, and which source is part of which crate.
//!
//! Everything is read once and kept as plain data: a syntax tree is bound to the thread that parsed it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::Complaint;
use crate::facts::{Child, Facts};

/// One `.rs` file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) facts: Facts,
    /// Where it stands in its crate, such as `["queue", "state"]`; `None` if no crate reaches it.
    pub(crate) module: Option<Vec<String>>,
    /// Whether it is compiled for tests and benchmarks only.
    pub(crate) test: bool,
}

/// The workspace.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) sources: Vec<Source>,
    /// Path and text of every `Cargo.toml`.
    pub(crate) manifests: BTreeMap<String, String>,
    /// Path and text of every `.md`.
    pub(crate) documents: BTreeMap<String, String>,
}

impl Tree {
    /// The workspace that this test belongs to, read once.
    pub(crate) fn workspace() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut files = BTreeMap::new();
            read(root, root, &mut files);
            Self::new(root.to_owned(), files)
        })
    }

    /// A tree of these files. Panics on one that does not parse: then nothing could be said about it.
    pub(crate) fn new(root: PathBuf, files: BTreeMap<String, String>) -> Self {
        let mut tree = Self { root, ..Self::default() };
        for (path, text) in files {
            let kind = path.rsplit('.').next();
            if kind == Some("md") {
                tree.documents.insert(path, text);
            } else if kind == Some("toml") {
                tree.manifests.insert(path, text);
            } else {
                let facts = Facts::of(&text).unwrap_or_else(|error| panic!("{path} does not parse: {error}"));
                tree.sources.push(Source { path, text, facts, ..Source::default() });
            }
        }
        reach(&mut tree);
        tree
    }

    /// A tree for a check's own test.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(PathBuf::new(), files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }
}

/// All files below `folder` that a check wants to see, by their path from `root`.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Neither build output nor what git and CI keep for themselves.
            if name != "target" && !name.starts_with('.') {
                read(root, &path, files);
            }
        } else if name == "Cargo.toml" || [".rs", ".md"].iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let path = path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/");
            files.insert(path, text);
        }
    }
}

/// Files that nobody compiles: in no `mod` list, and no crate's root.
pub(crate) fn dead_files(tree: &Tree) -> Vec<Complaint> {
    let dead = tree.sources.iter().filter(|source| source.module.is_none());
    dead.map(|source| format!("{}: no `mod` leads here: name it in its parent, or delete it", source.path)).collect()
}

/// Walks from the crates' roots along `mod` and fills in where each source stands.
fn reach(tree: &mut Tree) {
    let at: BTreeMap<String, usize> =
        tree.sources.iter().enumerate().map(|(index, source)| (source.path.clone(), index)).collect();
    let packages: BTreeSet<&str> = tree.manifests.keys().map(|path| path.trim_end_matches("Cargo.toml")).collect();
    let mut waiting: Vec<(usize, Vec<String>, bool)> = Vec::new();
    for (path, index) in &at {
        if let Some(test) = packages.iter().find_map(|package| root_of(path.strip_prefix(package)?)) {
            waiting.push((*index, Vec::new(), test));
        }
    }
    while let Some((index, module, test)) = waiting.pop() {
        let source = &mut tree.sources[index];
        if source.module.is_some() && (source.test || !test) {
            continue;
        }
        let is_root = module.is_empty();
        (source.module, source.test) = (Some(module.clone()), test);
        for child in &tree.sources[index].facts.children {
            let found = files_of(&tree.sources[index].path, is_root, child).into_iter().find_map(|path| at.get(&path));
            if let Some(found) = found {
                let module = module.iter().chain(&child.module).cloned().collect();
                waiting.push((*found, module, test || child.test));
            }
        }
    }
}

/// Whether a path within a package is a crate's root, and then whether that crate is a test or benchmark.
fn root_of(path: &str) -> Option<bool> {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        ["build.rs"]
        | ["src", "lib.rs" | "main.rs"]
        | ["src", "bin", _]
        | ["examples", _]
        | ["src", "bin", _, "main.rs"]
        | ["examples", _, "main.rs"] => Some(false),
        ["tests" | "benches", _] | ["tests" | "benches", _, "main.rs"] => Some(true),
        _ => None,
    }
}

/// The two places where a `mod` in `parent` may have its file, or the one that it names itself.
fn files_of(parent: &str, parent_is_root: bool, child: &Child) -> Vec<String> {
    let (folder, file) = parent.rsplit_once('/').unwrap_or(("", parent));
    if let Some(path) = &child.path {
        return vec![format!("{folder}/{path}")];
    }
    let mut base = folder.to_owned();
    if !parent_is_root && file != "mod.rs" {
        base = format!("{base}/{}", file.trim_end_matches(".rs"));
    }
    let base = format!("{base}/{}", child.module.join("/"));
    vec![format!("{base}.rs"), format!("{base}/mod.rs")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("Cargo.toml", ""),
            (
                "src/lib.rs",
                "mod queue; mod inline { mod deep; }\n#[cfg(test)] mod helpers;\n#[path = \"odd.rs\"] mod even;",
            ),
            ("src/queue.rs", "mod state;"),
            ("src/queue/state.rs", ""),
            ("src/inline/deep.rs", ""),
            ("src/helpers/mod.rs", "mod more;"),
            ("src/helpers/more.rs", ""),
            ("src/odd.rs", ""),
            ("src/forgotten.rs", ""),
            ("tests/it/main.rs", "mod one;"),
            ("tests/it/one.rs", ""),
            ("tests/it/two.rs", ""),
            ("core/Cargo.toml", ""),
            ("core/src/lib.rs", ""),
        ])
    }

    #[test]
    fn a_file_in_no_mod_list_is_dead() {
        let dead: Vec<_> =
            dead_files(&tree()).into_iter().filter_map(|it| Some(it.split_once(':')?.0.to_owned())).collect();
        assert_eq!(dead, ["src/forgotten.rs", "tests/it/two.rs"]);
    }

    #[test]
    fn every_source_knows_its_module_and_whether_it_is_a_test() {
        let tree = tree();
        let of = |path: &str| {
            let source = tree.sources.iter().find(|source| source.path == path).unwrap();
            (source.module.as_deref().unwrap().join("::"), source.test)
        };
        assert_eq!(of("src/queue/state.rs"), ("queue::state".to_owned(), false));
        assert_eq!(of("src/inline/deep.rs"), ("inline::deep".to_owned(), false));
        assert_eq!(of("src/odd.rs"), ("even".to_owned(), false));
        assert_eq!(of("src/helpers/more.rs"), ("helpers::more".to_owned(), true));
        assert_eq!(of("tests/it/one.rs"), ("one".to_owned(), true));
    }
}
