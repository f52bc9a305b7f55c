//! Kubernetes Events by `kube_runtime`'s recorder, about what [`object_ref`] refers to (D5).

use k8s_openapi::api::events::v1::Event as Published;
use kube::api::ListParams;
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use kubehandler::owners::object_ref;

use super::support::on_both;

#[test]
fn d5_an_event_that_repeats_is_one_that_counts() {
    on_both(async |world| {
        let map = world.create("settings", "1").await;
        let reporter = Reporter { controller: "example.com/it".to_owned(), instance: None };
        let recorder = Recorder::new(world.client.clone(), reporter);
        let event = |reason: &str| Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            action: "Read".to_owned(),
            note: Some(format!("it was {reason}")),
            secondary: None,
        };
        for reason in ["read", "read", "used", "read"] {
            recorder.publish(&event(reason), &object_ref(&map, &())).await.unwrap();
        }
        let published = world.api::<Published>().list(&ListParams::default()).await.unwrap();
        let mut published: Vec<_> = published
            .into_iter()
            .filter(|event| event.reporting_controller.as_deref() == Some("example.com/it"))
            .map(|event| {
                let about = event.regarding.expect("what it is about");
                assert_eq!((about.uid, about.name), (map.metadata.uid.clone(), map.metadata.name.clone()));
                (event.reason.expect("a reason"), event.series.map(|series| series.count))
            })
            .collect();
        published.sort();
        assert_eq!(published, [("read".to_owned(), Some(3)), ("used".to_owned(), None)]);
    });
}
