//! An event loop and a task that fails now and then, under one supervisor: `cargo run --example supervised`. No cluster is needed.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use kubehandler::{CancellationToken, Child, EventLoop, HandlerFuncs, InformerFactory, Restart, Shutdown, Supervisor};
use kubehandler_testkit::ApiServer;
use tokio::time::sleep;

/// A handler that prints what is new. Made anew for each start: a loop runs once.
fn event_loop(informers: &InformerFactory) -> anyhow::Result<EventLoop> {
    let mut event_loop = EventLoop::new("maps");
    event_loop.register(HandlerFuncs::new("maps", informers.informer::<ConfigMap>()).on_add(
        |_ctx, namespace, name| async move {
            println!("{namespace}/{name} is new");
            Ok(())
        },
    ))?;
    Ok(event_loop)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = ApiServer::new();
    let informers = InformerFactory::new(server.client());

    let mut supervisor = Supervisor::new("example").backoff(Duration::from_millis(20), Duration::from_millis(100));
    let controller = Child::new("controller", move |token| {
        let event_loop = event_loop(&informers);
        async move { anyhow::Ok(event_loop?.run(token, 2).await?) }
    });
    supervisor.add(controller)?;
    let flaky = Child::new("flaky", |_token| async {
        sleep(Duration::from_millis(50)).await;
        anyhow::bail!("the network is gone");
        #[expect(unreachable_code, reason = "it says what the future gives")]
        Ok(())
    });
    supervisor.add(flaky.restart(Restart::Transient).shutdown(Shutdown::AtOnce))?;

    let (handle, stop) = (supervisor.handle(), CancellationToken::new());
    let running = tokio::spawn(supervisor.run(stop.clone()));
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let metadata = ObjectMeta { name: Some("settings".to_owned()), ..ObjectMeta::default() };
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?;
    sleep(Duration::from_millis(300)).await;
    for child in handle.children() {
        println!("{child}");
    }
    stop.cancel();
    println!("the supervisor: {}", running.await?);
    Ok(())
}
