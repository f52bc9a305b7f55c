//! The shape of an object as merging sees it, whether it comes from the table of built-in types or from a definition's schema.
//!
//! A value is a scalar, a map (whose fields have owners of their own unless it is atomic) or a list (atomic, a set, or a map by
//! keys). Where nothing is known the shape is deduced from the value: maps granular, lists atomic.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field_set::Element;
use crate::builtin::types::{self, Field, Kind, Merging, Struct};
use crate::field::go_quote;
use crate::schema::{Additional, ListType, MapType, Node, TypeName};

/// The shape of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'s> {
    /// Known by its value only.
    Deduced,
    /// A built-in value, with the field that holds it if that says how it merges.
    BuiltIn(&'static Kind, Option<&'static Field>),
    /// A built-in type.
    Type(&'static Struct),
    /// The root of a custom resource: the schema, and `metadata` of the built-in type.
    CustomRoot(&'s Node),
    /// A value of a custom resource.
    Custom(&'s Node),
}

/// How a value merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation<'s> {
    Scalar,
    /// A map or a list that is owned as a whole.
    AtomicMap,
    AtomicList,
    Map,
    Set,
    /// A list of maps, told apart by these fields.
    ListMap(Vec<&'s str>),
    /// Nothing said: decided by the value.
    Deduced,
}

/// The kind of JSON that a shape asks for, in the words of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Numeric,
    Text,
    Boolean,
    Any,
}

static STRING: Kind = Kind::String(None);
static OBJECT_META: Kind = Kind::Struct("meta/v1.ObjectMeta");

impl<'s> Shape<'s> {
    /// The shape of a built-in type by its name in the table.
    pub(crate) fn built_in(name: &str) -> Self {
        types::find(name).map_or(Self::Deduced, Self::Type)
    }

    /// Whether a name is a field of a type, and not an entry of a map.
    pub(crate) fn declares(&self, name: &str) -> bool {
        match self.resolve() {
            Self::Type(definition) => definition.fields.contains_key(name),
            Self::CustomRoot(node) => {
                ["apiVersion", "kind", "metadata"].contains(&name) || node.properties.contains_key(name)
            }
            Self::Custom(node) => node.properties.contains_key(name),
            Self::Deduced | Self::BuiltIn(..) => false,
        }
    }

    /// The shape of a field or of an entry; none if there may be none of this name.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        match self.resolve() {
            Self::Deduced => Some(Self::Deduced),
            Self::Type(definition) => definition.fields.get(name).map(|field| Self::BuiltIn(&field.kind, Some(field))),
            Self::BuiltIn(Kind::Map(item), _) => Some(Self::BuiltIn(item, None)),
            Self::BuiltIn(..) => None,
            Self::CustomRoot(node) => match name {
                "apiVersion" | "kind" => Some(Self::BuiltIn(&STRING, None)),
                "metadata" => Some(Self::BuiltIn(&OBJECT_META, None)),
                _ => custom_field(node, name),
            },
            Self::Custom(node) => custom_field(node, name),
        }
    }

    /// The shape of a list's items.
    pub(crate) fn item(&self) -> Option<Self> {
        match self {
            Self::Deduced => Some(Self::Deduced),
            Self::BuiltIn(Kind::List(item), _) => Some(Self::BuiltIn(item, None)),
            Self::Custom(node) => Some(node.items.as_deref().map_or(Self::Deduced, Self::Custom)),
            Self::BuiltIn(..) | Self::Type(_) | Self::CustomRoot(_) => None,
        }
    }

    /// How values of this shape merge.
    pub(crate) fn relation(&self) -> Relation<'s> {
        match self {
            Self::Deduced => Relation::Deduced,
            Self::Type(definition) if definition.is_atomic => Relation::AtomicMap,
            Self::Type(_) | Self::CustomRoot(_) => Relation::Map,
            Self::BuiltIn(kind, field) => built_in_relation(kind, *field),
            Self::Custom(node) => custom_relation(node),
        }
    }

    /// What a scalar must be.
    pub(crate) fn scalar_kind(&self) -> ScalarKind {
        match self {
            Self::BuiltIn(Kind::Bool, _) => ScalarKind::Boolean,
            Self::BuiltIn(Kind::Int32 | Kind::Int64 | Kind::Float64, _) => ScalarKind::Numeric,
            Self::BuiltIn(Kind::String(_) | Kind::Bytes | Kind::Time | Kind::MicroTime, _) => ScalarKind::Text,
            Self::Custom(node) => match node.type_name {
                TypeName::Integer | TypeName::Number => ScalarKind::Numeric,
                TypeName::String => ScalarKind::Text,
                TypeName::Boolean => ScalarKind::Boolean,
                TypeName::Any | TypeName::Object | TypeName::Array | TypeName::IntOrString => ScalarKind::Any,
            },
            Self::BuiltIn(..) | Self::Deduced | Self::Type(_) | Self::CustomRoot(_) => ScalarKind::Any,
        }
    }

    /// A reference to a type becomes the type.
    fn resolve(self) -> Self {
        match self {
            Self::BuiltIn(Kind::Struct(name), _) => Self::built_in(name),
            other => other,
        }
    }

    /// The default of an item's key field.
    fn key_default(&self, name: &str) -> Option<Value> {
        match self.item()?.resolve() {
            Self::Type(definition) => {
                let field = definition.fields.get(name)?;
                field.default.clone().or_else(|| required_zero(field))
            }
            Self::Custom(node) => node.properties.get(name)?.default.clone(),
            Self::Deduced | Self::BuiltIn(..) | Self::CustomRoot(_) => None,
        }
    }

    /// The element by which an item of a list (a set, or a map by keys) is found again.
    ///
    /// # Errors
    /// Why the item cannot be told apart, in the real server's words.
    pub(crate) fn element(&self, keys: Option<&[&str]>, item: &Value) -> Result<Element, String> {
        let Some(keys) = keys else { return set_element(item) };
        let fields = match item {
            Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
            Value::Object(fields) => fields,
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut found = BTreeMap::new();
        for key in keys {
            if let Some(value) = fields.get(*key).cloned().or_else(|| self.key_default(key)) {
                found.insert((*key).to_owned(), value);
            }
        }
        if found.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| go_quote(key)).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                keys.join(" ")
            ));
        }
        Ok(format!("k:{}", serde_json::to_string(&found).unwrap_or_default()))
    }
}

