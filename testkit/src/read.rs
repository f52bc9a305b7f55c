//! Get and list: consistent pages, resource versions, continue tokens.
//!
//! Invariant: the pages of one list, fetched by its continue tokens, show one revision, whatever happens in between; once the
//! history no longer holds that revision the next page is refused with 410 and a token that continues inconsistently.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Cluster, Target},
    options::{ListOptions, VersionMatch},
    status::{ApiError, Result},
    storage::{Key, Stored, key_range},
};

/// One page of a list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) revision: u64,
    /// Empty on the last page.
    pub(crate) continue_token: String,
    pub(crate) remaining: Option<usize>,
}

/// What a continue token says.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    /// The list's revision; -1 for "whatever is newest".
    rv: i64,
    /// Where to go on: the last key, below the list's prefix, and a NUL.
    start: String,
}

impl Token {
    fn encode(revision: i64, key: &Key, namespace: Option<&str>) -> String {
        let below = match namespace {
            Some(namespace) => key.as_str().strip_prefix(namespace).unwrap_or(key.as_str()).to_owned(),
            None => format!("/{}", key.as_str()),
        };
        let token = Self { v: "meta.k8s.io/v1".to_owned(), rv: revision, start: format!("{below}\0") };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self> {
        let invalid =
            |why: String| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| invalid(error.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if token.v != "meta.k8s.io/v1" {
            return Err(invalid(format!("server does not recognize this encoded version {:?}", token.v)));
        }
        if token.start.is_empty() {
            return Err(invalid("encoded start key empty (version meta.k8s.io/v1)".to_owned()));
        }
        Ok(token)
    }

    /// The last key of the page before.
    fn after(&self, namespace: Option<&str>) -> String {
        let below = self.start.trim_end_matches('\0').trim_start_matches('/');
        match namespace {
            Some(namespace) => format!("{namespace}/{below}"),
            None => below.to_owned(),
        }
    }
}

impl Cluster {
    /// The revision that a read insists on having reached, if any: callers wait for it first.
    pub(crate) fn list_page(&self, target: &Target, options: &ListOptions) -> Result<Page> {
        let namespace = target.namespace.as_deref();
        let current = self.storage.revision();
        let (revision, after, remember) = if options.continue_token.is_empty() {
            (self.first_revision(options)?, None, true)
        } else {
            if options.resource_version.is_some_and(|version| version > 0) {
                let message = "specifying resource version is not allowed when using continue";
                return Err(ApiError::bad_request(message));
            }
            let token = Token::decode(&options.continue_token)?;
            let after = token.after(namespace);
            match u64::try_from(token.rv) {
                Ok(revision) if revision > current => {
                    return Err(ApiError::too_large_resource_version(revision, current));
                }
                Ok(revision) => (revision, Some(after), true),
                Err(_) => (current, Some(after), false),
            }
        };
        let collection = &target.resource.collection;
        let range = key_range(namespace, after.as_deref());
        // A list of the present needs no copy of the map.
        if self.storage.unchanged_since(collection, revision) && !self.storage.is_compacted(collection, revision) {
            let objects = self.storage.range(collection, range);
            return Ok(page(objects, namespace, revision, options));
        }
        let past = self.storage.objects_at(collection, revision).map_err(|_| match &after {
            Some(after) if remember => {
                let below = after.split_once('/').map_or(after.as_str(), |(_, name)| name);
                let key = Key::new(namespace, if namespace.is_some() { below } else { after });
                ApiError::expired_continue(Token::encode(-1, &key, namespace))
            }
            _ => ApiError::expired("The resourceVersion for the provided list is too old."),
        })?;
        Ok(page(past.range(range), namespace, revision, options))
    }

    /// The revision of a list's first page.
    fn first_revision(&self, options: &ListOptions) -> Result<u64> {
        let current = self.storage.revision();
        let wanted = options.resource_version.unwrap_or(0);
        if wanted > current {
            return Err(ApiError::too_large_resource_version(wanted, current));
        }
        // A limit without a match pins the version, for the sake of clients older than the match.
        let exact = options.version_match == Some(VersionMatch::Exact)
            || (options.version_match.is_none() && options.limit.is_some() && wanted > 0);
        Ok(if exact { wanted } else { current })
    }
}

fn page<'a>(
    objects: impl Iterator<Item = (&'a Key, &'a Arc<Stored>)>,
    namespace: Option<&str>,
    revision: u64,
    options: &ListOptions,
) -> Page {
    let mut chosen = objects.filter(|(_, stored)| options.selectors.matches(&stored.value));
    let Some(limit) = options.limit else {
        let objects = chosen.map(|(_, stored)| Arc::clone(stored)).collect();
        return Page { objects, revision, ..Page::default() };
    };
    let mut page = Page { revision, ..Page::default() };
    let mut last = None;
    for (key, stored) in chosen.by_ref().take(limit) {
        page.objects.push(Arc::clone(stored));
        last = Some(key);
    }
    let left = chosen.count();
    if let Some(last) = last.filter(|_| left > 0) {
        page.continue_token = Token::encode(i64::try_from(revision).unwrap_or(i64::MAX), last, namespace);
        // The real server cannot count what a selector will leave out.
        page.remaining = options.selectors.is_empty().then_some(left);
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cluster::for_tests, object, route::Query};

    fn target(cluster: &Cluster, namespace: Option<&str>) -> Target {
        Target {
            resource: cluster.registry.find("", "v1", "configmaps").unwrap(),
            namespace: namespace.map(str::to_owned),
            name: String::new(),
            subresource: None,
        }
    }

    fn list(cluster: &Cluster, namespace: Option<&str>, query: &str) -> Result<Page> {
        let target = target(cluster, namespace);
        let options = ListOptions::parse(&Query::parse(query), &target.resource, false, true)?;
        cluster.list_page(&target, &options)
    }

    fn put(cluster: &mut Cluster, namespace: &str, name: &str) {
        let collection = target(cluster, None).resource.collection.clone();
        let value = json!({"metadata": {"name": name, "namespace": namespace}});
        cluster.storage.put(&collection, &Key::new(Some(namespace), name), value);
    }

    fn names(page: &Page) -> Vec<&str> {
        page.objects.iter().map(|stored| object::name(&stored.value)).collect()
    }

    #[test]
    fn pages_show_one_revision_whatever_happens_between_them() {
        let mut cluster = for_tests();
        for (namespace, name) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4"), ("c", "5")] {
            put(&mut cluster, namespace, name);
        }
        for namespace in [None, Some("b")] {
            let whole: Vec<String> =
                names(&list(&cluster, namespace, "").unwrap()).into_iter().map(str::to_owned).collect();
            let first = list(&cluster, namespace, "limit=1").unwrap();
            let (mut seen, mut token) = (vec![names(&first)[0].to_owned()], first.continue_token.clone());
            put(&mut cluster, "b", "3a");
            while !token.is_empty() {
                let next = list(&cluster, namespace, &format!("limit=1&continue={token}")).unwrap();
                assert_eq!(next.revision, first.revision);
                seen.extend(names(&next).into_iter().map(str::to_owned));
                token = next.continue_token;
            }
            assert_eq!(seen, whole);
            cluster.storage.remove(&target(&cluster, None).resource.collection, &Key::new(Some("b"), "3a"));
        }
    }

