//! `anyOf`, `oneOf`, `allOf` and `not`: of several failed alternatives the one that got furthest is reported.

use serde_json::Value;

use super::node::{Checks, Node};
use super::validate::{self, Verdict};
use crate::field::FieldError;

/// An error about a node as a whole: the real server knows no field for it.
fn composite(detail: &str) -> FieldError {
    FieldError::invalid_str("<nil>", "", detail)
}

/// Checks a value against the clauses of its node.
pub(super) fn check(value: &Value, checks: &Checks, path: &str) -> Verdict {
    let mut verdict = Verdict::default();
    if !checks.any_of.is_empty() {
        verdict.absorb(check_any_of(value, &checks.any_of, path));
    }
    if !checks.one_of.is_empty() {
        verdict.absorb(check_one_of(value, &checks.one_of, path));
    }
    if !checks.all_of.is_empty() {
        verdict.absorb(check_all_of(value, &checks.all_of, path));
    }
    if let Some(not) = &checks.not
        && validate::check(value, not, path).is_valid()
    {
        verdict.errors.push(composite(&format!("\"{path}\" must not validate the schema (not)")));
    }
    verdict.passed += 1;
    verdict
}

/// The verdict that got through most checks; of equals the first.
fn furthest(best: Option<Verdict>, next: Verdict) -> Verdict {
    match best {
        Some(best) if best.passed >= next.passed => best,
        _ => next,
    }
}

fn check_any_of(value: &Value, clauses: &[Node], path: &str) -> Verdict {
    let mut best = None;
    for clause in clauses {
        let next = validate::check(value, clause, path);
        if next.is_valid() {
            return next;
        }
        best = Some(furthest(best, next));
    }
    let mut verdict = Verdict::failed(composite(&format!("\"{path}\" must validate at least one schema (anyOf)")));
    verdict.absorb(best.unwrap_or_default());
    verdict
}

fn check_one_of(value: &Value, clauses: &[Node], path: &str) -> Verdict {
    let (mut valid, mut best) = (Vec::new(), None);
    for clause in clauses {
        let next = validate::check(value, clause, path);
        if next.is_valid() {
            valid.push(next);
        } else {
            best = Some(furthest(best, next));
        }
    }
    let found = match valid.len() {
        1 => return valid.pop().unwrap_or_default(),
        0 => "Found none valid".to_owned(),
        count => format!("Found {count} valid alternatives"),
    };
    let mut verdict =
        Verdict::failed(composite(&format!("\"{path}\" must validate one and only one schema (oneOf). {found}")));
    if valid.is_empty() {
        verdict.absorb(best.unwrap_or_default());
    }
    verdict
}

fn check_all_of(value: &Value, clauses: &[Node], path: &str) -> Verdict {
    let (mut verdict, mut valid) = (Verdict::default(), 0);
    for clause in clauses {
        let next = validate::check(value, clause, path);
        valid += usize::from(next.is_valid());
        verdict.absorb(next);
    }
    if valid != clauses.len() {
        let suffix = if valid == 0 { ". None validated" } else { "" };
        verdict.errors.push(composite(&format!("\"{path}\" must validate all the schemas (allOf){suffix}")));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::errors;

    #[test]
    fn alternatives_report_the_one_that_got_furthest() {
        let any = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                         "anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
        assert_eq!(
            errors(&any, &json!({})),
            [
                r#"<nil>: Invalid value: "": "spec.x" must validate at least one schema (anyOf)"#,
                "spec.x.a: Required value"
            ]
        );
        assert_eq!(errors(&any, &json!({"b": "1"})), [""; 0]);

        let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                         "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        assert_eq!(
            errors(&one, &json!({"a": "1", "b": "1"})),
            [
                r#"<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
            ]
        );

        let all = json!({"type": "integer", "allOf": [{"minimum": 1}, {"maximum": 5}]});
        assert_eq!(
            errors(&all, &json!(7)),
            [
                "spec.x: Invalid value: 7: spec.x in body should be less than or equal to 5",
                r#"<nil>: Invalid value: "": "spec.x" must validate all the schemas (allOf)"#
            ]
        );

        let not = json!({"type": "integer", "not": {"minimum": 5}});
        assert_eq!(
            errors(&not, &json!(7)),
            [r#"<nil>: Invalid value: "": "spec.x" must not validate the schema (not)"#]
        );
    }
}
