//! The two servers, as far as the list of requests needs them: send bytes, forget history.
//!
//! Must not know: which requests there are, what is expected.

use std::{collections::BTreeMap, future::Future, time::Duration};

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use kube::client::Body;
use kubehandler_testcluster::Cluster;
use kubehandler_testkit::ApiServer;
use serde_json::Value;

use crate::{
    answer::{Answer, Normaliser},
    key_order,
    request::{Act, Exchange, Request, Save},
};

/// A manager of fields is named after what stands before the slash.
const USER_AGENT: &str = "parity/1";
const CLIENT_HEADERS: [&str; 4] = ["content-type", "warning", "retry-after", "allow"];
/// A watch that does not end, say, shall not hold everything up. Far above what a list from the future waits for.
const DEADLINE: Duration = Duration::from_secs(30);
const AWAIT_INTERVAL: Duration = Duration::from_millis(100);
const AWAIT_ATTEMPTS: u32 = 200;

/// A server to compare.
pub(crate) trait Server {
    /// The client that reaches it.
    fn client(&self) -> &kube::Client;

    /// Makes every resourceVersion and continue token from before expire.
    fn expire(&mut self) -> impl Future<Output = anyhow::Result<()>>;
}

/// The embedded server, reached without a socket.
pub(crate) struct Embedded {
    server: ApiServer,
    client: kube::Client,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        let server = ApiServer::new();
        let client = server.client();
        Self { server, client }
    }
}

impl Server for Embedded {
    fn client(&self) -> &kube::Client {
        &self.client
    }

    async fn expire(&mut self) -> anyhow::Result<()> {
        self.server.compact();
        Ok(())
    }
}

/// kube-apiserver. No controller manager runs beside it: what that does, it does in its own time.
pub(crate) struct Real<'a> {
    cluster: &'a mut Cluster,
    client: kube::Client,
}

impl<'a> Real<'a> {
    pub(crate) async fn new(cluster: &'a mut Cluster) -> anyhow::Result<Self> {
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        // What is compared is the first answer.
        config.default_retry = false;
        Ok(Self { cluster, client: config.try_into()? })
    }
}

impl Server for Real<'_> {
    fn client(&self) -> &kube::Client {
        &self.client
    }

    async fn expire(&mut self) -> anyhow::Result<()> {
        // Blocking is fine: nothing else runs on this runtime.
        self.cluster.expire_history()?;
        Ok(())
    }
}

/// Sends all requests in order and returns the answers, made comparable, by the requests' names.
pub(crate) async fn answers(
    server: &mut impl Server,
    requests: &[Request],
) -> anyhow::Result<Vec<(&'static str, Answer)>> {
    let mut saved = BTreeMap::new();
    let mut answers = Vec::new();
    let mut normaliser = Normaliser::default();
    for request in requests {
        let answer = match &request.act {
            Act::Expire => {
                server.expire().await.with_context(|| request.name)?;
                continue;
            }
            Act::Send(exchange) => send(server, &fill_in(exchange, &saved)).await,
            Act::Await(exchange, status) => send_until(server, &fill_in(exchange, &saved), *status).await,
        };
        let mut answer = answer.with_context(|| request.name)?;
        for Save { name, from } in &request.saves {
            let value = answer.body.pointer(from).and_then(Value::as_str);
            // A server that answers something else fails the comparison, not the run.
            saved.insert(*name, value.unwrap_or("nothing-saved").to_owned());
        }
        normaliser.normalise(&mut answer);
        answers.push((request.name, answer));
    }
    Ok(answers)
}

fn fill_in(exchange: &Exchange, saved: &BTreeMap<&str, String>) -> Exchange {
    let mut exchange = exchange.clone();
    for (name, value) in saved {
        let mark = format!("<<{name}>>");
        exchange.path = exchange.path.replace(&mark, value);
        exchange.body = exchange.body.replace(&mark, value);
    }
    exchange
}

async fn send_until(server: &impl Server, exchange: &Exchange, status: u16) -> anyhow::Result<Answer> {
    let mut answer = send(server, exchange).await?;
    for _ in 0..AWAIT_ATTEMPTS {
        if answer.status == status {
            break;
        }
        tokio::time::sleep(AWAIT_INTERVAL).await;
        answer = send(server, exchange).await?;
    }
    Ok(answer)
}

async fn send(server: &impl Server, exchange: &Exchange) -> anyhow::Result<Answer> {
    tokio::time::timeout(DEADLINE, send_unbounded(server, exchange)).await.context("no whole answer in time")?
}

async fn send_unbounded(server: &impl Server, exchange: &Exchange) -> anyhow::Result<Answer> {
    let mut request = http::Request::builder()
        .method(&exchange.method)
        .uri(&exchange.path)
        .header("user-agent", USER_AGENT)
        .header("accept", exchange.accept);
    if !exchange.content_type.is_empty() {
        request = request.header("content-type", exchange.content_type);
    }
    let response = server.client().send(request.body(Body::from(exchange.body.clone().into_bytes()))?).await?;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let text = String::from_utf8(bytes.to_vec()).context("the body is not UTF-8")?;
    let headers = CLIENT_HEADERS.iter().filter_map(|name| {
        let values: Vec<_> =
            head.headers.get_all(*name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!values.is_empty()).then(|| ((*name).to_owned(), values.join("; ")))
    });
    let (key_order, body) = read(&text, exchange.is_watch() && head.status.is_success());
    Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), key_order, body })
}

/// The order of keys and the value of a body, which is a JSON value, several (a watch), or text.
fn read(text: &str, watch: bool) -> (Vec<String>, Value) {
    if watch {
        let events: Vec<_> = text.lines().map(|line| read(line, false)).collect();
        let mut orders: Vec<_> = events.iter().map(|(order, _)| order.join(" ")).collect();
        orders.sort_unstable();
        orders.dedup();
        return (orders, events.into_iter().map(|(_, event)| event).collect());
    }
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    (key_order::of(text), value)
}
