//! `run` as a process, against an API server that listens.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use kube::api::{Api, PostParams};
use kubehandler_testkit::{ApiServer, Fault, Listening, Requests, Rule};
use rustix::process::Signal;
use sample_controller::crd::{Website, WebsiteSpec};
use tempfile::NamedTempFile;

use crate::program::{Program, program};
use crate::stage::install_crd;

/// An API server for other processes, and its kubeconfig.
pub(crate) struct Server {
    pub(crate) api: ApiServer,
    kubeconfig: NamedTempFile,
    _listening: Listening,
}

impl Server {
    /// With the CRD of Websites.
    pub(crate) async fn start() -> Self {
        let server = Self::without_crd().await;
        install_crd(&server.api.client()).await;
        server
    }

    pub(crate) async fn without_crd() -> Self {
        let server = ApiServer::new();
        let listening = server.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("it listens");
        let mut kubeconfig = NamedTempFile::new().expect("a file");
        kubeconfig.write_all(listening.kubeconfig_yaml().as_bytes()).expect("written");
        Self { api: server, kubeconfig, _listening: listening }
    }

    fn program(&self, arguments: &[&str]) -> Command {
        self.command("run", arguments)
    }

    pub(crate) fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        let mut command = program(&[subcommand, "--kubeconfig"]);
        command.arg(self.kubeconfig.path()).args(arguments);
        command
    }

    fn lists_of_websites(&self) -> usize {
        let requests = self.api.requests().into_iter().map(|record| record.request);
        requests.filter(|request| request.resource == "websites" && request.verb == "list").count()
    }

    pub(crate) async fn create_website(&self, name: &str) {
        let spec = WebsiteSpec { page: "Hello".into(), replicas: 1, host: None };
        let websites = Api::<Website>::default_namespaced(self.api.client());
        websites.create(&PostParams::default(), &Website::new(name, spec)).await.expect("a valid Website");
    }
}

fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("it listens");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("UTF-8");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_probes_and_drains_at_sigterm() {
    let server = Server::start().await;
    let arguments = ["--log-format", "json", "--health-address", "127.0.0.1:0"];
    let mut run = Program::start(server.program(&arguments));
    let line: serde_json::Value = serde_json::from_str(&run.line_with("serving /readyz")).expect("a JSON line");
    let address = line["fields"]["address"].as_str().expect("an address").to_owned();
    server.create_website("home").await;
    run.line_with("Wrote ConfigMap, Service, Deployment");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    run.signal(Signal::TERM);
    let (status, text) = run.end();
    assert!(status.success(), "{text}");
    let report: serde_json::Value = serde_json::from_str(text.lines().last().expect("lines")).expect("a JSON line");
    assert!(report["fields"]["message"].as_str().is_some_and(|report| report.contains("drained")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_drops_what_is_running() {
    let server = Server::start().await;
    let slow = Rule::new(Requests::of("patch", "configmaps"), Fault::Delay(Duration::from_secs(3600)));
    let _slow = server.api.faults().install(slow);
    let mut run = Program::start(server.program(&[]));
    run.line_with("caches have synced");
    server.create_website("home").await;
    run.line_with("website added");
    run.signal(Signal::TERM);
    run.line_with("draining");
    run.signal(Signal::INT);
    let (status, text) = run.end();
    assert!(status.success() && text.contains("aborted"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_in_one_line() {
    let server = Server::start().await;
    let denied = Rule::new(Requests::of("list", "websites.example.kubehandler.dev"), Fault::Forbid);
    let _denied = server.api.faults().install(denied);
    let output = server.program(&["--sync-deadline", "2"]).output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let warnings = text.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{text}");
    let error = text.lines().last().expect("lines");
    for expected in ["error: ", "websites", "example.kubehandler.dev", "list", "watch", "ClusterRole"] {
        assert!(error.contains(expected), "{expected:?} is missing in {error:?}");
    }
    assert!(server.lists_of_websites() <= 5, "{} lists in 2 s", server.lists_of_websites());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crd_that_is_missing_is_told_once_and_waited_for() {
    let server = Server::without_crd().await;
    let mut run = Program::start(server.program(&["--sync-deadline", "1"]));
    run.line_with("CustomResourceDefinition");
    install_crd(&server.api.client()).await;
    run.line_with("caches have synced");
    server.create_website("home").await;
    run.line_with("Wrote ConfigMap, Service, Deployment");
    run.signal(Signal::TERM);
    let (status, text) = run.end();
    assert!(status.success(), "{text}");
    let warnings = text.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_accepted_are_told_in_one_line() {
    let server = Server::start().await;
    let _refused = server.api.faults().install(Rule::new(Requests::all(), Fault::status(401)));
    let output = server.program(&[]).output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("does not accept the credentials"), "{text}");
}
