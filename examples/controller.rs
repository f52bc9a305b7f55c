//! A `ResourceController` with a schema, at work on an API server within this process: `cargo run --example controller`.
//!
//! Two sites are there, one of which the schema rejects. The good one is added, and reconciled every three seconds; the
//! bad one is reported, left alone, and added once somebody mends it. Then it ends.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kubehandler::{CancellationToken, Context, Controlling, EventLoop, InformerFactory, ResourceController, Schema};
use kubehandler_testkit::ApiServer;
use serde_json::json;

struct Sites;

impl ResourceController for Sites {
    type Resource = ConfigMap;
    type Options = &'static str;

    async fn add(&self, site: Arc<ConfigMap>, domain: &&'static str, ctx: &Context<ConfigMap>) -> anyhow::Result<()> {
        let pages = site.data.iter().flatten().count();
        println!("add        http://{}.{domain}: {pages} pages", ctx.key().name());
        Ok(())
    }

    async fn reconcile(
        &self,
        _: Arc<ConfigMap>,
        domain: &&'static str,
        ctx: &Context<ConfigMap>,
    ) -> anyhow::Result<()> {
        println!("reconcile  http://{}.{domain}: still as it should be", ctx.key().name());
        Ok(())
    }

    async fn delete(&self, _: Arc<ConfigMap>, domain: &&'static str, ctx: &Context<ConfigMap>) -> anyhow::Result<()> {
        println!("delete     http://{}.{domain}", ctx.key().name());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What the library logs: one warning for the object that the schema rejects.
    tracing_subscriber::fmt().with_env_filter("kubehandler=warn").init();
    let client = ApiServer::new().client();
    let sites: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    for (name, page) in [("good", "index.html"), ("bad", "index.exe")] {
        let site = serde_json::from_value(json!({"metadata": {"name": name}, "data": {page: "Hello"}}))?;
        sites.create(&PostParams::default(), &site).await?;
    }

    let schema = Schema::new(&json!({
        "required": ["data"],
        "properties": {"data": {"propertyNames": {"pattern": "[.]html$"}, "minProperties": 1}},
    }))?;
    let informers = InformerFactory::new(client);
    let controller = Controlling::new("sites", informers.informer(), Sites, "example.com")
        .reconcile_delay(Duration::from_secs(3))
        .schema(schema);
    let rejections = controller.rejections();
    let mut event_loop = EventLoop::new("example");
    event_loop.register(controller)?;

    let stop = CancellationToken::new();
    let running = tokio::spawn(event_loop.run(stop.clone(), 2));
    tokio::time::sleep(Duration::from_secs(4)).await;
    for key in rejections.keys() {
        println!("rejected   {key}");
    }
    let mended = Patch::Merge(json!({"data": {"index.exe": null, "index.html": "Hello"}}));
    sites.patch("bad", &PatchParams::default(), &mended).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    sites.delete("good", &kube::api::DeleteParams::default()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    println!("{}", running.await??);
    Ok(())
}
