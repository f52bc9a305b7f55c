//! Refusals of the API server that are no faults: others write and delete as well.

use std::time::Duration;

use kube::core::Status;
use kubehandler::Retry;

/// Long enough for the change that got in our way to reach the cache.
const AFTER_CONFLICT: Duration = Duration::from_millis(250);

/// What a failed request means for the call that made it.
///
/// - Not found: the Website, or its whole namespace, went away meanwhile. Its deletion is on its way to us; nothing
///   to do. The same for a namespace that is being emptied and takes nothing new.
/// - Conflict: somebody wrote first. Look again shortly, with what they wrote.
/// - Anything else fails the call, in one line, and is retried with a growing delay.
///
/// # Errors
/// As said above: all but what can be ignored.
pub fn settle(error: anyhow::Error) -> anyhow::Result<()> {
    let status = match error.downcast::<kube::Error>() {
        Ok(kube::Error::Api(status)) => status,
        Ok(other) => return Err(other.into()),
        Err(other) => return Err(other),
    };
    match () {
        () if status.is_not_found() || namespace_is_going(&status) => {
            tracing::debug!(reason = %status.message, "the Website is going, nothing to do");
            Ok(())
        }
        () if status.is_conflict() => Err(anyhow::Error::new(Retry::after(AFTER_CONFLICT)).context(status.message)),
        () if status.is_forbidden() => {
            Err(anyhow::anyhow!("{}: grant it, deploy/rbac.yaml lists all that is needed", status.message))
        }
        () => Err(anyhow::anyhow!("the API server refused: {} ({})", status.message, status.reason)),
    }
}

fn namespace_is_going(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(code: u16, reason: &str) -> Status {
        Status::failure("what the server said", reason).with_code(code)
    }

    fn settled(status: Status) -> anyhow::Result<()> {
        settle(kube::Error::Api(status.boxed()).into())
    }

    #[test]
    fn what_is_gone_or_going_needs_nothing_more() {
        assert!(settled(refusal(404, "NotFound")).is_ok());
        let details = json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "", "field": "" }] });
        let details = serde_json::from_value(details).unwrap();
        assert!(settled(refusal(403, "Forbidden").with_details(details)).is_ok());
    }

    #[test]
    fn a_conflict_is_looked_at_again_shortly() {
        let error = settled(refusal(409, "Conflict")).unwrap_err();
        assert_eq!(error.chain().find_map(|it| it.downcast_ref()), Some(&Retry::after(AFTER_CONFLICT)));
    }

    #[test]
    fn other_refusals_fail_the_call_in_one_line() {
        for (code, reason) in [(403, "Forbidden"), (422, "Invalid"), (500, "InternalError")] {
            let text = format!("{:#}", settled(refusal(code, reason)).unwrap_err());
            assert!(text.contains("what the server said") && !text.contains('\n'), "{text}");
        }
    }
}
