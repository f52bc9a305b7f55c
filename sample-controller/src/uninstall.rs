//! Leaving a cluster: takes the controller's finalizer from all Websites.
//!
//! A finalizer outlives the controller that it belongs to. With the controller gone for good, a Website that is deleted would
//! stay for ever, and its namespace and its `CustomResourceDefinition` with it.

use anyhow::bail;
use kubehandler::{InformerConfig, InformerErrorKind, InformerFactory, strip_finalizer};

use crate::cli::UninstallOptions;
use crate::connect::connect;
use crate::crd::Website;
use crate::desired::FINALIZER;

/// Takes the finalizer away, and says from how many.
///
/// # Errors
/// There is no cluster, the Websites cannot be listed, or some could not be changed.
pub async fn run(options: &UninstallOptions) -> anyhow::Result<()> {
    let client = connect(options.kubeconfig.as_deref()).await?;
    let scope =
        options.namespace.as_ref().map_or_else(InformerConfig::new, |name| InformerConfig::new().namespace(name));
    let websites = InformerFactory::new(client).configured::<Website>(scope);
    let stripped = match strip_finalizer(&websites, FINALIZER).await {
        Ok(stripped) => stripped,
        Err(error) if error.kind() == InformerErrorKind::Missing => {
            println!("The cluster knows no Websites: there is nothing to do.");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    println!("The finalizer {FINALIZER} was removed from {} Websites.", stripped.removed);
    for (website, error) in &stripped.failed {
        eprintln!("{website}: {error}");
    }
    if !stripped.failed.is_empty() {
        bail!("{} Websites still have the finalizer", stripped.failed.len());
    }
    println!("Nothing waits for the controller any more: kubectl delete -k deploy removes the rest.");
    Ok(())
}
