//! What a schema finds wrong with an object, in words that quote none of its values.

use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

/// The most violations of one object that are kept.
const LISTED_MAX: usize = 20;

/// The most that are counted: an object may break a rule in each of its thousand items.
const COUNTED_MAX: usize = 1_000;

/// The longest path or message, in characters.
const LENGTH_MAX: usize = 200;

/// One rule that an object breaks.
///
/// It holds names of the object's properties, but none of its values: it may be logged even where the object is a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where in the object: a JSON pointer, empty for the object as a whole. The first 200 characters.
    pub path: String,
    /// The rule: the schema's keyword, such as `required`.
    pub rule: String,
    /// What is wrong, such as `the value is greater than the maximum of 10`. The first 200 characters.
    pub message: String,
}

/// All rules that an object breaks, the first 20 of them in full. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    listed: Vec<Violation>,
    counted: usize,
}

impl Violation {
    fn of(error: &ValidationError<'_>) -> Self {
        let rule = error.kind().keyword();
        let message = match error.kind() {
            // Its own words quote the name in full.
            ValidationErrorKind::PropertyNames { error } => {
                format!("the name of a property is not valid: {}", error.masked_with("it"))
            }
            _ => error.masked_with("the value").to_string(),
        };
        let path = error.instance_path().as_str();
        Self { path: cleaned(path), rule: cleaned(rule), message: cleaned(&message) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "(the object)" } else { &self.path };
        write!(f, "{path}: {} ({})", self.message, self.rule)
    }
}

impl Violations {
    /// `None` if there are none.
    pub(super) fn of<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Option<Self> {
        let mut errors = errors.take(COUNTED_MAX);
        let listed: Vec<_> = errors.by_ref().take(LISTED_MAX).map(|error| Violation::of(&error)).collect();
        let counted = listed.len() + errors.count();
        (counted > 0).then_some(Self { listed, counted })
    }

    /// The first 20.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.listed.iter()
    }

    /// How many there are; of more than 1,000, that many.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.counted
    }

    /// The first one, and how many more.
    pub(crate) fn in_short(&self) -> String {
        let first = self.listed.first().map(Violation::to_string).unwrap_or_default();
        match self.counted.saturating_sub(1) {
            0 => format!("the schema rejects it: {first}"),
            more => format!("the schema rejects it: {first}; and {more} more"),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, violation) in self.listed.iter().enumerate() {
            write!(f, "{}{violation}", if at == 0 { "" } else { "; " })?;
        }
        match self.counted - self.listed.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Violations {}

/// The beginning of a text that may hold names that somebody else chose: one line, and not without end.
fn cleaned(text: &str) -> String {
    let mut cleaned: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if let Some((end, _)) = cleaned.char_indices().nth(LENGTH_MAX) {
        cleaned.truncate(end);
        cleaned.push('…');
    }
    cleaned
}
