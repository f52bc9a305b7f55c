//! What the in-process tests share: an API server that knows Websites, the controller on it, and a hand on both.
//!
//! The controller asks as the user [`CONTROLLER`], the test as somebody else, so that requests can be told apart. There
//! are no machines: [`Stage::make_available`] says what a Deployment's controller would.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _};
use kubehandler::{CancellationToken, EventLoopHandle, RunReport};
use kubehandler_testkit::{ApiServer, RequestInfo, RequestRecord};
use sample_controller::controller;
use sample_controller::crd::{self, Website, WebsiteSpec};
use sample_controller::observed::READY;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const CONTROLLER: &str = "controller";
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Stage {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    running: Option<Running>,
}

struct Running {
    stop: CancellationToken,
    handle: EventLoopHandle,
    run: JoinHandle<RunReport>,
}

impl Stage {
    /// A server with the CRD, and the controller at work on it.
    pub(crate) async fn set() -> Self {
        let server = ApiServer::new();
        let client = server.client();
        install_crd(&client).await;
        let mut stage = Self { server, client, running: None };
        stage.start();
        stage
    }

    /// Starts the controller: for the first time, or again.
    pub(crate) fn start(&mut self) {
        let client = self.server.client_as(CONTROLLER, "sample-controller");
        let mut event_loop = controller::builder().seed(1).build();
        controller::register(&mut event_loop, &client, None).expect("the handlers have names of their own");
        let (stop, handle) = (CancellationToken::new(), event_loop.handle());
        let run = event_loop.run(stop.clone(), 2);
        let run = tokio::spawn(async move { run.await.expect("the caches sync") });
        self.running = Some(Running { stop, handle, run });
    }

    /// Stops the controller.
    pub(crate) async fn stop(&mut self) -> RunReport {
        let Running { stop, run, .. } = self.running.take().expect("it runs");
        stop.cancel();
        run.await.expect("no panic")
    }

    pub(crate) fn handle(&self) -> &EventLoopHandle {
        &self.running.as_ref().expect("it runs").handle
    }

    pub(crate) fn websites(&self) -> Api<Website> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) async fn create(&self, name: &str, page: &str, replicas: i32) {
        let spec = WebsiteSpec { page: page.to_owned(), replicas, host: None };
        self.websites().create(&PostParams::default(), &Website::new(name, spec)).await.expect("a valid Website");
    }

    pub(crate) async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.websites().patch(name, &PatchParams::default(), &patch).await.expect("a valid change");
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.websites().delete(name, &DeleteParams::default()).await.expect("it is there");
    }

    /// Says of a Deployment what its controller would: that it has seen the newest spec and all replicas are there.
    pub(crate) async fn make_available(&self, name: &str) {
        let deployment = self.deployments().get(name).await.expect("it is there");
        let wanted = deployment.spec.expect("it has a spec").replicas;
        let status = json!({ "status": {
            "observedGeneration": deployment.metadata.generation,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": wanted,
            "availableReplicas": wanted,
        }});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(status));
        self.deployments().patch_status(name, &parameters, &patch).await.expect("a valid status");
    }

    /// A Website that is ready.
    pub(crate) async fn ready(&self, name: &str, replicas: i32) {
        self.create(name, "<p>Hello</p>", replicas).await;
        self.reason(name, "Progressing").await;
        self.until("it has a Deployment", || !self.owned("deployments.apps", name).is_empty()).await;
        self.make_available(name).await;
        self.reason(name, "Available").await;
    }

    /// The stored objects of this resource and name.
    pub(crate) fn owned(&self, resource: &str, name: &str) -> Vec<Value> {
        let mut objects = self.server.objects(resource);
        objects.retain(|object| object["metadata"]["name"] == name);
        objects
    }

    pub(crate) fn website(&self, name: &str) -> Option<Website> {
        let object = self.owned("websites.example.kubehandler.dev", name).pop()?;
        Some(serde_json::from_value(object).expect("a Website"))
    }

    /// Status and reason of `Ready`, if they are about the newest spec.
    pub(crate) fn standing(&self, name: &str) -> Option<(String, String)> {
        let website = self.website(name)?;
        let ready = website.status.as_ref()?.condition(READY)?.clone();
        (ready.observed_generation == website.metadata.generation).then_some((ready.status, ready.reason))
    }

    /// Waits until the Website's readiness has this reason.
    pub(crate) async fn reason(&self, name: &str, reason: &str) {
        let holds = || self.standing(name).is_some_and(|(_, found)| found == reason);
        self.until(&format!("{name} is {reason}"), holds).await;
    }

    /// The Events about a Website, in the form in which they are stored: type, reason, message.
    pub(crate) fn events(&self, about: &str) -> Vec<(String, String, String)> {
        let events = self.server.objects("events").into_iter();
        let events = events.map(|event| serde_json::from_value::<Event>(event).expect("an Event"));
        let text = |text: Option<String>| text.unwrap_or_default();
        events
            .filter(|event| event.involved_object.name.as_deref() == Some(about))
            .map(|event| (text(event.type_), text(event.reason), text(event.message)))
            .collect()
    }

    /// Waits until the controller has nothing left to do.
    pub(crate) async fn rest(&self) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let busy = || self.handle().snapshot().keys.into_iter().map(|key| (key.key, key.state)).collect::<Vec<_>>();
        self.until("the controller rests", || busy().iter().all(|(_, state)| is_parked(*state))).await;
    }

    /// The controller's requests since the last [`ApiServer::clear_requests`].
    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        let mut requests = self.server.requests();
        requests.retain(|record| record.request.user == CONTROLLER);
        requests
    }

    /// Those of them that write, as `verb resource/subresource name`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.requests().into_iter().map(|record| record.request).filter(RequestInfo::is_write);
        requests.map(|it| format!("{} {}/{} {}", it.verb, it.group_resource(), it.subresource, it.name)).collect()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let websites = self.server.objects("websites.example.kubehandler.dev");
            panic!("it never came about that {what}\n{:#?}\n{websites:#?}", self.handle().snapshot());
        }
    }
}

/// Installs the CRD and waits until its kind is served.
pub(crate) async fn install_crd(client: &Client) {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let definition = crd::definition();
    definitions.create(&PostParams::default(), &definition).await.expect("the CRD is accepted");
    let name = definition.name_any();
    let established = await_condition(definitions, &name, conditions::is_crd_established());
    established.await.expect("it is watched");
}

pub(crate) fn is_parked(state: kubehandler::KeyState) -> bool {
    matches!(state, kubehandler::KeyState::Parked { .. })
}
