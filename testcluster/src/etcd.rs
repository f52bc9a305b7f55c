//! What is asked of etcd itself, through its HTTP gateway: health and compaction.
//!
//! One request a connection in plain HTTP/1.0, so that no client library is needed.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::Error;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether etcd on this port has a leader and answers.
pub(crate) fn check(port: u16) -> Result<(), String> {
    let answer = request(port, "GET", "/health", "").map_err(|error| error.to_string())?;
    if answer.contains(r#""health":"true""#) { Ok(()) } else { Err(answer) }
}

/// Compacts everything up to now, physically, and returns the revision: older ones can no longer be read.
pub(crate) fn compact(port: u16) -> Result<i64, Error> {
    let ask = |path, body: &str| {
        let answer = request(port, "POST", path, body).map_err(Error::io(format!("ask etcd for {path}")))?;
        let accepted = answer.split_whitespace().nth(1) == Some("200");
        if accepted { Ok(answer) } else { Err(Error::Etcd { request: path, answer }) }
    };
    // Any read tells the current revision; the key AA== is one zero byte, which nobody uses.
    let answer = ask("/v3/kv/range", r#"{"key":"AA=="}"#)?;
    let Some(revision) = revision(&answer) else {
        return Err(Error::Etcd { request: "/v3/kv/range", answer });
    };
    ask("/v3/kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#))?;
    Ok(revision)
}

/// The revision in an answer's header, which etcd's gateway writes as a string: `"revision":"42"`.
fn revision(answer: &str) -> Option<i64> {
    let (_, rest) = answer.split_once(r#""revision":""#)?;
    rest.split('"').next()?.parse().ok()
}

/// Status line, headers and body as text.
fn request(port: u16, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let length = body.len();
    stream.write_all(format!("{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_read_from_the_header() {
        let answer = r#"HTTP/1.0 200 OK

{"header":{"cluster_id":"1","member_id":"2","revision":"317","raft_term":"2"}}"#;
        assert_eq!(revision(answer), Some(317));
        assert_eq!(revision("HTTP/1.0 200 OK\r\n\r\n{}"), None);
    }
}
