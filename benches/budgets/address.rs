//! Where the server is and who one is there: what a controller in a cluster finds in its environment. So the controller that is
//! measured reads no kubeconfig, as none does there: its YAML alone takes a megabyte of code and of holes.

use kube::config::AuthInfo;
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

/// A server, its authorities' certificates, and who one is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    url: String,
    authorities: Option<Vec<Vec<u8>>>,
    who: AuthInfo,
}

impl Address {
    /// Where `config` leads.
    pub(crate) fn of(config: Config) -> Self {
        let Config { cluster_url, root_cert, auth_info, .. } = config;
        Self { url: cluster_url.to_string(), authorities: root_cert, who: auth_info }
    }

    /// A client of it, whose watches may be silent.
    pub(crate) fn client(self) -> anyhow::Result<Client> {
        let mut config = Config::new(self.url.parse()?);
        config.read_timeout = None;
        config.root_cert = self.authorities;
        config.auth_info = self.who;
        Ok(Client::try_from(config)?)
    }
}
