//! The flags of each process, and how each shows that it is ready.
//!
//! Must not know: when processes start or end.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, credentials::Credentials, etcd};

/// Where each process listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) apiserver: u16,
}

/// How a process shows that it is ready.
#[derive(Debug)]
pub(crate) enum Ready {
    /// etcd on this port is healthy.
    Etcd(u16),
    /// Each of these `kubectl` calls succeeds.
    Kubectl(Kubectl, &'static [&'static [&'static str]]),
}

impl Ready {
    /// Asks once; the error says what was seen.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Etcd(port) => etcd::check(*port),
            Self::Kubectl(kubectl, calls) => {
                calls.iter().try_for_each(|call| kubectl.run(*call).map(drop).map_err(|error| error.to_string()))
            }
        }
    }
}

/// What kube-apiserver must answer before anybody uses it: the namespace appears about a second after `/readyz`.
pub(crate) const APISERVER_READY: &[&[&str]] = &[
    &["get", "--raw", "/readyz", "--request-timeout=5s"],
    &["get", "--raw", "/api/v1/namespaces/default", "--request-timeout=5s"],
];

/// What shows that kube-controller-manager works: it, and nobody else, makes this object.
pub(crate) const CONTROLLER_MANAGER_READY: &[&[&str]] =
    &[&["get", "--raw", "/api/v1/namespaces/default/serviceaccounts/default", "--request-timeout=5s"]];

/// `kubectl` for one kubeconfig file.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    pub(crate) program: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    /// Discovery answers are kept here, not in the user's home, where each port would leave a folder behind.
    pub(crate) cache: PathBuf,
}

impl Kubectl {
    /// Runs it to its end and returns what it wrote to stdout.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        self.environment(&mut command).args(arguments);
        let output = command.output().map_err(Error::io("run kubectl"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        Err(Error::Kubectl {
            arguments: arguments.join(" "),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache)
    }
}

pub(crate) fn etcd(ports: Ports, folder: &Path) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{}", ports.etcd), format!("http://127.0.0.1:{}", ports.etcd_peer));
    vec![
        "--name=testcluster".to_owned(),
        flag("--data-dir", &folder.join("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=testcluster={peer}"),
        // What is written survives the death of the process, though not of the machine: enough here, and many times faster.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(crate) fn apiserver(ports: Ports, folder: &Path, credentials: &Credentials, extra: &[String]) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.apiserver),
        // Without these two it looks for a network interface that others can reach, and fails where there is none.
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        flag("--cert-dir", &folder.join("certs")),
        flag("--tls-cert-file", &credentials.server_certificate()),
        flag("--tls-private-key-file", &credentials.server_key()),
        flag("--service-account-key-file", &credentials.service_account_key()),
        flag("--service-account-signing-key-file", &credentials.service_account_key()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--api-audiences=api".to_owned(),
        flag("--token-auth-file", &credentials.tokens()),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Pods may be created without anybody who makes service accounts.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    flags.extend_from_slice(extra);
    flags
}

pub(crate) fn controller_manager(folder: &Path, credentials: &Credentials, kubeconfig: &Path) -> Vec<String> {
    vec![
        flag("--kubeconfig", kubeconfig),
        flag("--service-account-private-key-file", &credentials.service_account_key()),
        flag("--root-ca-file", &credentials.authority()),
        flag("--cert-dir", &folder.join("certs2")),
        "--leader-elect=false".to_owned(),
        // It needs no port of its own: what it does shows in the API.
        "--secure-port=0".to_owned(),
    ]
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
