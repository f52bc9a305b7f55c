//! A user's story, told with kubectl: on the demo's API server, and on a real control plane with no more rights than
//! `deploy/rbac.yaml` grants.
//!
//! It needs kubectl on the `PATH`, and the real half a control plane in `KUBECONFIG`: `cargo xtask e2e` has both and
//! sets `KUBEHANDLER_TEST_SERVER=real`; otherwise nothing is done here. kubectl does the waiting.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Program, program};

const WAIT: &str = "--timeout=120s";
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
/// "Within a second" is what a person sees; a loaded machine may take longer without anything being wrong.
const PROMPT: Duration = Duration::from_secs(10);

const WEBSITE: &str = "
apiVersion: example.kubehandler.dev/v1alpha1
kind: Website
metadata: {name: mine}
spec: {page: <p>Hello</p>, replicas: 2}
";

fn asked_for() -> bool {
    let asked_for = env::var("KUBEHANDLER_TEST_SERVER").is_ok_and(|server| server == "real");
    if !asked_for {
        eprintln!("skipped: needs kubectl and a control plane; `cargo xtask e2e` runs it");
    }
    asked_for
}

/// kubectl with a kubeconfig.
struct Kubectl(PathBuf);

impl Kubectl {
    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", &self.0).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs it; what it prints.
    #[track_caller]
    fn run<const N: usize>(&self, arguments: [&str; N]) -> String {
        succeeded(&arguments.join(" "), &self.command(arguments).output().expect("kubectl is on the PATH"))
    }

    #[track_caller]
    fn apply(&self, manifest: &str) -> String {
        let mut command = self.command(["apply", "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl is on the PATH");
        child.stdin.take().expect("piped").write_all(manifest.as_bytes()).expect("written");
        succeeded("apply", &child.wait_with_output().expect("it ends"))
    }

    /// Waits until the object's field has this value.
    #[track_caller]
    fn wait_for(&self, object: &str, field: &str, value: &str) {
        self.run(["wait", object, &format!("--for=jsonpath={{{field}}}={value}"), WAIT]);
    }
}

#[track_caller]
fn succeeded(what: &str, output: &Output) -> String {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "kubectl {what}: {text}{errors}");
    text.into_owned()
}

#[test]
fn the_story_on_the_demos_server() {
    if !asked_for() {
        return;
    }
    let mut demo = Program::start(program(&["demo"]));
    let line = demo.line_with("export KUBECONFIG=");
    let kubectl = Kubectl(line.trim().trim_start_matches("export KUBECONFIG=").into());
    demo.line_with("Ctrl-C ends the demo");
    // The demo has a stand-in for machines.
    story(&kubectl, || {});
    demo.signal(Signal::INT);
    let (status, text) = demo.end();
    assert!(status.success(), "{text}");
}

#[test]
fn the_story_on_a_real_control_plane_with_the_roles_rights_only() {
    if !asked_for() {
        return;
    }
    let kubectl = Kubectl(env::var_os("KUBECONFIG").expect("the switch comes with it").into());
    kubectl.run(["apply", "--server-side", "-k", DEPLOY]);
    kubectl.run(["wait", "crd/websites.example.kubehandler.dev", "--for=condition=Established", WAIT]);
    let folder = TempDir::new().expect("a folder");
    let restricted = restricted(&kubectl, &folder.path().join("config"));
    let mut command = program(&["run", "--kubeconfig"]);
    command.arg(restricted.0);
    let mut run = Program::start(command);
    run.line_with("caches have synced");

    story(&kubectl, || pretend_that_pods_run(&kubectl));
    kubectl.apply(WEBSITE);
    kubectl.run(["wait", "deployment/mine", "--for=create", WAIT]);

    run.signal(Signal::TERM);
    let (status, text) = run.end();
    assert!(status.success(), "{text}");
    assert!(!text.contains("is forbidden"), "{text}");
    // The controller is gone for good: without this the CustomResourceDefinition would wait for it.
    let output = program(&["uninstall", "--kubeconfig"]).arg(&kubectl.0).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("removed from 1 Websites"), "{output:?}");
    kubectl.run(["delete", "-k", DEPLOY, WAIT]);
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_told_in_one_line() {
    if !asked_for() {
        return;
    }
    let right = env::var_os("KUBECONFIG").expect("the switch comes with it");
    let folder = TempDir::new().expect("a folder");
    let another_name = |kubectl: &Kubectl, cluster: &str| {
        kubectl.run(["config", "set-cluster", cluster, "--tls-server-name=elsewhere.example.org"])
    };
    let no_authority = |kubectl: &Kubectl, cluster: &str| {
        kubectl.run(["config", "unset", &format!("clusters.{cluster}.certificate-authority")])
    };
    for mistake in [another_name as fn(&Kubectl, &str) -> String, no_authority] {
        let wrong = Kubectl(folder.path().join("config"));
        fs::copy(&right, &wrong.0).expect("copied");
        let cluster = wrong.run(["config", "view", "-o", "jsonpath={.clusters[0].name}"]);
        mistake(&wrong, &cluster);
        let mut command = program(&["run", "--kubeconfig"]);
        let output = command.arg(&wrong.0).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
        assert!(text.starts_with("error: cannot trust the API server at https://"), "{text}");
        assert!(text.contains("certificate-authority"), "{text}");
        eprint!("{text}");
    }
}

