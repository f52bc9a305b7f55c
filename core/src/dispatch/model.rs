//! Test: generated histories against the clauses.
//!
//! The model knows the true history of each key and checks every call against it: order within a life (C2), a deletion
//! for every life whose `add` was attempted (C4), the newest state at rest, and L1–L2 throughout.

use proptest::prelude::*;

use super::*;
use crate::{EventType, Life, ObjectKey, ResourceVersion};

/// What may happen to the only key of a history; one key suffices, since keys do not touch one another.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The cache gains an object of a new life, or of the one that left it last.
    Appear {
        same_life: bool,
    },
    Change,
    Disappear {
        may_be_stale: bool,
    },
    /// The cached object is replaced by another life at once.
    Replace,
    /// A worker takes the key; the call ends as told.
    Work {
        outcome: Outcome,
        unchanged: WhenUnchanged,
        meanwhile: Meanwhile,
    },
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Succeeds,
    Fails,
    Abandons,
}

/// What happens to the object while the call runs.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    Change,
    Disappear,
    Replace,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outcome = prop_oneof![4 => Just(Outcome::Succeeds), 3 => Just(Outcome::Fails), 1 => Just(Outcome::Abandons)];
    let unchanged =
        prop_oneof![Just(WhenUnchanged::Nothing), Just(WhenUnchanged::Update), Just(WhenUnchanged::Reconcile)];
    let meanwhile = prop_oneof![
        4 => Just(Meanwhile::Nothing), 1 => Just(Meanwhile::Change), 1 => Just(Meanwhile::Disappear), 1 => Just(Meanwhile::Replace)
    ];
    let act = prop_oneof![
        any::<bool>().prop_map(|same_life| Act::Appear { same_life }),
        Just(Act::Change),
        any::<bool>().prop_map(|may_be_stale| Act::Disappear { may_be_stale }),
        Just(Act::Replace),
        (outcome, unchanged, meanwhile).prop_map(|(outcome, unchanged, meanwhile)| Act::Work {
            outcome,
            unchanged,
            meanwhile
        }),
    ];
    proptest::collection::vec(act, 1..80)
}

type Object = (u128, u64);

/// The world: the cache, the ledger under test, and the history of calls as the handler saw it.
struct World {
    key: ObjectKey,
    ledger: Ledger<Object>,
    cache: Option<Object>,
    left: Option<u128>,
    lives: u128,
    versions: u64,
    /// The life between its first `add` and the `delete` that settled it.
    open: Option<u128>,
    /// Whether `add` has succeeded for it, and whether `delete` was attempted.
    added: bool,
    deleting: bool,
}

impl World {
    fn new() -> Self {
        let key = ObjectKey::new(Some("ns"), "name").unwrap();
        Self {
            key,
            ledger: Ledger::new(),
            cache: None,
            left: None,
            lives: 0,
            versions: 0,
            open: None,
            added: false,
            deleting: false,
        }
    }

    fn version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    fn appear(&mut self, same_life: bool) {
        if self.cache.is_none() {
            let life = self.left.filter(|_| same_life).unwrap_or_else(|| {
                self.lives += 1;
                self.lives
            });
            let version = self.version();
            self.cache = Some((life, version));
        }
    }

    fn change(&mut self) {
        if let Some((life, _)) = self.cache {
            let version = self.version();
            self.cache = Some((life, version));
        }
    }

    fn disappear(&mut self, may_be_stale: bool) {
        if let Some(object) = self.cache.take() {
            self.left = Some(object.0);
            self.ledger.removed(&self.key, &Life::Uid(object.0), object, may_be_stale);
        }
    }

