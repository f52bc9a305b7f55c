//! The way between a program and the server, which can lose what the server sends: so events are lost that happened.
//!
//! A server that is killed loses next to nothing by itself: what it has sent is in the kernel's hands, and nothing is written
//! while it is away. Only with a gap does a program have to find out what it missed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A link to one server. It is gone when dropped.
pub(crate) struct Link {
    /// Leads through the link.
    pub(crate) kubeconfig: PathBuf,
    loses: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Link {
    /// Opens one to the server of this kubeconfig; that of the link goes beside it.
    pub(crate) async fn open(kubeconfig: &Path, url: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = url.strip_prefix("https://").context("an odd URL")?.to_owned();
        let text = std::fs::read_to_string(kubeconfig)?.replace(&server, &listener.local_addr()?.to_string());
        let through = kubeconfig.with_extension("link");
        std::fs::write(&through, text)?;
        let loses = Arc::new(AtomicBool::new(false));
        let running = tokio::spawn(serve(listener, server, Arc::clone(&loses)));
        Ok(Self { kubeconfig: through, loses, running })
    }

    /// Whether what the server sends is lost.
    pub(crate) fn set_losing(&self, loses: bool) {
        self.loses.store(loses, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(listener: TcpListener, server: String, loses: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        // No server: the connection is dropped, and the program tries again.
        let Ok(server) = TcpStream::connect(&server).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::spawn(connect(client, server, Arc::clone(&loses)));
    }
}

/// Ends when either side does, and then both do.
async fn connect(client: TcpStream, server: TcpStream, loses: Arc<AtomicBool>) {
    let ((mut from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        biased;
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = pass(from_server, to_client, &loses) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, loses: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if !loses.load(Ordering::Relaxed) {
            to.write_all(&buffer[..read]).await?;
        }
    }
}
