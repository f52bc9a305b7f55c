//! The three words of the field for what happened to an object.

use std::fmt;

/// What a handler is told: the object is new to it, changed, or gone.
///
/// Prints as Go's kubehandler names it: `add`, `update`, `delete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The object is new to the handler.
    Add,
    /// The object changed, or the handler is to look at it again.
    Update,
    /// The object is gone, or left what the handler selects.
    Delete,
}

impl EventType {
    /// The word: `add`, `update` or `delete`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_prints_as_its_word_and_can_be_padded() {
        let words = [EventType::Add, EventType::Update, EventType::Delete].map(|event| format!("{event:>6}|"));
        assert_eq!(words, ["   add|", "update|", "delete|"]);
    }
}
