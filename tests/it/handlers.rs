//! The ways to write a handler: the trait and its defaults, closures, a level-based function, a kind known at run time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject};
use kubehandler::{
    Context, DefaultHandler, EventHandler, EventLoop, HandlerFuncs, ObjectKey, Reconciler, Reconciling, SharedInformer,
};

use crate::support::{Function, Outcome, Running, World, eventually, on_both, on_embedded, time_passes};

/// The functions that were called, in order.
#[derive(Clone, Debug, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    #[expect(clippy::unnecessary_wraps, reason = "what a handler's function returns")]
    fn note(&self, function: &str) -> anyhow::Result<()> {
        self.0.lock().unwrap().push(function.to_owned());
        Ok(())
    }

    async fn is(&self, expected: &[&str]) {
        eventually(&format!("the story is {expected:?}"), || *self.0.lock().unwrap() == expected).await;
    }
}

async fn run(world: &World, handler: impl EventHandler) -> Running {
    let mut event_loop = EventLoop::new(world.namespace.as_str());
    event_loop.register(handler).unwrap();
    Running::start(event_loop, 2).ready().await
}

/// Writes `update` only: all else is the trait's.
struct UpdatesOnly {
    informer: SharedInformer<ConfigMap>,
    story: Story,
}

impl EventHandler for UpdatesOnly {
    type Resource = ConfigMap;

    fn name(&self) -> &'static str {
        "updates-only"
    }

    fn informer(&self) -> &SharedInformer<ConfigMap> {
        &self.informer
    }

    async fn update(&self, ctx: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        let value = ctx.object()?.data.as_ref().map_or(String::new(), |data| data["value"].clone());
        self.story.note(&format!("{name} {value}"))
    }
}

#[test]
fn functions_that_are_not_written_accept_everything_and_do_nothing() {
    on_both(async |world| {
        let story = Story::default();
        let running = run(world, UpdatesOnly { informer: world.informers.informer(), story: story.clone() }).await;
        world.create("a", "1").await;
        eventually("it was added", || running.handle.snapshot().calls.adds == 1).await;
        world.change("a", "2").await;
        story.is(&["a 2"]).await;
        // By hand, an unchanged object is an update like any other.
        running.handle.enqueue("updates-only", &world.key("a")).unwrap();
        story.is(&["a 2", "a 2"]).await;
        world.delete("a").await;
        eventually("it was deleted", || running.handle.snapshot().calls.deletes == 1).await;
        let report = running.stop().await;
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.calls.total(), report.calls.failed), (4, 0));
    });
}

