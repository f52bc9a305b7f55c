//! Who may know whom: the table of `docs/ARCHITECTURE.md`, checked on the sources.
//!
//! Within a crate a part lists the parts that it may name, so that a new one is a decision; of other crates it lists
//! those that it must not name.

use std::fmt;

use crate::Complaint;
use crate::facts::Named;
use crate::tree::Source;

/// A part of a package and what it may know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    /// The package's folder; `""` for the root package.
    pub(crate) package: &'static str,
    /// The part: its first module; `""` for the whole package.
    pub(crate) part: &'static str,
    /// The package's other modules and re-exports that it may name; `None` if any.
    pub(crate) may_know: Option<&'static [&'static str]>,
    /// Other crates, or paths within them, that it must not name.
    pub(crate) must_not_know: &'static [&'static str],
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.package, self.part) {
            (package, "") => f.write_str(package),
            ("", part) => f.write_str(part),
            (package, part) => write!(f, "{package}'s {part}"),
        }
    }
}

/// Clocks and generators that no seed and no paused clock reaches.
const WILD: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "rand::rng",
    "rand::rngs::ThreadRng",
    "rand::random",
];

/// What core's parts speak of, by module and by re-export.
const VOCABULARY: &[&str] = &["event", "key", "version", "EventType", "Life", "ObjectKey", "ResourceVersion"];

/// The vocabulary, and where records are kept.
const DISPATCH: &[&str] = &["event", "key", "keyed", "version", "EventType", "Life", "ObjectKey", "ResourceVersion"];

/// The vocabulary, and what changes.
const OUTBOX: &[&str] = &["key", "store", "version", "Life", "ObjectKey", "ResourceVersion"];

/// Every rule.
pub(crate) const LAYERS: &[Layer] = &[
    Layer { package: "core", part: "", may_know: None, must_not_know: WILD },
    Layer {
        package: "core",
        part: "",
        may_know: None,
        must_not_know: &["tokio", "tokio_util", "futures", "kube", "k8s_openapi", "kubehandler", "tracing"],
    },
    Layer { package: "core", part: "dispatch", may_know: Some(DISPATCH), must_not_know: &[] },
    Layer { package: "core", part: "keyed", may_know: Some(&[]), must_not_know: &[] },
    Layer { package: "core", part: "queue", may_know: Some(&["keyed", "time", "Timestamp"]), must_not_know: &[] },
    Layer { package: "core", part: "store", may_know: Some(VOCABULARY), must_not_know: &[] },
    Layer { package: "core", part: "outbox", may_know: Some(OUTBOX), must_not_know: &[] },
    Layer {
        package: "",
        part: "queue",
        may_know: Some(&["clock", "sync"]),
        must_not_know: &["kube", "k8s_openapi", "kubehandler_core::dispatch", "kubehandler_core::store"],
    },
    Layer {
        package: "",
        part: "work_queue",
        // Of the event loop only its words: how a run ends, and the errors that steer retries.
        may_know: Some(&["clock", "contained", "event_loop", "queue", "sync"]),
        must_not_know: &["k8s_openapi", "kubehandler_core::dispatch", "kubehandler_core::store"],
    },
    Layer {
        package: "",
        part: "informer",
        may_know: Some(&["cache", "clock", "connection", "contained", "json", "sync"]),
        must_not_know: &["kubehandler_core::queue", "kubehandler_core::dispatch"],
    },
    Layer {
        package: "",
        part: "cache",
        may_know: Some(&["json", "sync"]),
        must_not_know: &["kubehandler_core::queue", "kubehandler_core::dispatch", "http", "tokio"],
    },
    Layer {
        package: "",
        part: "queue",
        may_know: Some(&["clock", "sync"]),
        must_not_know: &["kube", "k8s_openapi", "http", "kubehandler_core::dispatch", "kubehandler_core::ObjectKey"],
    },
    Layer {
        package: "",
        part: "store",
        may_know: Some(&["cache", "contained", "informer", "sync"]),
        must_not_know: &["kubehandler_core::queue", "kubehandler_core::dispatch"],
    },
    Layer {
        package: "",
        part: "ops",
        may_know: Some(&["connection"]),
        must_not_know: &["kubehandler_core::queue", "kubehandler_core::dispatch", "kubehandler_core::store"],
    },
    Layer {
        package: "",
        part: "owners",
        may_know: Some(&["cache", "informer", "sync"]),
        must_not_know: &["kubehandler_core::queue", "kubehandler_core::dispatch", "kubehandler_core::store"],
    },
    Layer {
        package: "",
        part: "supervisor",
        may_know: Some(&["clock", "contained", "sync"]),
        must_not_know: &["kube", "kubehandler_core::queue", "kubehandler_core::dispatch", "kubehandler_core::store"],
    },
    Layer {
        package: "",
        part: "watcher",
        may_know: Some(&["cache", "contained", "informer", "supervisor", "sync"]),
        must_not_know: &["kube", "kubehandler_core::queue", "kubehandler_core::dispatch"],
    },
    Layer {
        package: "",
        part: "metrics",
        may_know: Some(&["informer", "store", "sync"]),
        must_not_know: &["kube", "kubehandler_core"],
    },
    Layer {
        package: "",
        part: "controller",
        may_know: Some(&["cache", "clock", "event_loop", "informer", "schema", "sync"]),
        // Of the queue only the words for why a key was woken.
        must_not_know: &["kube::Client", "kubehandler_core::dispatch", "kubehandler_core::store", "http", "jsonschema"],
    },
    Layer {
        package: "",
        part: "schema",
        may_know: Some(&["sync"]),
        must_not_know: &["kube", "kubehandler_core", "tokio", "http", "std::fs", "std::net"],
    },
    Layer { package: "", part: "connection", may_know: Some(&[]), must_not_know: &["http", "kubehandler_core"] },
    Layer { package: "", part: "contained", may_know: Some(&[]), must_not_know: &["kube", "kubehandler_core"] },
    // It judges the library, and so must not share its mistakes.
    Layer { package: "testkit", part: "", may_know: None, must_not_know: &["kubehandler", "kubehandler_core"] },
    Layer {
        package: "testcluster",
        part: "",
        may_know: None,
        must_not_know: &["kubehandler", "kubehandler_core", "kubehandler_testkit", "kube", "tokio"],
    },
];

