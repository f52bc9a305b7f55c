//! What every scenario needs: programs that start, turns, and the proof that all work was done.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kubehandler_peers::answer::Figures;
use kubehandler_peers::checksum::Sum;
use kubehandler_peers::task::Task;

use crate::child::{Child, Programs, Unsupported, sum};
use crate::options::Scale;
use crate::results::Row;
use crate::subject::{self, Subject};
use crate::{time, turns};

/// How often a program is asked what it sees. Looking costs it time, too.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
/// How long a program may take to see what there is.
const PATIENCE: Duration = Duration::from_secs(120);

/// How large everything is, and where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) scale: Scale,
    pub(crate) programs: Programs,
}

impl Bench {
    /// Runs each subject in each round.
    pub(crate) async fn by_turns(
        &self,
        rounds: usize,
        subjects: &[Subject],
        mut run: impl AsyncFnMut(&Subject) -> anyhow::Result<Figures>,
    ) -> anyhow::Result<Vec<Row>> {
        let row = |subject: &Subject| Row { label: subject.label.clone(), rounds: Vec::new(), unsupported: None };
        let mut rows: Vec<Row> = subjects.iter().map(row).collect();
        for round in 0..rounds {
            for which in turns::order(round, subjects.len()) {
                let (row, subject) = (&mut rows[which], &subjects[which]);
                if row.unsupported.is_some() {
                    continue;
                }
                let begun = Instant::now();
                match run(subject).await {
                    Ok(figures) => row.rounds.push(figures),
                    Err(error) => match error.downcast_ref::<Unsupported>() {
                        Some(Unsupported(why)) => row.unsupported = Some(why.clone()),
                        None => return Err(error).with_context(|| format!("round {} of {}", round + 1, subject.label)),
                    },
                }
                eprintln!("peers:   {} in {:.1?}", subject.label, begun.elapsed());
            }
        }
        Ok(rows)
    }

    /// Who takes part where the way of listing does not matter.
    pub(crate) fn controllers(&self) -> Vec<Subject> {
        if self.scale.all_variants { subject::controllers() } else { subject::programs() }
    }

    /// Starts a program and waits until it is ready.
    pub(crate) async fn start(&self, subject: &Subject) -> anyhow::Result<(Child, Figures)> {
        let program = subject.peer.path(&self.programs);
        Child::start(&program, &subject.label, &subject.task, &self.programs.log).await
    }

    /// As [`Self::start`], which is when the program has handled all that there is: these names.
    pub(crate) async fn start_on(&self, subject: &Subject, names: Sum) -> anyhow::Result<(Child, Figures)> {
        let task = Task { expect: names.count, ..subject.task.clone() };
        let (child, figures) = self.start(&Subject { task, ..subject.clone() }).await?;
        let handled = sum(&figures, "handled")?;
        ensure!(handled == names, "{} has handled {handled:?}, and there is {names:?}", subject.label);
        Ok((child, figures))
    }
}

/// Waits until the program sees what there is.
pub(crate) async fn sees(child: &mut Child, subject: &Subject, versions: Sum) -> anyhow::Result<()> {
    let view = sees_within(child, versions, PATIENCE).await?;
    ensure!(view == versions, "{} still sees {view:?} after {PATIENCE:?}, and there is {versions:?}", subject.label);
    Ok(())
}

/// Waits until the program sees what there is, or this time has passed. Tells what it sees.
pub(crate) async fn sees_within(child: &mut Child, versions: Sum, limit: Duration) -> anyhow::Result<Sum> {
    let begun = Instant::now();
    loop {
        let view = child.view().await?;
        if view == versions || begun.elapsed() > limit {
            return Ok(view);
        }
        time::passes(LOOKS_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::turns::order;

    #[test]
    fn each_has_one_turn_a_round_and_who_comes_first_changes() {
        for count in 1..20 {
            for round in 0..count {
                let turns: Vec<usize> = order(round, count).collect();
                assert_eq!(turns[0], round);
                assert_eq!(turns.iter().collect::<BTreeSet<_>>().len(), count, "{turns:?}");
            }
        }
    }

    #[test]
    fn each_follows_each_other_one_equally_often() {
        for count in 2..20 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let pairs = |round| order(round, count).zip(order(round, count).skip(1)).collect::<Vec<_>>();
            let mut times = BTreeMap::new();
            for pair in (0..rounds).flat_map(pairs) {
                *times.entry(pair).or_insert(0) += 1;
            }
            assert_eq!(times.len(), count * (count - 1));
            assert!(times.values().all(|times| *times == rounds / count), "{count}: {times:?}");
        }
    }
}
