//! What a controller with a schema relies on (D2, D3): nothing that the schema rejects; add, then modifications, then delete, one at
//! a time; a delete for what was added and for nothing else; everything that passes settled at quiet times.

use std::collections::BTreeMap;

use super::{Clause, Verdict};
use crate::controller::{Book, State};
use crate::history::{Event, Function, Quiet};

/// What it was given so far.
#[derive(Default)]
pub(super) struct Controlled {
    keys: BTreeMap<String, Key>,
}

/// A name whose object it was given.
#[derive(Debug)]
struct Key {
    uid: String,
    // The newest state that it was given.
    version: u64,
    // The newest that it took; none before `add` has succeeded.
    settled: Option<State>,
    running: Option<(Function, State)>,
}

impl Controlled {
    pub(super) fn see(&mut self, event: &Event) -> Verdict {
        match event {
            Event::ClerkGiven { function, name, state } => self.given(*function, name, state),
            Event::ClerkTook { name, ok } => self.took(name, *ok),
            Event::ClerkOver(left) => {
                hold!(Controller, left.is_empty(), "it leaves work undone: {left:?}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn given(&mut self, function: Function, name: &str, state: &State) -> Verdict {
        hold!(Controller, state.passes, "{function} of {name} is given {state:?}, which its schema rejects");
        let known = self.keys.get(name);
        let one = known.is_none_or(|key| key.running.is_none());
        hold!(Controller, one, "{function} of {name} begins while another call runs: {known:?}");
        let same = known.filter(|key| key.uid == state.uid);
        let follows = match (function, same) {
            (Function::Add, Some(key)) => key.settled.is_none(),
            (Function::Add, None) => known.is_none(),
            (Function::Update, Some(key)) => key.settled.is_some(),
            (Function::Reconcile, Some(key)) => key.settled.as_ref() == Some(state),
            (Function::Delete, Some(_)) => true,
            (Function::Update | Function::Reconcile | Function::Delete, None) => false,
        };
        hold!(Controller, follows, "{function} of {name} {state:?} comes after {known:?}");
        let onward = same.is_none_or(|key| key.version <= state.version);
        hold!(Controller, onward, "{function} of {name} {state:?} goes back: {known:?}");
        let (uid, version) = (state.uid.clone(), state.version);
        let settled = same.and_then(|key| key.settled.clone());
        self.keys.insert(name.to_owned(), Key { uid, version, settled, running: Some((function, state.clone())) });
        Ok(())
    }

    fn took(&mut self, name: &str, ok: bool) -> Verdict {
        let running = self.keys.get_mut(name).and_then(|key| key.running.take());
        let Some((function, state)) = running else {
            return Err((Clause::Controller, format!("a call of {name} ends that never began")));
        };
        if ok && function == Function::Delete {
            self.keys.remove(name);
        } else if ok && let Some(key) = self.keys.get_mut(name) {
            key.settled = Some(state);
        }
        Ok(())
    }

    pub(super) fn rests(&self, quiet: &Quiet) -> Verdict {
        let Some(standing) = &quiet.controlled else { return Ok(()) };
        let settled = |(name, key): (&String, &Key)| Some((name.clone(), key.settled.clone()?));
        let book: Book = self.keys.iter().filter_map(settled).collect();
        hold!(Controller, standing.agrees(&book), "it has settled {book:?}, there is {standing:?}");
        // One whose add failed may have become one that the schema rejects.
        let is_rejected =
            |name: &String, uid: &String| standing.truth.get(name).is_some_and(|it| it.uid == *uid && !it.passes);
        let open = self.keys.iter().find(|(name, key)| key.settled.is_none() && !is_rejected(name, &key.uid));
        hold!(Controller, open.is_none(), "an add has not succeeded: {open:?}");
        Ok(())
    }
}
