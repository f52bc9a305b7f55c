//! Finding the cluster, and saying in one line what to mend when it is not found.

use std::env;
use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// How long the API server may take to answer the first request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no cluster to work with. Each text is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("cannot use {place}: {why}")]
    Kubeconfig {
        /// Which file.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Inside a pod, but without a usable service account.
    #[error("cannot use the pod's service account: {0}; does the pod set automountServiceAccountToken: false?")]
    ServiceAccount(String),
    /// No connection.
    #[error(
        "cannot reach the API server at {url}: {why}; check that it runs and that the kubeconfig names its address"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// What happened.
        why: String,
    },
    /// No TLS connection.
    #[error(
        "cannot trust the API server at {url}: {why}; check that the kubeconfig's certificate-authority is the \
         server's, and that the server's certificate is valid and names this address"
    )]
    Tls {
        /// Its address.
        url: String,
        /// What happened.
        why: String,
    },
    /// The server does not know who asks.
    #[error(
        "the API server at {url} does not accept the credentials ({why}); check the kubeconfig's user, or log in anew"
    )]
    Unauthorized {
        /// Its address.
        url: String,
        /// What it said.
        why: String,
    },
}

/// Connects to the cluster that `kubeconfig` names; without one to that of `$KUBECONFIG`, `~/.kube/config` or, inside
/// a pod, its own.
///
/// It asks for the server's version, so that a wrong address or certificate shows now, in one line, instead of in each
/// informer's retries.
///
/// # Errors
/// There is no such cluster, or it does not answer within 10 s.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let config = config(kubeconfig).await?;
    let url = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| classify(&url, &error))?;
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        // It is there and knows us: what we may do is shown by what we do.
        Ok(Err(kube::Error::Api(status))) if status.code != 401 => Ok(client),
        Ok(Err(error)) => Err(classify(&url, &error)),
        Err(_) => Err(ConnectError::Unreachable { url, why: format!("no answer within {PATIENCE:?}") }),
    }
}

async fn config(kubeconfig: Option<&Path>) -> Result<Config, ConnectError> {
    let (place, loaded) = match kubeconfig {
        Some(path) => {
            let place = format!("the kubeconfig {}", path.display());
            (place, Kubeconfig::read_from(path))
        }
        None if env::var_os("KUBECONFIG").is_none() && env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
            return Config::incluster().map_err(|error| ConnectError::ServiceAccount(one_line(&error)));
        }
        None => {
            let place = env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
            (format!("the kubeconfig {place} (set $KUBECONFIG or --kubeconfig to use another)"), Kubeconfig::read())
        }
    };
    let config = match loaded {
        Ok(file) => Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await,
        Err(error) => Err(error),
    };
    config.map_err(|error| ConnectError::Kubeconfig { place, why: kubeconfig_fault(&error) })
}

/// Some texts show the part of the file around the mistake. It may hold a token, and it is more than a line.
fn kubeconfig_fault(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("it is not a kubeconfig: see line {}, column {}", at.line(), at.column()),
            None => "it is not a kubeconfig".to_owned(),
        },
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn classify(url: &str, error: &kube::Error) -> ConnectError {
    let url = url.to_owned();
    let why = one_line(error);
    let mut causes = anyhow::Chain::new(error);
    match error {
        kube::Error::Api(status) => ConnectError::Unauthorized { url, why: status.message.clone() },
        kube::Error::Auth(_) => ConnectError::Unauthorized { url, why },
        // The TLS library's error hides in an `io::Error`; its text is what all such libraries share.
        _ if causes.any(|cause| cause.to_string().contains("certificate")) => ConnectError::Tls { url, why },
        _ => ConnectError::Unreachable { url, why },
    }
}

/// The innermost cause, which is what a person can act on: the outer ones say "service error: client error (Connect)".
fn one_line(error: &(dyn StdError + 'static)) -> String {
    let innermost = anyhow::Chain::new(error).last().map(ToString::to_string).unwrap_or_default();
    innermost.lines().next().unwrap_or_default().to_owned()
}
