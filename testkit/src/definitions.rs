//! What becomes of a custom resource definition after it was written: its names are accepted, its kinds served; when it is
//! deleted, its objects go first.
//!
//! Part of the background's work (`garbage/`), as in the real server: a kind is served a moment after its definition was created, and
//! clients wait for the condition `Established`.
//!
//! Simpler than the real thing: names that a definition gives up are free at once, and no conversion webhook is called; every
//! version shows the same fields.

use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    field::go_quote,
    managed_fields, object,
    options::{DeleteOptions, Propagation},
    registry::{GroupResource, Resource},
    storage::Key,
};

/// The finalizer of a definition whose objects are still to be deleted.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The part of `spec.names` that nobody else in the group may have: field, and the condition's reason when somebody has.
const NAMES: &[(&str, &str)] = &[
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
];

pub(crate) fn collection() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

pub(crate) fn is_definition(resource: &Resource) -> bool {
    resource.kind == "CustomResourceDefinition" && resource.collection == collection()
}

/// Marks a definition as going, as the real server does in the request that deletes it.
pub(crate) fn mark_terminating(definition: &mut Value, now: &str) {
    let meta = object::metadata_mut(definition);
    let finalizers = meta.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.contains(&json!(CLEANUP))
    {
        list.push(CLEANUP.into());
    }
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set_condition(definition, "Terminating", "True", "InstanceDeletionPending", message, now);
}

impl Cluster {
    /// Advances every definition as far as it goes, and serves what they define.
    pub(crate) fn tend_definitions(&mut self) {
        let names: Vec<Key> = self.storage.objects(&collection()).map(|(key, _)| key.clone()).collect();
        for key in &names {
            self.accept_names(key);
            self.establish(key);
        }
        let collection = collection();
        let definitions = self.storage.objects(&collection).map(|(_, stored)| &stored.value);
        self.registry.define(definitions.filter(|value| condition(value, "Established") == Some("True")));
        for key in &names {
            self.clean_up(key);
        }
    }

    /// Whether a definition waits for its objects to go: they may go without a change of the definition.
    pub(crate) fn has_terminating_definitions(&self) -> bool {
        self.storage.objects(&collection()).any(|(_, stored)| object::is_deleting(&stored.value))
    }

    fn definition(&self, key: &Key) -> Option<Value> {
        self.storage.get(&collection(), key).map(|stored| stored.value.clone())
    }

    fn accept_names(&mut self, key: &Key) {
        let Some(mut definition) = self.definition(key) else {
            return;
        };
        let (accepted, conflict) = self.judge_names(key, &definition);
        let wanted = definition.pointer("/spec/names").cloned().unwrap_or_default();
        let is_settled = definition.pointer("/status/acceptedNames") == Some(&wanted)
            && condition(&definition, "NamesAccepted") == Some("True");
        if is_settled {
            return;
        }
        let now = self.clock.stamp();
        definition["status"]["acceptedNames"] = accepted;
        let (status, reason, message) = match &conflict {
            Some((reason, message)) => ("False", *reason, message.as_str()),
            None => ("True", "NoConflicts", "no conflicts found"),
        };
        set_condition(&mut definition, "NamesAccepted", status, reason, message, &now);
        if condition(&definition, "Established") != Some("True") {
            let (reason, message) = match conflict {
                Some(_) => ("NotAccepted", "not all names are accepted"),
                None => ("Installing", "the initial names have been accepted"),
            };
            set_condition(&mut definition, "Established", "False", reason, message, &now);
        }
        self.put_status(key, definition);
    }