/// Names that a part uses and must not know. A test may look across.
pub(crate) fn check(sources: &[Source], layers: &[Layer]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for layer in layers {
        for source in sources.iter().filter(|source| is_in(source, layer)) {
            for path in source.facts.paths.iter().filter(|path| !source.test && !path.test) {
                if let Some(named) = forbidden(source, path, layer) {
                    complaints.push(format!("{}:{}: {layer} must not know `{named}`", source.path, path.line));
                }
            }
        }
    }
    complaints
}

fn is_in(source: &Source, layer: &Layer) -> bool {
    let folder = if layer.package.is_empty() { "src/".to_owned() } else { format!("{}/src/", layer.package) };
    let in_part =
        |module: &Vec<String>| layer.part.is_empty() || module.first().is_some_and(|first| first == layer.part);
    source.path.starts_with(&folder) && source.module.as_ref().is_some_and(in_part)
}

/// The path spelled out, if the layer must not know it.
fn forbidden(source: &Source, path: &Named, layer: &Layer) -> Option<String> {
    if let Some(own) = own_path(source, path) {
        let first = own.first()?;
        let known = first == layer.part || layer.may_know?.contains(&first.as_str());
        return (!known).then(|| format!("crate::{}", own.join("::")));
    }
    let starts = |prefix: &str| path.name == prefix || path.name.starts_with(&format!("{prefix}::"));
    layer.must_not_know.iter().any(|prefix| starts(prefix)).then(|| path.name.clone())
}

/// The path from the crate's root, for one that begins with `crate`, `self` or `super`.
fn own_path(source: &Source, path: &Named) -> Option<Vec<String>> {
    let mut base: Vec<String> = source.module.iter().flatten().chain(&path.inside).cloned().collect();
    let segments: Vec<&str> = path.name.split("::").collect();
    let mut rest = segments.as_slice();
    match *segments.first()? {
        "crate" => {
            base.clear();
            rest = &segments[1..];
        }
        "self" => rest = &segments[1..],
        "super" => {
            while let ["super", tail @ ..] = rest {
                base.pop();
                rest = tail;
            }
        }
        _ => return None,
    }
    Some(base.into_iter().chain(rest.iter().map(|it| (*it).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const QUEUE: &[Layer] = &[Layer {
        package: "",
        part: "queue",
        may_know: Some(&["clock"]),
        must_not_know: &["kube", "std::time::Instant"],
    }];

    fn complaints(queue: &str) -> Vec<Complaint> {
        let files = [
            ("Cargo.toml", ""),
            ("src/lib.rs", "mod queue;"),
            ("src/queue/mod.rs", "mod state;"),
            ("src/queue/state.rs", queue),
        ];
        check(&Tree::of(&files).sources, QUEUE)
    }

    #[test]
    fn what_a_part_may_know_it_may_name_in_any_way() {
        for fine in [
            "use crate::clock::Clock; use crate::queue::X; use super::Y; use super::super::clock;",
            "use std::time::Duration; mod tests { use super::*; }",
            "fn f() { kube_like::x(); self::g(); Kube::new(); }",
            "#[cfg(test)] mod tests { use crate::informer::X; use kube::Client; }",
        ] {
            assert_eq!(complaints(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn what_a_part_must_not_know_is_found_however_it_is_named() {
        for bad in [
            "use kube::Client;",
            "use std::{time::{Duration, Instant}};",
            "fn f(client: kube::Client) {}",
            "fn f() { g!(kube::x()) }",
            "use crate::{clock, informer::X};",
            "use super::super::informer::X;",
            "use crate::SharedInformer;",
            "mod tests { use super::super::super::informer; }",
        ] {
            assert_eq!(complaints(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn every_layer_names_a_part_that_exists() {
        for layer in LAYERS {
            assert!(Tree::workspace().sources.iter().any(|source| is_in(source, layer)), "{layer:?}");
        }
    }
}
