//! A slow link to a server: bytes arrive late, and only so many of them in a second.
//!
//! It passes bytes on as they are, so TLS goes through it. Both directions are alike, and all connections share one link.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What the link is like.
pub(crate) const WORDS: &str = "20 ms one way, 100 Mbit/s";
const LATENCY: Duration = Duration::from_millis(20);
const BYTES_PER_SECOND: f64 = 100e6 / 8.0;
/// How many pieces may be on their way: more than latency times bandwidth, so that the link is full.
const ON_THE_WAY: usize = 64;
const PIECE: usize = 16 << 10;

/// One direction of the link: until when it is busy.
type Lane = Arc<Mutex<Instant>>;

/// Listens on a free port for connections to `server`, for as long as the runtime lives.
pub(crate) async fn listen(server: &str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, server) = (listener.local_addr()?, server.to_owned());
    let lane = || Arc::new(Mutex::new(Instant::now()));
    let (up, down) = (lane(), lane());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&server).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            carry(near_in, far_out, Arc::clone(&up));
            carry(far_in, near_out, Arc::clone(&down));
        }
    });
    Ok(address)
}

/// Carries one direction of a connection until its end.
fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lane: Lane) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE];
            let Ok(read @ 1..) = from.read(&mut piece).await else { return };
            piece.truncate(read);
            if sender.send((passed(&lane, read) + LATENCY, piece)).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((arrives, piece)) = pieces.recv().await {
            sleep_until(arrives).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
}

/// When so many bytes have passed, behind those that are before them.
fn passed(lane: &Lane, bytes: usize) -> Instant {
    let mut busy = lane.lock().unwrap_or_else(PoisonError::into_inner);
    let takes = Duration::from_secs_f64(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / BYTES_PER_SECOND);
    *busy = (*busy).max(Instant::now()) + takes;
    *busy
}
