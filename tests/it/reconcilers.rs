//! What those who come from kube-rs or controller-runtime look for: `Action`, an error policy, and a controller in one builder.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ObjectMeta, PostParams};
use kubehandler::{
    Action, Context, Controller, EventHandler, EventLoop, KeyState, ObjectKey, Permanent, Reconciler, Reconciling,
    SharedInformer,
};
use tokio::time::Instant;

use crate::support::wait::becomes;
use crate::support::{Running, World, eventually, on_both, on_embedded, time_passes};

const MINUTE: Duration = Duration::from_secs(60);

/// The calls that were made, and when.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Vec<(String, Instant)>>>);

impl Calls {
    fn note(&self, call: &str) {
        self.0.lock().unwrap().push((call.to_owned(), Instant::now()));
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(call, _)| call.clone()).collect()
    }

    async fn are(&self, expected: &[&str]) {
        becomes("the calls", expected.iter().map(|&call| call.to_owned()).collect(), || self.all()).await;
    }

    /// How long after one call the next came.
    fn gaps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().windows(2).map(|pair| pair[1].1 - pair[0].1).collect()
    }
}

async fn run(handler: impl EventHandler) -> Running {
    let mut event_loop = EventLoop::builder("reconcilers").seed(7).build();
    event_loop.register(handler).unwrap();
    Running::start(event_loop, 2).ready().await
}

fn value(object: &ConfigMap) -> String {
    object.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap_or_default()
}

fn controller(world: &World) -> Controller<ConfigMap> {
    Controller::new("controller", world.informers.informer())
}

#[test]
fn an_action_says_when_the_object_is_reconciled_again() {
    on_embedded(async |world| {
        let calls = Calls::default();
        let noted = calls.clone();
        let handler = controller(world)
            .reconcile(move |object, _ctx| async move {
                noted.note(&value(&object));
                Ok(if value(&object) == "wait" { Action::await_change() } else { Action::requeue(MINUTE) })
            })
            .cleanup({
                let calls = calls.clone();
                move |object, ctx| async move {
                    assert_eq!(object.metadata.name.as_deref(), Some(ctx.key().name()));
                    calls.note("cleanup");
                    Ok(())
                }
            });
        let running = run(handler).await;
        world.create("a", "again").await;
        time_passes(2 * MINUTE + MINUTE / 2).await;
        calls.are(&["again", "again", "again"]).await;
        assert!(calls.gaps().iter().all(|gap| (MINUTE..MINUTE + MINUTE / 60).contains(gap)), "{:?}", calls.gaps());
        world.change("a", "wait").await;
        time_passes(10 * MINUTE).await;
        calls.are(&["again", "again", "again", "wait"]).await;
        world.delete("a").await;
        calls.are(&["again", "again", "again", "wait", "cleanup"]).await;
        let report = running.stop().await;
        assert!(report.is_clean() && report.calls.reconciles == 2, "{report}");
    });
}

#[test]
fn an_error_policy_overrules_what_the_error_asks_for_and_need_not() {
    on_embedded(async |world| {
        let calls = Calls::default();
        let noted = calls.clone();
        let handler = controller(world)
            .reconcile(move |object, _ctx| async move {
                noted.note(&value(&object));
                match value(&object).as_str() {
                    "permanent" => Err(Permanent::new("no use").into()),
                    "good" => Ok(()),
                    other => Err(anyhow::anyhow!("{other}")),
                }
            })
            .error_policy(|error, ctx| match error.to_string().as_str() {
                "no use" => Some(Action::requeue(MINUTE)),
                "given up" => Some(Action::await_change()),
                _ => {
                    assert!(ctx.attempt() > 0);
                    None
                }
            });
        let running = run(handler).await;
        // It would have been parked.
        world.create("a", "permanent").await;
        time_passes(2 * MINUTE + MINUTE / 2).await;
        calls.are(&["permanent", "permanent", "permanent"]).await;
        assert!(calls.gaps().iter().all(|gap| (MINUTE..MINUTE + MINUTE / 60).contains(gap)), "{:?}", calls.gaps());
        // It would have been tried again.
        world.change("a", "given up").await;
        calls.are(&["permanent", "permanent", "permanent", "given up"]).await;
        time_passes(10 * MINUTE).await;
        assert_eq!(calls.all().len(), 4);
        let parked = running.handle.snapshot().keys.remove(0);
        assert_eq!(parked.state, KeyState::Parked { by_cap: false });
        assert_eq!(parked.last_error.as_deref(), Some("given up"));
        // Left to itself, it backs off.
        world.change("a", "by itself").await;
        time_passes(MINUTE / 6).await;
        assert!((8..20).contains(&(calls.all().len() - 4)), "{:?}", calls.all());
        world.change("a", "good").await;
        eventually("it is settled", || running.handle.snapshot().keys.is_empty()).await;
    });
}

