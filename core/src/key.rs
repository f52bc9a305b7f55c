//! Object keys: the namespace and name that the queue carries.
//!
//! Invariant K: a namespace is never empty, a name is never empty, and neither contains `/`. Every
//! constructor checks it, so what a key prints always parses back to the same key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use hashbrown::DefaultHashBuilder;

/// Which object: a namespace, absent for cluster-scoped kinds, and a name.
///
/// Prints as `namespace/name`, or `name` alone for a cluster-scoped object, and parses back from that. Names may
/// hold any character but `/`, colons included (`system:node`), as Kubernetes' path segments may.
/// Cloning is cheap: the text is shared. Keys sort by namespace, then by name, cluster-scoped ones first.
///
/// ```
/// use kubehandler_core::ObjectKey;
///
/// let key: ObjectKey = "kube-system/coredns".parse()?;
/// assert_eq!((key.namespace(), key.name()), (Some("kube-system"), "coredns"));
///
/// let role: ObjectKey = "system:node".parse()?;
/// assert_eq!((role.namespace(), role.name()), (None, "system:node"));
/// assert_eq!(role.to_string(), "system:node");
/// # Ok::<(), kubehandler_core::key::ParseKeyError>(())
/// ```
#[derive(Clone)]
pub struct ObjectKey {
    // `namespace/name`, or `name`. One allocation a key, shared by all who hold it.
    text: Arc<str>,
    // Where the name begins: just behind the only `/`, or at 0 without one.
    name_at: u32,
    // The text's, in room that would be padding. A key is looked up a dozen times in its life, in tables whose growth
    // hashes all keys again: none of that reads a text that is long out of the processor's cache.
    hash: u32,
}

/// Why a text or a pair is not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// The name is empty.
    EmptyName,
    /// There is a `/` and nothing before it.
    EmptyNamespace,
    /// There is more than one `/`, or one inside a name or namespace.
    ExtraSlash(String),
    /// The text is longer than 4 GiB.
    TooLong,
}

impl fmt::Display for ParseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => {
                f.write_str("the name is empty: write `namespace/name`, or `name` for a cluster-scoped object")
            }
            Self::EmptyNamespace => {
                f.write_str("the namespace is empty: leave out the `/` for a cluster-scoped object")
            }
            Self::ExtraSlash(text) => write!(
                f,
                "`{text}` holds a `/` too many: write `namespace/name`, or `name` for a cluster-scoped object"
            ),
            Self::TooLong => f.write_str("the key is longer than 4 GiB"),
        }
    }
}

impl std::error::Error for ParseKeyError {}

