//! Where the embedded server is knowingly different from the real one, and why: the only list of its kind.
//!
//! Each entry must be needed; one that no longer matches anything fails the test.

use crate::compare::Difference;

/// A difference that stays.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// A request's name, or its beginning followed by `*`.
    pub(crate) request: &'static str,
    /// Where in the answer; `*` stands for one key or index, and at the end for everything below.
    pub(crate) place: &'static str,
    pub(crate) reason: &'static str,
}

/// All of them.
pub(crate) const ACCEPTED: &[Accepted] = &[];

impl Accepted {
    /// Whether this entry is about that difference.
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        let request = match self.request.strip_suffix('*') {
            Some(beginning) => difference.request.starts_with(beginning),
            None => difference.request == self.request,
        };
        request && place_matches(self.place, &difference.place)
    }
}

fn place_matches(pattern: &str, place: &str) -> bool {
    let (mut pattern, mut place) = (pattern.split('/'), place.split('/'));
    loop {
        match (pattern.next(), place.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if pattern.clone().next().is_none() => return true,
            (Some(expected), Some(key)) if expected == "*" || expected == key => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place_matches;

    #[test]
    fn a_star_stands_for_one_key_and_at_the_end_for_all_below() {
        assert!(place_matches("/body/a", "/body/a"));
        assert!(!place_matches("/body/a", "/body/a/b"));
        assert!(!place_matches("/body/a", "/body"));
        assert!(place_matches("/body/*/uid", "/body/3/uid"));
        assert!(!place_matches("/body/*/uid", "/body/3/4/uid"));
        assert!(place_matches("/body/*", "/body/a/b/c"));
        assert!(!place_matches("/body/*", "/body"));
    }
}
