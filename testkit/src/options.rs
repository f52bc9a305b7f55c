//! What a request's query (and a deletion's body) asks for, checked with the real server's complaints.
//!
//! Pure. A request that passes here is well-formed; whether it can be met is for the verbs to find out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    field::{FieldError, go_quote},
    registry::Resource,
    route::Query,
    selector::{FieldSelector, LabelSelector, Selectors},
    status::{ApiError, Result},
};

/// How a list's or watch's `resourceVersion` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// Options of list and watch.
#[derive(Clone, Debug)]
pub(crate) struct ListOptions {
    pub(crate) selectors: Selectors,
    /// `None` when absent or empty: the newest.
    pub(crate) resource_version: Option<u64>,
    pub(crate) version_match: Option<VersionMatch>,
    /// `None` for no limit.
    pub(crate) limit: Option<usize>,
    /// Empty when absent.
    pub(crate) continue_token: String,
    pub(crate) allow_bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    /// `None` leaves it to the server.
    pub(crate) timeout: Option<Duration>,
}

fn invalid_options(kind: &str, errors: &[FieldError]) -> ApiError {
    ApiError::invalid("meta.k8s.io", kind, "", errors)
}

fn number(query: &Query, name: &str) -> Result<Option<i64>> {
    let text = query.text(name);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let why = if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) && text != "-" {
            "value out of range"
        } else {
            "invalid syntax"
        };
        ApiError::bad_request(format!("strconv.ParseInt: parsing {}: {why}", go_quote(text)))
    })
}

/// What Go says of a text that is no unsigned number.
pub(crate) fn no_uint(text: &str) -> String {
    format!("strconv.ParseUint: parsing {}: invalid syntax", go_quote(text))
}

impl ListOptions {
    /// Reads and checks a query. `watch_list` tells whether `sendInitialEvents` is a thing this server admits to know.
    pub(crate) fn parse(query: &Query, resource: &Resource, watch: bool, watch_list: bool) -> Result<Self> {
        let limit = number(query, "limit")?;
        let timeout = number(query, "timeoutSeconds")?;
        let labels = LabelSelector::parse(query.text("labelSelector")).map_err(ApiError::bad_request)?;
        let fields = FieldSelector::parse(query.text("fieldSelector"), resource).map_err(ApiError::bad_request)?;
        let send_initial_events = query.has("sendInitialEvents").then(|| query.flag("sendInitialEvents"));
        let errors = if watch {
            watch_errors(query, send_initial_events, watch_list)
        } else {
            list_errors(query, send_initial_events)
        };
        if !errors.is_empty() {
            return Err(invalid_options("ListOptions", &errors));
        }
        Ok(Self {
            selectors: Selectors { labels, fields },
            resource_version: version(query.text("resourceVersion"), watch)?,
            version_match: match query.text("resourceVersionMatch") {
                "Exact" => Some(VersionMatch::Exact),
                "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                _ => None,
            },
            limit: limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
            continue_token: query.text("continue").to_owned(),
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events,
            timeout: timeout
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|s| *s > 0)
                .map(Duration::from_secs),
        })
    }
}

fn version(text: &str, watch: bool) -> Result<Option<u64>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let complaint = FieldError::invalid_str("resourceVersion", text, &no_uint(text)).to_string();
        if watch {
            ApiError::unclassified(complaint)
        } else {
            ApiError::bad_request(format!("invalid resource version: {complaint}"))
        }
    })
}