    /// One turn of a worker. Returns the call it made.
    fn work(&mut self, outcome: Outcome, unchanged: WhenUnchanged, meanwhile: Meanwhile) -> Option<EventType> {
        let cached = self.cache.map(|(life, version)| (Life::Uid(life), ResourceVersion::Number(version)));
        let seen = cached.as_ref().map(|(life, version)| Seen { life, version });
        let (event, object) = match self.ledger.decide(&self.key, seen, unchanged) {
            Decision::Nothing => return None,
            Decision::Current(step) => (step.event_type().expect("a call"), self.cache.expect("an object")),
            Decision::Delete { tombstone, successor } => {
                assert_eq!(successor, self.cache.is_some());
                (EventType::Delete, tombstone.last)
            }
        };
        self.check_order(event, object.0);
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Change => self.change(),
            Meanwhile::Disappear => self.disappear(false),
            Meanwhile::Replace => {
                self.disappear(true);
                self.appear(false);
            }
        }
        self.end(event, object, outcome);
        Some(event)
    }

    fn check_order(&mut self, event: EventType, life: u128) {
        match event {
            EventType::Add => {
                assert!(
                    self.open.is_none_or(|open| open == life && !self.added),
                    "C2: add of {life} while {:?} is open",
                    self.open
                );
                assert!(!self.deleting, "C2: add before the delete was settled");
                self.open = Some(life);
            }
            EventType::Update => {
                assert_eq!(self.open, Some(life), "C2: update of another life");
                assert!(self.added && !self.deleting, "C2: update out of order");
            }
            EventType::Delete => {
                assert_eq!(self.open, Some(life), "C2: delete of a life whose add was not attempted");
                self.deleting = true;
            }
        }
    }

    fn end(&mut self, event: EventType, object: Object, outcome: Outcome) {
        let version = ResourceVersion::Number(object.1);
        let settled = match (event, outcome) {
            (_, Outcome::Succeeds) => {
                self.ledger.settle(&self.key, Settlement::Succeeded(&version));
                true
            }
            (EventType::Delete, Outcome::Abandons) => {
                self.ledger.settle(&self.key, Settlement::Abandoned);
                true
            }
            (_, Outcome::Fails | Outcome::Abandons) => {
                self.ledger.settle(&self.key, Settlement::Failed);
                false
            }
        };
        match event {
            EventType::Add => self.added |= settled,
            EventType::Delete if settled => (self.open, self.added, self.deleting) = (None, false, false),
            EventType::Update | EventType::Delete => {}
        }
    }

    /// L1 and L2.
    fn check_invariants(&self) {
        match (self.ledger.record(&self.key), self.open) {
            (None, None) => {}
            (Some(record), Some(open)) => assert_eq!(record.life(), &Life::Uid(open)),
            (record, open) => panic!("the record {record:?} and the history {open:?} disagree"),
        }
    }

    /// Lets every call succeed until nothing is to be done.
    fn come_to_rest(&mut self) {
        for _ in 0..4 {
            if self.work(Outcome::Succeeds, WhenUnchanged::Nothing, Meanwhile::Nothing).is_none() {
                break;
            }
        }
        let expected = self.cache.map(|(life, version)| Record::Known {
            life: Life::Uid(life),
            settled: ResourceVersion::Number(version),
            failed: false,
        });
        assert_eq!(self.ledger.record(&self.key), expected.as_ref(), "at rest the record is what the cache holds");
        assert_eq!(self.open, self.cache.map(|(life, _)| life), "C4: every other life was settled");
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_order_and_ends_in_the_cache_s_state(acts in acts()) {
        let mut world = World::new();
        for act in acts {
            match act {
                Act::Appear { same_life } => world.appear(same_life),
                Act::Change => world.change(),
                Act::Disappear { may_be_stale } => world.disappear(may_be_stale),
                Act::Replace => {
                    world.disappear(true);
                    world.appear(false);
                }
                Act::Work { outcome, unchanged, meanwhile } => {
                    world.work(outcome, unchanged, meanwhile);
                }
            }
            world.check_invariants();
        }
        world.come_to_rest();
    }
}

#[test]
fn the_deletion_s_last_state_is_the_newest_one_of_the_life_that_was_known() {
    let mut world = World::new();
    world.appear(false);
    world.work(Outcome::Succeeds, WhenUnchanged::Nothing, Meanwhile::Nothing);
    world.change();
    let newest = world.cache.unwrap();
    world.disappear(false);
    world.appear(false);
    world.disappear(false);
    let decision = world.ledger.decide(&world.key, None, WhenUnchanged::Nothing);
    assert_eq!(
        decision,
        Decision::Delete { tombstone: Tombstone { last: newest, may_be_stale: false }, successor: false }
    );
}
