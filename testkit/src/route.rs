//! URLs to what they mean. The only file that knows how the API's paths look.
//!
//! Pure: takes a method, a path and a query; knows neither which kinds exist nor what verbs do.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`, `/readyz` and what is below them.
    Health,
    /// `/version`.
    Version,
    /// `/`: the list of paths.
    Index,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`.
    GroupVersion { group: String, version: String },
    /// `/openapi/…`: the rest of the path, such as `v3/apis/apps/v1`.
    OpenApi(String),
    /// Everything that has objects.
    Resource(ResourceRoute),
    /// None of these.
    Unknown,
}

/// A collection, an object or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceRoute {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The path began with `…/watch/…`, as clients of long ago write it.
    pub(crate) watch_path: bool,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match texts.as_slice() {
            [] => Self::Index,
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::GroupVersion { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => {
                Self::GroupVersion { group: (*group).to_owned(), version: (*version).to_owned() }
            }
            ["openapi", rest @ ..] => Self::OpenApi(rest.join("/")),
            ["api", version, rest @ ..] => resource("", version, rest),
            ["apis", group, version, rest @ ..] => resource(group, version, rest),
            _ => Self::Unknown,
        }
    }
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Route {
    let (watch_path, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, rest),
    };
    // `namespaces/x` is a namespace; `namespaces/x/pods` the pods in it; `namespaces/x/status` a part of the namespace.
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, inside @ ..] if !inside.is_empty() => (Some((*namespace).to_owned()), inside),
        _ => (None, rest),
    };
    let [plural, of_object @ ..] = rest else {
        return Route::Unknown;
    };
    let (name, subresource) = match of_object {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, part @ ..] => (Some((*name).to_owned()), Some(part.join("/"))),
    };
    Route::Resource(ResourceRoute {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: (*plural).to_owned(),
        namespace,
        name,
        subresource,
        watch_path,
    })
}

/// The verb of a request on a resource, as RBAC and the audit log name it; `None` for a method that means nothing there.
pub(crate) fn verb(method: &Method, route: &ResourceRoute, watch: bool) -> Option<&'static str> {
    let whole = route.name.is_none();
    match *method {
        Method::GET if watch || route.watch_path => Some(if whole || route.watch_path { "watch" } else { "get" }),
        Method::GET => Some(if whole { "list" } else { "get" }),
        Method::POST if whole => Some("create"),
        Method::PUT if !whole => Some("update"),
        Method::PATCH if !whole => Some("patch"),
        Method::DELETE => Some(if whole { "deletecollection" } else { "delete" }),
        _ => None,
    }
}

/// A query's parameters; of a repeated one the first counts, as in the real server, unless all are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self(parameters)
    }

    /// The first value; empty when there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// As Go reads booleans in queries: present and neither `0` nor `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.text(name).to_ascii_lowercase().as_str(), "0" | "false")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: (&str, &str, &str, Option<&str>, Option<&str>, Option<&str>)) {
        let Route::Resource(route) = Route::parse(path) else {
            panic!("{path} is not a resource");
        };
        let actual = (
            route.group.as_str(),
            route.version.as_str(),
            route.plural.as_str(),
            route.namespace.as_deref(),
            route.name.as_deref(),
            route.subresource.as_deref(),
        );
        assert_eq!(actual, expected, "{path}");
    }

    #[test]
    fn paths_name_resources() {
        check("/api/v1/pods", ("", "v1", "pods", None, None, None));
        check("/api/v1/namespaces", ("", "v1", "namespaces", None, None, None));
        check("/api/v1/namespaces/a", ("", "v1", "namespaces", None, Some("a"), None));
        check("/api/v1/namespaces/a/status", ("", "v1", "namespaces", None, Some("a"), Some("status")));
        check("/api/v1/namespaces/a/pods", ("", "v1", "pods", Some("a"), None, None));
        check(
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            ("apps", "v1", "deployments", Some("a"), Some("b"), Some("scale")),
        );
        check(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            ("rbac.authorization.k8s.io", "v1", "clusterroles", None, Some("system:node"), None),
        );
        check("/api/v1/watch/namespaces/a/pods", ("", "v1", "pods", Some("a"), None, None));
    }

    #[test]
    fn paths_name_documents() {
        assert_eq!(Route::parse("/"), Route::Index);
        assert_eq!(Route::parse("/api/"), Route::CoreVersions);
        assert_eq!(Route::parse("/apis/apps"), Route::Group("apps".into()));
        let core = Route::GroupVersion { group: String::new(), version: "v1".into() };
        assert_eq!(Route::parse("/api/v1"), core);
        assert_eq!(Route::parse("/readyz/ping"), Route::Health);
        assert_eq!(Route::parse("/openapi/v3/api/v1"), Route::OpenApi("v3/api/v1".into()));
        assert_eq!(Route::parse("/foo"), Route::Unknown);
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let query = Query::parse("&watch=1&a=false&b&c=True&d=0");
        for (name, expected) in [("watch", true), ("a", false), ("b", true), ("c", true), ("d", false), ("e", false)] {
            assert_eq!(query.flag(name), expected, "{name}");
        }
    }
}
