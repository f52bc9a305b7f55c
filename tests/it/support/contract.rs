//! The contract's order (C1, C2), held against what a recorder wrote down.
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
    let mut told = Told::Nothing;
    for (at, call) in calls.iter().enumerate() {
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
            // A permanent failure gives the life up.
            let settled = ok || call.end() == Some(End::Permanent);
            Ok(if settled { Told::Nothing } else { Told::Deleting(uid) })
        }
        // With a finalizer: the deletion happened before the first call, or a permanent failure left it waiting.
        (Told::Nothing, Function::Delete) if call.waits_for_a_finalizer() => {
            Ok(if ok { Told::Nothing } else { Told::Deleting(uid) })
        }
        (told, function) => Err(format!("{function} of {uid} where the handler stands at {told:?}")),
    }
}
