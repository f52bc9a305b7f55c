//! `/readyz` and `/livez` for the kubelet, answered from the event loop's handle.
//!
//! *Ready* means that the caches have synced and can be kept up to date. *Live* is about what a restart would mend: a
//! call that blocks its thread. An API server that is down is not mended by a restart, so it never ends liveness.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use kubehandler::EventLoopHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Twice the default deadline of a call, at which it is dropped unless it blocks its thread.
const STUCK_AFTER: Duration = Duration::from_secs(600);

/// Serves until its future is dropped.
pub struct Health {
    listener: TcpListener,
    handle: EventLoopHandle,
}

impl Health {
    /// Binds the address.
    ///
    /// # Errors
    /// It is in use, or not ours.
    pub async fn bind(address: SocketAddr, handle: EventLoopHandle) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let listener = TcpListener::bind(address).await;
        Ok(Self { listener: listener.with_context(|| format!("cannot serve health checks on {address}"))?, handle })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers for ever. Dropping the future closes all connections.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            // Errors of `accept` concern one connection, or pass: the kubelet comes again.
            let Ok((connection, _)) = self.listener.accept().await else { continue };
            while connections.try_join_next().is_some() {}
            let handle = self.handle.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let response = respond(request.uri().path(), &handle);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            connections.spawn(server.serve_connection(TokioIo::new(connection), answer));
        }
    }
}

fn respond(path: &str, handle: &EventLoopHandle) -> Response<Full<Bytes>> {
    let (status, text) = match path {
        "/readyz" => verdict(ready(handle)),
        "/livez" => verdict(live(handle)),
        _ => (StatusCode::NOT_FOUND, "there are /readyz and /livez".to_owned()),
    };
    let mut response = Response::new(Full::from(text + "\n"));
    *response.status_mut() = status;
    response
}

fn verdict(verdict: Result<(), String>) -> (StatusCode, String) {
    match verdict {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

fn ready(handle: &EventLoopHandle) -> Result<(), String> {
    if !handle.is_ready() {
        return Err("the caches have not synced yet, or the event loop is draining".to_owned());
    }
    if handle.is_failing() {
        return Err("the API server cannot be watched at the moment: caches may be out of date".to_owned());
    }
    Ok(())
}

fn live(handle: &EventLoopHandle) -> Result<(), String> {
    match handle.snapshot().running.into_iter().find(|call| call.running_for > STUCK_AFTER) {
        Some(stuck) => Err(format!("a call does not end: {stuck}")),
        None => Ok(()),
    }
}