    #[test]
    fn an_expired_token_is_answered_with_one_that_goes_on() {
        let mut cluster = for_tests();
        for name in ["1", "2", "3"] {
            put(&mut cluster, "a", name);
        }
        let first = list(&cluster, Some("a"), "limit=1").unwrap();
        assert_eq!(first.remaining, Some(2));
        put(&mut cluster, "a", "4");
        cluster.storage.compact();
        let error = list(&cluster, Some("a"), &format!("limit=1&continue={}", first.continue_token)).unwrap_err();
        assert_eq!((error.code(), error.reason()), (410, "Expired"));
        let status: serde_json::Value = serde_json::from_str(&error.status().print()).unwrap();
        let fresh = status["metadata"]["continue"].as_str().unwrap();
        let rest = list(&cluster, Some("a"), &format!("continue={fresh}")).unwrap();
        assert_eq!(names(&rest), ["2", "3", "4"]);
    }

    #[test]
    fn versions_are_checked() {
        let mut cluster = for_tests();
        put(&mut cluster, "a", "1");
        let then = cluster.storage.revision();
        put(&mut cluster, "a", "2");
        let exact = list(&cluster, None, &format!("resourceVersion={then}&resourceVersionMatch=Exact")).unwrap();
        assert_eq!((names(&exact), exact.revision), (vec!["1"], then));
        assert_eq!(names(&list(&cluster, None, "resourceVersion=0").unwrap()), ["1", "2"]);
        assert_eq!(list(&cluster, None, "resourceVersion=999").unwrap_err().code(), 504);
        assert_eq!(list(&cluster, None, "continue=abc&limit=1").unwrap_err().code(), 400);
    }
}
