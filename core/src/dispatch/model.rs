//! Test: generated histories against the clauses.
//!
//! The model knows the true history of each key and checks every call and every write of the finalizer against it: order
//! within a life (C2), a `delete` for every life whose `add` was attempted (C4), the finalizer there before `add` and gone
//! only after `delete`, the newest state at rest, nobody left waiting for us, and L1–L2 throughout.
//!
//! Between the server and the cache lies a watch: what happens reaches the cache only with [`Act::Sync`].

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{EventType, Life, ObjectKey, ResourceVersion};

/// What may happen to the only key of a history; one key suffices, since keys do not touch one another.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Something happens on the server.
    Server(Happening),
    /// The cache catches up. `missed`: by a list, so that deletions were not seen.
    Sync { missed: bool },
    /// A worker takes the key; what it does ends as told, and meanwhile something happens and may be seen.
    Work { outcome: Outcome, unchanged: WhenUnchanged, meanwhile: Option<Happening>, sync: bool },
    /// The process ends and another one begins: nothing is remembered.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// An object is created, with our finalizer or without.
    Create {
        claimed: bool,
    },
    Change,
    /// Somebody deletes it: it waits for its finalizers.
    Delete,
    /// It leaves the selector, or comes back.
    Toggle,
    /// Somebody takes our finalizer.
    Strip,
    /// Another finalizer appears, or goes.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Succeeds,
    Fails,
    /// The call succeeds, but the write after it does not reach the server.
    WriteFails,
    /// The call succeeds, the write reaches the server, but its answer gets lost.
    AnswerLost,
    Abandons,
}

