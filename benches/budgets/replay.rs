//! A server without a socket that answers a list and a watch with prepared pods: what it costs is small and always the same.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use kube::Client;
use kube::client::Body;

use super::pods;

/// The width of a version, so that it can be written over.
const FIRST_VERSION: u64 = 1_000_000_000;
/// How many bytes of a body come at a time, as from a socket.
const PIECE: usize = 16 << 10;

/// What is replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replay {
    pub(crate) pods: usize,
    /// How many changes the watch brings, of one pod after the other.
    pub(crate) changes: usize,
    pub(crate) per_second: Option<u32>,
}

type ReplayBody = UnsyncBoxBody<Bytes, Infallible>;

impl Replay {
    /// A client of this server.
    pub(crate) fn client(self) -> Client {
        let frames: Arc<Vec<(Bytes, usize)>> = Arc::new(if self.changes == 0 { Vec::new() } else { self.frames() });
        let service = tower::service_fn(move |request: Request<Body>| {
            let frames = Arc::clone(&frames);
            async move {
                let query = request.uri().query().unwrap_or_default();
                let body = if query.contains("watch=") { self.watch(frames, query) } else { self.list() };
                Response::builder().header("content-type", "application/json").body(body)
            }
        });
        Client::new(service, "default")
    }

    /// The list, each pod made when its turn comes.
    fn list(self) -> ReplayBody {
        let head = format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"{FIRST_VERSION}"}},"items":["#
        );
        let items = (0..self.pods).map(move |number| {
            let comma = if number == 0 { "" } else { "," };
            let mut pod = pods::sent(number, self.pods, FIRST_VERSION);
            // As in lists of the server.
            pod.as_object_mut().map(|pod| (pod.remove("kind"), pod.remove("apiVersion")));
            Bytes::from(format!("{comma}{pod}"))
        });
        let parts = std::iter::once(Bytes::from(head)).chain(items).chain([Bytes::from_static(b"]}")]);
        body(stream::iter(parts))
    }

    /// The frame of each pod, and where its version stands.
    fn frames(self) -> Vec<(Bytes, usize)> {
        let frame = |number| {
            let pod = pods::sent(number, self.pods, FIRST_VERSION);
            let frame = format!("{{\"type\":\"MODIFIED\",\"object\":{pod}}}\n");
            let key = "\"resourceVersion\":\"";
            let at = frame.find(key).map_or(0, |at| at + key.len());
            (Bytes::from(frame), at)
        };
        (0..self.pods).map(frame).collect()
    }

    /// The changes behind the version that is asked for; then nothing more, as from a quiet server.
    fn watch(self, frames: Arc<Vec<(Bytes, usize)>>, query: &str) -> ReplayBody {
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let seen =
            asked.and_then(|version| version.parse::<u64>().ok()).map_or(0, |it| it.saturating_sub(FIRST_VERSION));
        let first = usize::try_from(seen).unwrap_or(usize::MAX);
        let changes = (first..self.changes).map(move |change| {
            let (frame, at) = &frames[change % frames.len()];
            let mut frame = frame.to_vec();
            let version = (FIRST_VERSION + 1 + change as u64).to_string();
            frame[*at..at + version.len()].copy_from_slice(version.as_bytes());
            Bytes::from(frame)
        });
        match self.per_second {
            None => body(stream::iter(changes).chain(stream::pending())),
            Some(per_second) => {
                let every = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
                let paced = stream::unfold((every, changes), |(mut every, mut changes)| async {
                    every.tick().await;
                    changes.next().map(|change| (change, (every, changes)))
                });
                body(paced.chain(stream::pending()))
            }
        }
    }
}

fn body(parts: impl futures::Stream<Item = Bytes> + Send + 'static) -> ReplayBody {
    let pieces = parts.flat_map(|part| {
        let count = part.len().div_ceil(PIECE);
        stream::iter((0..count).map(move |at| part.slice(at * PIECE..part.len().min((at + 1) * PIECE))))
    });
    // Others run in between, as they do while a socket is read.
    let pieces = pieces.then(|piece| async {
        tokio::task::consume_budget().await;
        Ok::<_, Infallible>(Frame::data(piece))
    });
    UnsyncBoxBody::new(StreamBody::new(pieces))
}
