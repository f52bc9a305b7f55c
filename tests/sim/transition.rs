//! What may happen to a world: what clients do to objects, and what goes wrong on the server.
//!
//! Each is carried out at once and written into the history; which comes next is drawn by the options' weights.

use std::time::Duration;

use kubehandler_testkit::{ApiServer, Fault, Requests, Rule, WatchFault};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::options::{FOREIGN, Kind};
use super::world::World;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    /// The spec: a new generation.
    Respecify,
    /// The status: no new generation.
    Status,
    Annotate,
    /// Into the selector or out of it.
    Relabel,
    Delete,
    /// Another life under the same name, at once.
    Recreate,
    AddFinalizer,
    RemoveFinalizer,
    CreateChild,
    RespecifyChild,
    DeleteChild,
    /// Several changes of one object without a pause.
    Burst,
    Enqueue,
    Release,
}

impl Change {
    pub(crate) const ALL: [Self; 15] = [
        Self::Create,
        Self::Respecify,
        Self::Status,
        Self::Annotate,
        Self::Relabel,
        Self::Delete,
        Self::Recreate,
        Self::AddFinalizer,
        Self::RemoveFinalizer,
        Self::CreateChild,
        Self::RespecifyChild,
        Self::DeleteChild,
        Self::Burst,
        Self::Enqueue,
        Self::Release,
    ];
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Busy,
    InternalError,
    Unavailable,
    Refuse,
    LoseAnswer,
    Delay,
    MalformedJson,
    Expire,
    WatchEnd,
    WatchReset,
    WatchTruncate,
    WatchStall,
    WatchDelay,
    WatchDuplicate,
    WatchExpire,
    WatchMalformed,
    Restart,
    /// A restart that forgets the history.
    RestartAndForget,
    Stop,
    Compact,
    /// Every running watch breaks while things change, and the version is forgotten: a relist finds what was missed.
    Gap,
}

impl Trouble {
    pub(crate) const ALL: [Self; 21] = [
        Self::Busy,
        Self::InternalError,
        Self::Unavailable,
        Self::Refuse,
        Self::LoseAnswer,
        Self::Delay,
        Self::MalformedJson,
        Self::Expire,
        Self::WatchEnd,
        Self::WatchReset,
        Self::WatchTruncate,
        Self::WatchStall,
        Self::WatchDelay,
        Self::WatchDuplicate,
        Self::WatchExpire,
        Self::WatchMalformed,
        Self::Restart,
        Self::RestartAndForget,
        Self::Stop,
        Self::Compact,
        Self::Gap,
    ];
}

/// Lets clients do something.
pub(crate) fn change(world: &mut World, change: Change, rng: &mut StdRng) {
    let kind = if rng.random_bool(0.75) { Kind::Widget } else { Kind::ConfigMap };
    let name = world.name(rng);
    match change {
        Change::Create => create(world, kind, &name, rng),
        Change::Respecify => edit(world, kind, &name, "changes", |object| set_value(object, kind, rng)),
        Change::Status => edit(world, Kind::Widget, &name, "changes the status of", |object| {
            object["status"] = json!({"note": rng.random::<u16>().to_string()});
        }),
        Change::Annotate => edit(world, kind, &name, "annotates", |object| {
            object["metadata"]["annotations"] = json!({"note": rng.random::<u16>().to_string()});
        }),
        Change::Relabel => edit(world, kind, &name, "relabels", |object| {
            let team = if object["metadata"]["labels"]["team"] == "red" { "blue" } else { "red" };
            object["metadata"]["labels"] = json!({"team": team});
        }),
        Change::Delete => world.delete(kind, &name),
        Change::Recreate => {
            world.delete(kind, &name);
            create(world, kind, &name, rng);
        }
        Change::AddFinalizer => edit(world, kind, &name, "puts a finalizer on", |object| {
            if object["metadata"]["deletionTimestamp"].is_null() {
                set_foreign(object, true);
            }
        }),
        Change::RemoveFinalizer => edit(world, kind, &name, "takes the finalizer from", |object| {
            set_foreign(object, false);
        }),
        Change::CreateChild => create_child(world, &name, rng),
        Change::RespecifyChild => {
            edit(world, Kind::ConfigMap, &child(&name), "changes", |object| set_value(object, Kind::ConfigMap, rng));
        }
        Change::DeleteChild => world.delete(Kind::ConfigMap, &child(&name)),
        Change::Burst => {
            for _ in 0..rng.random_range(2..=6) {
                edit(world, kind, &name, "changes", |object| set_value(object, kind, rng));
            }
        }
        Change::Enqueue => world.enqueue(&name, rng),
        Change::Release => world.release(&name, rng),
    }
}

fn child(name: &str) -> String {
    format!("of-{name}")
}

fn labels(rng: &mut StdRng) -> Value {
    json!({"team": if rng.random_bool(0.6) { "red" } else { "blue" }})
}

fn set_value(object: &mut Value, kind: Kind, rng: &mut StdRng) {
    let value = json!({"value": rng.random::<u16>().to_string()});
    match kind {
        Kind::Widget => object["spec"] = value,
        Kind::ConfigMap => object["data"] = value,
    }
}

