//! Schemas of every draft, and what is said of objects that they reject.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::*;

fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let schema = Schema::new(schema).unwrap();
    let violations = schema.check(object).err();
    let mut problems: Vec<_> = violations.iter().flat_map(Violations::iter).map(ToString::to_string).collect();
    // In which order they are found is no promise.
    problems.sort_unstable();
    problems
}

/// Each draft by a rule that another draft reads differently.
#[test]
fn each_draft_is_read_as_it_was_written() {
    let draft = |name: &str, mut schema: Value| {
        schema["$schema"] = name.into();
        Schema::new(&schema).unwrap()
    };
    let passes = |schema: &Schema, object: Value| schema.check(&object).is_ok();

    let four = draft("http://json-schema.org/draft-04/schema#", json!({"minimum": 3, "exclusiveMinimum": true}));
    assert_eq!([passes(&four, json!(3)), passes(&four, json!(4))], [false, true]);
    let six =
        draft("http://json-schema.org/draft-06/schema#", json!({"exclusiveMinimum": 3, "contains": {"const": 1}}));
    assert_eq!([passes(&six, json!(3)), passes(&six, json!(4))], [false, true]);
    assert_eq!([passes(&six, json!([2])), passes(&six, json!([2, 1]))], [false, true]);
    let choice = json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}});
    let seven = draft("http://json-schema.org/draft-07/schema#", choice.clone());
    assert_eq!([passes(&seven, json!({"a": 1})), passes(&seven, json!({"a": 1, "b": 1}))], [false, true]);
    assert!(passes(&draft("http://json-schema.org/draft-06/schema#", choice), json!({"a": 1})), "unknown to draft 6");
    let of_2019 = draft(
        "https://json-schema.org/draft/2019-09/schema",
        json!({"items": [{"type": "string"}], "dependentRequired": {"a": ["b"]}}),
    );
    assert_eq!([passes(&of_2019, json!([1])), passes(&of_2019, json!({"a": 1}))], [false, false]);
    let of_2020 = draft(
        "https://json-schema.org/draft/2020-12/schema",
        json!({"prefixItems": [{"type": "string"}], "unevaluatedItems": false}),
    );
    assert_eq!([passes(&of_2020, json!(["a"])), passes(&of_2020, json!(["a", 1]))], [true, false]);
    // Which is what a schema is that does not say.
    assert!(!passes(&Schema::new(&json!({"prefixItems": [{"type": "string"}]})).unwrap(), json!([1])));
}

#[test]
fn every_violation_is_named_with_its_path_and_its_rule() {
    let schema = json!({
        "required": ["spec"],
        "properties": {
            "spec": {
                "required": ["page"],
                "properties": {"replicas": {"type": "integer", "maximum": 10}, "ports": {"items": {"type": "integer"}}},
                "additionalProperties": false,
            },
            "a/b": {"const": 1},
        },
    });
    assert_eq!(
        problems(&schema, &json!({"spec": {"replicas": 11, "ports": [80, "http"], "more": 1}, "a/b": 2})),
        [
            "/a~1b: 1 was expected (const)",
            "/spec/ports/1: the value is not of type \"integer\" (type)",
            "/spec/replicas: the value is greater than the maximum of 10 (maximum)",
            "/spec: \"page\" is a required property (required)",
            "/spec: Additional properties are not allowed ('more' was unexpected) (additionalProperties)",
        ]
    );
    assert_eq!(problems(&schema, &json!({})), ["(the object): \"spec\" is a required property (required)"]);
}

#[test]
fn no_value_of_the_object_is_quoted() {
    const SECRET: &str = "hunter2hunter2";
    let draft_7 = "http://json-schema.org/draft-07/schema#";
    for rule in [
        json!({"type": "integer"}),
        json!({"type": ["integer", "null"]}),
        json!({"const": "a"}),
        json!({"enum": ["a", "b"]}),
        json!({"pattern": "^a$"}),
        json!({"maxLength": 1}),
        json!({"minLength": 100}),
        json!({"not": {"type": "string"}}),
        json!({"anyOf": [{"type": "integer"}, {"const": "a"}]}),
        json!({"oneOf": [{"type": "integer"}, {"const": "a"}]}),
        json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
        json!({"allOf": [{"const": "a"}]}),
        json!({"format": "ipv4"}),
        json!({"contentEncoding": "base64", "contentMediaType": "application/json"}),
        json!({"if": {"type": "string"}, "then": {"maxLength": 1}}),
        json!(false),
    ] {
        let schema = json!({"$schema": draft_7, "properties": {"password": rule}});
        let found = problems(&schema, &json!({"password": SECRET}));
        assert!(!found.is_empty() && !found.concat().contains(SECRET), "{rule}: {found:?}");
    }
    for rule in [
        json!({"uniqueItems": true}),
        json!({"maxItems": 1}),
        json!({"contains": {"const": 1}}),
        json!({"prefixItems": [true], "items": false}),
        json!({"prefixItems": [true], "unevaluatedItems": false}),
    ] {
        let found = problems(&json!({"properties": {"passwords": rule}}), &json!({"passwords": [SECRET, SECRET]}));
        assert!(!found.is_empty() && !found.concat().contains(SECRET), "{rule}: {found:?}");
    }
    // Nor a name, where names are held to a rule.
    let found = problems(&json!({"propertyNames": {"maxLength": 3}}), &json!({SECRET: 1}));
    assert_eq!(
        found,
        ["(the object): the name of a property is not valid: it is longer than 3 characters (propertyNames)"]
    );
}

