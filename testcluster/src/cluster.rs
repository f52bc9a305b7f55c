//! What a control plane consists of, its builder, and its end.
//!
//! # Invariants
//!
//! 1. Fields are dropped in the order they stand: processes from the last started to the first, then the reaper, then the
//!    folder that they all write to.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use tempfile::TempDir;

use crate::{
    Binaries, Error, Process,
    command::{self, Kubectl, Ports, Ready},
    credentials::{Credentials, MASTERS, User},
    etcd, ports,
    reaper::Reaper,
};

/// How often a start is tried when somebody else took a port in between.
const PORT_ATTEMPTS: usize = 3;
const ADMIN: &str = "kubehandler-admin";

/// What a [`Cluster`] shall be: see [`Cluster::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    controller_manager: bool,
    users: Vec<(String, Vec<String>)>,
    apiserver_flags: Vec<String>,
}

impl Builder {
    /// Whether kube-controller-manager runs, too (default: no): garbage collection, namespace deletion, Deployments that
    /// get `ReplicaSet`s and Pods. It costs 110 MB and a second or two.
    pub fn controller_manager(mut self, runs: bool) -> Self {
        self.controller_manager = runs;
        self
    }

    /// One more user, for tests of permissions; without groups RBAC denies it nearly everything.
    pub fn user<G: Into<String>>(mut self, name: impl Into<String>, groups: impl IntoIterator<Item = G>) -> Self {
        self.users.push((name.into(), groups.into_iter().map(Into::into).collect()));
        self
    }

    /// One more flag for kube-apiserver, such as `--feature-gates=WatchList=false`. Later ones win.
    pub fn apiserver_flag(mut self, flag: impl Into<String>) -> Self {
        self.apiserver_flags.push(flag.into());
        self
    }

