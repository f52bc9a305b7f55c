//! `ResourceController`: what Datapio's controllers promise (D1), its reconciles, spread over the interval (D2), and what only objects
//! that fit a schema get (D3).

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject};
use kubehandler::{
    Context, Controlling, EventLoop, HandlerOptions, KeyState, Permanent, ResourceController, SharedInformer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::kinds::Strict;
use crate::support::wait::becomes;
use crate::support::{Running, eventually, on_both, on_embedded, quiet, time_passes};

mod reconciles;
mod schemas;
mod storms;

/// A call as it was made.
#[derive(Clone, Debug)]
struct Made {
    /// What and with which object: `a: add 1`.
    what: String,
    at: Instant,
    ended: Option<Instant>,
}

/// The calls that were made, in order.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Vec<Made>>>);

impl Diary {
    fn begins(&self, what: String) -> usize {
        let mut made = self.0.lock().unwrap();
        made.push(Made { what, at: Instant::now(), ended: None });
        made.len() - 1
    }

    fn ends(&self, call: usize) {
        self.0.lock().unwrap()[call].ended = Some(Instant::now());
    }

    fn made(&self) -> Vec<Made> {
        self.0.lock().unwrap().clone()
    }

    /// The calls for an object, without its name.
    fn story(&self, name: &str) -> Vec<String> {
        let of = |made: Made| made.what.strip_prefix(&format!("{name}: ")).map(str::to_owned);
        self.made().into_iter().filter_map(of).collect()
    }

    async fn tells(&self, name: &str, expected: &[&str]) {
        becomes(&format!("the story of {name}"), expected.iter().map(|&call| call.to_owned()).collect(), || {
            self.story(name)
        })
        .await;
    }
}

/// What the tests hand to their controllers.
#[derive(Clone, Debug, Default)]
struct Options {
    diary: Diary,
    /// How the calls end, until there are no more of them: then well.
    ends: Arc<Mutex<VecDeque<anyhow::Error>>>,
    takes: Duration,
}

impl Options {
    fn fails_with(&self, error: impl Into<anyhow::Error>) {
        self.ends.lock().unwrap().push_back(error.into());
    }
}

/// Writes everything into the diary. An object whose value is `again` asks to be reconciled.
struct Diarist<K>(PhantomData<K>);

impl<K> Diarist<K> {
    async fn note(&self, function: &str, object: &K, options: &Options, ctx: &Context<K>) -> anyhow::Result<()>
    where
        K: Serialize,
    {
        let object = serde_json::to_value(object)?;
        let value = object.pointer("/data/value").and_then(Value::as_str).unwrap_or("?");
        // Before the diary tells of the call: whoever reads of it there says how the next one ends.
        let end = options.ends.lock().unwrap().pop_front();
        let call = options.diary.begins(format!("{}: {function} {value}", ctx.key().name()));
        if value == "again" && function != "reconcile" {
            ctx.requeue_after(Duration::from_millis(100));
        }
        time_passes(options.takes).await;
        options.diary.ends(call);
        end.map_or(Ok(()), Err)
    }
}

impl<K> ResourceController for Diarist<K>
where
    K: kube::Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    type Resource = K;
    type Options = Options;

    async fn add(&self, object: Arc<K>, options: &Options, ctx: &Context<K>) -> anyhow::Result<()> {
        self.note("add", &object, options, ctx).await
    }

    async fn modify(&self, object: Arc<K>, options: &Options, ctx: &Context<K>) -> anyhow::Result<()> {
        self.note("modify", &object, options, ctx).await
    }

    async fn delete(&self, object: Arc<K>, options: &Options, ctx: &Context<K>) -> anyhow::Result<()> {
        self.note("delete", &object, options, ctx).await
    }

    async fn reconcile(&self, object: Arc<K>, options: &Options, ctx: &Context<K>) -> anyhow::Result<()> {
        self.note("reconcile", &object, options, ctx).await
    }
}

