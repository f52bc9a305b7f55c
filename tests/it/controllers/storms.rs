//! Ten thousand objects that the schema rejects: what is logged and kept of them stays small, and the good ones flow.

use std::collections::BTreeMap;

use kube::api::{Api, PostParams};
use kubehandler::Schema;
use serde_json::json;

use super::*;
use crate::support::Logs;
use crate::support::world::config_map;

const BAD: usize = 10_000;

#[test]
fn d3_ten_thousand_bad_objects_make_a_handful_of_lines_and_harm_nobody() {
    on_embedded(async |world| {
        let api: Api<ConfigMap> = world.api();
        // Each breaks the rule two dozen times.
        let data = (0..24).map(|field| (format!("field-{field}"), "x".to_owned()));
        let data: BTreeMap<_, _> = data.collect();
        for number in 0..BAD {
            let mut object = config_map(&format!("bad-{number}"), "x", &[]);
            object.data = Some(data.clone());
            api.create(&PostParams::default(), &object).await.unwrap();
        }
        world.create("good", "y").await;
        let logs = Logs::capture();
        let schema = Schema::new(&json!({"properties": {"data": {"additionalProperties": {"const": "y"}}}})).unwrap();
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).schema(schema);
        let rejections = controller.rejections();
        let running = run(controller.reconcile_delay(Duration::from_secs(30)), 2).await;
        eventually("all are rejected", || rejections.objects() == BAD).await;
        options.diary.tells("good", &["add y"]).await;
        // They are not looked at again, however often others are reconciled.
        time_passes(Duration::from_secs(600)).await;
        assert!(options.diary.story("good").len() > 15);
        assert_eq!((rejections.total(), running.handle.snapshot().calls.skipped), (BAD as u64, BAD as u64));

        let lines = logs.lines_with(&[]);
        let of = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(of("the schema rejects the object: skipped until it changes"), 20);
        let numbers = of("the schema rejects many objects");
        assert!((10..20).contains(&numbers) && lines.len() < 60, "{numbers} {}", lines.len());
        assert!(lines.iter().all(|line| line.len() < 3_000), "a line is bounded");
        assert!(lines.iter().any(|line| line.contains("; and 4 more")), "and says what it leaves out");
        for key in running.handle.snapshot().keys {
            assert!(key.last_error.unwrap().len() < 200, "what is kept of each is short");
        }

        // One of them is mended, and one is new.
        let mended: BTreeMap<_, _> = data.keys().map(|field| (field, "y")).collect();
        world.patch("bad-7", json!({"data": mended})).await;
        options.diary.tells("bad-7", &["add ?"]).await;
        world.create("better", "y").await;
        eventually("it is added", || !options.diary.story("better").is_empty()).await;
        let report = running.stop().await;
        assert!(report.is_clean() && report.calls.failed == 0, "{report}");
    });
}
