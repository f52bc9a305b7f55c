//! A controller to copy: `Website`s that own a `ConfigMap`, a `Service` and a `Deployment`.

pub mod crd;
pub mod desired;
pub mod observed;
#[cfg(test)]
mod testing;
