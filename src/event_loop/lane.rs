//! One registered handler and what the loop keeps for it.
//!
//! A lane's ledger is written under its informer's store lock only, or between a call's end and its key's release: so
//! a decision and the cache state that it rests on belong together (core's dispatch ledger, invariant L2).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kubehandler_core::dispatch::{Decision, Ledger, Phase, Record, Seen, Settlement, Step, Tombstone, WhenUnchanged};
use kubehandler_core::queue::{Cause, Causes, FlowId, KeyState as QueueState};
use kubehandler_core::{EventType, ObjectKey};

use super::call::Subject;
use super::erased::ErasedHandler;
use super::options::HandlerOptions;
use super::settled::{Before, Settled};
use crate::cache::{Entry, StoredObject};
use crate::informer::Informer;
use crate::queue::AsyncQueue;
use crate::sync::{Mutex, MutexGuard};

/// How many characters of a key's last error are kept: some errors hold whole answers, and every key may fail.
const ERROR_MAX: usize = 1_000;

/// A registered handler.
pub(crate) struct Lane {
    pub(crate) name: Arc<str>,
    pub(crate) flow: FlowId,
    pub(crate) handler: Arc<dyn ErasedHandler>,
    pub(crate) informer: Arc<Informer>,
    pub(crate) options: HandlerOptions,
    // Taken by itself or under the ledger's lock.
    pub(crate) settled: Settled,
    ledger: Mutex<Ledger<Arc<StoredObject>>>,
    // Why a key's last call failed, in short; gone with its next success. One entry a failing key, so bounded by the keys.
    errors: Mutex<HashMap<ObjectKey, LastError>>,
    // Set by the first warning that the handler requeues without end: one a handler and run is enough.
    spinning: AtomicBool,
}

/// Why a key's last call did not succeed.
struct LastError {
    text: Arc<str>,
    skipped: bool,
}

/// The same, before it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Why<'a> {
    pub(crate) text: &'a str,
    /// Nothing failed: the object is not one for the handler.
    pub(crate) skipped: bool,
}

/// What a worker is to call, decided under the store's lock.
pub(crate) enum Turn {
    Nothing,
    Call { step: Step, event: EventType, subject: Subject },
}

impl Lane {
    pub(crate) fn new(
        name: Arc<str>,
        flow: FlowId,
        handler: Arc<dyn ErasedHandler>,
        informer: Arc<Informer>,
        options: HandlerOptions,
    ) -> Self {
        let (ledger, errors) = (Mutex::new(Ledger::new(options.finalizer.is_some())), Mutex::default());
        let settled = Settled::new(options.with_previous);
        Self { name, flow, handler, informer, options, settled, ledger, errors, spinning: AtomicBool::new(false) }
    }

