//! Where the embedded server is knowingly different from the real one, and why: the only list of its kind.
//!
//! Each entry must be needed; one that no longer matches anything fails the test.

use crate::compare::Difference;

/// A difference that stays.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// A request's name, or its beginning followed by `*`.
    pub(crate) request: &'static str,
    /// Where in the answer; `*` stands for one key or index, and at the end for everything below.
    pub(crate) place: &'static str,
    pub(crate) reason: &'static str,
}

/// All of them.
pub(crate) const ACCEPTED: &[Accepted] = &[
    Accepted {
        request: "*",
        place: "/body/columnDefinitions/*/description",
        reason: "descriptions of columns are the API's documentation, which kubectl does not show: ours are shorter",
    },
    Accepted {
        request: "*",
        place: "/body/resources/*/storageVersionHash",
        reason: "a hash over storage encodings that the embedded server does not have",
    },
    Accepted {
        request: "read: as YAML",
        place: "/*",
        reason: "answers are JSON only: no client here asks for anything else",
    },
    Accepted {
        request: "read: nothing acceptable",
        place: "/body/message",
        reason: "answers are JSON only, and the refusal names what there is",
    },
    Accepted {
        request: "list: as an unknown kind",
        place: "/*",
        reason: "answers are JSON only, and the refusal names what there is",
    },
    Accepted {
        request: "create: immutable, with binary data",
        place: "/key_order/*",
        reason: "fields of an object come sorted by name: their order means nothing in JSON",
    },
    Accepted {
        request: "event: *",
        place: "/key_order/*",
        reason: "fields of an object come sorted by name: their order means nothing in JSON",
    },
    Accepted {
        request: "role binding: create",
        place: "/key_order/*",
        reason: "fields of an object come sorted by name: their order means nothing in JSON",
    },
    Accepted {
        request: "custom: its group",
        place: "/key_order/*",
        reason: "fields of an object come sorted by name: their order means nothing in JSON",
    },
    Accepted {
        request: "discovery: *",
        place: "/key_order/*",
        reason: "fields of an object come sorted by name: their order means nothing in JSON",
    },
    Accepted {
        request: "namespace: the one that is always there",
        place: "/body/metadata/managedFields",
        reason: "it is there from the start: nobody has written it",
    },
    Accepted {
        request: "create wrongly: an annotation without a key",
        place: "/body/*",
        reason: "the first mistake of a name is told, not each that follows from it",
    },
    Accepted {
        request: "create wrongly: a finalizer without a domain",
        place: "/body/*",
        reason: "the first mistake of a name is told, not each that follows from it",
    },
    Accepted {
        request: "list: last page",
        place: "/body/metadata/continue",
        reason: "the real server ends a filtered page before it has looked whether more matches",
    },
    Accepted {
        request: "list: a continue token that is none",
        place: "/body/message",
        reason: "a decoder's own words",
    },
    Accepted {
        request: "patch: merge a wrong type",
        place: "/body/*",
        reason: "quotes the object as Go's encoder prints it half-way through a patch",
    },
    Accepted {
        request: "patch: merge an unknown field, strict",
        place: "/body/*",
        reason: "quotes the object as Go's encoder prints it half-way through a patch",
    },
    Accepted {
        request: "deployment: replicas that are no number",
        place: "/body/*",
        reason: "quotes the object as Go's encoder prints it half-way through a patch",
    },
    Accepted {
        request: "lease: a time *",
        place: "/body/*",
        reason: "quotes the object as Go's encoder prints it half-way through a patch",
    },
    Accepted {
        request: "patch: strategic, an unknown directive",
        place: "/body/message",
        reason: "prints a map as Go does",
    },
    Accepted { request: "apply: malformed", place: "/body/message", reason: "a decoder's own words" },
    Accepted {
        request: "apply: YAML",
        place: "/body/*",
        reason: "the real server reads YAML 1.1, in which an unquoted `y` is true; the embedded one reads 1.2",
    },
    Accepted { request: "expired: a page", place: "/body/items/*", reason: "the object of `apply: YAML` again" },
    Accepted {
        request: "finalizer: create it again too early",
        place: "/body/message",
        reason: "told without the reason: the refusal and its code are the same",
    },
    Accepted { request: "pod: change its command", place: "/body/*", reason: "quotes a diff of Go structs" },
    Accepted {
        request: "pod: add a container",
        place: "/body/*",
        reason: "refused as any other change of a pod's spec is",
    },
    Accepted {
        request: "scale: the deployment follows",
        place: "/body/metadata/managedFields/*/time",
        reason: "a write through the scale subresource dates its entry",
    },
    Accepted {
        request: "custom: *",
        place: "/body/metadata/managedFields/*/time",
        reason: "a write through the scale subresource dates its entry",
    },
    Accepted {
        request: "custom: *",
        place: "/body/items/*/metadata/managedFields/*/time",
        reason: "a write through the scale subresource dates its entry",
    },
    Accepted {
        request: "custom: watch",
        place: "/body/*/object/metadata/managedFields/*/time",
        reason: "a write through the scale subresource dates its entry",
    },
    Accepted { request: "service: another address", place: "/body/*", reason: "addresses come from another range" },
    Accepted {
        request: "event: new group, nothing in it",
        place: "/body/*",
        reason: "the refusal names the group that was asked, where the real one names the core group",
    },
    Accepted {
        request: "definition: a schema without types",
        place: "/body/*",
        reason: "selectable fields are not checked against the schema, so one cause is missing",
    },
    Accepted {
        request: "definition: no stored version",
        place: "/body/*",
        reason: "prints the versions as JSON, where the real one prints Go structs, and leaves out what follows from it",
    },
    Accepted {
        request: "custom wrongly: a fraction",
        place: "/body/*",
        reason: "one cause in place of the three that a fraction in a scale's path gives",
    },
    Accepted {
        request: "expired: *",
        place: "/body/metadata/remainingItemCount",
        reason: "counts what earlier requests left, of which the real server keeps more",
    },
    Accepted {
        request: "watch: as a table",
        place: "/body/*/object/columnDefinitions/*/description",
        reason: "descriptions of columns are the API's documentation, which kubectl does not show: ours are shorter",
    },
    Accepted {
        request: "custom: list as a table",
        place: "/body/rows/*/object/metadata/managedFields/*/time",
        reason: "a write through the scale subresource dates its entry",
    },
];

impl Accepted {
    /// Whether this entry is about that difference.
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        let request = match self.request.strip_suffix('*') {
            Some(beginning) => difference.request.starts_with(beginning),
            None => difference.request == self.request,
        };
        request && place_matches(self.place, &difference.place)
    }
}

fn place_matches(pattern: &str, place: &str) -> bool {
    let (mut pattern, mut place) = (pattern.split('/'), place.split('/'));
    loop {
        match (pattern.next(), place.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if pattern.clone().next().is_none() => return true,
            (Some(expected), Some(key)) if expected == "*" || expected == key => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place_matches;

    #[test]
    fn a_star_stands_for_one_key_and_at_the_end_for_all_below() {
        assert!(place_matches("/body/a", "/body/a"));
        assert!(!place_matches("/body/a", "/body/a/b"));
        assert!(!place_matches("/body/a", "/body"));
        assert!(place_matches("/body/*/uid", "/body/3/uid"));
        assert!(!place_matches("/body/*/uid", "/body/3/4/uid"));
        assert!(place_matches("/body/*", "/body/a/b/c"));
        assert!(!place_matches("/body/*", "/body"));
    }
}
