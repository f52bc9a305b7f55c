//! Pure: from a [`Website`] and its Deployment to the status that says how it stands. No client; the time is an
//! argument.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::crd::{Website, WebsiteStatus};
use crate::desired::{self, GENERATION};

/// The one condition of a Website.
pub const READY: &str = "Ready";

/// How the Website stands, given what the cache holds under its Deployment's name.
///
/// Equal inputs give an equal status: `now` only enters it when `Ready` changes between true and false, so comparing
/// the answer with `website.status` tells whether there is anything to write.
#[must_use]
pub fn status(website: &Website, deployment: Option<&Deployment>, now: Time) -> WebsiteStatus {
    let own = deployment.filter(|deployment| desired::controls(website, &deployment.metadata));
    let available = own.and_then(|deployment| deployment.status.as_ref()?.available_replicas).unwrap_or_default();
    let (ready, reason, message) = judge(website, deployment, own, available);
    let generation = website.metadata.generation;
    let old = website.status.as_ref().and_then(|status| status.condition(READY));
    let word = if ready { "True" } else { "False" };
    let since = old.filter(|old| old.status == word).map_or(now, |old| old.last_transition_time.clone());
    let condition = Condition {
        type_: READY.to_owned(),
        status: word.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: since,
    };
    WebsiteStatus { conditions: vec![condition], observed_generation: generation, available_replicas: available }
}

/// Ready or not, the reason as a word, and in a sentence.
fn judge(
    website: &Website,
    deployment: Option<&Deployment>,
    own: Option<&Deployment>,
    available: i32,
) -> (bool, &'static str, String) {
    let wanted = website.spec.replicas;
    if let Err(invalid) = desired::check(website) {
        return (false, invalid.reason(), invalid.to_string());
    }
    match own {
        None if deployment.is_some() => {
            (false, "NameTaken", "a Deployment of this name exists and does not belong to this Website".to_owned())
        }
        None => (false, "Progressing", "the Deployment does not exist yet; if it stays so, see the events".to_owned()),
        Some(own) if !is_current(website, own) => {
            (false, "Progressing", "the Deployment does not follow the newest spec yet".to_owned())
        }
        Some(_) if available < wanted => {
            (false, "Progressing", format!("{available} of {wanted} replicas are available"))
        }
        Some(_) => (true, "Available", format!("{wanted} of {wanted} replicas are available")),
    }
}

/// Whether the Deployment was written for this generation of the Website, and its own controller has seen that.
fn is_current(website: &Website, deployment: &Deployment) -> bool {
    let written_for = deployment.metadata.annotations.as_ref().and_then(|all| all.get(GENERATION));
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    written_for.map(String::as_str) == website.metadata.generation.map(|it| it.to_string()).as_deref()
        && observed >= deployment.metadata.generation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Desired;
    use crate::testing::website;
    use k8s_openapi::api::apps::v1::DeploymentStatus;
    use k8s_openapi::jiff::Timestamp;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn ready(status: &WebsiteStatus) -> (&str, &str) {
        let ready = status.condition(READY).unwrap();
        (&ready.status, &ready.reason)
    }

    fn deployment(website: &Website, available: i32) -> Deployment {
        let mut deployment = Desired::of(website).unwrap().deployment;
        deployment.metadata.generation = Some(1);
        deployment.status = Some(DeploymentStatus {
            available_replicas: Some(available),
            observed_generation: Some(1),
            ..DeploymentStatus::default()
        });
        deployment
    }

    #[test]
    fn a_website_is_ready_once_all_of_its_replicas_are_available() {
        let website = website("home", "Hello");
        assert_eq!(ready(&status(&website, None, at(1))), ("False", "Progressing"));
        assert_eq!(ready(&status(&website, Some(&deployment(&website, 1)), at(1))), ("False", "Progressing"));
        let done = status(&website, Some(&deployment(&website, 2)), at(1));
        assert_eq!(ready(&done), ("True", "Available"));
        assert_eq!((done.available_replicas, done.observed_generation), (2, Some(1)));
    }

    #[test]
    fn zero_replicas_are_ready_when_the_deployment_says_so() {
        let mut website = website("home", "Hello");
        website.spec.replicas = 0;
        assert_eq!(ready(&status(&website, Some(&deployment(&website, 0)), at(1))), ("True", "Available"));
    }

    #[test]
    fn a_status_that_was_written_is_not_changed_by_time_alone() {
        let mut website = website("home", "Hello");
        let deployment = deployment(&website, 2);
        website.status = Some(status(&website, Some(&deployment), at(1)));
        assert_eq!(Some(status(&website, Some(&deployment), at(100))), website.status);
    }

    #[test]
    fn the_transition_time_moves_only_when_ready_does() {
        let mut website = website("home", "Hello");
        let since = |status: &WebsiteStatus| status.condition(READY).unwrap().last_transition_time.clone();
        website.status = Some(status(&website, None, at(1)));
        let progress = status(&website, Some(&deployment(&website, 1)), at(2));
        assert_eq!(since(&progress), at(1));
        assert_eq!(since(&status(&website, Some(&deployment(&website, 2)), at(3))), at(3));
    }

    #[test]
    fn a_deployment_of_an_older_generation_makes_nobody_ready() {
        let mut website = website("home", "Hello");
        let deployment = deployment(&website, 2);
        website.metadata.generation = Some(2);
        assert_eq!(ready(&status(&website, Some(&deployment), at(1))), ("False", "Progressing"));
    }

    #[test]
    fn a_deployment_whose_controller_lags_behind_makes_nobody_ready() {
        let website = website("home", "Hello");
        let mut deployment = deployment(&website, 2);
        deployment.metadata.generation = Some(2);
        assert_eq!(ready(&status(&website, Some(&deployment), at(1))), ("False", "Progressing"));
    }

    #[test]
    fn somebody_elses_deployment_is_named_and_not_counted() {
        let website = website("home", "Hello");
        let mut deployment = deployment(&website, 2);
        deployment.metadata.owner_references = None;
        let taken = status(&website, Some(&deployment), at(1));
        assert_eq!(ready(&taken), ("False", "NameTaken"));
        assert_eq!(taken.available_replicas, 0);
    }

    #[test]
    fn an_invalid_page_is_told_while_the_old_one_is_still_shown() {
        let mut website = website("home", "Hello");
        let deployment = deployment(&website, 2);
        website.spec.page = "<script>".to_owned();
        website.metadata.generation = Some(2);
        let broken = status(&website, Some(&deployment), at(1));
        assert_eq!(ready(&broken), ("False", "InvalidPage"));
        assert_eq!((broken.available_replicas, broken.observed_generation), (2, Some(2)));
    }
}
