//! Why a request got no answer, from the errors of the layers below: their types are many and mostly private, so what
//! matters is found by walking the chain of causes.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use kube::client::AuthError;

use super::error::InformerErrorKind as Kind;
use super::source::quoted;

/// The sort of failure, and a phrase that says what happened.
pub(super) fn describe(error: &kube::Error) -> (Kind, String) {
    let causes: Vec<&(dyn Error + 'static)> = chain(error).collect();
    let root = causes.last().map_or_else(String::new, |root| quoted(&root.to_string()));
    // An exec plugin's output may stand in the text, a token with it.
    if causes.iter().any(|cause| cause.is::<AuthError>()) || matches!(error, kube::Error::Auth(_)) {
        return (Kind::Unauthorized, "the kubeconfig's user gives no credentials (exec plugin, token file)".to_owned());
    }
    if matches!(error, kube::Error::TlsRequired) || causes.iter().any(|cause| speaks_of_tls(&cause.to_string())) {
        return (Kind::Tls, format!("no secure connection ({root})"));
    }
    let address = causes.iter().find_map(|cause| address_in(&format!("{cause:?}")));
    let server = address.map_or_else(|| "the API server".to_owned(), |address| address.to_string());
    let refused = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let detail = if refused.map(io::Error::kind).any(|kind| kind == io::ErrorKind::ConnectionRefused) {
        format!("{server} refuses connections")
    } else {
        format!("no connection to {server} ({root})")
    };
    (Kind::Unreachable, detail)
}

/// The error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// TLS stacks are the user's choice, so their types cannot be asked for.
fn speaks_of_tls(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["certificate", "tls", "ssl", "handshake", "corrupt message"].iter().any(|word| text.contains(word))
}

/// hyper knows which address it failed to connect to, but shows it in its debug form only.
fn address_in(debug: &str) -> Option<SocketAddr> {
    let is_part = |char: char| char.is_ascii_hexdigit() || matches!(char, '.' | ':' | '[' | ']' | '%');
    debug.split(|char| !is_part(char)).find_map(|word| word.parse().ok())
}