fn diarist<K>(informer: SharedInformer<K>, options: &Options) -> Controlling<Diarist<K>>
where
    Diarist<K>: ResourceController<Resource = K, Options = Options>,
{
    Controlling::new("diarist", informer, Diarist(PhantomData), options.clone()).reconcile_delay(Duration::ZERO)
}

async fn run<C: ResourceController>(controller: Controlling<C>, workers: usize) -> Running {
    let mut event_loop = EventLoop::builder("controllers").seed(7).build();
    event_loop.register(controller).unwrap();
    Running::start(event_loop, workers).ready().await
}

#[test]
fn d1_each_function_is_given_the_object_and_the_users_options() {
    on_both(async |world| {
        let options = Options::default();
        let running = run(diarist(world.informers.informer::<ConfigMap>(), &options), 2).await;
        let diary = &options.diary;
        world.create("a", "1").await;
        diary.tells("a", &["add 1"]).await;
        world.change("a", "again").await;
        diary.tells("a", &["add 1", "modify again", "reconcile again"]).await;
        world.delete("a").await;
        diary.tells("a", &["add 1", "modify again", "reconcile again", "delete again"]).await;
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn d1_a_kind_known_only_at_run_time_is_controlled_like_any_other() {
    on_both(async |world| {
        let informer: SharedInformer<DynamicObject> =
            world.informers.informer_with(&ApiResource::erase::<ConfigMap>(&()));
        let options = Options::default();
        let _running = run(diarist(informer, &options), 2).await;
        world.create("a", "1").await;
        options.diary.tells("a", &["add 1"]).await;
        world.delete("a").await;
        options.diary.tells("a", &["add 1", "delete 1"]).await;
    });
}

#[test]
fn d1_an_error_brings_the_call_back() {
    on_both(async |world| {
        let options = Options::default();
        options.fails_with(anyhow::anyhow!("not yet"));
        let running = run(diarist(world.informers.informer::<ConfigMap>(), &options), 2).await;
        world.create("a", "1").await;
        options.diary.tells("a", &["add 1", "add 1"]).await;
        options.fails_with(anyhow::anyhow!("not yet"));
        world.change("a", "2").await;
        options.diary.tells("a", &["add 1", "add 1", "modify 2", "modify 2"]).await;
        options.fails_with(anyhow::anyhow!("not yet"));
        world.delete("a").await;
        options.diary.tells("a", &["add 1", "add 1", "modify 2", "modify 2", "delete 2", "delete 2"]).await;
        assert_eq!(running.stop().await.calls.failed, 3);
    });
}

#[test]
fn d1_a_reconcile_that_failed_is_made_again_as_one_unless_the_object_changes() {
    on_both(async |world| {
        let options = Options::default();
        let _running = run(diarist(world.informers.informer::<ConfigMap>(), &options), 2).await;
        world.create("a", "again").await;
        options.diary.tells("a", &["add again"]).await;
        options.fails_with(anyhow::anyhow!("not yet"));
        options.fails_with(anyhow::anyhow!("not yet"));
        let story = ["add again", "reconcile again", "reconcile again", "reconcile again"];
        options.diary.tells("a", &story).await;
        world.change("a", "1").await;
        options
            .diary
            .tells("a", &["add again", "reconcile again", "reconcile again", "reconcile again", "modify 1"])
            .await;
    });
}

/// Writes `add` and `modify` only: all else is the trait's.
struct Halves(Diary);

impl ResourceController for Halves {
    type Resource = ConfigMap;
    type Options = ();

    async fn add(&self, _: Arc<ConfigMap>, (): &(), ctx: &Context<ConfigMap>) -> anyhow::Result<()> {
        self.0.begins(format!("{}: add", ctx.key().name()));
        Ok(())
    }

    async fn modify(&self, _: Arc<ConfigMap>, (): &(), ctx: &Context<ConfigMap>) -> anyhow::Result<()> {
        self.0.begins(format!("{}: modify", ctx.key().name()));
        Ok(())
    }
}

#[test]
fn d1_a_reconcile_that_is_not_written_modifies_and_all_else_accepts() {
    on_embedded(async |world| {
        let diary = Diary::default();
        let controller = Controlling::new("halves", world.informers.informer(), Halves(diary.clone()), ());
        let running = run(controller, 2).await;
        world.create("a", "1").await;
        // Once in 30 s, which is the default; where its moment is drawn early, twice.
        time_passes(Duration::from_secs(33)).await;
        world.delete("a").await;
        eventually("it is gone", || running.handle.snapshot().calls.deletes == 1).await;
        let story = diary.story("a");
        assert!((2..=3).contains(&story.len()) && story[0] == "add", "{story:?}");
        assert!(story[1..].iter().all(|call| call == "modify"), "{story:?}");
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn d1_a_deletion_comes_with_the_last_state_that_decodes() {
    on_both(async |world| {
        let options = Options::default();
        let running = run(diarist(world.informers.informer::<Strict>(), &options), 2).await;
        let parked = |name: &str| {
            let is_parked = |state| matches!(state, KeyState::Parked { .. });
            running.handle.snapshot().keys.into_iter().any(|key| key.key.name() == name && is_parked(key.state))
        };
        // One that fits once, and one that never does.
        world.create("a", "good").await;
        options.diary.tells("a", &["add good"]).await;
        world.create("never", "ugly").await;
        world.change("a", "ugly").await;
        eventually("both are parked", || parked("a") && parked("never")).await;
        world.delete("never").await;
        world.delete("a").await;
        options.diary.tells("a", &["add good", "delete good"]).await;
        eventually("both are settled", || running.handle.snapshot().keys.is_empty()).await;
        assert_eq!(options.diary.story("never"), [""; 0]);
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn d1_a_deletion_that_failed_for_good_is_given_up_and_the_next_life_begins_anew() {
    on_both(async |world| {
        let options = Options::default();
        let running = run(diarist(world.informers.informer::<ConfigMap>(), &options), 2).await;
        world.create("a", "1").await;
        options.diary.tells("a", &["add 1"]).await;
        options.fails_with(Permanent::new("cannot be cleaned up"));
        world.delete("a").await;
        options.diary.tells("a", &["add 1", "delete 1"]).await;
        world.create("a", "2").await;
        options.diary.tells("a", &["add 1", "delete 1", "add 2"]).await;
        world.delete("a").await;
        options.diary.tells("a", &["add 1", "delete 1", "add 2", "delete 2"]).await;
        assert_eq!(running.stop().await.calls.given_up, 1);
    });
}

#[test]
fn d1_with_a_finalizer_an_object_of_an_earlier_process_is_deleted_with_its_last_state() {
    on_both(async |world| {
        let finalizer = |options: HandlerOptions| options.finalizer("example.com/diarist");
        let options = Options::default();
        let first = diarist(world.informers.informer::<Strict>(), &options).configure(finalizer);
        let running = run(first, 2).await;
        for name in ["a", "bad"] {
            world.create(name, "good").await;
            options.diary.tells(name, &["add good"]).await;
        }
        running.stop().await;
        world.change("a", "better").await;
        world.change("bad", "ugly").await;
        world.delete("a").await;
        world.delete("bad").await;

        let options = Options::default();
        let second = diarist(world.informers.informer::<Strict>(), &options).configure(finalizer);
        let running = run(second, 2).await;
        options.diary.tells("a", &["delete better"]).await;
        // The finalizer holds it until somebody mends it.
        eventually("the other is parked", || {
            let snapshot = running.handle.snapshot();
            snapshot.keys.iter().any(|key| key.key.name() == "bad" && matches!(key.state, KeyState::Parked { .. }))
        })
        .await;
        world.change("bad", "good").await;
        options.diary.tells("bad", &["delete good"]).await;
        quiet().await;
        assert!(running.stop().await.is_clean());
    });
}
