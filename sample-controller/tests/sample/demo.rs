//! The demo, as a newcomer starts it.

use std::path::Path;

use rustix::process::Signal;

use crate::program::{Program, program};

#[test]
fn the_demo_tells_its_story_and_ends_with_the_report() {
    let output = program(&["demo", "--once"]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(errors, "", "nothing to warn of");
    for expected in [
        "export KUBECONFIG=",
        "1. Three Websites are created",
        "+ Website shop is there; replicas wanted: 3",
        "ConfigMap blog was created; its owner is Website blog",
        "stand-in: no machines here",
        "~ Website home: Ready is True, because Available: 4 of 4 replicas are available",
        "~ Website shop: Ready is False, because InvalidPage",
        "Event (Warning) about shop: InvalidPage",
        "- Website home is gone",
        "Deployment home was deleted",
        "event loop `kubehandler-sample-controller` drained",
        "websites default/shop: parked by a permanent error",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    // Which time is told depends on how many changes one call stands for.
    let again = |line: &str| line.contains("Event (Normal) about home, for the ") && line.contains(". time: Applied");
    assert!(text.lines().any(again), "the second Event is missing in:\n{text}");
}

#[test]
fn ctrl_c_ends_the_demo_with_the_report_and_its_kubeconfig_goes_with_it() {
    let mut demo = Program::start(program(&["demo"]));
    let line = demo.line_with("export KUBECONFIG=");
    let kubeconfig = Path::new(line.trim().trim_start_matches("export KUBECONFIG=")).to_owned();
    assert!(kubeconfig.exists());
    demo.line_with("1. Three Websites");
    demo.signal(Signal::INT);
    let (status, text) = demo.end();
    assert!(status.success(), "{text}");
    assert!(text.contains("The controller's report:"), "{text}");
    assert!(!kubeconfig.exists());
}