/// The kubeconfig of the service account that `deploy/rbac.yaml` makes.
fn restricted(admin: &Kubectl, path: &Path) -> Kubectl {
    let token = admin.run(["create", "token", "sample-controller", "--namespace=website-system", "--duration=1h"]);
    fs::copy(&admin.0, path).expect("copied");
    let restricted = Kubectl(path.to_owned());
    restricted.run(["config", "set-credentials", "restricted", &format!("--token={}", token.trim())]);
    restricted.run(["config", "set-context", "--current", "--user=restricted"]);
    let refused = restricted.command(["delete", "website", "any"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot delete resource"), "it has too many rights");
    restricted
}

/// There is no kubelet, so somebody has to say that the pods run. The Deployment's own controller does the rest.
fn pretend_that_pods_run(kubectl: &Kubectl) {
    let ready = r#"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;
    for pod in kubectl.run(["get", "pods", "-l", "app.kubernetes.io/instance=mine", "-o", "name"]).lines() {
        kubectl.run(["patch", pod, "--subresource=status", "--type=merge", "-p", ready]);
    }
}

fn story(kubectl: &Kubectl, make_available: impl Fn()) {
    // Created: what it owns comes, and with a controller-manager ReplicaSets and Pods.
    kubectl.apply(WEBSITE);
    follows("created", || kubectl.run(["wait", "deployment/mine", "--for=create", WAIT]));
    kubectl.run(["get", "configmap/mine", "service/mine"]);
    kubectl.wait_for("deployment/mine", ".status.replicas", "2");
    make_available();
    kubectl.run(["wait", "website/mine", "--for=condition=Ready", WAIT]);
    let table = kubectl.run(["get", "websites", "mine"]);
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "REPLICAS", "AVAILABLE", "READY", "REASON", "AGE"], "{table}");
    assert_eq!(words[1][..5], ["mine", "2", "2", "True", "Available"], "{table}");
    assert!(kubectl.run(["get", "site", "mine", "-o", "wide"]).contains("HOST"));
    let events = kubectl.run(["get", "events"]);
    assert!(events.contains("Wrote ConfigMap, Service, Deployment"), "{events}");

    // Edited and scaled: what it owns follows.
    let mut edit = kubectl.command(["edit", "website", "mine"]);
    succeeded("edit", &edit.env("KUBE_EDITOR", "sed -i s/Hello/Changed/").output().expect("it runs"));
    follows("edited", || kubectl.wait_for("configmap/mine", r".data.index\.html", "<p>Changed</p>"));
    kubectl.run(["scale", "website", "mine", "--replicas=3"]);
    follows("scaled", || kubectl.wait_for("deployment/mine", ".spec.replicas", "3"));
    kubectl.wait_for("deployment/mine", ".status.replicas", "3");
    make_available();
    kubectl.wait_for("website/mine", ".status.availableReplicas", "3");

    // Refused by the schema, and by the controller.
    let refused = kubectl.command(["scale", "website", "mine", "--replicas=51"]).output().expect("it runs");
    assert!(!refused.status.success(), "51 replicas are too many");
    kubectl.run(["patch", "website", "mine", "--type=merge", "-p", r#"{"spec":{"page":"<script>"}}"#]);
    kubectl.wait_for("website/mine", ".status.conditions[0].reason", "InvalidPage");

    // Deleted: nothing stays behind. The garbage collector of a real control plane looks for new kinds twice a minute.
    kubectl.run(["delete", "website", "mine", WAIT]);
    for kind in ["deployments", "configmaps", "services", "replicasets", "pods"] {
        kubectl.run(["wait", kind, "-l", "app.kubernetes.io/instance=mine", "--for=delete", WAIT]);
        let left = kubectl.run(["get", kind, "-l", "app.kubernetes.io/instance=mine", "-o", "name"]);
        assert_eq!(left, "", "{kind}");
    }

    // A namespace that is deleted takes everything with it.
    kubectl.run(["create", "namespace", "passing"]);
    kubectl.apply(&WEBSITE.replace("name: mine", "name: mine, namespace: passing"));
    kubectl.run(["wait", "deployment/mine", "--namespace=passing", "--for=create", WAIT]);
    kubectl.run(["delete", "namespace", "passing", WAIT]);
    let left = kubectl.run(["get", "websites,deployments,services", "-n", "passing", "-o", "name"]);
    assert_eq!(left, "");
}

/// The controller's answer is prompt; how prompt is printed.
#[track_caller]
fn follows<R>(what: &str, wait: impl FnOnce() -> R) {
    let begun = Instant::now();
    wait();
    eprintln!("{what}: followed within {:?}, kubectl's own time included", begun.elapsed());
    assert!(begun.elapsed() < PROMPT, "{what}: {:?}", begun.elapsed());
}