impl Outcome {
    fn call_fails(self) -> bool {
        matches!(self, Self::Fails | Self::Abandons)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Succeeds | Self::AnswerLost)
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => any::<bool>().prop_map(|claimed| Happening::Create { claimed }),
        3 => Just(Happening::Change),
        3 => Just(Happening::Delete),
        2 => Just(Happening::Toggle),
        1 => Just(Happening::Strip),
        1 => Just(Happening::Other),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outcome = prop_oneof![
        5 => Just(Outcome::Succeeds), 3 => Just(Outcome::Fails), 1 => Just(Outcome::WriteFails),
        1 => Just(Outcome::AnswerLost), 1 => Just(Outcome::Abandons)
    ];
    let unchanged =
        prop_oneof![Just(WhenUnchanged::Nothing), Just(WhenUnchanged::Update), Just(WhenUnchanged::Reconcile)];
    let work = (outcome, unchanged, proptest::option::weighted(0.4, happening()), any::<bool>());
    let act = prop_oneof![
        5 => happening().prop_map(Act::Server),
        5 => any::<bool>().prop_map(|missed| Act::Sync { missed }),
        8 => work.prop_map(|(outcome, unchanged, meanwhile, sync)| Act::Work { outcome, unchanged, meanwhile, sync }),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..80)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four facts of an object, each free of the others")]
struct Object {
    life: u128,
    version: u64,
    selected: bool,
    /// Our finalizer.
    claimed: bool,
    /// Somebody else's.
    other: bool,
    terminating: bool,
}

/// The world: the server, the cache, the ledger under test, and the history of calls as the handler saw it.
struct World {
    key: ObjectKey,
    finalizer: bool,
    ledger: Ledger<Object>,
    server: Option<Object>,
    cache: Option<Object>,
    lives: u128,
    versions: u64,
    /// The life between its first `add` (or `delete`) and the `delete` that settled it.
    open: Option<u128>,
    /// Whether `add` has succeeded for it, and whether `delete` was attempted.
    added: bool,
    deleting: bool,
    /// The lives of which an `add` or `delete` was attempted since, or before their finalizer came back, without their
    /// `delete` having succeeded: their finalizer must stay.
    owed: BTreeSet<u128>,
    /// The lives that this process has seen: their finalizer must not stay behind.
    seen: BTreeSet<u128>,
}

impl World {
    fn new(finalizer: bool) -> Self {
        let key = ObjectKey::new(Some("ns"), "name").unwrap();
        Self {
            key,
            finalizer,
            ledger: Ledger::new(finalizer),
            server: None,
            cache: None,
            lives: 0,
            versions: 0,
            open: None,
            added: false,
            deleting: false,
            owed: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Server(happening) => self.happen(happening),
            Act::Sync { missed } => self.sync(missed),
            Act::Work { outcome, unchanged, meanwhile, sync } => {
                self.work(outcome, unchanged, |world| {
                    if let Some(happening) = meanwhile {
                        world.happen(happening);
                    }
                    if sync {
                        world.sync(false);
                    }
                });
            }
            Act::Restart => {
                self.ledger = Ledger::new(self.finalizer);
                self.cache = None;
                (self.open, self.added, self.deleting) = (None, false, false);
                self.owed.clear();
                self.seen.clear();
                self.sync(false);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        if let (None, Happening::Create { claimed }) = (self.server, happening) {
            self.lives += 1;
            let (life, claimed) = (self.lives, claimed && self.finalizer);
            let object = Object { life, version: 0, selected: true, claimed, other: false, terminating: false };
            self.server = Some(object);
        }
        self.write(|object| match happening {
            Happening::Create { .. } | Happening::Change => {}
            Happening::Delete => object.terminating = true,
            Happening::Toggle => object.selected = !object.selected,
            Happening::Strip => object.claimed = false,
            // None can be added to what is being deleted.
            Happening::Other => object.other = !object.other && !object.terminating,
        });
    }

    /// Changes the server's object as the server does: a new version, and gone when nothing holds it any more.
    fn write(&mut self, change: impl FnOnce(&mut Object)) {
        if let Some(object) = &mut self.server {
            change(object);
            self.versions += 1;
            object.version = self.versions;
            if object.terminating && !object.claimed && !object.other {
                self.server = None;
            }
        }
    }

    /// The watch, or a list, tells the cache what the server holds.
    fn sync(&mut self, missed: bool) {
        let now = self.server.filter(|object| object.selected);
        if let Some(last) = self.cache
            && now.is_none_or(|now| now.life != last.life)
        {
            match self.ledger.record(&self.key) {
                Some(record) if *record.life() == Life::uid(last.life) => {}
                // One that came and went while its predecessor waits for `delete` has no finalizer of ours.
                Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }) => {
                    self.seen.remove(&last.life);
                }
                _ if self.finalizer && last.claimed => {
                    // Its finalizer says that a process before this one has met it.
                    self.open = Some(last.life);
                    self.owed.insert(last.life);
                }
                _ => {}
            }
            let tombstone = Tombstone { last, may_be_stale: missed };
            self.ledger.removed(&self.key, &Life::uid(last.life), tombstone, self.phase(last));
        }
        self.cache = now;
        self.seen.extend(now.map(|now| now.life));
    }

    fn phase(&self, object: Object) -> Phase {
        if self.finalizer { Phase::new(object.terminating, object.claimed) } else { Phase::Live }
    }

