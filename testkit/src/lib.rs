//! An in-process Kubernetes API server for tests, held to the real one.
//!
//! [`ApiServer`] holds a cluster's state and answers as `kube-apiserver` 1.36 does: to a [`kube::Client`] without sockets, so that tests
//! run under tokio's paused clock and give the same result each time, and over HTTP to `kubectl` and anything else
//! ([`ApiServer::listen`]). It keeps state instead of a script of expected calls, so tests say what should hold and not which
//! requests lead there.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kubehandler_testkit::{ApiServer, Fault, Requests, Rule};
//! use serde_json::json;
//!
//! let server = ApiServer::new();
//! // What is in the cluster before the test begins.
//! server.create(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}))?;
//! // The next list of config maps is told to come back later.
//! let busy = Fault::status(429).retry_after(std::time::Duration::from_secs(1));
//! let guard = server.faults().install(Rule::new(Requests::of("list", "configmaps"), busy).times(1));
//!
//! let client = server.client(); // hand it to the code under test
//! # let request = http::Request::get("/api/v1/configmaps").body(kube::client::Body::empty())?;
//! # client.send(request).await?;
//!
//! // What it did.
//! assert_eq!(guard.hits(), 1);
//! assert_eq!(server.requests()[0].code(), Some(429));
//! # Ok(())
//! # }
//! ```
//!
//! # What it imitates
//!
//! - **Kinds:** namespaces, pods, services, config maps, secrets, service accounts, nodes, events (both groups), deployments, replica
//!   sets, leases, the RBAC kinds, custom resource definitions, and every kind that a definition defines, with its schema, defaults,
//!   pruning, printer columns, selectable fields, status and scale. Discovery, plain and aggregated; `/openapi/v3`; `/version`,
//!   `/healthz`, `/livez`, `/readyz`.
//! - **Reads:** one resource version for everything; lists with `limit` and `continue` on a consistent snapshot, `resourceVersion` and
//!   `resourceVersionMatch`; label and field selectors; `PartialObjectMetadata` and `Table`.
//! - **Watches:** from a version or from the present, with bookmarks (none of events, as the real server keeps no watch cache
//!   of them), `sendInitialEvents` (which can be refused or ignored:
//!   [`InitialEvents`]), `timeoutSeconds`; a change out of the selection is `DELETED`, into it `ADDED`; 410 as an event or as a status
//!   ([`ExpiredWatch`]).
//! - **Writes:** create with `generateName`, replace, JSON, merge and strategic merge patches, server-side apply with ownership of
//!   fields; conflicts, preconditions, `generation`, status apart from spec, finalizers, grace periods of pods, deletion of
//!   collections, dry runs, `fieldValidation`; bodies in JSON, YAML and (built-in kinds) protobuf.
//! - **The background:** dependents follow their owners, in the background, in the foreground, or as orphans; namespaces and definitions
//!   empty themselves before they go; definitions become established.
//! - **Errors:** the real server's codes, reasons, details, causes and (nearly always) sentences.
//!
//! # What it leaves out, and who could notice
//!
//! - **No authentication and no authorization.** A bearer token is taken for the user's name and everybody may do everything, but for
//!   what a [`Fault::Forbid`] denies. Roles can be stored and mean nothing.
//! - **No controllers beyond the background above.** Deployments get no replica sets, replica sets no pods, namespaces no default service
//!   account, services no endpoints; nothing runs. A test plays these parts ([`ApiServer::edit`]) where it needs them.
//! - **No admission webhooks, no quotas, no CEL rules** (`x-kubernetes-validations`), no conversion webhooks: all versions of a
//!   definition show the same fields.
//! - **Answers are JSON only.** A client that takes nothing but protobuf, CBOR or YAML is refused with 406. A real server indents JSON for
//!   `curl` and `?pretty=true`; this one does not.
//! - **No watch cache.** Lists from version 0 are never stale, watches never behind; `resourceVersion=0` costs what any list costs.
//!   Bookmarks name the newest version of all; the real server's name the newest of their kind, and do not come before there is one.
//! - **History is limited by number, not by time** ([`ApiServerBuilder::history_limit`]); nothing expires by waiting.
//! - **Messages that quote Go** (JSON syntax errors, printed structs, differences between pods) have other words; a secret's content,
//!   which the real server quotes back in some errors, is left out of all.
//! - **Some subresources are missing:** logs, exec, attach, port-forward, proxy, eviction, binding, ephemeral containers, tokens. So are the
//!   kinds that are not listed above, `/openapi/v2` and metrics.
//! - **Plain HTTP/1.1** on the listener: no TLS, no HTTP/2, no priority and fairness.
//!
//! Each module says in its first lines what it simplifies.
//!
//! # Determinism
//!
//! Every answer is a function of the requests in their order, of tokio's clock and of [`ApiServerBuilder::seed`] (uids, generated names,
//! lifetimes of watches, draws of faults); only the wall clock at the start comes from outside, unless
//! [`ApiServerBuilder::start_time`] fixes it. A request is carried out in one step, under one lock.

mod api_server;
mod builtin;
mod clock;
mod cluster;
mod decode;
mod definitions;
mod delete;
mod dispatch;
mod fault;
mod field;
mod fixture;
mod garbage;
mod kinds;
mod listener;
mod managed_fields;
mod metadata;
mod names;
mod object;
mod openapi;
mod options;
mod patch;
mod protobuf;
mod read;
mod record;
mod registry;
mod render;
mod revisions;
mod route;
mod scale;
mod schema;
mod selector;
mod server;
mod status;
mod storage;
mod strict_json;
mod table;
#[cfg(test)]
mod testing;
mod watch;
mod write;

pub use api_server::{ApiServer, ApiServerBuilder};
pub use cluster::{ExpiredWatch, InitialEvents};
pub use fault::{Fault, Faults, Requests, Rule, RuleGuard, WatchFault};
pub use fixture::Refused;
pub use listener::Listening;
pub use record::{Outcome, RequestInfo, RequestRecord};
pub use server::{ApiService, ResponseBody};
