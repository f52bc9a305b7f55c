//! What is kept between two calls goes with the object: no public face shows that.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use kubehandler_core::ObjectKey;
use kubehandler_testkit::ApiServer;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event_loop::{Context, EventLoop, Permanent};
use crate::informer::InformerFactory;
use crate::schema::Schema;
use crate::sync::Arc;

/// Never gets rid of objects named `stuck`.
struct Stuck;

impl ResourceController for Stuck {
    type Resource = ConfigMap;
    type Options = ();

    async fn delete(&self, _: Arc<ConfigMap>, (): &(), ctx: &Context<ConfigMap>) -> anyhow::Result<()> {
        if ctx.key().name() == "stuck" { Err(Permanent::new("it sticks").into()) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_is_gone_or_was_never_given() {
    let client = ApiServer::new().client();
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let schema = json!({"properties": {"metadata": {"properties": {"name": {"not": {"const": "bad"}}}}}});
    let controller = Controlling::new("stuck", InformerFactory::new(client).informer(), Stuck, ());
    let controller = controller.schema(Schema::new(&schema).unwrap());
    let (given, rejections) = (Arc::clone(&controller.given), controller.rejections());
    let mut event_loop = EventLoop::new("given");
    event_loop.register(controller).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(event_loop.run(stop.clone(), 2));

    let key = |name: &str| ObjectKey::new(Some("default"), name).unwrap();
    for name in ["bad", "gone", "stays", "stuck"] {
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        objects.create(&PostParams::default(), &object).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(given.keys(), [key("gone"), key("stays"), key("stuck")]);
    assert_eq!(rejections.keys(), [key("bad")]);
    for name in ["bad", "gone", "stuck"] {
        objects.delete(name, &DeleteParams::default()).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!((given.keys(), rejections.keys()), (vec![key("stays")], vec![]));
    stop.cancel();
    running.await.unwrap().unwrap();
}