    /// One turn of a worker. Whether there was anything to do.
    fn work(&mut self, outcome: Outcome, unchanged: WhenUnchanged, meanwhile: impl FnOnce(&mut Self)) -> bool {
        let cached = self
            .cache
            .map(|cached| (Life::uid(cached.life), ResourceVersion::Number(cached.version), self.phase(cached)));
        let seen = cached.as_ref().map(|(life, version, phase)| Seen { life, version, phase: *phase });
        let releasing = match self.ledger.record(&self.key) {
            Some(Record::Releasing { life }) => Some(life.clone()),
            Some(_) | None => None,
        };
        let (step, object) = match self.ledger.decide(&self.key, seen, unchanged) {
            Decision::Nothing => return false,
            Decision::Current(step) => (step, self.cache.expect("an object")),
            Decision::LastKnown(step, tombstone) => (step, tombstone.last),
        };
        let repeats = matches!(step, Step::Delete { .. }) && releasing == Some(Life::uid(object.life));
        assert!(!repeats, "a delete that succeeded is made again: only its release is due");
        self.check_step(step, object);
        meanwhile(self);
        match step {
            Step::Nothing => panic!("nothing is no step"),
            // What a claim changes is seen by the cache; nothing is settled.
            Step::Claim => self.claim(object, outcome),
            Step::Release => self.release(object, outcome),
            Step::Add | Step::Update | Step::Reconcile => {
                let ok = !outcome.call_fails();
                self.added |= ok && step == Step::Add;
                let version = ResourceVersion::Number(object.version);
                let settlement = if ok { Settlement::Succeeded(&version) } else { Settlement::Failed };
                self.ledger.settle(&self.key, settlement);
            }
            Step::Delete { then } => self.end_delete(then, object, outcome),
        }
        true
    }

    fn check_step(&mut self, step: Step, object: Object) {
        let life = object.life;
        match step.event_type().expect("a step") {
            _ if step == Step::Claim => {
                assert!(!object.claimed && !object.terminating, "it is there already, or comes too late");
                assert!(self.open.is_none_or(|open| open == life), "C2: another life is open");
            }
            EventType::Add => {
                assert!(
                    self.open.is_none_or(|open| open == life && !self.added),
                    "C2: add of {life} while {:?} is open",
                    self.open
                );
                assert!(!self.deleting, "C2: add before the delete was settled");
                assert!(!self.finalizer || object.claimed, "add before the finalizer is there");
                self.open = Some(life);
                self.owed.insert(life);
            }
            EventType::Update => {
                assert_eq!(self.open, Some(life), "C2: update of another life");
                assert!(self.added && !self.deleting, "C2: update out of order");
                assert!(!self.finalizer || object.claimed, "update without the finalizer");
            }
            EventType::Delete if step == Step::Release => {
                assert!(self.finalizer, "there is none to remove");
                assert!(!self.owed.contains(&life), "delete was not Ok");
            }
            EventType::Delete => {
                let unmet = self.open.is_none() && self.finalizer && object.terminating && object.claimed;
                assert!(unmet || self.open == Some(life), "C2: delete of a life whose add was not attempted");
                (self.open, self.deleting) = (Some(life), true);
                self.owed.insert(life);
            }
        }
    }

    /// Our write of the finalizer, which fetches and tries again until it is sure of the object's state.
    fn claim(&mut self, object: Object, outcome: Outcome) {
        if outcome.writes()
            && self.server.is_some_and(|server| server.life == object.life && !server.terminating && !server.claimed)
        {
            self.write(|object| object.claimed = true);
        }
    }

    fn release(&mut self, object: Object, outcome: Outcome) {
        if outcome.writes() && self.server.is_some_and(|server| server.life == object.life && server.claimed) {
            assert!(!self.owed.contains(&object.life), "the finalizer goes before delete has succeeded");
            self.write(|object| object.claimed = false);
        }
        if outcome == Outcome::Succeeds {
            self.settle_released(object.life);
        } else {
            self.ledger.settle(&self.key, Settlement::Failed);
        }
    }

    fn settle_released(&mut self, life: u128) {
        let shown = self.cache.is_some_and(|cached| cached.life == life && cached.terminating);
        self.ledger.settle(&self.key, Settlement::Released { shown });
    }

