//! Says what happens, in a newcomer's words: handlers that print, on caches of their own.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::events::v1::Event;
use kube::{Resource, ResourceExt as _};
use kubehandler::{
    Context, EventHandler, EventLoop, EventLoopHandle, HandlerFuncs, InformerConfig, InformerFactory, SharedInformer,
};
use serde::de::DeserializeOwned;

use crate::crd::Website;
use crate::desired::OWNED_SELECTOR;
use crate::observed::READY;

/// Adds the narrator's handlers.
pub(super) fn register(event_loop: &mut EventLoop, informers: &InformerFactory) -> anyhow::Result<()> {
    event_loop.register(Websites { informer: informers.informer(), told: Mutex::default() })?;
    event_loop.register(events(informers))?;
    event_loop.register(owned::<ConfigMap>(informers))?;
    event_loop.register(owned::<Service>(informers))?;
    event_loop.register(owned::<Deployment>(informers))?;
    Ok(())
}

/// Whether all is said that there is to say, once the Deployment of a name is gone.
pub(super) fn told(narrator: EventLoopHandle, informers: &InformerFactory) -> impl Fn(&str) -> bool + use<> {
    let deployments = owned_informer::<Deployment>(informers);
    move |name| {
        let is_there = deployments.keys().iter().any(|key| key.name() == name);
        let unsaid = narrator.snapshot().keys.iter().any(|key| key.handler.starts_with("narrate-"));
        !is_there && !unsaid
    }
}

fn owned_informer<K>(informers: &InformerFactory) -> SharedInformer<K>
where
    K: Resource<DynamicType = ()>,
{
    informers.configured(InformerConfig::new().label_selector(OWNED_SELECTOR))
}

/// Tells changes of a Website's spec, and turns of its readiness.
struct Websites {
    informer: SharedInformer<Website>,
    /// What was last said about each Website: an update does not tell what it changed.
    told: Mutex<BTreeMap<String, String>>,
}

impl EventHandler for Websites {
    type Resource = Website;

    fn name(&self) -> &'static str {
        "narrate-websites"
    }

    fn informer(&self) -> &SharedInformer<Website> {
        &self.informer
    }

    async fn add(&self, ctx: &Context<Website>, _: &str, name: &str) -> anyhow::Result<()> {
        let website = ctx.object()?;
        println!("   + Website {name} is there; replicas wanted: {}", website.spec.replicas);
        self.is_news(name, &website);
        Ok(())
    }

    async fn update(&self, ctx: &Context<Website>, _: &str, name: &str) -> anyhow::Result<()> {
        let website = ctx.object()?;
        if self.is_news(name, &website) {
            println!("   ~ Website {name}: {}", standing(&website));
        }
        Ok(())
    }

    async fn delete(&self, _: &Context<Website>, _: &str, name: &str) -> anyhow::Result<()> {
        println!("   - Website {name} is gone; what it owned is collected as garbage");
        self.told().remove(name);
        Ok(())
    }
}

impl Websites {
    fn told(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_news(&self, name: &str, website: &Website) -> bool {
        let standing = standing(website);
        self.told().insert(name.to_owned(), standing.clone()) != Some(standing)
    }
}

/// Events, which is how a controller talks to its users. One that happens again is the same one, counted.
fn events(informers: &InformerFactory) -> HandlerFuncs<Event> {
    let tell = |ctx: Context<Event>, _, _| async move {
        let event = ctx.object()?;
        let about = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref()).unwrap_or("?");
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let again = event.series.as_ref().map(|series| format!(", for the {}. time", series.count)).unwrap_or_default();
        let (type_, reason, note) = (text(&event.type_), text(&event.reason), text(&event.note));
        println!("     Event ({type_}) about {about}{again}: {reason}: {note}");
        Ok(())
    };
    HandlerFuncs::new("narrate-events", informers.informer()).on_add(tell).on_update(tell)
}

/// The coming and going of what Websites own.
fn owned<K>(informers: &InformerFactory) -> HandlerFuncs<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let kind = K::kind(&()).into_owned();
    let other_kind = kind.clone();
    HandlerFuncs::new(format!("narrate-{}", K::plural(&())), owned_informer::<K>(informers))
        .on_add(|ctx, _, name| async move {
            let object = ctx.object()?;
            let owner = object.owner_references().first().map_or("nobody", |owner| &owner.name);
            println!("     {kind} {name} was created; its owner is Website {owner}");
            Ok(())
        })
        .on_delete(|_, _, name| async move {
            println!("     {other_kind} {name} was deleted");
            Ok(())
        })
}

fn standing(website: &Website) -> String {
    let wants = website.spec.replicas;
    match website.status.as_ref().and_then(|status| status.condition(READY)) {
        None => format!("replicas wanted: {wants}"),
        Some(ready) if ready.observed_generation != website.metadata.generation => {
            format!("its spec was changed; replicas wanted: {wants}")
        }
        Some(ready) => format!("Ready is {}, because {}: {}", ready.status, ready.reason, ready.message),
    }
}
