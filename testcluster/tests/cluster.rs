//! A real control plane: it starts, each process can be killed and restarted by itself, and nothing is left behind.
//!
//! It needs Go, so it runs only with `KUBEHANDLER_TEST_SERVER=real`, as `cargo xtask e2e` sets it. One cluster serves all
//! steps: starting it is what costs.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use kubehandler_testcluster::{Cluster, Error};

fn asked_for() -> bool {
    env::var("KUBEHANDLER_TEST_SERVER").is_ok_and(|server| server == "real")
}

#[test]
fn a_control_plane_survives_kills_and_leaves_nothing_behind() {
    if !asked_for() {
        eprintln!("skipped: needs Go; `cargo xtask e2e` runs it");
        return;
    }
    let mut cluster =
        Cluster::builder().controller_manager(true).user("reader", ["viewers"]).start().expect("it starts");

    permissions_bind_everybody_but_the_admin(&cluster);
    what_was_written_survives_kills(&mut cluster);
    a_paused_server_does_not_answer_and_then_does(&mut cluster);
    old_versions_and_continue_tokens_can_be_made_to_expire(&mut cluster);
    a_deleted_namespace_goes(&cluster);

    let folder = cluster.folder().to_owned();
    let ids = [cluster.etcd().id(), cluster.apiserver().id(), cluster.controller_manager().and_then(|it| it.id())];
    drop(cluster);
    assert!(!folder.exists(), "{} is left", folder.display());
    for id in ids {
        let id = id.expect("it ran");
        assert!(!runs(id), "process {id} is left");
    }
}