#[test]
fn what_is_said_of_one_object_is_bounded() {
    let schema = Schema::new(&json!({"items": {"type": "string"}, "propertyNames": false})).unwrap();
    let violations = schema.check(&json!(vec![1; 100_000])).unwrap_err();
    assert_eq!((violations.iter().count(), violations.len()), (20, 1_000));
    let text = violations.to_string();
    assert!(text.ends_with("; and 980 more") && text.len() < 10_000, "{text}");
    assert!(violations.in_short().ends_with("/0: the value is not of type \"string\" (type); and 999 more"));

    let schema = Schema::new(&json!({"additionalProperties": {"additionalProperties": false}})).unwrap();
    let object = json!({"a\nb".repeat(1_000): {"c\u{1b}[31m".repeat(1_000): 1}});
    let text = schema.check(&object).unwrap_err().to_string();
    assert!(text.len() < 2_000 && !text.contains(char::is_control), "{text}");
}

#[test]
fn a_schema_that_is_no_good_is_refused_with_the_place() {
    let place = |schema: Value| match Schema::new(&schema).unwrap_err() {
        SchemaError::Invalid { place, .. } => place,
        other => panic!("{other}"),
    };
    assert_eq!(place(json!({"properties": {"a": {"type": "strin"}}})), "/properties/a/type");
    assert_eq!(place(json!({"properties": {"a": {"pattern": "("}}})), "/properties/a/pattern");
    assert_eq!(place(json!({"items": [{"required": "a"}]})), "/items");
    assert_eq!(place(json!({"not": {"$ref": "#/$defs/none"}})), "/not/$ref");
    assert_eq!(place(json!({"not": {"$ref": "#none"}})), "/not/$ref");
    assert_eq!(place(json!({"$schema": "https://example.com/mine"})), "/$schema");
    assert_eq!(place(json!("a schema")), "");
    let draft_4 = "http://json-schema.org/draft-04/schema#";
    assert_eq!(place(json!({"$schema": draft_4, "exclusiveMinimum": 3})), "/exclusiveMinimum");
}

#[test]
fn nothing_is_fetched_from_network_or_files() {
    let here = format!("file://{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    for reference in ["http://localhost:1/a.json", "https://example.com/a.json#/b", here.as_str(), "other.json"] {
        let error = Schema::new(&json!({"properties": {"a/b": {"$ref": reference}}})).unwrap_err();
        let (place, reference) = ("/properties/a~1b/$ref".to_owned(), reference.to_owned());
        assert_eq!(error, SchemaError::External { place, reference });
    }
    // What is part of it may be referred to, by its name as well.
    let schema = json!({"$defs": {"text": {"$id": "https://example.com/text", "type": "string"}}, "$ref": "https://example.com/text"});
    assert_eq!(problems(&schema, &json!(1)).len(), 1);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    ] {
        assert_eq!(problems(&schema, &json!({"a": 1})), [""; 0], "{schema}");
    }
    let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    assert_eq!(problems(&list, &json!({"next": {"next": 1}})).len(), 1);
}

fn definition(schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}},
                {"name": "v2", "served": false, "storage": false},
            ],
        },
    })
}

#[test]
fn a_definition_is_read_as_the_server_reads_it() {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "maxLength": 3},
            "port": {"x-kubernetes-int-or-string": true},
            "maybe": {"type": "string", "nullable": true, "enum": ["a"]},
            "either": {"nullable": true, "x-kubernetes-int-or-string": true},
            "limits": {"type": "object", "additionalProperties": {
                "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9]+$", "x-kubernetes-int-or-string": true,
            }},
            "list": {"type": "array", "items": {"type": "integer", "nullable": true, "minimum": 0, "exclusiveMinimum": true}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "at": {"type": "string", "format": "date-time"},
        },
        "required": ["port"],
        "x-kubernetes-validations": [{"rule": "false"}],
    });
    let definition = definition(&schema);
    let typed: CustomResourceDefinition = serde_json::from_value(definition.clone()).unwrap();
    for schema in [Schema::of_crd(&definition, "v1").unwrap(), Schema::of_crd(&typed, "v1").unwrap()] {
        for good in [
            json!({"port": 80, "maybe": null, "either": null, "list": [null, 1], "any": {"a": 1}, "more": 1, "at": "noon"}),
            json!({"port": "http", "maybe": "a", "either": "x", "limits": {"cpu": "3", "memory": 4}, "id": "abc"}),
        ] {
            assert_eq!(schema.check(&good), Ok(()), "{good}");
        }
        let bad = json!({"port": true, "maybe": "b", "either": [], "list": [0], "limits": {"cpu": "x"}, "id": "abcd", "any": null});
        let violations = schema.check(&bad).unwrap_err();
        let mut paths: Vec<_> = violations.iter().map(|violation| violation.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/any", "/either", "/id", "/limits/cpu", "/list/0", "/maybe", "/port"]);
    }
}

#[test]
fn a_definition_without_that_schema_is_refused() {
    let refused = |definition: Value, version: &str| Schema::of_crd(&definition, version).unwrap_err().to_string();
    let good = definition(&json!({"type": "object"}));
    assert_eq!(refused(good.clone(), "v3"), "`sites.example.com` has no version `v3`: name one of v1, v2");
    assert!(refused(good, "v2").starts_with("no schema at `/spec/versions/1/schema/openAPIV3Schema`"));
    assert!(refused(json!({"kind": "Pod"}), "v1").starts_with("no schema at `/spec/versions`"));
    let bad = definition(&json!({"type": "object", "properties": {"a": {"pattern": "("}}}));
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/a/pattern";
    assert!(refused(bad, "v1").starts_with(&format!("the schema is invalid at `{place}`")));
}
