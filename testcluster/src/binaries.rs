//! Where the control plane's binaries are built, and when.
//!
//! The Go module beside this crate pins every version. `go build` decides what is out of date: a second when nothing is,
//! some minutes the first time. A lock keeps concurrent test binaries from building at once.
//!
//! Must not know: how the binaries are run.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

/// Overrides the folder that holds the binaries of every version.
const CACHE_VARIABLE: &str = "KUBEHANDLER_TESTCLUSTER_CACHE";
const GO_MOD: &str = include_str!("../go.mod");

/// The built binaries of the pinned version: etcd, kube-apiserver, kube-controller-manager, kubectl.
///
/// They live in `testcluster/<version>` below Cargo's target folder, or below the folder that the environment variable
/// `KUBEHANDLER_TESTCLUSTER_CACHE` names (to share them between checkouts).
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Builds what is missing or out of date: 5 minutes and 300 MB the first time, a second when nothing changed.
    ///
    /// Go's progress goes to stderr. Concurrent callers, also in other processes, wait for each other.
    ///
    /// # Errors
    ///
    /// [`Error::GoMissing`] tells what to install; [`Error::Build`] when Go fails, for example without a network the
    /// first time.
    pub fn build() -> Result<Self, Error> {
        let version = Self::version();
        let folder = cache_folder().join(version);
        fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let lock_path = folder.join(".lock");
        let lock = fs::File::create(&lock_path).map_err(Error::io(format!("create {}", lock_path.display())))?;
        // Released when `lock` is dropped, also by the operating system when this process dies.
        lock.lock().map_err(Error::io(format!("lock {}", lock_path.display())))?;
        if !folder.join("kubectl").exists() {
            eprintln!("testcluster: building Kubernetes {version} and etcd, about 5 minutes with cold caches");
        }
        go_build(&folder, version)?;
        Ok(Self { folder })
    }

    /// The version of Kubernetes that the Go module pins, such as `v1.36.3`.
    #[must_use]
    pub fn version() -> &'static str {
        GO_MOD
            .lines()
            .filter_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
            .find_map(|rest| rest.split_whitespace().next())
            .unwrap_or("unknown")
    }

    /// The folder that holds them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The `kubectl` of the same version as the server.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    /// etcd; its main package is called `server`, and so is what `go build` makes of it.
    #[must_use]
    pub fn etcd(&self) -> PathBuf {
        self.folder.join("server")
    }

    /// kube-apiserver.
    #[must_use]
    pub fn apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    /// kube-controller-manager.
    #[must_use]
    pub fn controller_manager(&self) -> PathBuf {
        self.folder.join("kube-controller-manager")
    }

    /// Writes certificates and keys; see `testcluster/keygen`.
    pub(crate) fn keygen(&self) -> PathBuf {
        self.folder.join("keygen")
    }
}

fn go_build(folder: &Path, version: &str) -> Result<(), Error> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"))
        .arg("-o")
        // The trailing slash makes Go treat it as a folder.
        .arg(folder.join(""))
        .args(["tool", "./keygen"])
        .current_dir(module)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Build { status, module: module.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::GoMissing),
        Err(error) => Err(Error::io("run go build")(error)),
    }
}

/// `testcluster` below the target folder that this very program was built into.
fn cache_folder() -> PathBuf {
    if let Some(folder) = env::var_os(CACHE_VARIABLE).filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    // Cargo marks its target folder with this file; the running test or xtask lies somewhere below it. So the answer is
    // right for every way of setting the target folder.
    let target = env::current_exe().ok().and_then(|program| {
        program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
    });
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")).join("testcluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_go_module() {
        let version = Binaries::version();
        assert!(version.starts_with("v1.") && version.split('.').count() == 3, "{version}");
        // The staging modules of release v1.X.Y are v0.X.Y: a release raised in one place only does not build the same.
        let staging = version.replacen("v1.", "v0.", 1);
        let replaced = GO_MOD.lines().filter(|line| line.contains(" => k8s.io/"));
        let wrong: Vec<_> = replaced.filter(|line| !line.ends_with(&staging)).collect();
        assert!(wrong.is_empty(), "not of {version}: {wrong:?}");
    }
}