#[test]
fn a_default_handler_accepts_everything_and_keeps_its_informer_synced() {
    on_both(async |world| {
        let informer = world.informers.informer::<ConfigMap>();
        let running = run(world, DefaultHandler::new("nothing", informer.clone())).await;
        world.create("a", "1").await;
        eventually("it was added", || running.handle.snapshot().calls.adds == 1).await;
        assert!(informer.has_synced() && informer.get(&world.key("a")).is_some());
        world.delete("a").await;
        eventually("it was deleted", || running.handle.snapshot().calls.deletes == 1).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn closures_are_handlers_and_what_has_none_does_nothing() {
    on_both(async |world| {
        let (story, adds, deletes) = (Story::default(), Story::default(), Story::default());
        let handler = HandlerFuncs::new("closures", world.informers.informer::<ConfigMap>())
            .on_add({
                let (story, adds) = (story.clone(), adds.clone());
                move |ctx, namespace, name| async move {
                    assert_eq!(ctx.key(), &ObjectKey::new(Some(&namespace), &name)?);
                    adds.note(&name)?;
                    story.note("add")
                }
            })
            .on_delete({
                let (story, deletes) = (story.clone(), deletes.clone());
                move |_, _, name| async move {
                    deletes.note(&name)?;
                    story.note("delete")
                }
            });
        let running = run(world, handler).await;
        world.create("a", "1").await;
        story.is(&["add"]).await;
        world.change("a", "2").await;
        eventually("the update was accepted", || running.handle.snapshot().calls.updates == 1).await;
        world.delete("a").await;
        story.is(&["add", "delete"]).await;
        adds.is(&["a"]).await;
        deletes.is(&["a"]).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn without_a_closure_for_reconcile_requeues_go_to_the_one_for_update() {
    on_embedded(async |world| {
        let story = Story::default();
        let with_reconcile = |handler: HandlerFuncs<ConfigMap>, story: Story| {
            handler.on_reconcile(move |_, _, _| async move { story.note("reconcile") })
        };
        let handler = |name: &str, story: &Story| {
            let story = story.clone();
            HandlerFuncs::new(name, world.informers.informer::<ConfigMap>())
                .on_add(|ctx, _, _| async move {
                    ctx.requeue_after(Duration::from_secs(60));
                    Ok(())
                })
                .on_update(move |_, _, _| async move { story.note("update") })
        };
        let other = Story::default();
        let mut event_loop = EventLoop::new("closures");
        event_loop.register(handler("without", &story)).unwrap();
        event_loop.register(with_reconcile(handler("with", &other), other.clone())).unwrap();
        let running = Running::start(event_loop, 2).ready().await;
        world.create("a", "1").await;
        time_passes(Duration::from_secs(90)).await;
        story.is(&["update"]).await;
        other.is(&["reconcile"]).await;
        assert_eq!(running.stop().await.calls.reconciles, 2);
    });
}

/// A level-based function and its opposite.
struct Levels {
    informer: SharedInformer<ConfigMap>,
    story: Story,
}

impl Reconciler for Levels {
    type Resource = ConfigMap;

    fn name(&self) -> &'static str {
        "levels"
    }

    fn informer(&self) -> &SharedInformer<ConfigMap> {
        &self.informer
    }

    async fn reconcile(&self, ctx: &Context<ConfigMap>, _: &str, _: &str) -> anyhow::Result<()> {
        let value = ctx.object()?.data.as_ref().map_or(String::new(), |data| data["value"].clone());
        if value == "again" {
            ctx.requeue_after(Duration::from_secs(60));
        }
        self.story.note(&value)
    }

    async fn cleanup(&self, ctx: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        assert_eq!(ctx.object()?.metadata.name.as_deref(), Some(name));
        self.story.note("cleanup")
    }
}

#[test]
fn a_reconciler_stands_for_add_update_and_requeue_and_its_cleanup_for_delete() {
    on_embedded(async |world| {
        let story = Story::default();
        let levels = Levels { informer: world.informers.informer(), story: story.clone() };
        let running = run(world, Reconciling(levels)).await;
        world.create("a", "1").await;
        story.is(&["1"]).await;
        world.change("a", "again").await;
        story.is(&["1", "again"]).await;
        time_passes(Duration::from_secs(61)).await;
        story.is(&["1", "again", "again"]).await;
        world.delete("a").await;
        story.is(&["1", "again", "again", "cleanup"]).await;
        let calls = running.stop().await.calls;
        assert_eq!((calls.adds, calls.updates, calls.reconciles, calls.deletes), (1, 1, 1, 1));
    });
}

#[test]
fn a_kind_known_only_at_run_time_is_handled_like_any_other() {
    on_both(async |world| {
        let resource = ApiResource::erase::<ConfigMap>(&());
        let informer: SharedInformer<DynamicObject> = world.informers.informer_with(&resource);
        let recorder = world.recorder_of("dynamic", informer);
        recorder.script(Function::Add, "a", [Outcome::Fail]);
        let mut event_loop = EventLoop::builder("dynamic").seed(7).build();
        event_loop.register(recorder.clone()).unwrap();
        let _running = Running::start(event_loop, 2).ready().await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed", "add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1 failed", "add 1", "update 2"]).await;
        let object = recorder.last("a").object.as_ref().clone().unwrap();
        assert_eq!((&object["apiVersion"], &object["kind"]), (&"v1".into(), &"ConfigMap".into()));
        world.delete("a").await;
        recorder.tells("a", ["add 1 failed", "add 1", "update 2", "delete 2"]).await;
    });
}
