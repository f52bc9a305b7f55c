//! JSON patch (RFC 6902) with the quirks and the words of the library that the real server uses (evanphx/json-patch v4).
//!
//! The crate `json-patch` was considered and left: its errors are worded differently, and the real server accepts what the
//! RFC does not (negative indices, `replace` of an absent key, `test` of an absent key against null), which tests of
//! controllers do run into.
//!
//! Invariant: a patch applies as a whole or not at all; the target is never touched.

use serde_json::Value;

use super::PatchError;
use crate::field::go_kind;

/// The most operations that one JSON patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// Applies the operations of `patch`, in order, to a copy of `target`.
///
/// # Errors
/// [`PatchError::Invalid`] when `patch` is not a list of objects, [`PatchError::TooLarge`] beyond 10,000 operations,
/// [`PatchError::Unprocessable`] when an operation does not apply or a test fails.
pub(crate) fn json(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Invalid(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
            go_kind(patch)
        )));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    if let Some(wrong) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(PatchError::Invalid(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
            go_kind(wrong)
        )));
    }
    let mut document = target.clone();
    for operation in operations {
        run(&mut document, operation).map_err(PatchError::unprocessable)?;
    }
    Ok(document)
}

fn run(document: &mut Value, operation: &Value) -> Result<(), String> {
    match operation.get("op").and_then(Value::as_str).unwrap_or("unknown") {
        "add" => add_operation(document, operation),
        "remove" => remove_operation(document, operation),
        "replace" => replace_operation(document, operation),
        "move" => move_operation(document, operation),
        "copy" => copy_operation(document, operation),
        "test" => test_operation(document, operation),
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn path_of<'o>(operation: &'o Value, verb: &str) -> Result<&'o str, String> {
    operation
        .get("path")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{verb} operation failed to decode path: missing value"))
}

fn from_of<'o>(operation: &'o Value, verb: &str) -> Result<&'o str, String> {
    operation
        .get("from")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{verb} operation failed to decode from: operation, missing from field: missing value"))
}

fn value_of(operation: &Value) -> Value {
    operation.get("value").cloned().unwrap_or(Value::Null)
}

fn add_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let path = path_of(operation, "add")?;
    let (container, key) = find(document, path)
        .ok_or_else(|| format!("add operation does not apply: doc is missing path: \"{path}\": missing value"))?;
    add(container, &key, value_of(operation)).map_err(|cause| format!("error in add for path: '{path}': {cause}"))
}

fn remove_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let path = path_of(operation, "remove")?;
    let (container, key) = find(document, path)
        .ok_or_else(|| format!("remove operation does not apply: doc is missing path: \"{path}\": missing value"))?;
    remove(container, &key).map(drop).map_err(|cause| format!("error in remove for path: '{path}': {cause}"))
}

fn replace_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let path = path_of(operation, "replace")?;
    let value = value_of(operation);
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array: %!w(<nil>)".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let (container, key) = find(document, path)
        .ok_or_else(|| format!("replace operation does not apply: doc is missing path: {path}: missing value"))?;
    match container {
        // An absent key is not an error here: the real server's map lookup cannot fail.
        Value::Object(fields) => {
            fields.insert(key, value);
            Ok(())
        }
        Value::Array(items) => match existing_index(&key, items.len()) {
            Ok(index) => {
                items[index] = value;
                Ok(())
            }
            Err(_) => Err(format!("replace operation does not apply: doc is missing key: {path}: missing value")),
        },
        _ => Err(format!("replace operation does not apply: doc is missing path: {path}: missing value")),
    }
}

fn move_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let from = from_of(operation, "move")?;
    let (container, key) = find(document, from)
        .ok_or_else(|| format!("move operation does not apply: doc is missing from path: {from}: missing value"))?;
    let value = remove(container, &key).map_err(|cause| format!("error in move for path: '{key}': {cause}"))?;
    let path = path_of(operation, "move")?;
    let (container, key) = find(document, path).ok_or_else(|| {
        format!("move operation does not apply: doc is missing destination path: {path}: missing value")
    })?;
    add(container, &key, value).map_err(|cause| format!("error in move for path: '{path}': {cause}"))
}

