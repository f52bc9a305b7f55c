//! What tells two states of one key apart: the life (which object) and the resourceVersion (which state of it).
//!
//! Both are kept small: a cache and a dispatch record hold one of each an object.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

/// One existence of an object under its key, from creation to deletion.
///
/// Two objects under one key belong to the same life when their uids are equal. Kinds without a uid are told apart by
/// their creationTimestamp; an object without either has one life for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// A uid in the usual 8-4-4-4-12 form, as the two halves of its number: 16 bytes in place of a string of 36. The lower half, which says
    /// how the uid was made, is never zero; so the two variants are told apart without a byte more.
    Uid {
        /// The first 16 digits.
        upper: u64,
        /// The last 16.
        lower: NonZeroU64,
    },
    /// Any other uid, a creationTimestamp, or the empty text.
    Text(Arc<Box<str>>),
}

impl Life {
    /// The life of an object with this uid and creationTimestamp, as its metadata has them.
    #[must_use]
    pub fn new(uid: Option<&str>, creation_timestamp: Option<&str>) -> Self {
        match uid.filter(|uid| !uid.is_empty()) {
            Some(uid) => parse_uid(uid).map_or_else(|| Self::text(uid), Self::uid),
            None => Self::text(creation_timestamp.unwrap_or_default()),
        }
    }

    /// The life with this uid, as a number.
    #[must_use]
    pub fn uid(number: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "each half fits")]
        let (upper, lower) = ((number >> 64) as u64, number as u64);
        match NonZeroU64::new(lower) {
            Some(lower) => Self::Uid { upper, lower },
            None => Self::text(&printed(upper, lower)),
        }
    }

    fn text(text: &str) -> Self {
        Self::Text(Arc::new(text.into()))
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid { upper, lower } => f.write_str(&printed(*upper, lower.get())),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The canonical form.
fn printed(upper: u64, lower: u64) -> String {
    let hex = format!("{upper:016x}{lower:016x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Reads the canonical lower-case form only, so that a parsed uid prints as the server sent it.
fn parse_uid(uid: &str) -> Option<u128> {
    let bytes = uid.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut number = 0u128;
    for (at, &byte) in bytes.iter().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        number = (number << 4) + u128::from(digit);
    }
    Some(number)
}

/// The server's name for one state of an object or a collection.
///
/// Kubernetes' own API servers use decimal numbers, of which the larger is the newer (KEP-5504); others may use any
/// text, which can only be compared for equality.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceVersion {
    /// A decimal number without leading zeros.
    Number(u64),
    /// Anything else, the empty text included.
    Text(Arc<str>),
}

impl ResourceVersion {
    /// The version that `text` names.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let canonical = text == "0" || (!text.starts_with(['0', '+']) && !text.is_empty());
        match text.parse() {
            Ok(number) if canonical => Self::Number(number),
            _ => Self::Text(text.into()),
        }
    }

    /// Whether it is the empty text: the server has named none, so that nothing can be told from it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Whether this one is surely older than `other`: both are numbers and this is the smaller.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Number(this), Self::Number(other)) if this < other)
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_uid_takes_precedence_and_a_timestamp_stands_in_for_it() {
        let uid = "0a1b2c3d-0000-4111-8222-333344445555";
        assert_eq!(Life::new(Some(uid), Some("t1")), Life::new(Some(uid), Some("t2")));
        assert_ne!(Life::new(None, Some("t1")), Life::new(None, Some("t2")));
        assert_eq!(Life::new(Some(""), Some("t1")), Life::new(None, Some("t1")));
    }

    #[test]
    fn a_uid_of_the_usual_form_is_kept_as_its_number() {
        let number = Life::uid(0x0a1b_2c3d_0000_4111_8222_3333_4444_5555);
        assert_eq!(Life::new(Some("0a1b2c3d-0000-4111-8222-333344445555"), None), number);
    }

    #[test]
    fn a_life_takes_16_bytes() {
        assert_eq!(size_of::<Life>(), 16);
    }

    #[test]
    fn uids_of_any_form_print_as_they_came() {
        for uid in [
            "0a1b2c3d-0000-4111-8222-333344445555",
            "0a1b2c3d-0000-4111-0000-000000000000",
            "00000000-0000-0000-0000-000000000000",
            "0A1B2C3D-0000-4111-8222-333344445555",
            "my-uid",
            "a+1b2c3d-0000-4111-8222-333344445555",
            "0a1b2c3d-0000-4111-8222-33334444555g",
            // As many digits as the canonical form has characters, and as many as it has digits.
            "0a1b2c3d0000041110822203333444455556",
            "0a1b2c3d000041118222333344445555",
        ] {
            let life = Life::new(Some(uid), None);
            assert_eq!(life.to_string(), uid);
            assert_eq!(Life::new(Some(&life.to_string()), None), life);
        }
    }

    #[test]
    fn only_numbers_have_an_order() {
        assert!(ResourceVersion::new("9").is_older_than(&ResourceVersion::new("10")));
        assert!(!ResourceVersion::new("a").is_older_than(&ResourceVersion::new("b")));
        assert!(!ResourceVersion::new("1").is_older_than(&ResourceVersion::new("b")));
        assert_eq!(ResourceVersion::new("007"), ResourceVersion::Text("007".into()));
    }

    #[test]
    fn only_the_empty_text_names_no_version() {
        let empty = ["", "0", "007", " "].map(|text| ResourceVersion::new(text).is_empty());
        assert_eq!(empty, [true, false, false, false]);
    }

    #[test]
    fn a_version_takes_16_bytes() {
        assert_eq!(size_of::<ResourceVersion>(), 16);
    }

    proptest! {
        #[test]
        fn versions_print_as_they_came(text in "[0-9a-z+]{0,22}") {
            prop_assert_eq!(ResourceVersion::new(&text).to_string(), text);
        }
    }
}
