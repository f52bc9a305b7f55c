//! What code must not call: placeholders, panics without an invariant, selects that draw lots, real sleeps.

use crate::Complaint;
use crate::facts::Named;
use crate::tree::Source;

/// Files whose tests have to wait in real time, and why. Everything else waits on the paused clock.
pub(crate) const REAL_TIME: &[(&str, &str)] = &[
    (
        "sample-controller/tests/sample/stage.rs",
        "waits on the clock that each test of the in-process controller pauses",
    ),
    ("benches/backpressure.rs", "imitates a slow handler: what is measured happens in real time"),
    ("benches/budgets/process.rs", "lets a process settle: what is measured happens in real time"),
    ("benches/start/link.rs", "imitates a slow link: what is measured happens in real time"),
    ("testkit/tests/it/robust.rs", "waits on the paused clock of the runtime that it builds"),
    ("tests/it/support/wait.rs", "waits for the real kube-apiserver, where that is chosen; else on a paused clock"),
    ("tests/sim/controller.rs", "runs on the paused clock of the world that it belongs to"),
    ("tests/sim/handlers.rs", "runs on the paused clock of the world that it belongs to"),
    ("tests/sim/watcher.rs", "runs on the paused clock of the world that it belongs to"),
    ("tests/sim/world.rs", "waits on the paused clock of the runtime that it builds"),
    ("testcluster/src/process.rs", "waits for processes of the operating system, in blocking code without a runtime"),
    ("testcluster/tests/cluster.rs", "waits for the operating system to end an orphan"),
    ("tests/parity/server.rs", "waits for what a real kube-apiserver does in its own time"),
    ("xtask/src/signals.rs", "waits for processes of the operating system, in blocking code without a runtime"),
];

/// Something that every file is searched for.
fn find<'a>(
    sources: &'a [Source],
    named: impl Fn(&'a Source) -> Vec<&'a Named>,
    bad: impl Fn(&Source, &Named) -> Option<String>,
) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        for named in named(source) {
            if let Some(complaint) = bad(source, named) {
                complaints.push(format!("{}:{}: {complaint}", source.path, named.line));
            }
        }
    }
    complaints
}

fn macros(source: &Source) -> Vec<&Named> {
    source.facts.macros.iter().map(|call| &call.named).collect()
}

fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// `todo!`, `unimplemented!`, `dbg!`, in tests as well.
pub(crate) fn placeholders(sources: &[Source]) -> Vec<Complaint> {
    find(sources, macros, |_, call| {
        let name = last(&call.name);
        ["todo", "unimplemented", "dbg"]
            .contains(&name)
            .then(|| format!("`{name}!` does not belong into a finished work"))
    })
}

/// Panics outside of tests that no `// invariant:` on the line, or alone on the line above, explains, nor their own text.
pub(crate) fn panics(sources: &[Source]) -> Vec<Complaint> {
    let explained = |source: &Source, line: usize| {
        let mut lines = source.text.lines().skip(line.saturating_sub(2));
        let above = if line > 1 { lines.next().unwrap_or_default() } else { "" };
        let says_so = |line: &str| line.contains("// invariant:") || line.contains("(\"invariant");
        above.trim_start().starts_with("// invariant:") || lines.next().is_some_and(says_so)
    };
    let bad = |source: &Source, call: &Named, names: &[&str]| {
        let name = last(&call.name);
        let tested = source.test || call.test;
        (!tested && names.contains(&name) && !explained(source, call.line))
            .then(|| format!("`{name}` can panic: return an error, or say `// invariant: …` why it cannot"))
    };
    let mut complaints = find(
        sources,
        |source| source.facts.methods.iter().collect(),
        |source, call| bad(source, call, &["unwrap", "expect", "unwrap_err", "expect_err"]),
    );
    complaints.extend(find(sources, macros, |source, call| bad(source, call, &["panic", "unreachable"])));
    complaints
}

/// `select!` that does not begin with `biased`: it would draw random numbers that no seed reaches.
pub(crate) fn unbiased_selects(sources: &[Source]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in sources {
        for call in &source.facts.macros {
            if last(&call.named.name) == "select" && call.first.as_deref() != Some("biased") {
                complaints.push(format!("{}:{}: begin `select!` with `biased;`", source.path, call.named.line));
            }
        }
    }
    complaints
}