fn copy_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let from = from_of(operation, "copy")?;
    let (container, key) = find(document, from)
        .ok_or_else(|| format!("copy operation does not apply: doc is missing from path: {from}: missing value"))?;
    let value = look_up(container, &key)
        .map_err(|cause| format!("error in copy for from: '{from}': {cause}"))?
        .cloned()
        .unwrap_or(Value::Null);
    let path = path_of(operation, "copy")?;
    let (container, key) = find(document, path).ok_or_else(|| {
        format!("copy operation does not apply: doc is missing destination path: {path}: missing value")
    })?;
    add(container, &key, value).map_err(|cause| format!("error while adding value during copy: {cause}"))
}

fn test_operation(document: &mut Value, operation: &Value) -> Result<(), String> {
    let path = path_of(operation, "test")?;
    let expected = value_of(operation);
    if path.is_empty() {
        return if same(document, &expected) {
            Ok(())
        } else {
            Err(format!("testing value {path} failed: test failed"))
        };
    }
    let (container, key) = find(document, path)
        .ok_or_else(|| format!("test operation does not apply: is missing path: {path}: missing value"))?;
    let actual = look_up(container, &key).map_err(|cause| format!("error in test for path: '{path}': {cause}"))?;
    if same(actual.unwrap_or(&Value::Null), &expected) {
        Ok(())
    } else {
        Err(format!("testing value {path} failed: test failed"))
    }
}

/// The container that holds the last token of `pointer`, and that token unescaped; none when the way there is missing.
fn find<'d>(document: &'d mut Value, pointer: &str) -> Option<(&'d mut Value, String)> {
    let (_, tokens) = pointer.split_once('/')?;
    let mut tokens: Vec<String> = tokens.split('/').map(unescape).collect();
    let last = tokens.pop()?;
    let mut container = document;
    for token in tokens {
        container = match container {
            Value::Object(fields) => fields.get_mut(&token)?,
            Value::Array(items) => {
                let index = existing_index(&token, items.len()).ok()?;
                &mut items[index]
            }
            _ => return None,
        };
    }
    (container.is_object() || container.is_array()).then_some((container, last))
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

fn look_up<'d>(container: &'d Value, key: &str) -> Result<Option<&'d Value>, String> {
    match container {
        Value::Array(items) => existing_index(key, items.len()).map(|index| items.get(index)),
        other => Ok(other.get(key)),
    }
}

fn add(container: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match container {
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index =
                parse_index(key).map_err(|cause| format!("value was not a proper array index: '{key}': {cause}"))?;
            let place = resolve(index, items.len() + 1)?;
            items.insert(place, value);
        }
        _ => return Err("missing value".to_owned()),
    }
    Ok(())
}

fn remove(container: &mut Value, key: &str) -> Result<Value, String> {
    match container {
        Value::Array(items) => existing_index(key, items.len()).map(|index| items.remove(index)),
        other => other
            .as_object_mut()
            .and_then(|fields| fields.remove(key))
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
    }
}

fn existing_index(key: &str, length: usize) -> Result<usize, String> {
    resolve(parse_index(key)?, length)
}

fn parse_index(key: &str) -> Result<i64, String> {
    key.parse().map_err(|_| format!("strconv.Atoi: parsing \"{key}\": invalid syntax"))
}

/// A place below `length`; negative indices count from the end.
fn resolve(index: i64, length: usize) -> Result<usize, String> {
    let place = if index < 0 { i64::try_from(length).map_or(-1, |length| length + index) } else { index };
    usize::try_from(place)
        .ok()
        .filter(|place| *place < length)
        .ok_or_else(|| format!("Unable to access invalid index: {index}: invalid index referenced"))
}