#[test]
fn an_error_policy_that_panics_is_a_failed_call() {
    on_both(async |world| {
        let calls = Calls::default();
        let noted = calls.clone();
        let handler = controller(world)
            .reconcile(move |_object, _ctx| async move {
                noted.note("call");
                if noted.all().len() < 3 { Err(anyhow::anyhow!("not yet")) } else { Ok(()) }
            })
            .error_policy(|_, _| -> Action { panic!("a defect") });
        let running = run(handler).await;
        world.create("a", "1").await;
        calls.are(&["call", "call", "call"]).await;
        let report = running.stop().await;
        assert_eq!((report.calls.panicked, report.is_clean()), (2, true), "{report}");
    });
}

/// A reconciler with a policy, which fails where it is told to.
struct Policed {
    informer: SharedInformer<ConfigMap>,
    calls: Calls,
}

impl Reconciler for Policed {
    type Resource = ConfigMap;

    fn name(&self) -> &'static str {
        "policed"
    }

    fn informer(&self) -> &SharedInformer<ConfigMap> {
        &self.informer
    }

    async fn reconcile(&self, ctx: &Context<ConfigMap>, _: &str, _: &str) -> anyhow::Result<()> {
        self.calls.note("reconcile");
        anyhow::ensure!(value(&*ctx.object()?) != "bad", "it is bad");
        Ok(())
    }

    async fn cleanup(&self, _: &Context<ConfigMap>, _: &str, _: &str) -> anyhow::Result<()> {
        self.calls.note("cleanup");
        anyhow::ensure!(self.calls.all().iter().filter(|call| *call == "cleanup").count() > 1, "not yet");
        Ok(())
    }

    fn error_policy(&self, error: &anyhow::Error, ctx: &Context<ConfigMap>) -> Option<Action> {
        assert_eq!((error.to_string().as_str(), ctx.key().name()), ("it is bad", "a"));
        Some(Action::await_change())
    }
}

#[test]
fn a_reconcilers_policy_is_asked_about_reconcile_and_never_loses_a_deletion() {
    on_both(async |world| {
        let calls = Calls::default();
        let policed = Policed { informer: world.informers.informer(), calls: calls.clone() };
        let running = run(Reconciling(policed)).await;
        world.create("a", "bad").await;
        eventually("it is parked", || {
            running.handle.snapshot().keys.iter().any(|key| matches!(key.state, KeyState::Parked { .. }))
        })
        .await;
        world.delete("a").await;
        calls.are(&["reconcile", "cleanup", "cleanup"]).await;
        let report = running.stop().await;
        assert!(report.is_clean() && report.calls.given_up == 0, "{report}");
    });
}

#[test]
fn one_builder_says_what_a_controller_owns_and_watches() {
    on_both(async |world| {
        let (calls, seen) = (Calls::default(), Calls::default());
        let noted = (calls.clone(), seen.clone());
        let owned = world.informers.informer::<Secret>();
        let watched = world.informers.informer::<k8s_openapi::api::core::v1::Service>();
        let handler = controller(world)
            .owns(&owned)
            .watches(&watched, |service| {
                let user = service.metadata.labels.as_ref()?.get("used-by")?;
                ObjectKey::new(service.metadata.namespace.as_deref(), user).ok()
            })
            .configure(|options| options.deadline(MINUTE))
            .reconcile(move |object, ctx| async move {
                noted.0.note(object.metadata.name.as_deref().unwrap_or_default());
                noted.1.note(&ctx.causes().to_string());
                Ok(())
            });
        let running = run(handler).await;
        let object = world.create("a", "1").await;
        world.create("b", "1").await;
        eventually("both are there", || calls.all().len() == 2).await;

        let reference = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: "a".to_owned(),
            uid: object.metadata.uid.clone().unwrap(),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some("owned".to_owned()),
            owner_references: Some(vec![reference]),
            ..ObjectMeta::default()
        };
        let secrets: Api<Secret> = world.api();
        secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await.unwrap();
        eventually("its owner is called", || calls.all().len() == 3).await;
        assert_eq!((calls.all()[2].as_str(), seen.all()[2].as_str()), ("a", "mapped"));

        let service: k8s_openapi::api::core::v1::Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "watched", "labels": {"used-by": "b"}},
            "spec": {"ports": [{"port": 80}], "clusterIP": "None"},
        }))
        .unwrap();
        world.api().create(&PostParams::default(), &service).await.unwrap();
        eventually("its user is called", || calls.all().len() == 4).await;
        assert_eq!((calls.all()[3].as_str(), seen.all()[3].as_str()), ("b", "mapped"));
        assert!(running.stop().await.is_clean());
    });
}
