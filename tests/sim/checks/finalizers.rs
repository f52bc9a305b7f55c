//! What handlers that ask for a finalizer rely on, beside the clauses that hold for all.

use kubehandler::KeyState;

use super::{Checker, Clause, Verdict, describe};
use crate::history::{Object, Quiet, Told};
use crate::options::{FOREIGN, finalizer};
use crate::reference::{Lane, Record};

impl Checker<'_> {
    /// A handler's finalizer goes only after its `delete` has succeeded.
    pub(super) fn keeps_finalizers(&self, informer: usize, told: &Told) -> Verdict {
        let objects = match told {
            Told::List(objects) => objects.as_slice(),
            Told::Present(object) => std::slice::from_ref(object),
            Told::Gone(_) => &[],
        };
        for (handler, plan) in self.reference.options.handlers.iter().enumerate() {
            let ours = finalizer(handler);
            for object in objects.iter().filter(|_| plan.finalizer && plan.informer == informer) {
                let held = self.reference.held(handler, &object.name).map(|held| &held.object);
                let held = held.filter(|held| held.uid == object.uid && held.version < object.version);
                let goes =
                    held.is_some_and(|held| held.finalizers.contains(&ours)) && !object.finalizers.contains(&ours);
                let record = self.reference.key(handler, &object.name).map(|key| &key.record);
                // No call was made: it left the selector behind the finalizer that was being added, which went again.
                let is_owed = record.is_some_and(|record| !matches!(record, Record::Unseen));
                let is_done = !is_owed || matches!(record, Some(Record::Finished { uid }) if *uid == object.uid);
                // It left the selector, was settled, and came back unseen before the write: that takes the finalizer along, and the
                // library adds it again before the next call that is due.
                let key = self.reference.key(handler, &object.name);
                let is_done = is_done || key.is_some_and(|key| key.done.as_ref() == Some(&object.uid));
                hold!(C4, !goes || is_done, "{object} loses the finalizer of {handler}, which stands at {record:?}");
            }
        }
        Ok(())
    }

    /// A write of the library leaves others' finalizers alone.
    pub(super) fn writes(&self, name: &str, patch: Option<&(u64, Vec<String>)>) -> Verdict {
        hold!(C8, !self.over, "the library asks about {name} after the run's end");
        let (Some((version, sets)), Some(process)) = (patch, &self.reference.process) else { return Ok(()) };
        let Some(had) = process.finalizers.get(version) else { return Ok(()) };
        let (added, removed) = (sets.iter().filter(|it| !had.contains(it)), had.iter().filter(|it| !sets.contains(it)));
        let all: Vec<_> = added.chain(removed).collect();
        let ours = all.iter().all(|it| *it != FOREIGN);
        hold!(C4, ours && all.len() == 1, "the library changes the finalizers of {name} from {had:?} to {sets:?}");
        Ok(())
    }

    /// Nothing stays terminating because of us, and everything that lives is claimed and settled.
    pub(super) fn rests_held_back(&self, handler: usize, lane: &Lane, server: &[Object], quiet: &Quiet) -> Verdict {
        let ours = finalizer(handler);
        let parked = |name: &str| {
            let parked = |state: &KeyState| matches!(state, KeyState::Parked { .. });
            quiet.snapshot.iter().any(|(lane, it, state)| *lane == handler && it == name && parked(state))
        };
        for object in server.iter().filter(|object| !parked(&object.name)) {
            let record = lane.keys.get(&object.name).map(|key| &key.record);
            let has = object.finalizers.contains(&ours);
            hold!(C4, !(object.deleting && has), "{object} waits for the finalizer of {handler}: {record:?}");
            let known = matches!(record, Some(Record::Known { uid, settled, .. })
                if *uid == object.uid && *settled == object.version);
            let waits =
                self.reference.plan(handler).predicate && lane.keys.get(&object.name).is_some_and(|key| !key.woken);
            hold!(C4, object.deleting || (known && has) || waits, "{object} is not settled by {handler}: {record:?}");
        }
        for (name, key) in lane.keys.iter().filter(|(name, _)| !parked(name)) {
            let lives = server.iter().any(|object| object.name == **name);
            let settled = lives || matches!(key.record, Record::Unseen | Record::Finished { .. });
            hold!(C4, settled, "{name} is gone, and {handler} has not settled that: {}", describe(key));
        }
        Ok(())
    }
}
