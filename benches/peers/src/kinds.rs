//! The thirty kinds of the scenario with many informers, the same ones as in Go.

use std::fmt::Debug;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::{CronJob, Job},
    coordination::v1::Lease,
    core::v1::{
        ConfigMap, Endpoints, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
        ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
    },
    networking::v1::{Ingress, IngressClass, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    storage::v1::StorageClass,
};
use kube::Resource;
use serde::de::DeserializeOwned;

/// What every kind is.
pub trait Object: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}

impl<K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Object for K {}

/// What is done with each kind.
pub trait Visitor {
    /// Visits one.
    fn visit<K: Object>(&mut self) -> anyhow::Result<()>;
}

/// Visits each kind.
pub fn visit_all(visitor: &mut impl Visitor) -> anyhow::Result<()> {
    visitor.visit::<Pod>()?;
    visitor.visit::<Service>()?;
    visitor.visit::<Endpoints>()?;
    visitor.visit::<ConfigMap>()?;
    visitor.visit::<Secret>()?;
    visitor.visit::<ServiceAccount>()?;
    visitor.visit::<Node>()?;
    visitor.visit::<Namespace>()?;
    visitor.visit::<PersistentVolume>()?;
    visitor.visit::<PersistentVolumeClaim>()?;
    visitor.visit::<ReplicationController>()?;
    visitor.visit::<LimitRange>()?;
    visitor.visit::<ResourceQuota>()?;
    visitor.visit::<Deployment>()?;
    visitor.visit::<ReplicaSet>()?;
    visitor.visit::<StatefulSet>()?;
    visitor.visit::<DaemonSet>()?;
    visitor.visit::<Job>()?;
    visitor.visit::<CronJob>()?;
    visitor.visit::<Ingress>()?;
    visitor.visit::<NetworkPolicy>()?;
    visitor.visit::<IngressClass>()?;
    visitor.visit::<PodDisruptionBudget>()?;
    visitor.visit::<Role>()?;
    visitor.visit::<RoleBinding>()?;
    visitor.visit::<ClusterRole>()?;
    visitor.visit::<ClusterRoleBinding>()?;
    visitor.visit::<StorageClass>()?;
    visitor.visit::<HorizontalPodAutoscaler>()?;
    visitor.visit::<Lease>()
}
