//! What a handler has seen: per key what its user would remember, and counters since the last mark.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::answer::{Figures, figures};
use crate::checksum::Sum;

/// What a call was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It did not look.
    Key,
    /// The object.
    Object {
        /// Its uid.
        uid: Box<str>,
        /// Its resourceVersion.
        version: Box<str>,
        /// When that was written, in nanoseconds of Unix time, if the object says so.
        written: Option<u64>,
    },
    /// The object is gone; its uid, where the program tells.
    Gone(Option<Box<str>>),
}

/// How far the handler has come with the uid that it was given last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It was given none.
    #[default]
    Unknown,
    /// No call has succeeded.
    Seen,
    Added,
    /// Its deletion was handled.
    Deleted,
}

/// What is remembered of a key.
#[derive(Debug, Default)]
struct Memory {
    uid: Option<Box<str>>,
    stage: Stage,
    /// Of the object that the last successful call was given.
    version: Box<str>,
    /// The newest that a call was given.
    written: u64,
    running: u32,
    failures: u32,
    handled: bool,
    /// The last call succeeded and was no deletion.
    present: bool,
}

#[derive(Debug, Default)]
struct Counters {
    calls: usize,
    failed: usize,
    adds: usize,
    deletes: usize,
    /// Of these, behind no call that succeeded.
    early: usize,
    doubled: usize,
    concurrent: usize,
    misordered: usize,
    last: f64,
    lags: Vec<f64>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Box<str>, Memory>,
    counters: Counters,
    handled: Sum,
}

/// What the handler of a program has seen.
#[derive(Debug)]
pub struct Record {
    expect: usize,
    state: Mutex<State>,
    reached: Notify,
}

/// Nanoseconds of Unix time.
#[must_use]
pub fn unix_nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds of Unix time.
#[must_use]
pub fn unix_seconds() -> f64 {
    unix_nanoseconds() as f64 / 1e9
}

impl Record {
    /// A record that waits for so many distinct keys.
    #[must_use]
    pub fn new(expect: usize) -> Self {
        Self { expect, state: Mutex::default(), reached: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once each of the expected keys was handled.
    pub async fn reached(&self) {
        while self.state().handled.count < self.expect {
            // `notify_one` leaves a permit behind, so none is missed in between.
            self.reached.notified().await;
        }
    }

    /// A call begins at this Unix time.
    pub fn begins(&self, key: &str, sight: &Sight, now: u64) {
        let mut state = self.state();
        let State { keys, counters, .. } = &mut *state;
        if !keys.contains_key(key) {
            keys.insert(key.into(), Memory::default());
        }
        let Some(memory) = keys.get_mut(key) else { return };
        counters.calls += 1;
        counters.concurrent += usize::from(memory.running > 0);
        memory.running += 1;
        let Sight::Object { uid, written, .. } = sight else { return };
        if memory.uid.as_ref() != Some(uid) {
            memory.uid = Some(uid.clone());
            memory.stage = Stage::Seen;
        } else if memory.stage == Stage::Deleted {
            memory.stage = Stage::Added;
            counters.misordered += 1;
        }
        if let Some(written) = written.filter(|written| *written > memory.written) {
            memory.written = written;
            counters.lags.push(now.saturating_sub(written) as f64 / 1e9);
        }
    }

    /// How often a call for the key has failed.
    #[must_use]
    pub fn failures(&self, key: &str) -> u32 {
        self.state().keys.get(key).map_or(0, |memory| memory.failures)
    }

    /// The call failed.
    pub fn failed(&self, key: &str) {
        let mut state = self.state();
        let State { keys, counters, .. } = &mut *state;
        let Some(memory) = keys.get_mut(key) else { return };
        memory.failures += 1;
        memory.present = false;
        memory.running -= 1;
        counters.failed += 1;
        counters.last = unix_seconds();
    }

    /// The call succeeded.
    pub fn succeeded(&self, key: &str, sight: Sight) {
        let mut state = self.state();
        let State { keys, counters, handled } = &mut *state;
        let Some(memory) = keys.get_mut(key) else { return };
        memory.present = !matches!(sight, Sight::Gone(_));
        match sight {
            Sight::Key => {}
            Sight::Object { version, .. } => {
                counters.adds += usize::from(memory.stage != Stage::Added);
                memory.stage = Stage::Added;
                memory.version = version;
            }
            Sight::Gone(uid) => {
                let is_of_this = uid.is_none() || uid == memory.uid;
                let was_known = is_of_this && matches!(memory.stage, Stage::Seen | Stage::Added);
                counters.deletes += usize::from(was_known);
                counters.early += usize::from(is_of_this && memory.stage == Stage::Seen);
                counters.doubled += usize::from(!was_known);
                memory.stage = Stage::Deleted;
            }
        }
        if !memory.handled {
            memory.handled = true;
            handled.add(&[key]);
            if handled.count >= self.expect {
                self.reached.notify_one();
            }
        }
        memory.running -= 1;
        counters.last = unix_seconds();
    }

    /// The distinct keys handled so far.
    #[must_use]
    pub fn handled(&self) -> Sum {
        self.state().handled
    }

    /// What the handler believes to exist, of the keys for which `is_known` holds.
    pub fn view(&self, is_known: impl Fn(&str) -> bool) -> Sum {
        let mut sum = Sum::default();
        for (key, memory) in self.state().keys.iter().filter(|(key, memory)| memory.present && is_known(key)) {
            sum.add(&[key, "@", &memory.version]);
        }
        sum
    }

    /// The counters begin anew.
    pub fn mark(&self) {
        self.state().counters = Counters::default();
    }

    /// The counters since the mark.
    #[must_use]
    pub fn report(&self) -> Figures {
        let state = self.state();
        let counters = &state.counters;
        let mut lags = counters.lags.clone();
        lags.sort_unstable_by(f64::total_cmp);
        figures([
            ("calls", counters.calls as f64),
            ("failed", counters.failed as f64),
            ("adds", counters.adds as f64),
            ("deletes", counters.deletes as f64),
            ("early", counters.early as f64),
            ("doubled", counters.doubled as f64),
            ("concurrent", counters.concurrent as f64),
            ("misordered", counters.misordered as f64),
            ("last", counters.last),
            ("p50", percentile(&lags, 50)),
            ("p90", percentile(&lags, 90)),
            ("p99", percentile(&lags, 99)),
            ("lagged", lags.len() as f64),
        ])
    }
}

/// What so many of a hundred do not exceed (nearest rank); 0 if there are none.
#[must_use]
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str, version: &str, written: Option<u64>) -> Sight {
        Sight::Object { uid: uid.into(), version: version.into(), written }
    }

