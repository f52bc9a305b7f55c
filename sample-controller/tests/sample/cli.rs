//! The program as a process: what a person reads who has made a mistake.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::program::program;

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// `run` with a kubeconfig of this content ends with 1 and one line, which holds all of `expected`, and no secret.
#[track_caller]
fn refused(kubeconfig: &str, expected: &[&str]) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("config");
    fs::write(&path, kubeconfig).expect("written");
    let output = run_with(&path);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("error: "), "{text}");
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} is missing in {text:?}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

fn run_with(kubeconfig: &Path) -> Output {
    program(&["run", "--kubeconfig", &kubeconfig.display().to_string()]).output().expect("it runs")
}

/// A kubeconfig that is right but for what `cluster` says.
fn kubeconfig(cluster: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{token: s3cret}}}}]
clusters: [{{name: test, cluster: {cluster}}}]
"
    )
}

/// An address of this machine at which nobody listens: bound once, and let go.
fn nobody() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

#[test]
fn a_missing_kubeconfig_is_named() {
    let output = run_with(Path::new("/nowhere/config"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: cannot use the kubeconfig /nowhere/config: No such file or directory (os error 2)\n"
    );
}

#[test]
fn without_any_kubeconfig_it_is_said_how_to_give_one() {
    let output = program(&["run"]).env("KUBECONFIG", "/nowhere/config").output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nowhere/config (set $KUBECONFIG or --kubeconfig to use another)"));
}

#[test]
fn a_broken_kubeconfig_is_told_by_its_place_and_not_by_its_content() {
    let broken = "apiVersion: v1\nusers:\n- name: me\n  user: {token: s3cret, [}\n";
    refused(broken, &["it is not a kubeconfig", "line 4"]);
    let of_another_type = "apiVersion: v1\nclusters: s3cret\n";
    refused(of_another_type, &["it is not a kubeconfig", "line 2"]);
}

#[test]
fn a_kubeconfig_that_lacks_something_says_what() {
    refused("apiVersion: v1\nkind: Config\n", &["current context"]);
    let server = kubeconfig("{server: 'https://127.0.0.1:1', certificate-authority: /nowhere/ca.pem}");
    refused(&server, &["certificate authority", "/nowhere/ca.pem"]);
    refused(&server.replace("current-context: test", "current-context: other"), &["other"]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let address = nobody();
    let server = kubeconfig(&format!("{{server: 'http://{address}'}}"));
    refused(&server, &[&format!("cannot reach the API server at http://{address}/"), "Connection refused", "check"]);
}

#[test]
fn a_mistaken_option_is_explained() {
    for (arguments, expected) in [
        (&["run", "--workers", "0"][..], "number would be zero"),
        (&["run", "--log-format", "xml"], "[possible values: text, json]"),
        (&["crd", "--namespace", "x"], "unexpected argument"),
    ] {
        let output = program(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}
