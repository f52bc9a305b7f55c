//! Serves the test API server on a port and prints a kubeconfig for it:
//!
//! ```text
//! cargo run -p kubehandler-testkit --example serve -- 8001 > kubeconfig
//! kubectl --kubeconfig kubeconfig get namespaces
//! ```

use kubehandler_testkit::ApiServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listening = ApiServer::new().listen(([127, 0, 0, 1], port).into()).await?;
    println!("{}", listening.kubeconfig_yaml());
    std::future::pending::<()>().await;
    Ok(())
}