    fn end_delete(&mut self, then: AfterDelete, object: Object, outcome: Outcome) {
        let version = ResourceVersion::Number(object.version);
        // What the finalizer holds is not given up by a failure for good: the key is parked.
        let is_held = self.server.is_some_and(|server| server.life == object.life && server.claimed);
        if outcome == Outcome::Fails || outcome == Outcome::Abandons && is_held {
            return self.ledger.settle(&self.key, Settlement::Failed);
        }
        self.owed.remove(&object.life);
        match (outcome, then) {
            (Outcome::Abandons, _) => self.ledger.settle(&self.key, Settlement::Abandoned),
            (_, AfterDelete::Nothing | AfterDelete::Successor) => {
                self.ledger.settle(&self.key, Settlement::Succeeded(&version));
            }
            (_, AfterDelete::Finish) => self.settle_released(object.life),
            (_, AfterDelete::Release) => {
                self.ledger.settle(&self.key, Settlement::Deleted);
                self.release(object, outcome);
            }
        }
        (self.open, self.added, self.deleting) = (None, false, false);
    }

    /// L1 and L2, and that the record is about the life that the handler has open.
    fn check_invariants(&self) {
        match (self.ledger.record(&self.key), self.open) {
            (None | Some(Record::Claiming { .. } | Record::Releasing { .. } | Record::Finished { .. }), None) => {}
            (Some(record), Some(open)) => assert_eq!(record.life(), &Life::uid(open)),
            (record, open) => panic!("the record {record:?} and the history {open:?} disagree"),
        }
    }

    /// Lets everything succeed and be seen until nothing is to be done.
    fn come_to_rest(&mut self) {
        let mut turns = 0;
        loop {
            self.sync(false);
            if !self.work(Outcome::Succeeds, WhenUnchanged::Nothing, |_| ()) {
                break;
            }
            turns += 1;
            assert!(turns < 8, "it never rests");
        }
        let record = self.ledger.record(&self.key);
        let Some(object) = self.cache.filter(|cached| self.phase(*cached) == Phase::Live) else {
            return self.check_rest_without_object();
        };
        let (life, settled) = (Life::uid(object.life), ResourceVersion::Number(object.version));
        assert_eq!(record, Some(&Record::Known { life, settled, failed: false }), "at rest the record is the cache");
        assert_eq!(self.open, Some(object.life), "C4: every other life was settled");
    }

    /// Nothing is in the cache, or something that is being deleted and waits for others.
    fn check_rest_without_object(&self) {
        let is_left = |left: Object| left.claimed && (left.selected || self.seen.contains(&left.life));
        assert!(!self.server.is_some_and(is_left), "held by us");
        match self.ledger.record(&self.key) {
            // Somebody took the finalizer of a life that the handler knows: `delete` comes when it is gone.
            Some(Record::Adding { .. } | Record::Known { .. }) => assert!(self.cache.is_some()),
            Some(Record::Finished { .. }) => assert!(self.cache.is_some() && self.open.is_none()),
            None => assert_eq!(self.open, None, "C4: every life was settled"),
            Some(record) => panic!("{record:?} at rest"),
        }
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_order_and_ends_in_the_cache_s_state(finalizer in any::<bool>(), acts in acts()) {
        let mut world = World::new(finalizer);
        for act in acts {
            world.act(act);
            world.check_invariants();
        }
        world.come_to_rest();
    }
}

#[test]
fn the_deletion_s_last_state_is_the_newest_one_of_the_life_that_was_known() {
    let mut world = World::new(false);
    let work =
        Act::Work { outcome: Outcome::Succeeds, unchanged: WhenUnchanged::Nothing, meanwhile: None, sync: false };
    let sync = Act::Sync { missed: false };
    let (create, delete) = (Act::Server(Happening::Create { claimed: false }), Act::Server(Happening::Delete));
    for act in [create, sync, work, Act::Server(Happening::Change), sync] {
        world.act(act);
    }
    let newest = world.cache.unwrap();
    for act in [delete, sync, create, sync, delete, sync] {
        world.act(act);
    }
    let decision = world.ledger.decide(&world.key, None, WhenUnchanged::Nothing);
    let step = Step::Delete { then: AfterDelete::Nothing };
    assert_eq!(decision, Decision::LastKnown(step, Tombstone { last: newest, may_be_stale: false }));
}