/// Threads that sleep, anywhere, and tests that sleep on a clock that is not paused; and permissions nobody uses.
///
/// A helper may sleep if its file has tests and the clock of each is paused.
pub(crate) fn sleeps(sources: &[Source], permitted: &[(&str, &str)]) -> Vec<Complaint> {
    let is_permitted = |source: &Source| permitted.iter().any(|(path, _)| *path == source.path);
    let bad = |source: &Source, path: &Named| {
        let tested = source.test || path.test;
        let thread = path.name.ends_with("thread::sleep");
        let clocks = &source.facts.clocks;
        let paused = path.paused.unwrap_or(!clocks.is_empty() && clocks.iter().all(|paused| *paused));
        let sleeps = ["time::sleep", "time::sleep_until"].iter().any(|it| path.name.ends_with(it));
        let clock = tested && !paused && sleeps;
        (thread || clock).then(|| format!("`{}` waits in real time: pause the clock, or wait for the event", path.name))
    };
    let paths = |source: &Source| source.facts.paths.iter().any(|path| bad(source, path).is_some());
    let mut complaints =
        find(sources, |source| source.facts.paths.iter().filter(|_| !is_permitted(source)).collect(), bad);
    for (path, _) in permitted {
        if !sources.iter().any(|source| source.path == *path && paths(source)) {
            complaints.push(format!("{path}: no longer waits in real time: take it from the list in {}", file!()));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn sources(text: &str) -> Vec<Source> {
        Tree::of(&[("Cargo.toml", ""), ("src/lib.rs", text)]).sources
    }

    #[test]
    fn placeholders_are_found_in_code_and_in_macros_but_not_in_text() {
        assert_eq!(placeholders(&sources("fn f() { g(\"todo!()\"); } // todo!()")).len(), 0);
        assert_eq!(placeholders(&sources("fn f() { todo!() }")).len(), 1);
        assert_eq!(placeholders(&sources("fn f() { assert!(dbg!(true)); std::unimplemented!() }")).len(), 2);
    }

    #[test]
    fn a_panic_needs_an_invariant_unless_it_is_in_a_test() {
        for fine in [
            "fn f() { g().unwrap_or(1); }",
            "#[cfg(test)] mod tests { fn f() { g().unwrap(); panic!(); } }",
            "#[test] fn f() { g().expect(\"it is there\"); }",
            "fn f() { g().unwrap(); } // invariant: g is never empty",
            "fn f() {\n    // invariant: g is never empty\n    g().unwrap();\n}",
            "fn f() { unreachable!(\"invariant R1: g is never empty\") }",
            "fn f() {\n    g()\n        .unwrap() // invariant: g is never empty\n}",
        ] {
            assert_eq!(panics(&sources(fine)), [""; 0], "{fine}");
        }
        for bad in [
            "fn f() { g().unwrap(); }",
            "fn f() {\n    // invariant: too far away\n    g();\n    g().expect(\"it is there\");\n}",
            "fn f() { assert!(g().unwrap()); }",
            "#[cfg(not(test))] fn f() { unreachable!(); }",
        ] {
            assert_eq!(panics(&sources(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_select_begins_with_biased() {
        assert_eq!(unbiased_selects(&sources("fn f() { tokio::select! { biased; a = b => {} } }")).len(), 0);
        assert_eq!(unbiased_selects(&sources("fn f() { tokio::select! { a = b => {} } }")).len(), 1);
        assert_eq!(unbiased_selects(&sources("fn f() { g!(select! { a = b => {} }) }")).len(), 1);
    }

    #[test]
    fn a_test_sleeps_on_a_paused_clock_only() {
        let paused = "#[tokio::test(start_paused = true)] async fn f() { tokio::time::sleep(D).await; }";
        let real = "#[tokio::test] async fn f() { tokio::time::sleep(D).await; }";
        let code = "async fn f() { tokio::time::sleep(D).await; }";
        let thread = "fn f() { std::thread::sleep(D); }";
        let helper = "#[cfg(test)] mod tests { async fn g() { tokio::time::sleep(D).await; } }";
        let (with_paused, with_real) = (format!("{paused}{helper}"), format!("{paused}{real}{helper}"));
        let imported = "#[cfg(test)] use tokio::time::{sleep, timeout};";
        let none: &[(&str, &str)] = &[];
        let count = |text: &str, permitted: &[(&str, &str)]| sleeps(&sources(text), permitted).len();
        assert_eq!([paused, code].map(|text| count(text, none)), [0, 0]);
        assert_eq!([&with_paused, helper, &with_real].map(|text| count(text, none)), [0, 1, 2]);
        assert_eq!([real, thread, imported].map(|text| count(text, none)), [1, 1, 1]);
        assert_eq!(count(real, &[("src/lib.rs", "the kernel's own timer is under test")]), 0);
        assert_eq!(count(code, &[("src/lib.rs", "nothing to permit")]), 1);
    }
}
