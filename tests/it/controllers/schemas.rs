//! D3: what a schema rejects is reported, counted and skipped until it changes; what had been added is deleted all the same.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubehandler::{Predicate, Rejections, Schema};
use serde_json::json;

use super::*;
use crate::support::{Logs, World, on_both_in_one_thread};

const SKIPPED: &str = "the schema rejects the object: skipped until it changes";

/// `data.value` is a digit, and nothing else is there.
fn digits() -> Schema {
    let schema = json!({"properties": {"data": {
        "required": ["value"],
        "properties": {"value": {"type": "string", "pattern": "^[0-9]$", "maxLength": 3}},
        "additionalProperties": false,
    }}});
    Schema::new(&schema).unwrap()
}

async fn with_digits(world: &World, options: &Options) -> (Rejections, Running) {
    let controller = diarist(world.informers.informer::<ConfigMap>(), options).schema(digits());
    (controller.rejections(), run(controller, 2).await)
}

async fn rejected(rejections: &Rejections, names: &[&str]) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    becomes("what is rejected", names, || {
        rejections.keys().iter().map(|key| key.name().to_owned()).collect::<Vec<_>>()
    })
    .await;
}

#[test]
fn d3_a_rejected_object_is_reported_once_with_every_violation_and_added_when_it_passes() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let options = Options::default();
        let (rejections, running) = with_digits(world, &options).await;
        world.create("a", "none").await;
        world.create("b", "2").await;
        rejected(&rejections, &["a"]).await;
        options.diary.tells("b", &["add 2"]).await;
        let key = world.key("a").to_string();
        let line = logs.lines_with(&[SKIPPED, &key]).concat();
        assert!(line.contains("/data/value: the value does not match \"^[0-9]$\" (pattern)"), "{line}");
        assert!(line.contains("/data/value: the value is longer than 3 characters (maxLength)"), "{line}");
        assert!(line.contains("WARN") && line.contains("handler=diarist") && !line.contains("none"), "{line}");
        // Visible, and no failure.
        let snapshot = running.handle.snapshot();
        let parked = &snapshot.keys[0];
        assert_eq!((&parked.key, parked.state), (&world.key("a"), KeyState::Parked { by_cap: false }));
        assert!(parked.last_error.as_ref().unwrap().contains("the schema rejects it: /data/value"), "{parked:?}");
        // Nobody changed it: nobody is told again.
        running.handle.release("diarist", &world.key("a")).unwrap();
        eventually("it was looked at again", || running.handle.snapshot().calls.skipped == 2).await;
        assert_eq!((logs.lines_with(&[SKIPPED]).len(), rejections.total()), (1, 1));
        // Another bad one is another report.
        world.change("a", "many").await;
        eventually("it is counted", || rejections.total() == 2).await;
        assert_eq!(logs.lines_with(&[SKIPPED]).len(), 2);
        assert_eq!(options.diary.story("a"), [""; 0]);
        world.change("a", "3").await;
        options.diary.tells("a", &["add 3"]).await;
        rejected(&rejections, &[]).await;
        // One that is bad at the end is no work left undone.
        world.create("c", "none").await;
        rejected(&rejections, &["c"]).await;
        eventually("it is parked", || running.handle.snapshot().calls.skipped == 4).await;
        let report = running.stop().await;
        assert_eq!((report.calls.failed, report.calls.skipped, report.is_clean()), (0, 4, true), "{report}");
    });
}

#[test]
fn d3_an_added_object_that_turns_bad_is_left_alone_and_deleted_with_the_state_that_was_given() {
    on_embedded(async |world| {
        let options = Options::default();
        let delay = Duration::from_secs(30);
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).schema(digits());
        let rejections = controller.rejections();
        let running = run(controller.reconcile_delay(delay), 2).await;
        world.create("a", "1").await;
        options.diary.tells("a", &["add 1"]).await;
        world.change("a", "bad").await;
        rejected(&rejections, &["a"]).await;
        let before = options.diary.story("a");
        time_passes(10 * delay).await;
        assert_eq!(options.diary.story("a"), before, "no reconcile while it is bad");
        world.delete("a").await;
        eventually("it is settled", || running.handle.snapshot().keys.is_empty()).await;
        assert_eq!(options.diary.story("a").last().unwrap(), "delete 1");
        rejected(&rejections, &[]).await;
    });
}

