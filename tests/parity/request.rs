//! One request of the list: what is sent, and what later requests need from its answer.
//!
//! Must not know: servers, answers, what is expected.

use std::borrow::Borrow;

use http::Method;
use serde_json::Value;

/// A request as data. Text of the form `<<name>>` in path or body stands for what an earlier request [`saving`] it saw.
///
/// [`saving`]: Request::saving
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Unique; the recording and the table of differences go by it.
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) saves: Vec<Save>,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Send this and note the answer.
    Send(Exchange),
    /// The same, again and again, until the answer has this status: for what a server does in its own time.
    Await(Exchange, u16),
    /// Make the server forget its history, so that older resourceVersions and continue tokens have expired.
    Expire,
}

#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Save {
    pub(crate) name: &'static str,
    /// A JSON pointer into the answer's body.
    pub(crate) from: &'static str,
}

pub(crate) const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

pub(crate) fn get(name: &'static str, path: impl Into<String>) -> Request {
    request(name, Method::GET, path, "", String::new())
}

pub(crate) fn post(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::POST, path, JSON, body.borrow().to_string())
}

pub(crate) fn put(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::PUT, path, JSON, body.borrow().to_string())
}

pub(crate) fn delete(name: &'static str, path: impl Into<String>) -> Request {
    request(name, Method::DELETE, path, "", String::new())
}

pub(crate) fn delete_with(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::DELETE, path, JSON, body.borrow().to_string())
}

pub(crate) fn merge_patch(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::PATCH, path, MERGE_PATCH, body.borrow().to_string())
}

pub(crate) fn json_patch(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::PATCH, path, JSON_PATCH, body.borrow().to_string())
}

pub(crate) fn strategic_patch(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::PATCH, path, STRATEGIC_PATCH, body.borrow().to_string())
}

/// Server-side apply; JSON is YAML.
pub(crate) fn apply(name: &'static str, path: impl Into<String>, body: impl Borrow<Value>) -> Request {
    request(name, Method::PATCH, path, APPLY_PATCH, body.borrow().to_string())
}

/// A body that is not what it says.
pub(crate) fn raw(
    name: &'static str,
    method: Method,
    path: impl Into<String>,
    content_type: &'static str,
    body: &str,
) -> Request {
    request(name, method, path, content_type, body.to_owned())
}

/// The server shall forget its history.
pub(crate) fn expire(name: &'static str) -> Request {
    Request { name, act: Act::Expire, saves: Vec::new() }
}

fn request(
    name: &'static str,
    method: Method,
    path: impl Into<String>,
    content_type: &'static str,
    body: String,
) -> Request {
    let exchange = Exchange { method, path: path.into(), accept: JSON, content_type, body };
    Request { name, act: Act::Send(exchange), saves: Vec::new() }
}

impl Request {
    /// What later requests write as `<<name>>`, taken from the answer's body at a JSON pointer.
    pub(crate) fn saving(mut self, name: &'static str, from: &'static str) -> Self {
        self.saves.push(Save { name, from });
        self
    }

    /// Asks for another media type than JSON.
    pub(crate) fn accept(mut self, media_type: &'static str) -> Self {
        if let Act::Send(exchange) | Act::Await(exchange, _) = &mut self.act {
            exchange.accept = media_type;
        }
        self
    }

    /// Sends it again and again until the answer has this status.
    pub(crate) fn awaiting(mut self, status: u16) -> Self {
        if let Act::Send(exchange) = self.act {
            self.act = Act::Await(exchange, status);
        }
        self
    }
}

impl Exchange {
    /// Whether the answer is a sequence of watch events.
    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=")
    }
}
