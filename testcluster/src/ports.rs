//! Free loopback ports that stay free between a kill and a restart.
//!
//! Ports come from below the range that operating systems hand out for outgoing connections (32768 and up on Linux,
//! 49152 and up elsewhere): while a killed server is down, no client's connection can take its port.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
};

const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 32_000;

/// `N` different ports that nothing listens on now. Somebody else may take one before its user does: who starts a server
/// tries again with others.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    let mut held = Vec::with_capacity(N);
    // Where to begin differs between processes, so that two that start at once do not walk side by side.
    let span = u64::from(HIGHEST - LOWEST);
    let start = RandomState::new().build_hasher().finish() % span;
    for step in 0..span {
        if held.len() == N {
            break;
        }
        let offset = u16::try_from((start + step * 7) % span).unwrap_or_default();
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, LOWEST + offset)) {
            held.push((listener, LOWEST + offset));
        }
    }
    // With every port of the range taken, 0 lets the server say so in its own words.
    std::array::from_fn(|at| held.get(at).map_or(0, |(_, port)| *port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_different_and_not_from_the_ephemeral_range() {
        let ports: [u16; 5] = free();
        for (at, port) in ports.iter().enumerate() {
            assert!((LOWEST..HIGHEST).contains(port), "{port}");
            assert!(!ports[..at].contains(port), "{port} twice in {ports:?}");
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).expect("nobody listens on it");
        }
    }

    #[test]
    fn a_taken_port_is_not_handed_out() {
        let [port] = free();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it was free");
        for _ in 0..200 {
            let others: [u16; 3] = free();
            assert!(!others.contains(&port));
        }
    }
}