/// Equality by value: `1` and `1.0` are different texts and so different, as in the real server.
fn same(left: &Value, right: &Value) -> bool {
    left == right
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::any_json;

    #[track_caller]
    fn applies(target: &Value, patch: &Value, expected: &Value) {
        assert_eq!(json(target, patch).as_ref(), Ok(expected), "{target} + {patch}");
    }

    #[track_caller]
    fn refuses(target: &Value, patch: &Value, expected: &str) {
        assert_eq!(json(target, patch), Err(PatchError::unprocessable(expected)), "{target} + {patch}");
    }

    #[test]
    fn each_operation_does_its_work() {
        applies(&json!({}), &json!([{"op": "add", "path": "/a", "value": 1}]), &json!({"a": 1}));
        applies(&json!({"a": [1, 3]}), &json!([{"op": "add", "path": "/a/1", "value": 2}]), &json!({"a": [1, 2, 3]}));
        applies(&json!({"a": [1]}), &json!([{"op": "add", "path": "/a/-", "value": 2}]), &json!({"a": [1, 2]}));
        applies(&json!({"a": 1, "b": 2}), &json!([{"op": "remove", "path": "/a"}]), &json!({"b": 2}));
        applies(&json!({"a": [1, 2]}), &json!([{"op": "remove", "path": "/a/-1"}]), &json!({"a": [1]}));
        applies(&json!({"a": 1}), &json!([{"op": "replace", "path": "/a", "value": 2}]), &json!({"a": 2}));
        applies(&json!({"a": 1}), &json!([{"op": "replace", "path": "/b", "value": 2}]), &json!({"a": 1, "b": 2}));
        applies(&json!({"a": 1}), &json!([{"op": "move", "from": "/a", "path": "/b"}]), &json!({"b": 1}));
        applies(&json!({"a": [1]}), &json!([{"op": "copy", "from": "/a/0", "path": "/b"}]), &json!({"a": [1], "b": 1}));
        applies(
            &json!({"a": {"b": 1}}),
            &json!([{"op": "test", "path": "/a", "value": {"b": 1}}]),
            &json!({"a": {"b": 1}}),
        );
        applies(&json!({}), &json!([{"op": "test", "path": "/a", "value": null}]), &json!({}));
        applies(
            &json!({"a/b": {"~": 1}}),
            &json!([{"op": "replace", "path": "/a~1b/~0", "value": 2}]),
            &json!({"a/b": {"~": 2}}),
        );
        applies(&json!({"a": 1}), &json!([{"op": "replace", "path": "", "value": {}}]), &json!({}));
    }

    #[test]
    fn what_does_not_apply_is_refused_in_the_real_words() {
        refuses(
            &json!({}),
            &json!([{"op": "add", "path": "/a/b", "value": 1}]),
            "add operation does not apply: doc is missing path: \"/a/b\": missing value",
        );
        refuses(
            &json!({}),
            &json!([{"op": "remove", "path": "/a"}]),
            "error in remove for path: '/a': Unable to remove nonexistent key: a: missing value",
        );
        refuses(
            &json!({"a": 1}),
            &json!([{"op": "test", "path": "/a", "value": 2}]),
            "testing value /a failed: test failed",
        );
        refuses(
            &json!({"a": []}),
            &json!([{"op": "replace", "path": "/a/0", "value": 2}]),
            "replace operation does not apply: doc is missing key: /a/0: missing value",
        );
        refuses(
            &json!({"a": []}),
            &json!([{"op": "add", "path": "/a/7", "value": 2}]),
            "error in add for path: '/a/7': Unable to access invalid index: 7: invalid index referenced",
        );
        refuses(&json!({}), &json!([{"op": "sing", "path": "/a"}]), "Unexpected kind: sing");
        refuses(&json!({}), &json!([{"path": "/a"}]), "Unexpected kind: unknown");
        refuses(&json!({}), &json!([{"op": "add"}]), "add operation failed to decode path: missing value");
    }

    #[test]
    fn a_patch_that_is_no_list_of_objects_is_a_bad_request() {
        assert!(matches!(json(&json!({}), &json!({"a": 1})), Err(PatchError::Invalid(_))));
        assert!(matches!(json(&json!({}), &json!([1])), Err(PatchError::Invalid(_))));
        let many: Vec<Value> = vec![json!({"op": "test", "path": "", "value": {}}); MAX_OPERATIONS + 1];
        assert!(matches!(json(&json!({}), &json!(many)), Err(PatchError::TooLarge(_))));
    }

    #[test]
    fn a_later_failure_leaves_nothing_of_the_earlier_operations() {
        let target = json!({"a": 1});
        let patch = json!([{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/c"}]);
        assert!(json(&target, &patch).is_err());
        assert_eq!(target, json!({"a": 1}));
    }

    proptest! {
        #[test]
        fn any_pointer_in_any_document_is_answered(target in any_json(), op in "add|remove|replace|move|copy|test",
                                                   path in "(/[a-c0-2~-]{0,2}){0,3}", from in "(/[a-c0-2]{0,2}){0,3}",
                                                   value in any_json()) {
            let patch = json!([{"op": op, "path": path, "from": from, "value": value}]);
            // Whatever the answer, there is one: no panic on what a client sends.
            let answer = json(&target, &patch);
            let is_known = answer.is_ok() || matches!(answer, Err(PatchError::Unprocessable { .. }));
            prop_assert!(is_known);
        }
    }
}