fn list_errors(query: &Query, send_initial_events: Option<bool>) -> Vec<FieldError> {
    const FIELD: &str = "resourceVersionMatch";
    let mut errors = Vec::new();
    let wanted = query.text(FIELD);
    if !wanted.is_empty() {
        if query.text("resourceVersion").is_empty() {
            errors.push(FieldError::forbidden(
                FIELD,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !query.text("continue").is_empty() {
            errors.push(FieldError::forbidden(FIELD, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(FIELD, &json!(wanted), &["Exact", "NotOlderThan", ""]));
        }
        if wanted == "Exact" && query.text("resourceVersion") == "0" {
            let why = r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#;
            errors.push(FieldError::forbidden(FIELD, why));
        }
    }
    if send_initial_events.is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    errors
}

fn watch_errors(query: &Query, send_initial_events: Option<bool>, watch_list: bool) -> Vec<FieldError> {
    const FIELD: &str = "resourceVersionMatch";
    let mut errors = Vec::new();
    let wanted = query.text(FIELD);
    if send_initial_events.is_some() {
        if wanted != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(FIELD, why));
        }
        if !watch_list {
            let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            errors.push(FieldError::forbidden("sendInitialEvents", why));
        }
    }
    if !wanted.is_empty() {
        if send_initial_events.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(FIELD, why));
        }
        if wanted != "NotOlderThan" {
            errors.push(FieldError::not_supported(FIELD, &json!(wanted), &["NotOlderThan"]));
        }
        if !query.text("continue").is_empty() {
            errors.push(FieldError::forbidden(FIELD, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    errors
}

/// What happens to fields that a kind does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    /// Who is writing: `fieldManager`, or what the user agent begins with.
    pub(crate) manager: String,
    /// `fieldManager` was given; server-side apply insists on it.
    pub(crate) manager_given: bool,
    pub(crate) field_validation: FieldValidation,
    /// Server-side apply takes over what others own.
    pub(crate) force: Option<bool>,
}

impl WriteOptions {
    /// `kind` is the options' own kind: `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn parse(query: &Query, kind: &str, user_agent: &str) -> Result<Self> {
        let mut errors = Vec::new();
        let manager = query.text("fieldManager");
        if manager.len() > 128 {
            errors.push(FieldError::too_long("fieldManager", 128));
        }
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let validation = query.text("fieldValidation");
        let field_validation = match validation {
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        };
        if !matches!(validation, "" | "Ignore" | "Strict" | "Warn") {
            let supported = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::not_supported("fieldValidation", &json!(validation), &supported));
        }
        if !errors.is_empty() {
            return Err(invalid_options(kind, &errors));
        }
        Ok(Self {
            dry_run,
            manager: if manager.is_empty() { manager_of(user_agent) } else { manager.to_owned() },
            manager_given: !manager.is_empty(),
            field_validation,
            force: query.has("force").then(|| query.flag("force")),
        })
    }
}

impl WriteOptions {
    /// What only an apply must say, and what only an apply may say.
    pub(crate) fn check_patch(&self, is_apply: bool) -> Result<()> {
        let error = match (is_apply, self.manager_given, self.force) {
            (true, false, _) => FieldError::required("fieldManager", "is required for apply patch"),
            (false, _, Some(_)) => FieldError::forbidden("force", "may not be specified for non-apply patch"),
            _ => return Ok(()),
        };
        Err(invalid_options("PatchOptions", &[error]))
    }
}

fn dry_run(values: &[String], errors: &mut Vec<FieldError>) -> bool {
    let values: Vec<&String> = values.iter().filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        errors.push(FieldError::not_supported("dryRun", &json!(values), &["All"]));
    }
    !values.is_empty()
}

fn manager_of(user_agent: &str) -> String {
    let prefix = user_agent.split('/').next().unwrap_or_default();
    let printable: String = prefix.chars().filter(|c| !c.is_control()).take(128).collect();
    if printable.is_empty() { "unknown".to_owned() } else { printable }
}

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// The object goes at once, the garbage collector follows.
    Background,
    /// The dependents go first.
    Foreground,
    /// The dependents stay and lose their owner.
    Orphan,
}

/// Options of delete and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    /// `None` for the kind's default.
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads the body if there is one, else the query.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<Self> {
        let mut errors = Vec::new();
        let text = |name: &str| match body {
            Some(body) => body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => query.text(name).to_owned(),
        };
        let dry_runs = match body {
            Some(body) => texts(body.get("dryRun")),
            None => query.all("dryRun").to_vec(),
        };
        let dry_run = dry_run(&dry_runs, &mut errors);
        let policy = text("propagationPolicy");
        let orphan_dependents = match body {
            Some(body) => body.get("orphanDependents").and_then(Value::as_bool),
            None => query.has("orphanDependents").then(|| query.flag("orphanDependents")),
        };
        let propagation = propagation(&policy, orphan_dependents, &mut errors);
        if !errors.is_empty() {
            return Err(invalid_options("DeleteOptions", &errors));
        }
        let grace_seconds = match body {
            Some(body) => grace_seconds(body.get("gracePeriodSeconds"))?,
            None => number(query, "gracePeriodSeconds")?,
        };
        let precondition = |name: &str| {
            let preconditions = body.and_then(|body| body.get("preconditions"));
            preconditions.and_then(|all| all.get(name)).and_then(Value::as_str).map(str::to_owned)
        };
        Ok(Self {
            dry_run,
            propagation,
            grace_seconds,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        })
    }
}

