//! What each predicate looks at, and what holds where it cannot be told.

use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cache::TypeMeta;

fn object(metadata: &Value) -> StoredObject {
    let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
    let mut object = json!({"metadata": {"name": "a", "resourceVersion": "1"}});
    object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    StoredObject::parse(object.to_string().as_bytes(), &types, false).unwrap()
}

fn passes(predicate: &Predicate, old: &Value, new: &Value) -> bool {
    predicate.passes("handler", &object(old), &object(new))
}

#[test]
fn each_predicate_looks_at_its_own_field_only() {
    let state = |generation: i64, label: &str, annotation: &str| json!({"generation": generation, "labels": {"l": label}, "annotations": {"a": annotation}});
    let before = state(1, "x", "x");
    for (after, [generation, labels, annotations]) in [
        (state(1, "x", "x"), [false, false, false]),
        (state(2, "x", "x"), [true, false, false]),
        (state(1, "y", "x"), [false, true, false]),
        (state(1, "x", "y"), [false, false, true]),
        (json!({"generation": 1}), [false, true, true]),
        (json!({"labels": {"l": "x"}, "annotations": {"a": "x"}}), [true, false, false]),
    ] {
        let check = |predicate: &Predicate, expected: bool| {
            assert_eq!(passes(predicate, &before, &after), expected, "{predicate:?} to {after}");
            assert_eq!(passes(predicate, &after, &before), expected, "{predicate:?} from {after}");
            let inverted = !predicate.clone();
            assert_eq!(passes(&inverted, &before, &after), !expected, "{inverted:?} to {after}");
        };
        check(&Predicate::generation_changed(), generation);
        check(&Predicate::labels_changed(), labels);
        check(&Predicate::annotations_changed(), annotations);
    }
}

#[test]
fn where_nothing_has_a_generation_it_cannot_be_told_and_the_change_passes() {
    let (old, new) = (json!({}), json!({"labels": {"l": "x"}}));
    let predicate = Predicate::generation_changed();
    assert!(passes(&predicate, &old, &new));
    assert!(passes(&!predicate.clone(), &old, &new));
    assert!(!passes(&predicate.and(Predicate::annotations_changed()), &old, &new), "the other part says no for sure");
}

#[test]
fn a_closure_is_given_the_old_and_the_new_state() {
    let metadata = Predicate::when_metadata(|old, new| {
        assert_eq!((old.key().name(), new.resource_version().as_str(), new.is_deleting()), ("a", "1", false));
        (old.label("l"), new.annotation("a").as_deref()) == (Some("x"), Some("y"))
    });
    let (old, new) = (json!({"labels": {"l": "x"}}), json!({"annotations": {"a": "y"}}));
    assert!(passes(&metadata, &old, &new));
    assert!(!passes(&metadata, &new, &old));
    let generation = |object: &ConfigMap| object.metadata.generation;
    let typed = Predicate::when(move |old: &ConfigMap, new: &ConfigMap| generation(old) < generation(new));
    assert!(passes(&typed, &json!({"generation": 1}), &json!({"generation": 2})));
    assert!(!passes(&typed, &json!({"generation": 2}), &json!({"generation": 1})));
}

#[test]
fn what_does_not_decode_and_what_panics_passes_even_inverted() {
    let (good, bad) = (json!({}), json!({"labels": 5}));
    let typed = Predicate::when(|_: &ConfigMap, _: &ConfigMap| false);
    let panics = Predicate::when_metadata(|_, _| panic!("no opinion"));
    assert!(!passes(&typed, &good, &good));
    for (old, new) in [(&good, &bad), (&bad, &good), (&bad, &bad)] {
        assert!(passes(&typed, old, new));
        assert!(passes(&!typed.clone(), old, new));
    }
    assert!(passes(&panics, &good, &good));
    assert!(passes(&!panics, &good, &good));
}

#[test]
fn the_second_part_is_asked_only_where_the_first_leaves_it_open() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let second = Predicate::when_metadata(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    });
    let says = |answer: bool| Predicate::when_metadata(move |_, _| answer);
    let state = json!({});
    assert!(!passes(&says(false).and(second.clone()), &state, &state));
    assert!(passes(&says(true).or(second.clone()), &state, &state));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(passes(&says(true).and(second.clone()), &state, &state));
    assert!(passes(&says(false).or(second), &state, &state));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_closure_over_another_type_is_found_wherever_it_stands() {
    let (own, foreign) = (Kind::of::<ConfigMap>(), Kind::of::<Secret>());
    let over_secrets = || Predicate::when(|_: &Secret, _: &Secret| true);
    let over_maps = || Predicate::when(|_: &ConfigMap, _: &ConfigMap| true);
    for (predicate, found) in [
        (Predicate::generation_changed().or(Predicate::when_metadata(|_, _| true)), None),
        (over_maps().and(over_maps()), None),
        (over_secrets(), Some(foreign)),
        (over_maps().or(Predicate::labels_changed().and(!over_secrets())), Some(foreign)),
    ] {
        assert_eq!(predicate.foreign_kind(own), found, "{predicate:?}");
    }
}

/// A predicate without its closures.
#[derive(Clone, Debug)]
enum Formula {
    /// `None`: it cannot be told.
    Leaf(Option<bool>),
    And(Box<Formula>, Box<Formula>),
    Or(Box<Formula>, Box<Formula>),
    Not(Box<Formula>),
}

impl Formula {
    fn predicate(&self) -> Predicate {
        match self {
            Self::Leaf(Some(answer)) => {
                let answer = *answer;
                Predicate::when_metadata(move |_, _| answer)
            }
            // No object is a number.
            Self::Leaf(None) => Predicate::when(|_: &u32, _: &u32| false),
            Self::And(one, other) => one.predicate().and(other.predicate()),
            Self::Or(one, other) => one.predicate().or(other.predicate()),
            Self::Not(inner) => !inner.predicate(),
        }
    }

    /// The answers that are possible if what cannot be told may be either.
    fn possible(&self) -> Vec<bool> {
        let pairs = |one: &Self, other: &Self, join: fn(bool, bool) -> bool| {
            let (one, other) = (one.possible(), other.possible());
            one.into_iter().flat_map(|one| other.iter().map(move |other| join(one, *other))).collect()
        };
        match self {
            Self::Leaf(Some(answer)) => vec![*answer],
            Self::Leaf(None) => vec![true, false],
            Self::And(one, other) => pairs(one, other, |one, other| one && other),
            Self::Or(one, other) => pairs(one, other, |one, other| one || other),
            Self::Not(inner) => inner.possible().into_iter().map(|answer| !answer).collect(),
        }
    }
}

fn formula() -> impl Strategy<Value = Formula> {
    any::<Option<bool>>().prop_map(Formula::Leaf).prop_recursive(4, 12, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (boxed(), boxed()).prop_map(|(one, other)| Formula::And(one, other)),
            (boxed(), boxed()).prop_map(|(one, other)| Formula::Or(one, other)),
            boxed().prop_map(Formula::Not),
        ]
    })
}

proptest! {
    #[test]
    fn a_change_is_held_back_only_if_it_is_whatever_the_untold_answers_are(formula in formula()) {
        let state = json!({});
        prop_assert_eq!(passes(&formula.predicate(), &state, &state), formula.possible().contains(&true));
    }
}
