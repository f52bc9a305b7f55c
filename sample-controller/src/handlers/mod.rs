//! The three handlers. What they have in common is only what they are given.

mod deployment;
mod status;
mod website;

pub use deployment::Deployments;
pub use status::WebsiteStatuses;
pub use website::Websites;