    fn call(record: &Record, key: &str, sight: Sight) {
        record.begins(key, &sight, 2_000_000_000);
        record.succeeded(key, sight);
    }

    fn one(record: &Record, name: &str) -> String {
        record.report()[name].to_string()
    }

    fn each<const N: usize>(record: &Record, names: [&str; N]) -> String {
        names.map(|name| one(record, name)).join(" ")
    }

    #[test]
    fn each_key_is_handled_once_and_what_is_gone_leaves_the_view() {
        let record = Record::new(2);
        call(&record, "a/x", object("1", "10", None));
        call(&record, "a/x", object("1", "11", None));
        call(&record, "a/y", object("2", "12", None));
        assert_eq!(record.handled().count, 2);
        call(&record, "a/y", Sight::Gone(None));
        let mut expected = Sum::default();
        expected.add(&["a/x@11"]);
        assert_eq!(record.view(|_| true), expected);
        assert_eq!(record.view(|_| false), Sum::default());
        assert_eq!(each(&record, ["calls", "adds", "deletes"]), "4 2 1");
        record.mark();
        assert_eq!(one(&record, "calls"), "0");
    }

    #[test]
    fn deletions_of_what_was_not_known_are_doubled() {
        let record = Record::new(0);
        call(&record, "a/x", Sight::Gone(None));
        call(&record, "a/y", object("1", "1", None));
        call(&record, "a/y", Sight::Gone(Some("1".into())));
        call(&record, "a/y", Sight::Gone(Some("1".into())));
        call(&record, "a/y", object("2", "2", None));
        call(&record, "a/y", Sight::Gone(Some("1".into())));
        assert_eq!(each(&record, ["deletes", "doubled", "misordered"]), "1 3 0");
    }

    #[test]
    fn a_call_behind_the_deletion_and_one_beside_another_are_counted() {
        let record = Record::new(0);
        call(&record, "a/x", object("1", "1", None));
        call(&record, "a/x", Sight::Gone(None));
        call(&record, "a/x", object("1", "1", None));
        assert_eq!(one(&record, "misordered"), "1");
        record.begins("a/x", &Sight::Key, 0);
        record.begins("a/x", &Sight::Key, 0);
        assert_eq!(one(&record, "concurrent"), "1");
    }

    #[test]
    fn a_deletion_behind_failed_calls_only_is_early() {
        let record = Record::new(0);
        call(&record, "a/x", object("1", "1", None));
        call(&record, "a/x", Sight::Gone(None));
        record.begins("a/y", &object("2", "2", None), 0);
        record.failed("a/y");
        call(&record, "a/y", Sight::Gone(None));
        call(&record, "a/y", Sight::Gone(None));
        assert_eq!(each(&record, ["deletes", "early", "doubled"]), "2 1 1");
    }

    #[test]
    fn a_failed_call_is_no_sight_and_lag_counts_once_a_version() {
        let record = Record::new(1);
        let sight = object("1", "1", Some(1_500_000_000));
        record.begins("a/x", &sight, 2_000_000_000);
        record.failed("a/x");
        assert_eq!((record.failures("a/x"), record.view(|_| true).count, record.handled().count), (1, 0, 0));
        call(&record, "a/x", sight);
        assert_eq!(each(&record, ["lagged", "p50", "failed"]), "1 0.5 1");
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let of = |sorted: &[f64], percent| percentile(sorted, percent).to_string();
        assert_eq!([50, 90, 99].map(|percent| of(&hundred, percent)), ["50", "90", "99"]);
        assert_eq!([of(&[], 50), of(&[7.0], 1), of(&[1.0, 2.0, 3.0], 50)], ["0", "7", "2"]);
    }
}
