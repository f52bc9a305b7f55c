//! Pure: from a [`Website`] to the objects that it is to own. No client, no clock.
//!
//! Each object says only what this controller cares about, since it is written by server-side apply: whatever else the
//! API server or somebody else fills in stays theirs.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
    Service, ServicePort, ServiceSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource as _, ResourceExt as _};

use crate::crd::Website;

/// Who we are to the API server: the field manager of what we apply, and the label on what we own.
pub const MANAGER: &str = "kubehandler-sample-controller";

/// Holds a deleted Website back until the controller has seen to what lies outside of the cluster.
pub const FINALIZER: &str = "example.kubehandler.dev/website";

/// Selects what this controller owns; its informers of `ConfigMap`s and `Service`s see nothing else.
pub const OWNED_SELECTOR: &str = "app.kubernetes.io/managed-by=kubehandler-sample-controller";

/// The generation of the Website that an owned object was written for. It makes each change of the spec a change of
/// every owned object, so that comparing with the cache also notices a field that is no longer wanted.
pub const GENERATION: &str = "example.kubehandler.dev/generation";

/// What external-dns reads.
const HOSTNAME: &str = "external-dns.alpha.kubernetes.io/hostname";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const INSTANCE: &str = "app.kubernetes.io/instance";
const VERSION: &str = "app.kubernetes.io/version";
/// A web server that needs neither root nor a writable root filesystem, and listens on 8080.
const IMAGE: &str = "docker.io/nginxinc/nginx-unprivileged:1.29-alpine";
const PORT: i32 = 8080;

/// Why a Website cannot be served as it is. Trying again does not help, a change of the Website does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The objects that it owns bear its name, and a Service's name is a DNS label.
    #[error("the name `{0}` cannot be a Service's name: use at most 63 of a-z, 0-9 and -, beginning with a letter")]
    Name(String),
    /// The page runs a script.
    #[error("spec.page contains a <script> element: only static pages are served")]
    Script,
    /// Not an object that the API server stored.
    #[error("the Website has no uid: only Websites that the API server has stored can own anything")]
    NotStored,
}

impl Invalid {
    /// The `Ready` condition's reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "InvalidName",
            Self::Script => "InvalidPage",
            Self::NotStored => "NotStored",
        }
    }
}

/// The objects that a Website is to own.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The page.
    pub config_map: ConfigMap,
    /// One address for all of the web servers.
    pub service: Service,
    /// The web servers.
    pub deployment: Deployment,
}

impl Desired {
    /// What this Website is to own.
    ///
    /// # Errors
    /// The Website cannot be served as it is.
    pub fn of(website: &Website) -> Result<Self, Invalid> {
        check(website)?;
        let owner = owner(website)?;
        Ok(Self {
            config_map: config_map(website, &owner),
            service: service(website, &owner),
            deployment: deployment(website, &owner),
        })
    }
}

/// What the CRD's schema cannot say.
///
/// # Errors
/// The Website cannot be served as it is.
pub fn check(website: &Website) -> Result<(), Invalid> {
    let name = website.name_any();
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > 63 || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(label) {
        return Err(Invalid::Name(name));
    }
    if website.spec.page.to_ascii_lowercase().contains("<script") {
        return Err(Invalid::Script);
    }
    Ok(())
}

/// Whether this Website controls an object with these owner references. The uid decides: a Website that was deleted
/// and created again under the same name is another one.
#[must_use]
pub fn controls(website: &Website, owned: &ObjectMeta) -> bool {
    let owners = owned.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    controllers.any(|owner| website.metadata.uid.as_ref() == Some(&owner.uid))
}

fn owner(website: &Website) -> Result<OwnerReference, Invalid> {
    let reference = website.controller_owner_ref(&()).ok_or(Invalid::NotStored)?;
    // Without blockOwnerDeletion: setting it takes the right to update the owner's finalizers on some clusters, and
    // nothing here depends on it.
    Ok(OwnerReference { block_owner_deletion: None, ..reference })
}

fn metadata(website: &Website, owner: &OwnerReference) -> ObjectMeta {
    let generation = website.metadata.generation.unwrap_or_default();
    let mut labels = selector(website);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    // A new version of this controller may want other fields: it writes everything once more.
    labels.insert(VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    ObjectMeta {
        name: website.metadata.name.clone(),
        namespace: website.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(BTreeMap::from([(GENERATION.to_owned(), generation.to_string())])),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn selector(website: &Website) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "website".to_owned()),
        (INSTANCE.to_owned(), website.name_any()),
    ])
}

fn config_map(website: &Website, owner: &OwnerReference) -> ConfigMap {
    ConfigMap {
        metadata: metadata(website, owner),
        data: Some(BTreeMap::from([("index.html".to_owned(), website.spec.page.clone())])),
        ..ConfigMap::default()
    }
}