/// Puts the clients' finalizer on an object, or takes it away; the library's stay.
fn set_foreign(object: &mut Value, wanted: bool) {
    let has = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let others = has.into_iter().filter(|it| it != FOREIGN);
    object["metadata"]["finalizers"] = others.chain(wanted.then(|| json!(FOREIGN))).collect();
}

pub(crate) fn create(world: &World, kind: Kind, name: &str, rng: &mut StdRng) {
    let mut object = match kind {
        Kind::Widget => json!({"apiVersion": "sim.example.com/v1", "kind": "Widget"}),
        Kind::ConfigMap => json!({"apiVersion": "v1", "kind": "ConfigMap"}),
    };
    object["metadata"] = json!({"name": name, "labels": labels(rng)});
    set_value(&mut object, kind, rng);
    world.create(&object);
}

/// A config map that one or two widgets own.
fn create_child(world: &World, owner: &str, rng: &mut StdRng) {
    let all = world.server.objects(Kind::Widget.resource());
    let second = world.name(rng);
    let owners: Vec<_> = all
        .iter()
        .filter(|widget| widget["metadata"]["name"] == owner || widget["metadata"]["name"] == second.as_str())
        .map(|widget| {
            let (name, uid) = (&widget["metadata"]["name"], &widget["metadata"]["uid"]);
            json!({"apiVersion": "sim.example.com/v1", "kind": "Widget", "name": name, "uid": uid})
        })
        .collect();
    if owners.is_empty() {
        return;
    }
    let metadata = json!({"name": child(owner), "labels": labels(rng), "ownerReferences": owners});
    world.create(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": "child"}}));
}

fn edit(world: &World, kind: Kind, name: &str, verb: &str, change: impl FnOnce(&mut Value)) {
    world.edit(kind, name, verb, change);
}

/// Lets something go wrong.
pub(crate) fn trouble(world: &mut World, trouble: Trouble, rng: &mut StdRng) {
    world.count(trouble);
    match trouble {
        Trouble::Restart => world.act("restarts", ApiServer::restart),
        Trouble::RestartAndForget => world.act("restarts and forgets", |server| {
            server.compact();
            server.restart();
        }),
        Trouble::Stop => {
            world.stopped = true;
            world.act("stops", ApiServer::stop);
        }
        Trouble::Compact => world.act("compacts", ApiServer::compact),
        Trouble::Gap => {
            world.act("stops", ApiServer::stop);
            for _ in 0..rng.random_range(1..=4) {
                let which = [Change::Delete, Change::Recreate, Change::Respecify, Change::Relabel, Change::Create];
                change(world, which[rng.random_range(0..which.len())], rng);
            }
            world.act("forgets and starts", |server| {
                server.compact();
                server.start();
            });
        }
        _ => {
            let rule = rule(world, trouble, rng);
            world.install(trouble, rule);
        }
    }
}

fn rule(world: &World, trouble: Trouble, rng: &mut StdRng) -> Rule {
    let after = Duration::from_secs(rng.random_range(0..=3));
    let delay = Duration::from_millis([3, 700, 8_000][rng.random_range(0..3)]);
    let fault = match trouble {
        Trouble::Busy => Fault::status(429).retry_after(after),
        Trouble::InternalError => Fault::status(500),
        Trouble::Unavailable => Fault::status(503).retry_after(after),
        Trouble::Refuse => Fault::Refuse,
        Trouble::LoseAnswer => Fault::LoseAnswer,
        Trouble::Delay => Fault::Delay(delay),
        Trouble::MalformedJson => Fault::MalformedJson,
        Trouble::Expire => Fault::Expire,
        Trouble::WatchEnd => Fault::Watch(WatchFault::End),
        Trouble::WatchReset => Fault::Watch(WatchFault::Reset),
        Trouble::WatchTruncate => Fault::Watch(WatchFault::Truncate),
        Trouble::WatchStall => Fault::Watch(WatchFault::Stall),
        Trouble::WatchDelay => Fault::Watch(WatchFault::Delay(delay)),
        Trouble::WatchDuplicate => Fault::Watch(WatchFault::Duplicate),
        Trouble::WatchExpire => Fault::Watch(WatchFault::Expire),
        _ => Fault::Watch(WatchFault::Malformed),
    };
    let requests = match rng.random_range(0..4) {
        0 => Requests::all().verb("list"),
        1 => Requests::all().verb("watch"),
        2 => Requests::all(),
        _ => Requests::all().verb("patch"),
    };
    // A fault of a running watch concerns watches, whatever was drawn.
    let requests = if matches!(fault, Fault::Watch(_)) { Requests::all().verb("watch") } else { requests };
    let now = world.history.now();
    let rule = Rule::new(requests, fault).probability([0.3, 1.0][rng.random_range(0..2)]);
    let until = now + Duration::from_millis([200, 4_000, 60_000][rng.random_range(0..3)]);
    rule.between(now, until).times(rng.random_range(1..=6))
}
