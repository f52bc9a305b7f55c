//! The contract's order (C1, C2) and what a call says that it bridges (C3), held against what a recorder wrote down.
//!
//! This knows nothing of the server: only which sequences of calls are allowed for one handler and key.

use std::collections::BTreeMap;

use super::recorder::{End, Function, Recorded};

/// What the handler has been told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// `add` was attempted.
    Adding(String),
    /// `add` succeeded.
    Known(String),
    /// `delete` was attempted.
    Deleting(String),
}

/// The first call that breaks the contract, in words, with the calls around it.
pub(crate) fn check(calls: &[Recorded]) -> Result<(), String> {
    let mut keys: BTreeMap<_, Vec<&Recorded>> = BTreeMap::new();
    for call in calls {
        keys.entry(&call.key).or_default().push(call);
    }
    for (key, calls) in keys {
        check_key(&calls).map_err(|(at, why)| {
            let story: Vec<_> = calls.iter().map(|call| format!("{call} [{} v{}]", call.uid, call.version)).collect();
            format!("{key}, call {at}: {why}; all calls:\n  {}", story.join("\n  "))
        })?;
    }
    Ok(())
}

fn check_key(calls: &[&Recorded]) -> Result<(), (usize, String)> {
    let (mut told, mut settled) = (Told::Nothing, None);
    for (at, call) in calls.iter().enumerate() {
        settled = check_bridged(settled, call).map_err(|why| (at, why))?;
        if at > 0 {
            check_apart(calls[at - 1], call).map_err(|why| (at, why))?;
        }
        told = follow(&told, call).map_err(|why| (at, why))?;
    }
    Ok(())
}

/// C1: the one has ended before the other began, and the object did not go back in time.
fn check_apart(before: &Recorded, after: &Recorded) -> Result<(), String> {
    match before.ended {
        None => return Err("began while the one before was running".to_owned()),
        Some((ended, _)) if ended > after.began => return Err("began before the one before had ended".to_owned()),
        Some(_) => {}
    }
    let older = |one: &Recorded, two: &Recorded| match (one.version.parse::<u64>(), two.version.parse::<u64>()) {
        (Ok(one), Ok(two)) => one < two,
        (Ok(_) | Err(_), _) => false,
    };
    if before.uid == after.uid && older(after, before) {
        return Err(format!("is given version {} after {}", after.version, before.version));
    }
    Ok(())
}

/// C3: a call leads from the version that the last successful one was given, and so does the previous object. Returns the
/// version that is settled after it.
fn check_bridged(settled: Option<String>, call: &Recorded) -> Result<Option<String>, String> {
    let expected = if call.function == Function::Add { None } else { settled.clone() };
    if call.settled != expected {
        return Err(format!("leads from {:?} where {expected:?} is settled", call.settled));
    }
    if let Some(Ok(previous)) = &*call.previous {
        let version = previous.pointer("/metadata/resourceVersion").and_then(|version| version.as_str());
        if version != expected.as_deref() {
            return Err(format!("the previous object has version {version:?} where {expected:?} is settled"));
        }
    }
    Ok(match (call.function, call.end()) {
        (Function::Delete, Some(end)) if ends_life(call, end) => None,
        (Function::Add | Function::Update | Function::Reconcile, Some(End::Ok)) => Some(call.version.clone()),
        (_, _) => settled,
    })
}

/// Whether a `delete` that ended so is the last one. A permanent failure gives the life up, unless a finalizer holds it.
fn ends_life(call: &Recorded, end: End) -> bool {
    end == End::Ok || (end == End::Permanent && !call.waits_for_a_finalizer())
}

/// C2: add, updates, delete; a new life after the old one is settled.
fn follow(told: &Told, call: &Recorded) -> Result<Told, String> {
    let uid = call.uid.clone();
    let ok = call.end() == Some(End::Ok);
    match (told, call.function) {
        (Told::Nothing, Function::Add) => Ok(if ok { Told::Known(uid) } else { Told::Adding(uid) }),
        (Told::Adding(life), Function::Add) if *life == uid => {
            Ok(if ok { Told::Known(uid) } else { Told::Adding(uid) })
        }
        (Told::Known(life), Function::Update | Function::Reconcile) if *life == uid => Ok(Told::Known(uid)),
        (Told::Adding(life) | Told::Known(life) | Told::Deleting(life), Function::Delete) if *life == uid => {
            Ok(if call.end().is_some_and(|end| ends_life(call, end)) { Told::Nothing } else { Told::Deleting(uid) })
        }
        // With a finalizer, the deletion may have happened before the first call.
        (Told::Nothing, Function::Delete) if call.waits_for_a_finalizer() => {
            Ok(if ok { Told::Nothing } else { Told::Deleting(uid) })
        }
        (told, function) => Err(format!("{function} of {uid} where the handler stands at {told:?}")),
    }
}
