//! The main function of a program: it does its task, says when it is ready, and answers commands until its input ends.

use std::process::exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use kube::Client;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::runtime::Builder;

use crate::answer::{Answer, Figures, figures};
use crate::checksum::Sum;
use crate::connection::{Meter, client};
use crate::handler::Handler;
use crate::process;
use crate::record::Record;
use crate::task::{Task, What, asked};
use crate::usage::{Start, Usage};

/// Can tell what it knows, as long as it lives.
pub trait Running: Send {
    /// The distinct keys handled.
    fn handled(&self) -> Sum;
    /// What is believed to exist.
    fn view(&self) -> Sum;
}

/// Informers without a handler: nothing is handled.
pub struct Unhandled;

impl Running for Unhandled {
    fn handled(&self) -> Sum {
        Sum::default()
    }

    fn view(&self) -> Sum {
        Sum::default()
    }
}

/// What a program does with its task.
pub trait Program {
    /// Why it cannot do the task, if so.
    fn unsupported(&self, task: &Task) -> Option<&'static str>;

    /// Starts, and returns once the list is in and each expected object was handled.
    fn start(
        &self,
        task: &Task,
        client: Client,
        handler: Handler,
    ) -> impl Future<Output = anyhow::Result<Box<dyn Running>>>;

    /// Measures its queue alone.
    fn queue(&self) -> anyhow::Result<Figures> {
        bail!("there is no queue")
    }
}

/// Runs the program. Two worker threads, as the machine that the budgets speak of has; glibc's allocator.
pub fn run(program: &impl Program) -> anyhow::Result<()> {
    let task: Task = asked()?;
    if let Some(why) = program.unsupported(&task) {
        return Answer::Unsupported { why: why.to_owned() }.say();
    }
    if task.what == What::Queue {
        return Answer::Ready { figures: program.queue()? }.say();
    }
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(perform(program, &task))
}

async fn perform(program: &impl Program, task: &Task) -> anyhow::Result<()> {
    let (meter, record) = (Meter::default(), Arc::new(Record::new(task.expect)));
    let start = Start::now()?;
    let handler = Handler { does: task.handler, record: Arc::clone(&record) };
    let running = program.start(task, client(&task.kubeconfig, &meter).await?, handler).await?;
    let mut ready = start.ended(&meter).await?;
    let done = running.handled();
    ready.extend(figures([("handled", done.count as f64), ("checksum", f64::from(done.checksum))]));
    Answer::Ready { figures: ready }.say()?;
    answer_commands(running.as_ref(), &record, &meter).await
}

/// Where counters that never begin anew stood at the last mark.
struct Mark {
    at: Instant,
    cpu: f64,
    bytes: f64,
    lists: f64,
}

impl Mark {
    fn now(meter: &Meter) -> anyhow::Result<Self> {
        Ok(Self { at: Instant::now(), cpu: Usage::now()?.cpu, bytes: meter.bytes(), lists: meter.lists() })
    }
}

async fn answer_commands(running: &dyn Running, record: &Record, meter: &Meter) -> anyhow::Result<()> {
    let mut mark = Mark::now(meter)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["mark"] => {
                record.mark();
                mark = Mark::now(meter)?;
                Answer::Marked
            }
            ["report"] => Answer::Report { figures: report(&mark, record, meter)? },
            ["view"] => {
                let Sum { count, checksum } = running.view();
                let figures = figures([("objects", count as f64), ("checksum", f64::from(checksum))]);
                Answer::View { figures }
            }
            ["idle", seconds] => {
                let (wake_ups, cpu) = process::at_rest(Duration::from_secs_f64(seconds.parse()?)).await?;
                Answer::Idle { figures: figures([("wake-ups", wake_ups), ("cpu", cpu)]) }
            }
            _ => bail!("no such command: {line:?}"),
        };
        answer.say()?;
    }
    Ok(())
}

fn report(mark: &Mark, record: &Record, meter: &Meter) -> anyhow::Result<Figures> {
    let (now, usage) = (Mark::now(meter)?, Usage::now()?);
    let mut report = record.report();
    report.extend(figures([
        ("seconds", now.at.duration_since(mark.at).as_secs_f64()),
        ("cpu", now.cpu - mark.cpu),
        ("resident", usage.resident),
        ("peak", usage.peak),
        ("bytes", now.bytes - mark.bytes),
        ("lists", now.lists - mark.lists),
    ]));
    Ok(report)
}

/// A controller that ends takes its program with it: the conductor would wait for what never comes.
pub fn end(why: impl std::fmt::Display) -> ! {
    eprintln!("the controller ended: {why}");
    exit(1)
}