/// A required field that is not given is its zero value, as far as keys go.
fn required_zero(field: &Field) -> Option<Value> {
    if field.omits_zero || field.is_pointer {
        return None;
    }
    match field.kind {
        Kind::String(_) => Some(Value::from("")),
        Kind::Int32 | Kind::Int64 => Some(Value::from(0)),
        _ => None,
    }
}

fn set_element(item: &Value) -> Result<Element, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        scalar => Ok(format!("v:{scalar}")),
    }
}

fn built_in_relation<'s>(kind: &'static Kind, field: Option<&'static Field>) -> Relation<'s> {
    let merging = field.map_or(&Merging::Default, |field| &field.merging);
    match (kind, merging) {
        (Kind::Struct(name), merging) => {
            let is_atomic = *merging == Merging::Atomic || types::find(name).is_some_and(|known| known.is_atomic);
            if is_atomic { Relation::AtomicMap } else { Relation::Map }
        }
        (Kind::Map(_), Merging::Atomic) | (Kind::Any, _) => Relation::AtomicMap,
        (Kind::Map(_), _) => Relation::Map,
        (Kind::List(_), Merging::Set) => Relation::Set,
        (Kind::List(_), Merging::Map(keys)) => Relation::ListMap(keys.clone()),
        (Kind::List(_), _) => Relation::AtomicList,
        _ => Relation::Scalar,
    }
}

fn custom_relation(node: &Node) -> Relation<'_> {
    match node.type_name {
        TypeName::Object if node.map_type == MapType::Atomic => Relation::AtomicMap,
        TypeName::Object => Relation::Map,
        TypeName::Array => match &node.list_type {
            ListType::Atomic => Relation::AtomicList,
            ListType::Set => Relation::Set,
            ListType::Map(keys) => Relation::ListMap(keys.iter().map(String::as_str).collect()),
        },
        TypeName::Any => Relation::Deduced,
        TypeName::String | TypeName::Integer | TypeName::Number | TypeName::Boolean | TypeName::IntOrString => {
            Relation::Scalar
        }
    }
}

fn custom_field<'s>(node: &'s Node, name: &str) -> Option<Shape<'s>> {
    if let Some(child) = node.field(name) {
        return Some(Shape::Custom(child));
    }
    if node.embedded_resource {
        match name {
            "apiVersion" | "kind" => return Some(Shape::BuiltIn(&STRING, None)),
            "metadata" => return Some(Shape::BuiltIn(&OBJECT_META, None)),
            _ => {}
        }
    }
    let is_open = node.preserve_unknown || matches!(node.additional, Some(Additional::Allowed(true)));
    is_open.then_some(Shape::Deduced)
}
