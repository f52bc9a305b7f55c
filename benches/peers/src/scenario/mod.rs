//! The scenarios, a file each: who takes part, what is done, what is proven, what is shown.

pub(crate) mod burst;
pub(crate) mod churn;
pub(crate) mod cold_start;
pub(crate) mod failing;
pub(crate) mod kinds;
pub(crate) mod latency;
pub(crate) mod queue;
pub(crate) mod reconnect;