#[test]
fn d3_a_deletion_is_delivered_if_and_only_if_the_add_was() {
    on_both(async |world| {
        let options = Options::default();
        let (rejections, running) = with_digits(world, &options).await;
        world.create("never", "bad").await;
        rejected(&rejections, &["never"]).await;
        // Its `add` was attempted, and failed.
        options.fails_with(Permanent::new("not this one"));
        world.create("tried", "1").await;
        options.diary.tells("tried", &["add 1"]).await;
        world.change("tried", "bad").await;
        rejected(&rejections, &["never", "tried"]).await;
        world.delete("never").await;
        world.delete("tried").await;
        options.diary.tells("tried", &["add 1", "delete 1"]).await;
        rejected(&rejections, &[]).await;
        assert_eq!(options.diary.story("never"), [""; 0]);
        // Another life under the name is looked at anew.
        world.create("never", "1").await;
        options.diary.tells("never", &["add 1"]).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn d3_a_deletion_gives_the_last_state_known_if_that_passes() {
    on_embedded(async |world| {
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).schema(digits());
        // Changes that do not wake it.
        let controller = controller.configure(|options| options.predicate(Predicate::labels_changed()));
        let _running = run(controller, 2).await;
        for (name, value) in [("good", "2"), ("bad", "none")] {
            world.create(name, "1").await;
            options.diary.tells(name, &["add 1"]).await;
            world.change(name, value).await;
            world.delete(name).await;
        }
        options.diary.tells("good", &["add 1", "delete 2"]).await;
        options.diary.tells("bad", &["add 1", "delete 1"]).await;
    });
}

#[test]
fn d3_with_a_finalizer_what_an_earlier_process_may_have_added_is_deleted_though_rejected() {
    on_both(async |world| {
        let finalizer = |options: HandlerOptions| options.finalizer("example.com/diarist");
        let first = Options::default();
        let running = run(diarist(world.informers.informer::<ConfigMap>(), &first).configure(finalizer), 2).await;
        world.create("a", "old").await;
        first.diary.tells("a", &["add old"]).await;
        running.stop().await;
        world.delete("a").await;
        let second = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &second).configure(finalizer);
        let _running = run(controller.schema(digits()), 2).await;
        second.diary.tells("a", &["delete old"]).await;
    });
}

#[test]
fn d3_what_a_rejected_secret_holds_reaches_no_log_and_no_error() {
    const SECRET: &str = "hunter2";
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let schema = Schema::new(&json!({"properties": {
            "data": {"additionalProperties": {"type": "string", "pattern": "^[a-z]$"}, "maxProperties": 0},
            "type": {"const": "example.com/mine"},
        }}));
        let options = Options::default();
        let controller = diarist(world.informers.informer::<Secret>(), &options).schema(schema.unwrap());
        let rejections = controller.rejections();
        let running = run(controller, 2).await;
        let secrets: Api<Secret> = world.api();
        let metadata = ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() };
        let data = [("password".to_owned(), ByteString(SECRET.as_bytes().to_vec()))].into();
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        rejected(&rejections, &["a"]).await;
        let note = Patch::Merge(json!({"metadata": {"annotations": {"example.com/note": "seen"}}}));
        secrets.patch("a", &PatchParams::default(), &note).await.unwrap();
        eventually("it was rejected again", || rejections.total() == 2).await;
        let snapshot = format!("{:?}", running.handle.snapshot());
        secrets.delete("a", &DeleteParams::default()).await.unwrap();
        rejected(&rejections, &[]).await;
        let encoded = serde_json::to_string(&secret).unwrap();
        let encoded = encoded.split("\"password\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let logged = logs.lines_with(&[]).concat();
        assert!(logged.contains("/data/password"), "the violation itself is logged: {logged}");
        let report = running.stop().await.to_string();
        for text in [logged, snapshot, report, format!("{rejections:?}")] {
            assert!(!text.contains(SECRET) && !text.contains(encoded), "{text}");
        }
    });
}

#[test]
fn d3_the_schema_of_the_definition_holds_for_objects_that_are_older() {
    on_both(async |world| {
        let definition = json!({
            "metadata": {"name": "values.example.com"},
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"data": {"type": "object", "properties": {"value": {"type": "string", "enum": ["new"]}}}},
            }}}]},
        });
        let schema = Schema::of_crd(&definition, "v1").unwrap();
        world.create("old", "old").await;
        world.create("new", "new").await;
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).schema(schema);
        let rejections = controller.rejections();
        let _running = run(controller, 2).await;
        options.diary.tells("new", &["add new"]).await;
        rejected(&rejections, &["old"]).await;
        assert_eq!(options.diary.story("old"), [""; 0]);
    });
}
