//! The controller whose start the budgets measure: the library, a client, one handler, and nothing else.
//!
//! The benchmark `budgets` starts it with a task; by itself it does nothing.

#![expect(clippy::cast_precision_loss, reason = "figures for people: three digits of them are printed")]

#[path = "../budgets/address.rs"]
#[expect(dead_code, reason = "it is told where the server is")]
mod address;
#[path = "../budgets/beginning.rs"]
mod beginning;
#[path = "../budgets/connect.rs"]
mod connect;
#[path = "../queue/kernel.rs"]
mod kernel;
#[path = "../budgets/process.rs"]
#[expect(dead_code, reason = "others count more of a process")]
mod process;
#[path = "../budgets/start.rs"]
#[expect(dead_code, reason = "others measure latency")]
mod start;
#[path = "../budgets/task.rs"]
mod task;

use anyhow::bail;
use task::Task;
use tokio::runtime::Builder;

fn main() -> anyhow::Result<()> {
    let Some(task) = task::asked() else {
        println!("controller: nothing to do without the benchmark `budgets`");
        return Ok(());
    };
    let Task::Start { server, mode, reads, pods } = task else { bail!("no task of a controller: {task:?}") };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    task::tell(&runtime.block_on(start::start(*server, mode, reads, pods))?)
}
