//! How a program in Rust reaches the server: kube's own TLS and authorization, with its bytes and its lists counted.
//!
//! It is the stack that `kube::Client` documents for those who bring a connector of their own: HTTP/1.1, as kube's default
//! client speaks, retries of 429 and 503, no read timeout. What that client has besides are log lines and timeouts of the
//! connection. Its user agent is not curl's, for which the API server indents JSON.

use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Uri, header::USER_AGENT};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{self, Client as HyperClient};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ConfigExt as _, retry::RetryPolicy};
use kube::{Client, Config};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder};

use crate::connect::config;

/// What came from the server, and how often it was asked for a list.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    bytes: Arc<AtomicU64>,
    lists: Arc<AtomicU64>,
}

impl Meter {
    /// Bytes read from connections, TLS included.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.bytes.load(Ordering::Relaxed) as f64
    }

    /// Requests for a list, each page one, and watches that begin with one.
    #[must_use]
    pub fn lists(&self) -> f64 {
        self.lists.load(Ordering::Relaxed) as f64
    }
}

/// A client as kube's users have it.
pub async fn client(kubeconfig: &Path, meter: &Meter) -> anyhow::Result<Client> {
    let config = config(kubeconfig).await?;
    let connector = config.rustls_https_connector_with_connector(Counting::new(meter))?;
    stack(&config, connector, meter)
}

/// The same that speaks nothing but HTTP/2.
pub async fn http2_client(kubeconfig: &Path, meter: &Meter) -> anyhow::Result<Client> {
    let config = config(kubeconfig).await?;
    let tls = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?);
    let connector = tls.https_only().enable_http2().wrap_connector(Counting::new(meter));
    stack(&config, connector, meter)
}

fn stack<C>(config: &Config, connector: C, meter: &Meter) -> anyhow::Result<Client>
where
    C: legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let lists = Arc::clone(&meter.lists);
    let note = move |mut request: Request<Body>| {
        if request.method() == http::Method::GET && is_list(request.uri()) {
            lists.fetch_add(1, Ordering::Relaxed);
        }
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("kubehandler-peers"));
        request
    };
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .map_request(note)
        .map_err(BoxError::from)
        .service(HyperClient::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Whether the state of a whole collection is asked for: by a list, a page of one, or a watch that begins with one.
fn is_list(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    let has = |pair: &str| query.split('&').any(|it| it == pair);
    let watches = has("watch=true") || has("watch=1");
    is_collection(uri.path()) && (!watches || has("sendInitialEvents=true"))
}

/// Tells a collection's path from one object's and from discovery's.
fn is_collection(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (["api", _, below @ ..] | ["apis", _, _, below @ ..]) = parts.as_slice() else { return false };
    matches!(below, [_] | ["namespaces", _, _])
}

/// Opens connections whose bytes are counted.
#[derive(Clone)]
struct Counting {
    connector: HttpConnector,
    bytes: Arc<AtomicU64>,
}

impl Counting {
    fn new(meter: &Meter) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        Self { connector, bytes: Arc::clone(&meter.bytes) }
    }
}

impl Service<Uri> for Counting {
    type Response = TokioIo<Counted>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, bytes) = (self.connector.call(uri), Arc::clone(&self.bytes));
        Box::pin(async move { Ok(TokioIo::new(Counted { stream: connecting.await?.into_inner(), bytes })) })
    }
}

/// A connection below TLS: its bytes are those on the wire.
struct Counted {
    stream: TcpStream,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.bytes.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_from_watches_objects_and_discovery() {
        let counted = |uri: &str| is_list(&uri.parse().unwrap());
        for list in [
            "/api/v1/pods?limit=500&continue=x",
            "/apis/apps/v1/deployments",
            "/api/v1/namespaces/a/pods",
            "/api/v1/pods?watch=true&sendInitialEvents=true&allowWatchBookmarks=true",
        ] {
            assert!(counted(list), "{list}");
        }
        for other in ["/api/v1/pods?&watch=true", "/api/v1/namespaces/a/pods/b", "/api/v1", "/apis", "/version", "/"] {
            assert!(!counted(other), "{other}");
        }
    }
}
