//! What one handler remembers of one key.

use crate::{Life, ResourceVersion};

/// How far a handler has come with one life of an object; no record at all means Unseen.
///
/// `Unseen → Adding → Known → Deleting → Unseen`; with a finalizer it begins with `Unseen → Claiming → Adding` and ends
/// with `Deleting → Releasing → Finished → Unseen`.
/// A record is written *before* the call that it announces, so a call that fails, panics or is dropped half-way leaves
/// the truth behind: it was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The finalizer may have been added; `add` was not attempted. Next: Adding, or Releasing.
    Claiming {
        /// Whose finalizer it is.
        life: Life,
    },
    /// `add` was attempted and has not succeeded yet. Next: Known, or Deleting.
    Adding {
        /// Whose `add` it is.
        life: Life,
    },
    /// `add` has succeeded. Next: Known, or Deleting.
    Known {
        /// The life that the handler knows.
        life: Life,
        /// The version that the last successful call was given.
        settled: ResourceVersion,
        /// Whether a call since then has failed: the next one is due even if the version is the settled one.
        failed: bool,
    },
    /// `delete` was attempted and has not succeeded yet. Next: Unseen; Releasing or Finished with a finalizer.
    Deleting {
        /// Whose `delete` it is.
        life: Life,
    },
    /// No call is owed, but the finalizer is still to be removed. Next: Finished, or Unseen.
    Releasing {
        /// Whose finalizer it is.
        life: Life,
    },
    /// All is done for this life, but the cache still shows it, terminating. Next: Unseen.
    Finished {
        /// The life that is over for the handler.
        life: Life,
    },
}

impl Record {
    /// The life that the record is about.
    #[must_use]
    pub fn life(&self) -> &Life {
        match self {
            Self::Claiming { life }
            | Self::Adding { life }
            | Self::Known { life, .. }
            | Self::Deleting { life }
            | Self::Releasing { life }
            | Self::Finished { life } => life,
        }
    }

    /// The state's name in the contract's words.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claiming { .. } => "Claiming",
            Self::Adding { .. } => "Adding",
            Self::Known { .. } => "Known",
            Self::Deleting { .. } => "Deleting",
            Self::Releasing { .. } => "Releasing",
            Self::Finished { .. } => "Finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_in_the_contracts_words() {
        let life = || Life::uid(1);
        let records = [
            (Record::Adding { life: life() }, "Adding"),
            (Record::Known { life: life(), settled: ResourceVersion::Number(1), failed: false }, "Known"),
            (Record::Deleting { life: life() }, "Deleting"),
            (Record::Releasing { life: life() }, "Releasing"),
            (Record::Finished { life: life() }, "Finished"),
        ];
        for (record, name) in records {
            assert_eq!((record.name(), record.life()), (name, &life()));
        }
    }
}
