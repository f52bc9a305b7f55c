//! An in-process Kubernetes API server for tests.

mod api_server;
#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod builtin;
mod clock;
mod cluster;
mod decode;
mod definitions;
mod delete;
mod dispatch;
mod fault;
#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod field;
mod garbage;
mod kinds;
mod listener;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod managed_fields;
mod metadata;
mod names;
#[allow(dead_code, reason = "verbs that use the rest follow")]
mod object;
#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod openapi;
#[allow(dead_code, reason = "verbs that use the rest follow")]
mod options;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod patch;
mod protobuf;
mod read;
mod record;
#[allow(dead_code, reason = "verbs that use the rest follow")]
mod registry;
mod render;
mod route;
mod scale;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod schema;
mod selector;
mod server;
#[allow(dead_code, reason = "verbs that use the rest follow")]
mod status;
#[allow(dead_code, reason = "verbs that use the rest follow")]
mod storage;
mod strict_json;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod table;
#[cfg(test)]
mod testing;
mod watch;
mod write;

pub use api_server::{ApiServer, ApiServerBuilder};
pub use cluster::{ExpiredWatch, InitialEvents};
pub use fault::{Fault, Faults, Requests, Rule, RuleGuard, WatchFault};
pub use listener::Listening;
pub use record::{Outcome, RequestInfo, RequestRecord};
pub use server::{ApiService, ResponseBody};
