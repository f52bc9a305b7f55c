//! What unit tests share: a Website as the API server would have stored it.

use crate::crd::{Website, WebsiteSpec};

pub(crate) fn website(name: &str, page: &str) -> Website {
    let mut website = Website::new(name, WebsiteSpec { page: page.to_owned(), replicas: 2, host: None });
    website.metadata.namespace = Some("default".to_owned());
    website.metadata.uid = Some(format!("uid-of-{name}"));
    website.metadata.generation = Some(1);
    website
}
