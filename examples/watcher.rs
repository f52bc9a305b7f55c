//! A watcher that counts the pods of each node and answers questions: `cargo run --example watcher`. No cluster is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kubehandler::{Exit, Flow, Info, InformerFactory, Life, WatchEvent, Watched, Watcher};
use kubehandler_testkit::ApiServer;
use tokio::sync::oneshot;

/// Which node each pod runs on.
#[derive(Default)]
struct Nodes(BTreeMap<Life, String>);

/// What it may be asked.
enum Question {
    HowManyOn(&'static str, oneshot::Sender<usize>),
}

impl Watcher for Nodes {
    type Resource = Pod;
    type Message = Question;

    async fn handle_event(&mut self, event: WatchEvent, pod: &Watched<Pod>) -> Flow<Question> {
        println!("{} was {event}", pod.key());
        match (event, pod.object()) {
            (WatchEvent::Deleted, _) => _ = self.0.remove(pod.uid()),
            (_, Ok(object)) => {
                let node = object.spec.as_ref().and_then(|spec| spec.node_name.clone());
                self.0.insert(pod.uid().clone(), node.unwrap_or_default());
            }
            (_, Err(error)) => eprintln!("{error}"),
        }
        Flow::ContinueWithin(Duration::from_millis(500))
    }

    async fn handle_info(&mut self, info: Info<Question>) -> Flow<Question> {
        match info {
            Info::Timeout => Flow::Stop(Exit::ShutdownWith("nothing happens any more".into())),
            Info::Message(Question::HowManyOn(node, reply)) | Info::Continue(Question::HowManyOn(node, reply)) => {
                // An error says that nobody waits for the answer any more.
                let _ = reply.send(self.0.values().filter(|on| *on == node).count());
                Flow::ContinueWithin(Duration::from_millis(500))
            }
        }
    }

    async fn terminate(&mut self, exit: &Exit) {
        println!("the watcher ends with {} pods: {exit}", self.0.len());
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = ApiServer::new();
    let pods: Api<Pod> = Api::namespaced(server.client(), "default");
    let watcher = InformerFactory::new(server.client()).informer::<Pod>().watcher().start(Nodes::default());
    for (name, node) in [("web-1", "north"), ("web-2", "north"), ("db-1", "south"), ("gone", "south")] {
        pods.create(&PostParams::default(), &pod(name, node)).await?;
    }
    pods.delete("gone", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    // The watcher hears of them a moment later.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for node in ["north", "south"] {
        let count = watcher.call(|reply| Question::HowManyOn(node, reply)).await?;
        println!("{count} pods on {node}");
    }
    watcher.join().await;
    Ok(())
}

fn pod(name: &str, node: &str) -> Pod {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let containers =
        vec![Container { name: "main".to_owned(), image: Some("shop:1".to_owned()), ..Container::default() }];
    let spec = PodSpec { node_name: Some(node.to_owned()), containers, ..PodSpec::default() };
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}
