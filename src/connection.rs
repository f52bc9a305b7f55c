//! Why a request got no answer, from the errors of the layers below: their types are many and mostly private, so what
//! matters is found by walking the chain of causes. And a server's words, fit for one line.
//!
//! It must not know what was asked for.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use kube::client::AuthError;

/// How much of a server's message is told.
const MESSAGE_MAX: usize = 300;

/// What keeps a request from its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// There is nothing to show the server who asks.
    Credentials,
    /// No secure connection comes about.
    Tls,
    /// No connection does, or it broke.
    Unreachable,
}

/// The sort of failure, and a phrase that says what happened. It holds nothing of what was sent.
pub(crate) fn describe(error: &kube::Error) -> (Obstacle, String) {
    let causes: Vec<&(dyn Error + 'static)> = chain(error).collect();
    let root = causes.last().map_or_else(String::new, |root| quoted(&root.to_string()));
    // An exec plugin's output may stand in the text, a token with it.
    if causes.iter().any(|cause| cause.is::<AuthError>()) || matches!(error, kube::Error::Auth(_)) {
        return (
            Obstacle::Credentials,
            "the kubeconfig's user gives no credentials (exec plugin, token file)".to_owned(),
        );
    }
    let io: Vec<_> = causes.iter().filter_map(|cause| cause.downcast_ref()).flat_map(io_kinds).collect();
    // Closed in the middle of the handshake: as by a load balancer whose servers are away.
    let closed = io.iter().any(|kind| matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    let insecure = !closed && causes.iter().any(|cause| speaks_of_tls(&cause.to_string()));
    if insecure || matches!(error, kube::Error::TlsRequired) {
        return (Obstacle::Tls, format!("no secure connection ({root})"));
    }
    let address = causes.iter().find_map(|cause| address_in(&format!("{cause:?}")));
    let server = address.map_or_else(|| "the API server".to_owned(), |address| address.to_string());
    let detail = if io.contains(&io::ErrorKind::ConnectionRefused) {
        format!("{server} refuses connections")
    } else {
        format!("no connection to {server} ({root})")
    };
    (Obstacle::Unreachable, detail)
}

/// A server's message on one line, shortened.
pub(crate) fn quoted(message: &str) -> String {
    let mut text: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(MESSAGE_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A server's message of a refusal with this code, as [`quoted`] gives it; of the writing of an object whose values are secret
/// (`is_secret`) nothing, if it may quote them.
pub(crate) fn refusal(code: u16, message: &str, is_secret: bool) -> String {
    if is_secret && !holds_no_value(code, message) { String::new() } else { quoted(message) }
}

/// Whether a refusal is the server's own and quotes no value.
///
/// One of its own names the object and its fields, but only validation quotes what is not valid. A webhook or a policy is sent the
/// whole object and chooses its words, its reason and its code; the server puts in front of them that it denied the request.
fn holds_no_value(code: u16, message: &str) -> bool {
    let is_the_servers = match code {
        404 | 409 => true,
        401 | 403 => message.contains(" is forbidden: User "),
        _ => false,
    };
    is_the_servers && !message.contains(" denied ")
}

/// The error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What sorts of failure of the operating system an error stands for: one may carry another, which is not its cause.
fn io_kinds(error: &io::Error) -> impl Iterator<Item = io::ErrorKind> {
    std::iter::successors(Some(error), |error| error.get_ref()?.downcast_ref()).map(io::Error::kind)
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
