//! The server over HTTP/1.1 on a TCP port, for `kubectl` and for clients in other processes.
//!
//! Owns the port, the connections and the kubeconfig that leads there. Plain HTTP: no TLS, no authentication; a bearer token is
//! taken for the user's name. Bind it to the loopback interface.
//!
//! Invariant: no connection and no task outlives its [`Listening`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::{ApiService, Shared};

/// A server that listens on a port; dropping it closes the port and its connections.
#[derive(Debug)]
#[must_use = "dropping it closes the port"]
pub struct Listening {
    addr: SocketAddr,
    _closes: DropGuard,
}

impl Listening {
    pub(crate) async fn start(shared: Arc<Shared>, service: ApiService, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let closed = CancellationToken::new();
        tokio::spawn(accept(shared, service, listener, closed.clone()));
        Ok(Self { addr, _closes: closed.drop_guard() })
    }

    /// Where it listens; the port is the real one when port 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A kubeconfig that leads here, as YAML text: one cluster, the user `admin`, the namespace `default`.
    #[must_use]
    pub fn kubeconfig_yaml(&self) -> String {
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: kubehandler-testkit\n  cluster:\n    server: {}\n\
             users:\n\
             - name: admin\n  user:\n    token: admin\n\
             contexts:\n\
             - name: kubehandler-testkit\n  context:\n    cluster: kubehandler-testkit\n    user: admin\n    namespace: default\n\
             current-context: kubehandler-testkit\n",
            self.url()
        )
    }
}

async fn accept(shared: Arc<Shared>, service: ApiService, listener: TcpListener, closed: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closed.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // Closing it unanswered is what a client of a stopped server sees, near enough to a refusal.
            Ok((stream, _)) if shared.is_stopped() => drop(stream),
            Ok((stream, _)) => {
                connections.spawn(serve(service.clone(), stream, shared.connection()));
            }
            Err(error) => {
                // Out of file descriptors, most likely; they come back.
                tracing::warn!(%error, "the test API server cannot accept a connection; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(service: ApiService, stream: TcpStream, cut: CancellationToken) {
    // Watch events are small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection stays with delayed sends");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        biased;
        () = cut.cancelled() => {}
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection to the test API server ended early");
            }
        }
    }
}
