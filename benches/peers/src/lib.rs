//! What the conductor and the programs in Rust have in common.
//!
//! | file | owns |
//! |---|---|
//! | `task` | what a program is asked to do |
//! | `answer` | what it says: events and their figures |
//! | `checksum` | FNV-1a, and sums over many names: how a program proves its work |
//! | `record` | what a handler has seen |
//! | `handler` | the user's code |
//! | `connection` | how a program reaches the server; bytes and lists counted |
//! | `program` | the main function of a program |
//! | `kinds` | the thirty kinds |
//! | `usage` | what a process has used |

#![expect(clippy::cast_precision_loss, reason = "figures for people: counts far below 2^52")]

pub mod answer;
#[path = "../../budgets/beginning.rs"]
mod beginning;
pub mod checksum;
#[path = "../../budgets/connect.rs"]
#[expect(dead_code, reason = "the bytes of its client are not counted")]
mod connect;
pub mod connection;
pub mod handler;
#[path = "../../queue/kernel.rs"]
mod kernel;
pub mod kinds;
#[path = "../../budgets/process.rs"]
mod process;
pub mod program;
pub mod record;
pub mod task;
pub mod usage;
