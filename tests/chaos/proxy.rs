//! A TCP proxy in front of kube-apiserver that passes bytes on, or does to connections what networks do.
//!
//! It knows nothing of TLS or HTTP: what it cannot tell apart, no machine on the way can.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::time_passes;

/// The proxy. Dropping it closes every connection.
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What happens to connections, which are numbered as they come.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// Those with a lower number are closed.
    cut_below: usize,
    /// Those with a lower number carry nothing any more, and nobody closes them.
    stalled_below: usize,
    /// No connection carries anything; what was sent waits.
    black_hole: bool,
    /// New ones are closed at once.
    refuses: bool,
    /// By how much each piece is late.
    delay: Duration,
}

impl Weather {
    fn holds(&self, number: usize) -> bool {
        self.black_hole || number < self.stalled_below
    }
}

impl Proxy {
    /// Listens on a free port and passes on to `server`.
    pub(crate) async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, accepted) = (watch::Sender::new(Weather::default()), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(accept(listener, server, weather.subscribe(), Arc::clone(&accepted)));
        Ok(Self { address, weather, accepted, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Closes every connection; new ones work.
    pub(crate) fn cut(&self) {
        let next = self.connections();
        self.weather.send_modify(|weather| weather.cut_below = next);
    }

    /// Leaves every connection half-open: nothing comes over it any more, and nobody closes it. New ones work.
    pub(crate) fn stall(&self) {
        let next = self.connections();
        self.weather.send_modify(|weather| weather.stalled_below = next);
    }

    /// Whether nothing is carried at all, on new connections neither.
    pub(crate) fn black_hole(&self, on: bool) {
        self.weather.send_modify(|weather| weather.black_hole = on);
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, on: bool) {
        self.weather.send_modify(|weather| weather.refuses = on);
    }

    /// By how much each piece is late.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    accepted: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let number = accepted.fetch_add(1, Ordering::SeqCst);
        if !weather.borrow().refuses {
            connections.spawn(carry(number, near, server, weather.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection until either side ends it, or it is cut.
async fn carry(number: usize, near: TcpStream, server: SocketAddr, weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(server).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut cut = weather.clone();
    let pumps = futures::future::try_join(
        pump(number, near_in, far_out, weather.clone()),
        pump(number, far_in, near_out, weather),
    );
    tokio::select! {
        biased;
        _ = cut.wait_for(|weather| number < weather.cut_below) => {}
        // However it ended, the connection goes with it.
        _ = pumps => {}
    }
}

/// Carries one direction until its end.
async fn pump(
    number: usize,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut piece).await?;
        let now = *weather.wait_for(|weather| !weather.holds(number)).await.map_err(io::Error::other)?;
        if read == 0 {
            return to.shutdown().await;
        }
        if now.delay > Duration::ZERO {
            time_passes(now.delay).await;
        }
        to.write_all(&piece[..read]).await?;
    }
}
