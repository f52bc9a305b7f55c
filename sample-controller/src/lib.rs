//! A controller to copy: `Website`s that own a `ConfigMap`, a `Service` and a `Deployment`.
//!
//! `README.md` beside this crate says what to change, file by file. It is a library only so that its tests can run the
//! handlers in process; `main.rs` is the program.

pub mod announce;
pub mod apply;
pub mod cli;
pub mod connect;
pub mod controller;
pub mod crd;
#[cfg(feature = "demo")]
pub mod demo;
pub mod desired;
pub mod everyday;
pub mod handlers;
pub mod health;
pub mod logging;
pub mod observed;
#[cfg(test)]
mod testing;
pub mod uninstall;
