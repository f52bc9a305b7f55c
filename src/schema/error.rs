//! Why a schema cannot be used.

/// Why a schema cannot be used. Places are JSON pointers into what was given; an empty one is the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It breaks the rules of its own draft, or cannot be compiled.
    #[error("the schema is invalid at `{place}`: {problem}")]
    Invalid {
        /// Where.
        place: String,
        /// Why.
        problem: String,
    },
    /// It refers to something outside of itself.
    #[error(
        "the schema refers to `{reference}` at `{place}`, which is not part of it, and nothing is fetched from network or files: copy that \
         schema into `$defs` (`definitions` before draft 2019-09), and refer to it by `#/$defs/…`"
    )]
    External {
        /// Where.
        place: String,
        /// To what.
        reference: String,
    },
    /// The definition has no such version.
    #[error("`{definition}` has no version `{version}`: name one of {}", .versions.join(", "))]
    NoVersion {
        /// The name of the `CustomResourceDefinition`.
        definition: String,
        /// The version asked for.
        version: String,
        /// Those that there are.
        versions: Vec<String>,
    },
    /// What was given is no `CustomResourceDefinition`, or holds no schema there.
    #[error("no schema at `{place}`: it must be a CustomResourceDefinition of apiextensions.k8s.io/v1")]
    NoSchema {
        /// Where one was expected.
        place: String,
    },
}
