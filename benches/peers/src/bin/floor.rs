//! What no program can go below: the same list, read by a plain HTTP client and dropped.

use kubehandler_peers::answer::Answer;
use kubehandler_peers::connection::{Meter, client, http2_client};
use kubehandler_peers::task::{self, Content, Floor, asked};
use kubehandler_peers::usage::Start;
use tokio::runtime::Builder;

#[path = "../../../budgets/read.rs"]
mod read;

fn main() -> anyhow::Result<()> {
    let floor: Floor = asked()?;
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(measure(floor))
}

async fn measure(floor: Floor) -> anyhow::Result<()> {
    let (meter, start) = (Meter::default(), Start::now()?);
    let client = if floor.http2 {
        http2_client(&floor.kubeconfig, &meter).await?
    } else {
        client(&floor.kubeconfig, &meter).await?
    };
    let accept = match floor.content {
        Content::Json => "application/json",
        Content::Protobuf => "application/vnd.kubernetes.protobuf",
        Content::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    };
    let encoding = if floor.gzip { "gzip" } else { "identity" };
    // In a spawned task, as a controller would.
    let reading = tokio::spawn(async move { read::read(&client, floor.mode, accept, encoding).await });
    reading.await??;
    Answer::Ready { figures: start.ended(&meter).await? }.say()
}
