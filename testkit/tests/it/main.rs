//! The test API server as a client sees it, through `kube::Client`.

mod faults;
mod objects;
mod support;
mod watching;
