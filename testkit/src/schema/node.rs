//! A node of the schema tree, parsed once so that every write walks it without looking at JSON again.
//!
//! Parsing is total: it follows the checks of `structural` and `openapi`, which have refused what cannot be represented.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// What a value must be. `Any` is a node without a type (`x-kubernetes-preserve-unknown-fields`, or a check inside `allOf`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeName {
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// How the items of a list are told apart when several managers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    /// By the values of these fields, in the order of the definition.
    Map(Vec<String>),
}

/// Whether the fields of an object have owners of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapType {
    Granular,
    Atomic,
}

/// What `additionalProperties` says about names that `properties` does not list.
#[derive(Clone, Debug)]
pub(crate) enum Additional {
    Allowed(bool),
    Schema(Box<Node>),
}

/// One node: a value's type, its children, and its checks.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) type_name: TypeName,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Option<Additional>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded_resource: bool,
    pub(crate) list_type: ListType,
    pub(crate) map_type: MapType,
    pub(super) checks: Checks,
}

/// The value checks of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    pub(super) format: String,
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_maximum: bool,
    pub(super) minimum: Option<f64>,
    pub(super) exclusive_minimum: bool,
    pub(super) multiple_of: Option<f64>,
    pub(super) max_length: Option<u64>,
    pub(super) min_length: Option<u64>,
    pub(super) pattern: Option<Pattern>,
    pub(super) max_items: Option<u64>,
    pub(super) min_items: Option<u64>,
    pub(super) max_properties: Option<u64>,
    pub(super) min_properties: Option<u64>,
    pub(super) required: Vec<String>,
    pub(super) allowed_values: Vec<Value>,
    pub(super) all_of: Vec<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) not: Option<Box<Node>>,
}

/// A regular expression together with its text: the text stands in the errors.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    /// None when this crate's dialect lacks something that RE2 has: such a pattern is not enforced.
    pub(super) regex: Option<Regex>,
}

impl Node {
    pub(super) fn parse(schema: &Value) -> Self {
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
        let int_or_string = flag("x-kubernetes-int-or-string");
        Self {
            type_name: if int_or_string { TypeName::IntOrString } else { type_name(text(schema, "type")) },
            nullable: flag("nullable"),
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            properties: children(schema, "properties"),
            additional: match schema.get("additionalProperties") {
                Some(Value::Bool(allowed)) => Some(Additional::Allowed(*allowed)),
                Some(child @ Value::Object(_)) => Some(Additional::Schema(Box::new(Self::parse(child)))),
                _ => None,
            },
            items: schema.get("items").filter(|items| items.is_object()).map(|items| Box::new(Self::parse(items))),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded_resource: flag("x-kubernetes-embedded-resource"),
            list_type: list_type(schema),
            map_type: if text(schema, "x-kubernetes-map-type") == "atomic" {
                MapType::Atomic
            } else {
                MapType::Granular
            },
            checks: Checks::parse(schema),
        }
    }

    /// The schema of a field, by its own name or by what `additionalProperties` says.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or_else(|| self.additional_schema())
    }

    pub(crate) fn additional_schema(&self) -> Option<&Self> {
        match &self.additional {
            Some(Additional::Schema(node)) => Some(node),
            Some(Additional::Allowed(_)) | None => None,
        }
    }
}

impl Checks {
    fn parse(schema: &Value) -> Self {
        let number = |name: &str| schema.get(name).and_then(Value::as_f64);
        let count = |name: &str| schema.get(name).and_then(Value::as_u64);
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
        Self {
            format: text(schema, "format").to_owned(),
            maximum: number("maximum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            minimum: number("minimum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            multiple_of: number("multipleOf"),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            pattern: Some(text(schema, "pattern"))
                .filter(|pattern| !pattern.is_empty())
                .map(|pattern| Pattern { text: pattern.to_owned(), regex: Regex::new(pattern).ok() }),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            required: strings(schema, "required"),
            allowed_values: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            all_of: clauses(schema, "allOf"),
            any_of: clauses(schema, "anyOf"),
            one_of: clauses(schema, "oneOf"),
            not: schema.get("not").filter(|not| not.is_object()).map(|not| Box::new(Node::parse(not))),
        }
    }
}

pub(super) fn text<'s>(schema: &'s Value, name: &str) -> &'s str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn strings(schema: &Value, name: &str) -> Vec<String> {
    let items = schema.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn children(schema: &Value, name: &str) -> BTreeMap<String, Node> {
    let fields = schema.get(name).and_then(Value::as_object);
    fields.into_iter().flatten().map(|(name, child)| (name.clone(), Node::parse(child))).collect()
}

fn clauses(schema: &Value, name: &str) -> Vec<Node> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().map(Node::parse).collect()
}

fn type_name(name: &str) -> TypeName {
    match name {
        "object" => TypeName::Object,
        "array" => TypeName::Array,
        "string" => TypeName::String,
        "integer" => TypeName::Integer,
        "number" => TypeName::Number,
        "boolean" => TypeName::Boolean,
        _ => TypeName::Any,
    }
}

fn list_type(schema: &Value) -> ListType {
    match text(schema, "x-kubernetes-list-type") {
        "set" => ListType::Set,
        "map" => ListType::Map(strings(schema, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}
