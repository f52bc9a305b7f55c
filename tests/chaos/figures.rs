//! What was measured, printed for people and held to bounds.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::Function;
use crate::support::recorder::{End, Recorded};

/// What memory may grow by beside the calls written down. A copy of each changed object would be more than twice that.
const GROWTH_MAX: u64 = 32 << 20;
/// What a call that is written down takes, at most.
const CALL_BYTES: u64 = 640;
/// How many requests a fault may cost. Waits double from 0.4 s at least, so this is failing for 50 s.
const REQUESTS_A_FAULT: usize = 8;

/// Times by name, and what memory was at the beginning and is at the end.
pub(crate) struct Figures {
    begun: Instant,
    times: Vec<(&'static str, Vec<Duration>, Option<Duration>)>,
    notes: Vec<String>,
    faults: usize,
    // At the beginning, after each fault, and at the end.
    resident: Vec<u64>,
}

impl Figures {
    pub(crate) fn begin() -> Self {
        let resident = resident_bytes().into_iter().collect();
        Self { begun: Instant::now(), times: Vec::new(), notes: Vec::new(), faults: 0, resident }
    }

    /// Takes down how long something took, of a fault of its own.
    pub(crate) fn fault(&mut self, what: &'static str, took: Duration) {
        self.faults += 1;
        self.time(what, took, None);
        self.memory();
    }

    /// Takes down how long something took that has a bound, and holds it to that.
    pub(crate) fn within(&mut self, what: &'static str, took: Duration, bound: Duration) {
        self.time(what, took, Some(bound));
        assert!(took <= bound, "{what}: {took:?} of {bound:?}");
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Takes down how much memory is in use.
    pub(crate) fn memory(&mut self) {
        self.resident.extend(resident_bytes());
    }

    fn time(&mut self, what: &'static str, took: Duration, bound: Option<Duration>) {
        match self.times.iter_mut().find(|(name, ..)| *name == what) {
            Some((_, times, _)) => times.push(took),
            None => self.times.push((what, vec![took], bound)),
        }
    }

    /// For people.
    pub(crate) fn print(&self, changes: usize, calls: &[Vec<Recorded>], requests: usize, connections: usize) {
        eprintln!("chaos: {:.0?}, {} faults, {changes} changes", self.begun.elapsed(), self.faults);
        for (what, times, bound) in &self.times {
            let mut sorted = times.clone();
            sorted.sort();
            let bound = bound.map_or_else(String::new, |bound| format!(" (bound {bound:.1?})"));
            let (least, median, most) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
            eprintln!("  {what}: {} ×, {least:.2?} to {most:.2?}, median {median:.2?}{bound}", sorted.len());
        }
        let all = || calls.iter().flatten();
        let count = |wanted| all().filter(|call| call.function == wanted).count();
        let failed = all().filter(|call| call.end() != Some(End::Ok)).count();
        let [adds, updates, deletes, reconciles] =
            [Function::Add, Function::Update, Function::Delete, Function::Reconcile].map(count);
        eprintln!(
            "  calls: {adds} add, {updates} update, {deletes} delete, {reconciles} reconcile, of which {failed} failed; missed: 0"
        );
        eprintln!("  requests of the library: {requests}, over {connections} connections");
        let resident: Vec<_> = self.resident.iter().map(|bytes| (bytes >> 20).to_string()).collect();
        eprintln!("  resident memory after each fault, in MiB: {}", resident.join(" "));
        for note in &self.notes {
            eprintln!("  {note}");
        }
    }

    /// No hot loop, no growth.
    pub(crate) fn check(&self, calls: &[Vec<Recorded>], requests: usize) {
        let most = 10 + REQUESTS_A_FAULT * self.faults;
        assert!(requests <= most, "{requests} requests, {most} are reasonable");
        let calls: u64 = calls.iter().map(|calls| calls.len() as u64).sum();
        if let (Some(before), Some(after)) = (self.resident.first(), self.resident.last()) {
            let most = before + GROWTH_MAX + CALL_BYTES * calls;
            assert!(
                *after <= most,
                "memory grew from {before} to {after} bytes with {calls} calls written down; if another test has failed here, look at \
                 that first: its backtrace loads the program's symbols"
            );
        }
    }
}

/// The memory of this process that is in use; where the system tells it as Linux does.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}