impl ObjectKey {
    /// The key of `name` in `namespace`; `None` or an empty text means cluster-scoped, as in object metadata.
    ///
    /// # Errors
    /// An empty name, or a `/` in either part.
    pub fn new(namespace: Option<&str>, name: &str) -> Result<Self, ParseKeyError> {
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        if name.is_empty() {
            return Err(ParseKeyError::EmptyName);
        }
        if let Some(part) = namespace.into_iter().chain([name]).find(|part| part.contains('/')) {
            return Err(ParseKeyError::ExtraSlash(part.to_owned()));
        }
        match namespace {
            None => Ok(Self::hashed(name.into(), 0)),
            Some(namespace) => {
                let name_at = u32::try_from(namespace.len() + 1).map_err(|_| ParseKeyError::TooLong)?;
                Ok(Self::hashed(format!("{namespace}/{name}").into(), name_at))
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of the hash is as good as any other half")]
    fn hashed(text: Arc<str>, name_at: u32) -> Self {
        // One for all keys of the process, since equal keys have equal hashes, and drawn: whoever names objects cannot
        // choose names that collide. Nothing but the place in a table may depend on it.
        static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
        let hash = HASHER.hash_one(&*text) as u32;
        Self { text, name_at, hash }
    }

    /// The namespace, or `None` for a cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        (self.name_at as usize).checked_sub(1).map(|slash| &self.text[..slash])
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.name_at as usize..]
    }

    /// What it prints: `namespace/name`, or `name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ObjectKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        match text.split_once('/') {
            None => Self::new(None, text),
            Some(("", _)) => Err(ParseKeyError::EmptyNamespace),
            Some((_, name)) if name.contains('/') => Err(ParseKeyError::ExtraSlash(text.to_owned())),
            Some((namespace, name)) => Self::new(Some(namespace), name),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

// Equal texts have their only `/` at the same place, so the text alone identifies a key (invariant K).
impl PartialEq for ObjectKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for ObjectKey {}

impl Hash for ObjectKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.hash);
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.namespace(), self.name()).cmp(&(other.namespace(), other.name()))
    }
}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn equal_keys_hash_equally_however_they_were_made() {
        let builder = DefaultHashBuilder::default();
        let keys = [ObjectKey::new(Some("a"), "b"), "a/b".parse()].map(Result::unwrap);
        assert_eq!(builder.hash_one(&keys[0]), builder.hash_one(&keys[1]));
        let others = (0..1_000).map(|index| format!("a/b{index}").parse().unwrap());
        let hashes: BTreeSet<u64> = others.map(|key: ObjectKey| builder.hash_one(&key)).collect();
        assert!(hashes.len() > 990, "{} hashes of 1,000 keys", hashes.len());
    }

    #[test]
    fn a_key_takes_24_bytes_beside_its_text() {
        assert_eq!(size_of::<ObjectKey>(), 24);
    }

    #[test]
    fn a_key_that_breaks_the_rules_is_refused_with_what_to_do() {
        for (text, error, what_to_do) in [
            ("", ParseKeyError::EmptyName, "write `namespace/name`"),
            ("default/", ParseKeyError::EmptyName, "write `namespace/name`"),
            ("/web", ParseKeyError::EmptyNamespace, "leave out the `/`"),
            (
                "a/b/c",
                ParseKeyError::ExtraSlash("a/b/c".into()),
                "`a/b/c` holds a `/` too many: write `namespace/name`",
            ),
        ] {
            let refused = text.parse::<ObjectKey>().unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(refused.to_string().contains(what_to_do), "{refused}");
        }
        assert_eq!(ObjectKey::new(Some("a/b"), "c"), Err(ParseKeyError::ExtraSlash("a/b".into())));
    }

    #[test]
    fn an_empty_namespace_in_metadata_means_cluster_scoped() {
        assert_eq!(ObjectKey::new(Some(""), "node-1"), ObjectKey::new(None, "node-1"));
    }

    #[test]
    fn keys_sort_by_namespace_then_name() {
        // As plain texts, "a-b/x" would sort before "a/x": '-' is smaller than '/'.
        let mut keys: Vec<ObjectKey> = ["a-b/x", "a/y", "z", "a/x"].iter().map(|text| text.parse().unwrap()).collect();
        keys.sort();
        let sorted: Vec<&str> = keys.iter().map(ObjectKey::as_str).collect();
        assert_eq!(sorted, ["z", "a/x", "a/y", "a-b/x"]);
    }

    #[test]
    fn keys_whose_hashes_are_equal_are_still_two_keys() {
        let mut by_hash = std::collections::BTreeMap::new();
        // Among so many, two have the same 32 bits.
        let twins = (0..2_000_000).find_map(|number| {
            let key = ObjectKey::new(Some("default"), &format!("web-{number}")).unwrap();
            by_hash.insert(key.hash, key.clone()).map(|twin| (twin, key))
        });
        let (one, other) = twins.expect("a collision");
        assert_eq!(one.hash, other.hash);
        assert_ne!(one, other);
    }

    #[test]
    fn a_key_is_compared_hashed_and_shown_as_its_text() {
        use std::hash::BuildHasher as _;
        let [web, again, db]: [ObjectKey; 3] =
            ["default/web", "default/web", "default/db"].map(|it| it.parse().unwrap());
        assert!(db < web && web == again && web != db);
        let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        assert_eq!(hasher.hash_one(&web), hasher.hash_one(again));
        assert_ne!(hasher.hash_one(&web), hasher.hash_one(db), "or a map of them is a list");
        assert_eq!(format!("{web:?} {web:>12}"), "\"default/web\"  default/web");
    }

    proptest! {
        #[test]
        fn what_a_key_prints_parses_back(namespace in proptest::option::of("[a-z0-9:.-]{1,20}"), name in "[^/]{1,20}") {
            let key = ObjectKey::new(namespace.as_deref(), &name).unwrap();
            prop_assert_eq!(key.namespace(), namespace.as_deref());
            prop_assert_eq!(key.name(), name.as_str());
            prop_assert_eq!(key.to_string().parse::<ObjectKey>().unwrap(), key);
        }
    }
}
