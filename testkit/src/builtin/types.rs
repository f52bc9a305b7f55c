//! The table of `types.txt`, parsed once. Lookups cannot fail halfway: each type that a field names is in the table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

/// A type's JSON form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int32,
    Int64,
    Float64,
    /// With the Go name of the type when it is not plain `string`: decoding errors mention it.
    String(Option<&'static str>),
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// Any JSON, owned as a whole.
    Any,
    Struct(&'static str),
    List(Box<Kind>),
    Map(Box<Kind>),
}

/// How the items of a list, or the fields of a map, are told apart when several managers write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Merging {
    /// The default of the type: lists are atomic, maps granular.
    #[default]
    Default,
    Atomic,
    Set,
    Map(Vec<&'static str>),
}

/// One field of a type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    /// Absent and zero are different.
    pub(crate) is_pointer: bool,
    /// A zero value is left out of the JSON.
    pub(crate) omits_zero: bool,
    /// The number in protobuf, below those of the messages that Go embeds; empty for what is not sent.
    pub(crate) numbers: Vec<u32>,
    pub(crate) merging: Merging,
    pub(crate) patch: PatchStrategy,
    pub(crate) default: Option<Value>,
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PatchStrategy {
    /// The list is merged instead of replaced.
    pub(crate) merges: bool,
    /// The patch may name the fields to keep (`$retainKeys`).
    pub(crate) retains_keys: bool,
    /// The field by which a list's item is found; none for lists of scalars.
    pub(crate) key: Option<&'static str>,
}

/// One type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struct {
    pub(crate) is_atomic: bool,
    pub(crate) fields: BTreeMap<&'static str, Field>,
}

static TABLE: LazyLock<BTreeMap<&'static str, Struct>> = LazyLock::new(|| parse(include_str!("types.txt")));

/// A type by its name in the table, such as `core/v1.Container`.
pub(crate) fn find(name: &str) -> Option<&'static Struct> {
    TABLE.get(name)
}

/// The name of a kind's type, if the kind is built in: `("apps", "v1", "Deployment")` is `apps/v1.Deployment`.
pub(crate) fn root(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let short = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or_default() };
    TABLE.get_key_value(format!("{short}/{version}.{kind}").as_str()).map(|(name, _)| *name)
}

/// Every type with its name, sorted.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Struct)> {
    TABLE.iter().map(|(name, definition)| (*name, definition))
}

/// The name without package: Go's decoding errors use it.
pub(crate) fn go_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn parse(text: &'static str) -> BTreeMap<&'static str, Struct> {
    let mut table = BTreeMap::new();
    let mut current = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(field) = line.strip_prefix(' ') {
            let definition: Option<&mut Struct> = current.and_then(|name| table.get_mut(name));
            if let (Some(definition), Some((name, field))) = (definition, parse_field(field)) {
                definition.fields.insert(name, field);
            }
        } else {
            let (name, flag) = line.split_once(' ').unwrap_or((line, ""));
            table.insert(name, Struct { is_atomic: flag == "atomic", ..Struct::default() });
            current = Some(name);
        }
    }
    table
}

fn parse_field(line: &'static str) -> Option<(&'static str, Field)> {
    let mut words = line.split(' ');
    let (name, kind) = (words.next()?, words.next()?);
    let (kind, omits_zero) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let (kind, is_pointer) = kind.strip_prefix('*').map_or((kind, false), |kind| (kind, true));
    let mut field = Field {
        kind: parse_kind(kind),
        is_pointer,
        omits_zero,
        numbers: Vec::new(),
        merging: Merging::Default,
        patch: PatchStrategy::default(),
        default: None,
    };
    for word in words {
        if let Some(numbers) = word.strip_prefix('#') {
            field.numbers = numbers.split('.').filter_map(|number| number.parse().ok()).collect();
            continue;
        }
        match word.split_once('=') {
            None if word == "atomic" => field.merging = Merging::Atomic,
            None if word == "set" => field.merging = Merging::Set,
            Some(("map", keys)) => field.merging = Merging::Map(keys.split(',').collect()),
            Some(("patch", strategies)) => {
                field.patch.merges = strategies.split(',').any(|strategy| strategy == "merge");
                field.patch.retains_keys = strategies.split(',').any(|strategy| strategy == "retainKeys");
            }
            Some(("patch-key", key)) => field.patch.key = Some(key),
            Some(("default", json)) => field.default = serde_json::from_str(json).ok(),
            _ => return None,
        }
    }
    Some((name, field))
}

fn parse_kind(text: &'static str) -> Kind {
    if let Some(item) = text.strip_prefix("[]") {
        return Kind::List(Box::new(parse_kind(item)));
    }
    if let Some(item) = text.strip_prefix("{}") {
        return Kind::Map(Box::new(parse_kind(item)));
    }
    match text {
        "bool" => Kind::Bool,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float64" => Kind::Float64,
        "string" => Kind::String(None),
        "bytes" => Kind::Bytes,
        "time" => Kind::Time,
        "microtime" => Kind::MicroTime,
        "quantity" => Kind::Quantity,
        "int-or-string" => Kind::IntOrString,
        "any" => Kind::Any,
        name => name.strip_prefix("string:").map_or(Kind::Struct(name), |name| Kind::String(Some(name))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood() {
        let lines = include_str!("types.txt").lines().filter(|line| !line.starts_with('#'));
        let fields: usize = all().map(|(_, definition)| definition.fields.len()).sum();
        assert_eq!(lines.count(), all().count() + fields);
    }

    #[test]
    fn every_type_that_a_field_names_is_in_the_table() {
        fn check(kind: &Kind) {
            match kind {
                Kind::Struct(name) => assert!(find(name).is_some(), "{name} is missing"),
                Kind::List(item) | Kind::Map(item) => check(item),
                _ => {}
            }
        }
        for (_, definition) in all() {
            definition.fields.values().for_each(|field| check(&field.kind));
        }
    }

    #[test]
    fn a_field_knows_how_it_merges() {
        let ports = &find("core/v1.Container").unwrap().fields["ports"];
        assert_eq!(ports.merging, Merging::Map(vec!["containerPort", "protocol"]));
        assert_eq!((ports.patch.merges, ports.patch.key), (true, Some("containerPort")));
        assert_eq!(find("core/v1.ContainerPort").unwrap().fields["protocol"].default, Some(json!("TCP")));
        assert_eq!(find("core/v1.Volume").unwrap().fields["emptyDir"].numbers, [2, 2]);
        assert!(find("apps/v1.DeploymentSpec").unwrap().fields["strategy"].patch.retains_keys);
        assert!(find("meta/v1.LabelSelector").unwrap().is_atomic);
    }

    #[test]
    fn kinds_are_found_by_group_version_and_kind() {
        assert_eq!(root("", "v1", "Pod"), Some("core/v1.Pod"));
        assert_eq!(root("rbac.authorization.k8s.io", "v1", "Role"), Some("rbac/v1.Role"));
        assert_eq!(root("example.com", "v1", "Website"), None);
    }
}