    /// Builds what is missing ([`Binaries::build`]), starts the control plane and waits until it is ready: about 5 s, and
    /// 7 s with the controller manager.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a process that did not start has the end of its log in it. Nothing is left running.
    pub fn start(&self) -> Result<Cluster, Error> {
        let binaries = Binaries::build()?;
        let mut attempt = 1;
        loop {
            match self.start_once(&binaries) {
                Err(Error::Exited { log, .. }) if attempt < PORT_ATTEMPTS && log.contains("address already in use") => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn start_once(&self, binaries: &Binaries) -> Result<Cluster, Error> {
        let temporary =
            tempfile::Builder::new().prefix("testcluster-").tempdir().map_err(Error::io("make a temporary folder"))?;
        let folder = temporary.path();
        let reaper = Arc::new(Reaper::start(folder).map_err(Error::io("start /bin/sh"))?);
        let [etcd, etcd_peer, apiserver] = ports::free();
        let ports = Ports { etcd, etcd_peer, apiserver };
        let credentials =
            Credentials::write(binaries, folder, format!("https://127.0.0.1:{apiserver}"), self.users()?)?;
        let kubeconfig = credentials.kubeconfig(credentials.user(ADMIN)?)?;
        let kubectl = Kubectl {
            program: binaries.kubectl(),
            kubeconfig: kubeconfig.clone(),
            cache: folder.join("kubectl-cache"),
        };
        let process = |name, program, flags, ready| {
            Process::new(name, program, flags, folder.join(format!("{name}.log")), ready, Arc::clone(&reaper))
        };
        let etcd = process("etcd", binaries.etcd(), command::etcd(ports, folder), Ready::Etcd(ports.etcd));
        let apiserver = process(
            "kube-apiserver",
            binaries.apiserver(),
            command::apiserver(ports, folder, &credentials, &self.apiserver_flags),
            Ready::Kubectl(kubectl.clone(), command::APISERVER_READY),
        );
        let controller_manager = self.controller_manager.then(|| {
            process(
                "kube-controller-manager",
                binaries.controller_manager(),
                command::controller_manager(folder, &credentials, &kubeconfig),
                Ready::Kubectl(kubectl.clone(), command::CONTROLLER_MANAGER_READY),
            )
        });
        let mut cluster =
            Cluster { controller_manager, apiserver, etcd, _reaper: reaper, kubectl, credentials, ports, temporary };
        cluster.etcd.start()?;
        cluster.apiserver.start()?;
        cluster.controller_manager.as_mut().map_or(Ok(()), Process::start)?;
        Ok(cluster)
    }

    fn users(&self) -> Result<Vec<User>, Error> {
        let admin = (ADMIN.to_owned(), vec![MASTERS.to_owned()]);
        [admin].iter().chain(&self.users).map(|(name, groups)| User::new(name, groups)).collect()
    }
}

/// A running control plane. Dropping it ends every process and removes its folder; when the thread is panicking, the ends
/// of the logs go to stderr first.
#[derive(Debug)]
pub struct Cluster {
    controller_manager: Option<Process>,
    apiserver: Process,
    etcd: Process,
    _reaper: Arc<Reaper>,
    kubectl: Kubectl,
    credentials: Credentials,
    ports: Ports,
    temporary: TempDir,
}

impl Cluster {
    /// etcd and kube-apiserver, one user who may do everything.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// [`Cluster::builder`] with its defaults, started.
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// The API server's address, such as `https://127.0.0.1:21743`. It stays the same across restarts.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.apiserver)
    }

    /// A kubeconfig file of the user who may do everything. It is gone with the cluster.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// The bearer token of the user who may do everything.
    #[must_use]
    pub fn token(&self) -> &str {
        // The first user is the one that the builder puts there.
        self.credentials.users.first().map_or("", |user| &user.token)
    }

    /// A kubeconfig file of a user declared by [`Builder::user`].
    pub fn kubeconfig_of(&self, user: &str) -> Result<PathBuf, Error> {
        self.credentials.kubeconfig(self.credentials.user(user)?)
    }

    /// The bearer token of a user declared by [`Builder::user`].
    pub fn token_of(&self, user: &str) -> Result<&str, Error> {
        self.credentials.user(user).map(|user| user.token.as_str())
    }

    /// The certificate of the authority that signed the API server's, in PEM.
    pub fn ca_pem(&self) -> Result<String, Error> {
        let path = self.credentials.authority();
        fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
    }

    /// The `kubectl` of the server's version.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.kubectl.program.clone()
    }

    /// Runs `kubectl` as the user who may do everything and returns its stdout.
    pub fn run_kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String, Error> {
        self.kubectl.run(arguments)
    }

    /// Sets what makes `kubectl` and Kubernetes clients in this command talk to the cluster: `KUBECONFIG`, `kubectl`'s
    /// folder first on the `PATH`, and `KUBEHANDLER_CLUSTER_DIR`, the folder with the logs.
    pub fn environment<'a>(&self, command: &'a mut Command) -> Result<&'a mut Command, Error> {
        let tools = self.folder().join("path");
        let link = tools.join("kubectl");
        if !link.exists() {
            fs::create_dir_all(&tools)
                .and_then(|()| std::os::unix::fs::symlink(&self.kubectl.program, &link))
                .map_err(Error::io(format!("link {}", link.display())))?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path)))
            .map_err(|error| Error::io("put kubectl on the PATH")(std::io::Error::other(error)))?;
        Ok(self.kubectl.environment(command).env("PATH", path).env("KUBEHANDLER_CLUSTER_DIR", self.folder()))
    }

    /// The temporary folder that holds everything: data, certificates and `<process>.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.temporary.path()
    }

    /// The API server, to stop, kill, pause or restart it.
    pub fn apiserver(&mut self) -> &mut Process {
        &mut self.apiserver
    }

    /// etcd, to stop, kill, pause or restart it.
    pub fn etcd(&mut self) -> &mut Process {
        &mut self.etcd
    }

    /// The controller manager, if [`Builder::controller_manager`] asked for one.
    pub fn controller_manager(&mut self) -> Option<&mut Process> {
        self.controller_manager.as_mut()
    }

    /// Compacts etcd's history up to now and returns that revision.
    ///
    /// That alone expires little: kube-apiserver goes on answering watches and continue tokens from its own cache of
    /// recent history. [`Cluster::expire_history`] empties that, too.
    pub fn compact(&self) -> Result<i64, Error> {
        etcd::compact(self.ports.etcd)
    }

    /// Makes every resourceVersion and continue token from before this call expire (410 Gone): compacts etcd, then kills
    /// kube-apiserver, which closes all connections, and starts it again. Returns the revision.
    pub fn expire_history(&mut self) -> Result<i64, Error> {
        self.apiserver.kill()?;
        let revision = self.compact()?;
        self.apiserver.start()?;
        Ok(revision)
    }

    /// Writes the end of each process's log to stderr, for whoever looks into a failure.
    pub fn show_logs(&self) {
        for process in [Some(&self.etcd), Some(&self.apiserver), self.controller_manager.as_ref()].into_iter().flatten()
        {
            eprintln!("--- the end of {}'s log:\n{}", process.name(), process.log_tail());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
    }
}
