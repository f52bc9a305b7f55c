//! Histories that break the contract on purpose: the checks must say so, or their silence means nothing.

use super::checks::{Clause, check};
use kubehandler::WatchEvent;

use super::history::{Call, Entry, Event, Function, Over};
use super::world::Lived;

/// A way to spoil a history; `None` where there is nothing to spoil.
type Spoil = fn(&[Entry]) -> Option<Vec<Entry>>;

/// Each with the clauses of which one must be named.
const SPOILS: &[(&str, Spoil, &[Clause])] = &[
    ("a call begins twice", twice, &[Clause::C1]),
    ("a call begins after the end", late, &[Clause::C8]),
    ("an add never came", forgotten, &[Clause::C2, Clause::C4, Clause::C6]),
    ("an update is called add", misnamed, &[Clause::C2]),
    ("an attempt is miscounted", miscounted, &[Clause::C5]),
    ("a call is given an old state", outdated, &[Clause::C2]),
    ("a watcher is not told of a deletion", unseen, &[Clause::Watcher]),
    ("a controller is given what its schema rejects", rejected, &[Clause::Controller]),
    ("a controller's delete never came", kept, &[Clause::Controller]),
];

/// The spoils that nobody noticed in any of these histories.
pub(crate) fn unnoticed(lived: &[Lived]) -> Vec<&'static str> {
    let mut unnoticed = Vec::new();
    for (name, spoil, clauses) in SPOILS {
        let noticed = lived.iter().any(|lived| {
            let spoilt = spoil(&lived.entries);
            let violation = spoilt.and_then(|entries| check(&lived.options, &entries).err());
            violation.is_some_and(|violation| clauses.contains(&violation.clause))
        });
        if !noticed {
            unnoticed.push(*name);
        }
    }
    unnoticed
}

fn position(entries: &[Entry], is: impl Fn(&Call) -> bool) -> Option<usize> {
    entries.iter().position(|entry| matches!(&entry.event, Event::Began(call) if is(call)))
}

fn changed(entries: &[Entry], at: usize, change: impl FnOnce(&mut Call)) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    if let Event::Began(call) = &mut entries[at].event {
        change(call);
    }
    entries
}

fn twice(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |_| true)?;
    let mut spoilt = entries.to_vec();
    spoilt.insert(at, entries[at].clone());
    Some(spoilt)
}

fn late(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |_| true)?;
    let mut spoilt = entries.to_vec();
    spoilt.push(Entry { at: entries.last()?.at, ..entries[at].clone() });
    spoilt.iter().any(|entry| matches!(entry.event, Event::Over(Over::Returned { .. }))).then_some(spoilt)
}

fn forgotten(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |call| call.function == Function::Add)?;
    let Event::Began(Call { id, .. }) = entries[at].event else { return None };
    let is_it = |entry: &&Entry| match &entry.event {
        Event::Began(call) => call.id != id,
        Event::Ended { call, .. } => *call != id,
        _ => true,
    };
    Some(entries.iter().filter(is_it).cloned().collect())
}

fn misnamed(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |call| call.function == Function::Update)?;
    Some(changed(entries, at, |call| call.function = Function::Add))
}

fn miscounted(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |call| call.attempt > 1)?;
    Some(changed(entries, at, |call| call.attempt = 1))
}

fn outdated(entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = position(entries, |call| call.function == Function::Update)?;
    Some(changed(entries, at, |call| call.object.version -= 1))
}

fn unseen(entries: &[Entry]) -> Option<Vec<Entry>> {
    let is_it = |entry: &Entry| matches!(entry.event, Event::Saw { event: WatchEvent::Deleted, .. });
    let mut spoilt = entries.to_vec();
    spoilt.remove(entries.iter().position(is_it)?);
    Some(spoilt)
}

fn rejected(entries: &[Entry]) -> Option<Vec<Entry>> {
    let mut spoilt = entries.to_vec();
    let given = spoilt.iter_mut().find_map(|entry| match &mut entry.event {
        Event::ClerkGiven { state, .. } => Some(state),
        _ => None,
    });
    given?.passes = false;
    Some(spoilt)
}

fn kept(entries: &[Entry]) -> Option<Vec<Entry>> {
    let deleted = entries.iter().find_map(|entry| match &entry.event {
        Event::ClerkGiven { function: Function::Delete, name, state } => Some((name, &state.uid)),
        _ => None,
    });
    let (deleted, life) = deleted?;
    let mut runs = false;
    let is_left = |entry: &&Entry| match &entry.event {
        Event::ClerkGiven { function: Function::Delete, name, state } if name == deleted && state.uid == *life => {
            runs = true;
            false
        }
        Event::ClerkTook { name, .. } if runs && name == deleted => {
            runs = false;
            false
        }
        _ => true,
    };
    Some(entries.iter().filter(is_left).cloned().collect())
}
