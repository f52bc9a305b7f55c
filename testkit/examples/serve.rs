//! Serves an empty cluster for `kubectl`: `cargo run -p kubehandler-testkit --example serve -- [ADDRESS [KUBECONFIG]]`.
//!
//! Writes a kubeconfig (`kubeconfig` in the current folder by default) and serves until it is interrupted.

use std::net::SocketAddr;

use kubehandler_testkit::ApiServer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let path = arguments.next().unwrap_or_else(|| "kubeconfig".to_owned());
    let server = ApiServer::new();
    let listening = server.listen(address).await?;
    std::fs::write(&path, listening.kubeconfig_yaml())?;
    println!("{} serves until Ctrl-C; kubectl --kubeconfig {path} get namespaces", listening.url());
    std::future::pending::<()>().await;
    Ok(())
}
