//! The test API server as a client sees it, through `kube::Client`.

mod definitions;
mod faults;
mod garbage;
mod kinds;
mod objects;
mod over_http;
mod robust;
mod support;
mod watching;