fn service(website: &Website, owner: &OwnerReference) -> Service {
    let mut metadata = metadata(website, owner);
    if let Some(host) = &website.spec.host {
        metadata.annotations.get_or_insert_default().insert(HOSTNAME.to_owned(), host.clone());
    }
    let port = ServicePort {
        name: Some("http".to_owned()),
        port: 80,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String("http".to_owned())),
        ..ServicePort::default()
    };
    Service {
        metadata,
        spec: Some(ServiceSpec {
            selector: Some(selector(website)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn deployment(website: &Website, owner: &OwnerReference) -> Deployment {
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(selector(website)), ..ObjectMeta::default() }),
        spec: Some(pod(website)),
    };
    Deployment {
        metadata: metadata(website, owner),
        spec: Some(DeploymentSpec {
            replicas: Some(website.spec.replicas),
            selector: LabelSelector { match_labels: Some(selector(website)), ..LabelSelector::default() },
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A pod that the `restricted` pod security standard admits.
fn pod(website: &Website) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        containers: vec![web_server()],
        // The kubelet brings a changed ConfigMap into running pods by itself: a new page needs no rollout.
        volumes: Some(vec![
            Volume {
                name: "page".to_owned(),
                config_map: Some(ConfigMapVolumeSource {
                    name: website.name_any(),
                    ..ConfigMapVolumeSource::default()
                }),
                ..Volume::default()
            },
            Volume { name: "tmp".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() },
        ]),
        ..PodSpec::default()
    }
}

fn web_server() -> Container {
    let mount = |name: &str, path: &str, read_only| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    };
    let quantity = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    Container {
        name: "web".to_owned(),
        image: Some(IMAGE.to_owned()),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: PORT,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/".to_owned()),
                port: IntOrString::String("http".to_owned()),
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        }),
        resources: Some(ResourceRequirements {
            requests: Some(BTreeMap::from([quantity("cpu", "10m"), quantity("memory", "16Mi")])),
            limits: Some(BTreeMap::from([quantity("memory", "64Mi")])),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![mount("page", "/usr/share/nginx/html", Some(true)), mount("tmp", "/tmp", None)]),
        ..Container::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::website;

    #[test]
    fn everything_owned_bears_the_websites_name_and_is_controlled_by_it() {
        let website = website("home", "<p>Hello</p>");
        let Desired { config_map, service, deployment } = Desired::of(&website).unwrap();
        for metadata in [&config_map.metadata, &service.metadata, &deployment.metadata] {
            assert_eq!((metadata.name.as_deref(), metadata.namespace.as_deref()), (Some("home"), Some("default")));
            assert!(controls(&website, metadata));
            let labels = metadata.labels.as_ref().unwrap();
            let (key, value) = OWNED_SELECTOR.split_once('=').unwrap();
            assert_eq!(labels.get(key).map(String::as_str), Some(value), "the informers select by it");
        }
        assert_eq!(config_map.data.unwrap()["index.html"], "<p>Hello</p>");
        assert_eq!(deployment.spec.unwrap().replicas, Some(2));
    }

    #[test]
    fn the_service_and_the_deployment_select_the_pods_of_the_template() {
        let Desired { service, deployment, .. } = Desired::of(&website("home", "Hello")).unwrap();
        let deployment = deployment.spec.unwrap();
        let pods = deployment.template.metadata.unwrap().labels;
        assert_eq!(service.spec.unwrap().selector, pods);
        assert_eq!(deployment.selector.match_labels, pods);
    }

    #[test]
    fn the_host_is_told_to_external_dns_and_taken_back_without_one() {
        let mut website = website("home", "Hello");
        let annotations = |website: &Website| Desired::of(website).unwrap().service.metadata.annotations.unwrap();
        assert_eq!(annotations(&website).get(HOSTNAME), None);
        website.spec.host = Some("home.example.org".to_owned());
        assert_eq!(annotations(&website).get(HOSTNAME).map(String::as_str), Some("home.example.org"));
    }

    #[test]
    fn a_script_in_any_case_is_refused() {
        for page in ["<script>alert(1)</script>", "fine <ScRiPt src=x>"] {
            assert_eq!(Desired::of(&website("home", page)), Err(Invalid::Script), "{page}");
        }
        assert!(Desired::of(&website("home", "a script of a play")).is_ok());
    }

    #[test]
    fn a_name_that_no_service_may_bear_is_refused() {
        for name in ["my.site", "1st", &"x".repeat(64)] {
            assert!(matches!(check(&website(name, "Hello")), Err(Invalid::Name(_))), "{name}");
        }
        assert_eq!(check(&website(&"x".repeat(63), "Hello")), Ok(()));
    }

    #[test]
    fn a_new_website_under_an_old_name_does_not_control_what_the_old_one_owned() {
        let old = website("home", "Hello");
        let owned = Desired::of(&old).unwrap().deployment.metadata;
        let mut new = old;
        new.metadata.uid = Some("another".to_owned());
        assert!(!controls(&new, &owned));
    }
}