fn permissions_bind_everybody_but_the_admin(cluster: &Cluster) {
    cluster.run_kubectl(["auth", "can-i", "delete", "nodes"]).expect("the admin may do everything");
    let kubeconfig = cluster.kubeconfig_of("reader").expect("declared");
    let kubeconfig = kubeconfig.to_str().expect("UTF-8");
    let refused = cluster.run_kubectl(["--kubeconfig", kubeconfig, "get", "pods"]).expect_err("no role is bound");
    assert!(refused.to_string().contains(r#"User "reader" cannot list resource "pods""#), "{refused}");
    assert!(matches!(cluster.token_of("nobody"), Err(Error::UnknownUser { .. })));
    assert_ne!(cluster.token_of("reader").expect("declared"), cluster.token());
}

fn what_was_written_survives_kills(cluster: &mut Cluster) {
    let url = cluster.url();
    cluster.run_kubectl(["create", "configmap", "kept", "--from-literal=key=value"]).expect("created");

    cluster.apiserver().kill().expect("killed");
    assert!(!cluster.apiserver().is_running());
    cluster.run_kubectl(["get", "configmap", "kept"]).expect_err("nobody listens");
    cluster.apiserver().start().expect("it starts again");

    cluster.etcd().kill().expect("killed");
    cluster.etcd().start().expect("it starts again");
    cluster.apiserver().restart().expect("it ends when asked, and starts again");

    assert_eq!(cluster.url(), url);
    let value = cluster.run_kubectl(["get", "configmap", "kept", "-o", "jsonpath={.data.key}"]).expect("still there");
    assert_eq!(value, "value");
}

fn a_paused_server_does_not_answer_and_then_does(cluster: &mut Cluster) {
    cluster.apiserver().pause().expect("paused");
    assert!(cluster.apiserver().is_running());
    cluster.run_kubectl(["get", "--raw", "/version", "--request-timeout=1s"]).expect_err("it is frozen");
    cluster.apiserver().resume().expect("resumed");
    cluster.run_kubectl(["get", "--raw", "/version"]).expect("it goes on");
}

fn old_versions_and_continue_tokens_can_be_made_to_expire(cluster: &mut Cluster) {
    let page = cluster.run_kubectl(["get", "--raw", "/api/v1/namespaces?limit=1"]).expect("a page");
    let after = |key: &str| -> String {
        let (_, rest) =
            page.split_once(&format!(r#""{key}":""#)).expect("it is in the list's metadata, which is first");
        rest.split('"').next().expect("a JSON string").to_owned()
    };
    let next = format!("/api/v1/namespaces?limit=1&continue={}", after("continue"));
    let watch = format!("/api/v1/namespaces?watch=1&timeoutSeconds=1&resourceVersion={}", after("resourceVersion"));
    cluster.run_kubectl(["get", "--raw", &next]).expect("the token is good");
    assert!(!cluster.run_kubectl(["get", "--raw", &watch]).expect("the version is good").contains("ERROR"));

    cluster.run_kubectl(["create", "configmap", "newer"]).expect("a newer revision");
    cluster.run_kubectl(["create", "namespace", "newer"]).expect("a newer revision of namespaces");
    assert!(cluster.expire_history().expect("compacted") > 1);

    let expired = cluster.run_kubectl(["get", "--raw", &next]).expect_err("the token is too old").to_string();
    assert!(expired.contains("The provided continue parameter is too old"), "{expired}");
    let expired = cluster.run_kubectl(["get", "--raw", &watch]).expect("the error is an event");
    assert!(expired.contains("ERROR") && expired.contains("too old resource version"), "{expired}");
}

fn a_deleted_namespace_goes(cluster: &Cluster) {
    cluster.run_kubectl(["create", "namespace", "short"]).expect("created");
    cluster.run_kubectl(["create", "configmap", "inside", "-n", "short"]).expect("created");
    // `kubectl` waits until it is gone.
    cluster.run_kubectl(["delete", "namespace", "short", "--timeout=60s"]).expect("emptied by the controller manager");
}

/// The other way out: whoever started the cluster is killed and can run no code.
#[test]
fn a_control_plane_ends_when_its_owner_is_killed() {
    if !asked_for() {
        eprintln!("skipped: needs Go; `cargo xtask e2e` runs it");
        return;
    }
    let notes = tempfile::tempdir().expect("a temporary folder");
    let note = notes.path().join("note");
    // This very test binary is the owner: the test below is what it runs.
    let mut owner = Command::new(env::current_exe().expect("a path"))
        .args(["owner_that_waits_to_be_killed", "--exact", "--ignored"])
        .env(NOTE, &note)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let text =
        wait_for(Duration::from_secs(180), || fs::read_to_string(&note).ok().filter(|text| text.ends_with('\n')))
            .expect("the owner's cluster starts");
    let mut lines = text.lines();
    let folder = Path::new(lines.next().expect("a folder"));
    let ids: Vec<u32> = lines.map(|line| line.parse().expect("an id")).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| runs(*id)));

    owner.kill().expect("SIGKILL");
    owner.wait().expect("it is ours");
    wait_for(Duration::from_secs(20), || (!ids.iter().any(|id| runs(*id))).then_some(())).expect("all processes end");
    wait_for(Duration::from_secs(20), || (!folder.exists()).then_some(())).expect("the folder goes");
}

const NOTE: &str = "TESTCLUSTER_OWNER_NOTE";

#[test]
#[ignore = "a part of a_control_plane_ends_when_its_owner_is_killed, which runs it in a process of its own"]
fn owner_that_waits_to_be_killed() {
    let note = env::var_os(NOTE).expect("set by the other test");
    let mut cluster = Cluster::start().expect("it starts");
    let ids = [cluster.etcd().id(), cluster.apiserver().id()].map(|id| id.expect("it runs").to_string());
    fs::write(note, format!("{}\n{}\n", cluster.folder().display(), ids.join("\n"))).expect("writable");
    loop {
        thread::park();
    }
}

fn wait_for<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    const STEP: Duration = Duration::from_millis(50);
    for _ in 0..deadline.as_millis() / STEP.as_millis() {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        // Real processes live in real time.
        thread::sleep(STEP);
    }
    None
}

/// Whether a process with this id does anything: one that has ended and only waits to be waited for does not.
fn runs(id: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        let asked = Command::new("kill").args(["-0", &id.to_string()]).stderr(Stdio::null()).status();
        return asked.expect("kill is everywhere").success();
    }
    // `id (name) state …`
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
