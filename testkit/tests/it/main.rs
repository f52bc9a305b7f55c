//! The test API server as a client sees it, through `kube::Client`.

mod definitions;
mod faults;
mod garbage;
mod objects;
mod over_http;
mod support;
mod watching;