fn grace_seconds(field: Option<&Value>) -> Result<Option<i64>> {
    let found = match field {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(seconds) => return Ok(Some(seconds)),
            None => format!("number {number}"),
        },
        Some(Value::String(_)) => "string".to_owned(),
        Some(Value::Bool(_)) => "bool".to_owned(),
        Some(Value::Array(_)) => "array".to_owned(),
        Some(Value::Object(_)) => "object".to_owned(),
    };
    let place = "Go struct field DeleteOptions.gracePeriodSeconds of type int64";
    Err(ApiError::bad_request(format!("json: cannot unmarshal {found} into {place}")))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn propagation(policy: &str, orphan: Option<bool>, errors: &mut Vec<FieldError>) -> Option<Propagation> {
    if orphan.is_some() && !policy.is_empty() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError::invalid_str("propagationPolicy", policy, why));
    }
    match (policy, orphan) {
        ("Background", _) | ("", Some(false)) => Some(Propagation::Background),
        ("Foreground", _) => Some(Propagation::Foreground),
        ("Orphan", _) | ("", Some(true)) => Some(Propagation::Orphan),
        ("", None) => None,
        (other, _) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported("propagationPolicy", &json!(other), &supported));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn list(query: &str, watch: bool) -> Result<ListOptions> {
        let pods = Registry::new().find("", "v1", "pods").unwrap();
        ListOptions::parse(&Query::parse(query), &pods, watch, true)
    }

    #[test]
    fn wrong_options_are_refused_in_the_real_servers_words() {
        for (query, watch, code, expected) in [
            ("limit=abc", false, 400, r#"strconv.ParseInt: parsing "abc": invalid syntax"#),
            (
                "resourceVersion=abc",
                false,
                400,
                r#"invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
            ),
            (
                "resourceVersion=abc",
                true,
                500,
                r#"resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
            ),
            (
                "resourceVersionMatch=Exact",
                false,
                422,
                r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#,
            ),
            (
                "sendInitialEvents=true",
                true,
                422,
                r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"#,
            ),
        ] {
            let error = list(query, watch).unwrap_err();
            assert_eq!((error.code(), error.message()), (code, expected), "{query}");
        }
    }

    #[test]
    fn a_negative_limit_is_none() {
        assert_eq!(list("limit=-1", false).unwrap().limit, None);
        assert_eq!(list("limit=5", false).unwrap().limit, Some(5));
    }

    #[test]
    fn delete_options_come_from_the_body_or_else_the_query() {
        let query = Query::parse("propagationPolicy=Orphan&gracePeriodSeconds=3");
        let options = DeleteOptions::parse(&query, None).unwrap();
        assert_eq!((options.propagation, options.grace_seconds), (Some(Propagation::Orphan), Some(3)));
        let body = json!({"propagationPolicy": "Foreground", "preconditions": {"uid": "u"}});
        let options = DeleteOptions::parse(&query, Some(&body)).unwrap();
        assert_eq!((options.propagation, options.uid.as_deref()), (Some(Propagation::Foreground), Some("u")));
        let error = DeleteOptions::parse(&query, Some(&json!({"propagationPolicy": "Foo"}))).unwrap_err();
        assert_eq!(error.code(), 422);
    }

    #[test]
    fn the_manager_is_the_user_agents_first_word() {
        let options = WriteOptions::parse(&Query::default(), "CreateOptions", "kubectl/v1.36 (linux)").unwrap();
        assert_eq!(options.manager, "kubectl");
        assert!(!options.manager_given);
    }
}