    /// The informers that the handler needs: its own, and those that it maps from.
    pub(crate) fn informers(&self) -> impl Iterator<Item = &Arc<Informer>> {
        self.options.informers(&self.informer)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger<Arc<StoredObject>>> {
        self.ledger.lock()
    }

    /// What bridges the record and the cache for `key`.
    pub(crate) fn decide(&self, key: &ObjectKey, causes: Causes) -> Turn {
        self.informer.read(key, |entry| {
            let seen = entry.map(|Entry { object, .. }| Seen {
                life: object.life(),
                version: object.version(),
                phase: self.phase(object),
            });
            let mut ledger = self.ledger();
            let record = ledger.record(key).cloned();
            let decision = ledger.decide(key, seen, when_unchanged(causes));
            let before = |step| self.settled.before(key, record.as_ref(), step);
            let (step, subject) = match (decision, entry) {
                (Decision::Current(step), Some(entry)) => (step, current(step, entry, before(step))),
                (Decision::LastKnown(step, tombstone), _) => (step, last_known(tombstone, before(step))),
                (Decision::Nothing | Decision::Current(_), _) => return Turn::Nothing,
            };
            step.event_type().map_or(Turn::Nothing, |event| Turn::Call { step, event, subject })
        })
    }

    pub(crate) fn settle(&self, key: &ObjectKey, settlement: Settlement<'_>) {
        self.ledger().settle(key, settlement);
    }

    /// How the object stands to the handler's finalizer.
    pub(crate) fn phase(&self, object: &StoredObject) -> Phase {
        self.options.finalizer.as_ref().map_or(Phase::Live, |finalizer| finalizer.phase(object))
    }

    /// Whether the cache shows the object's life, and that it is not being deleted.
    pub(crate) fn lives_on(&self, object: &StoredObject) -> bool {
        let is_it = |entry: &Entry| entry.object.life() == object.life() && !entry.object.deleting();
        self.informer.read(object.key(), |entry| entry.is_some_and(is_it))
    }

    /// All is done for the object's life; the record stays while the cache shows it, terminating.
    pub(crate) fn settle_released(&self, object: &StoredObject) {
        self.informer.read(object.key(), |entry| {
            let is_it = |entry: &Entry| entry.object.life() == object.life() && entry.object.deleting();
            self.settle(object.key(), Settlement::Released { shown: entry.is_some_and(is_it) });
        });
    }

    /// Wakes every key that the handler has met and `is_among` says yes to, but those whose `add` or `delete` is running: a
    /// resync never touches Adding or Deleting. Their other keys it may wake all the same, since the queue ignores a resync
    /// in backoff and lets it release what the retry cap has parked. Returns how many keys there are.
    pub(crate) fn resync(&self, queue: &AsyncQueue<ObjectKey>, is_among: impl Fn(&ObjectKey) -> bool) -> usize {
        let keys = self.ledger().keys_among(is_among);
        for key in &keys {
            // Held until the key is in the queue, so that its record says what the queue's state belongs to.
            let ledger = self.ledger();
            let is_known = matches!(ledger.record(key), Some(Record::Known { .. }));
            queue.with(|core, now| {
                if is_known || core.state(self.flow, key) != Some(QueueState::Processing) {
                    core.add(self.flow, key, Cause::Resync, now);
                }
            });
        }
        keys.len()
    }

    /// The cache has removed the object whose last state this is. Called under the cache's lock (L2).
    pub(crate) fn removed(&self, last: &Arc<StoredObject>, may_be_stale: bool) {
        let tombstone = Tombstone { last: Arc::clone(last), may_be_stale };
        self.ledger().removed(last.key(), last.life(), tombstone, self.phase(last));
    }

    /// Whether the ledger knows the key as more than one whose `add` waits for the finalizer.
    pub(crate) fn has_met(&self, key: &ObjectKey) -> bool {
        self.ledger().record(key).is_some_and(|record| !matches!(record, Record::Claiming { .. }))
    }

    /// Whether the key waits for its finalizer, and then for its `add`.
    pub(crate) fn is_claiming(&self, key: &ObjectKey) -> bool {
        matches!(self.ledger().record(key), Some(Record::Claiming { .. }))
    }

    /// Whether another life of the key is to be settled, of which no event will tell.
    pub(crate) fn is_owed(&self, key: &ObjectKey) -> bool {
        // Asked after every call: most handlers need no lock to know it.
        self.options.finalizer.is_some() && self.ledger().is_owed(key)
    }

    pub(crate) fn has_met_any(&self) -> bool {
        !self.ledger().is_empty()
    }

    pub(crate) fn record_name(&self, key: &ObjectKey) -> Option<&'static str> {
        self.ledger().record(key).map(Record::name)
    }

    pub(crate) fn note_error(&self, key: &ObjectKey, error: Option<Why<'_>>) {
        let mut errors = self.errors.lock();
        match error {
            Some(Why { text, skipped }) => {
                drop(errors.insert(key.clone(), LastError { text: shortened(text), skipped }));
            }
            None => drop(errors.remove(key)),
        }
    }

    /// Whether it was warned of before; it counts as warned from now on.
    pub(crate) fn warned_of_spinning(&self) -> bool {
        self.spinning.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn last_error(&self, key: &ObjectKey) -> Option<Arc<str>> {
        self.errors.lock().get(key).map(|error| Arc::clone(&error.text))
    }

    /// Whether the key waits for no more than another state of an object that is not one for the handler as it is.
    pub(crate) fn skips(&self, key: &ObjectKey) -> bool {
        self.errors.lock().get(key).is_some_and(|error| error.skipped)
    }
}

/// The text, or its beginning where it is a long one.
fn shortened(text: &str) -> Arc<str> {
    match text.char_indices().nth(ERROR_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn current(step: Step, entry: &Entry, before: Before) -> Subject {
    let preexisting = entry.preexisting && !matches!(step, Step::Delete { .. } | Step::Release);
    Subject { object: Arc::clone(&entry.object), before, preexisting, may_be_stale: false }
}

fn last_known(tombstone: Tombstone<Arc<StoredObject>>, before: Before) -> Subject {
    Subject { object: tombstone.last, before, preexisting: false, may_be_stale: tombstone.may_be_stale }
}

fn when_unchanged(causes: Causes) -> WhenUnchanged {
    let has = |cause| causes.contains(cause);
    if has(Cause::Requeue) || has(Cause::Resync) {
        WhenUnchanged::Reconcile
    } else if has(Cause::Mapped) || has(Cause::Reinjected) || has(Cause::Manual) {
        WhenUnchanged::Update
    } else {
        WhenUnchanged::Nothing
    }
}