    /// The names that a definition may have, and what keeps it from having all it wants.
    fn judge_names(&self, key: &Key, definition: &Value) -> (Value, Option<(&'static str, String)>) {
        let mut accepted = definition.pointer("/status/acceptedNames").cloned().unwrap_or_else(|| json!({}));
        let wanted = definition.pointer("/spec/names").cloned().unwrap_or_default();
        let taken = self.taken_names(key, definition.pointer("/spec/group"));
        let mut conflict = None;
        let is_free = |name: &Value, mine: Option<&Value>| mine == Some(name) || !taken.contains(&name.as_str());
        let mine = accepted.get("shortNames").and_then(Value::as_array).cloned().unwrap_or_default();
        let short_names = wanted.get("shortNames").and_then(Value::as_array).cloned().unwrap_or_default();
        let in_use: Vec<String> = short_names
            .iter()
            .filter(|name| !mine.contains(name) && !is_free(name, None))
            .map(|name| format!("{} is already in use", go_quote(name.as_str().unwrap_or_default())))
            .collect();
        if !in_use.is_empty() {
            let all = in_use.join(", ");
            conflict = Some(("ShortNamesConflict", if in_use.len() > 1 { format!("[{all}]") } else { all }));
        } else if !short_names.is_empty() {
            accepted["shortNames"] = short_names.into();
        } else {
            object::map_mut(&mut accepted).remove("shortNames");
        }
        // Of several conflicts the last one is told.
        for (field, reason) in NAMES {
            let Some(name) = wanted.get(*field) else {
                continue;
            };
            if is_free(name, accepted.get(*field)) {
                accepted[*field] = name.clone();
            } else {
                let name = go_quote(name.as_str().unwrap_or_default());
                conflict = Some((*reason, format!("{name} is already in use")));
            }
        }
        if let Some(categories) = wanted.get("categories") {
            accepted["categories"] = categories.clone();
        }
        (accepted, conflict)
    }

    /// Every name that other definitions of the group have.
    fn taken_names(&self, key: &Key, group: Option<&Value>) -> Vec<Option<&str>> {
        let collection = collection();
        let others = self.storage.objects(&collection).filter(|(other, _)| *other != key);
        let of_group = others.filter(|(_, stored)| stored.value.pointer("/spec/group") == group);
        let mut taken = Vec::new();
        for (_, stored) in of_group {
            let names = stored.value.pointer("/status/acceptedNames").unwrap_or(&Value::Null);
            taken.extend(NAMES.iter().filter_map(|(field, _)| names.get(*field)).map(Value::as_str));
            taken.extend(names.get("shortNames").and_then(Value::as_array).into_iter().flatten().map(Value::as_str));
        }
        taken
    }

    fn establish(&mut self, key: &Key) {
        let Some(mut definition) = self.definition(key) else {
            return;
        };
        let is_ready = condition(&definition, "NamesAccepted") == Some("True");
        if !is_ready || condition(&definition, "Established") == Some("True") {
            return;
        }
        let (reason, message) = ("InitialNamesAccepted", "the initial names have been accepted");
        set_condition(&mut definition, "Established", "True", reason, message, &self.clock.stamp());
        self.put_status(key, definition);
    }

    /// Deletes the objects of a definition that is going; lets it go once none is left.
    fn clean_up(&mut self, key: &Key) {
        let Some(definition) = self.definition(key) else {
            return;
        };
        if !object::is_deleting(&definition) || !object::finalizers(&definition).contains(&CLEANUP) {
            return;
        }
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let instances = GroupResource::new(text("/spec/group"), text("/spec/names/plural"));
        if let Some(resource) = self.registry.find_stored(&instances) {
            let keys: Vec<Key> = self
                .storage
                .objects(&instances)
                .filter(|(_, stored)| !object::is_deleting(&stored.value))
                .map(|(key, _)| key.clone())
                .collect();
            let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            for key in keys {
                self.delete_quietly(&resource, &key, &options);
            }
        }
        if self.storage.objects(&instances).next().is_some() {
            let mut definition = definition;
            let message = "CustomResource deletion is in progress";
            set_condition(
                &mut definition,
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                message,
                &self.clock.stamp(),
            );
            self.put_status(key, definition);
        } else if let Some(resource) = self.registry.find_stored(&collection()) {
            self.drop_finalizer(&resource, key, CLEANUP);
        }
    }

    /// Stores a definition whose status the server itself has changed.
    fn put_status(&mut self, key: &Key, mut definition: Value) {
        let Some(old) = self.definition(key).filter(|old| *old != definition) else {
            return;
        };
        let ownership = managed_fields::Target::built_in(
            "apiextensions.k8s.io/v1",
            "apiextensions/v1.CustomResourceDefinition",
            Some("status"),
        );
        managed_fields::track_update(Some(&old), &mut definition, "kube-apiserver", &ownership, &self.clock.stamp());
        self.storage.put(&collection(), key, definition);
    }
}

/// The status of a condition: `True`, `False` or `Unknown`.
fn condition<'d>(definition: &'d Value, name: &str) -> Option<&'d str> {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array)?;
    conditions.iter().find(|condition| condition["type"] == name)?.get("status")?.as_str()
}

fn set_condition(definition: &mut Value, name: &str, status: &str, reason: &str, message: &str, now: &str) {
    let conditions = object::entry(object::entry(definition, "status"), "conditions");
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(list) = conditions.as_array_mut() else {
        return;
    };
    let fresh = json!({
        "type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    match list.iter_mut().find(|condition| condition["type"] == name) {
        Some(known) => {
            let since = if known["status"] == status { known["lastTransitionTime"].clone() } else { now.into() };
            *known = fresh;
            known["lastTransitionTime"] = since;
        }
        None => list.push(fresh),
    }
}
