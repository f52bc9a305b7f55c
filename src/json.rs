//! Finding one's way through JSON without building it: where a value ends, where an object's fields lie.
//!
//! It owns byte positions only. It must not know Kubernetes, and it does not judge: text that is not JSON gives
//! positions without meaning, never a panic, and whoever uses them has the text checked by `serde_json`.

use std::ops::Range;

/// A walk over one JSON value that may arrive in pieces.
///
/// It counts brackets and skips strings, so it costs a look at each byte and holds no text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ValueScan {
    depth: usize,
    inside: Inside,
    // How much of the value was in pieces before this one.
    before: usize,
    inner: Option<usize>,
}

/// What the walk is inside of, besides `depth` brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// Nothing yet, or between the tokens of an array or object.
    #[default]
    Structure,
    /// A string.
    Text,
    /// A string, just behind a backslash.
    Escape,
    /// A number, `true`, `false` or `null` that is the whole value: only what follows it tells where it ends.
    Word,
}

impl ValueScan {
    /// Walks over the next piece, the first of which begins with the value's first byte.
    ///
    /// Returns how many bytes of the piece belong to the value if it ends there, `None` if the whole piece does.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let end = self.walk(piece);
        self.before += piece.len();
        end
    }

    /// How many bytes of the value there are up to the end of the first object or array within it, once that has ended.
    pub(crate) fn inner(&self) -> Option<usize> {
        self.inner
    }

    fn walk(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            match self.inside {
                Inside::Escape => {
                    self.inside = Inside::Text;
                    at += 1;
                }
                Inside::Text => {
                    at += piece[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))? + 1;
                    if piece[at - 1] == b'\\' {
                        self.inside = Inside::Escape;
                    } else {
                        self.inside = Inside::Structure;
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                }
                Inside::Word => {
                    if is_delimiter(piece[at]) {
                        return Some(at);
                    }
                    at += 1;
                }
                Inside::Structure => {
                    match piece[at] {
                        b'"' => self.inside = Inside::Text,
                        b'{' | b'[' => self.depth += 1,
                        b'}' | b']' if self.depth <= 1 => return Some(at + 1),
                        b'}' | b']' => {
                            self.depth -= 1;
                            if self.depth == 1 && self.inner.is_none() {
                                self.inner = Some(self.before + at + 1);
                            }
                        }
                        _ if self.depth == 0 => self.inside = Inside::Word,
                        _ => {}
                    }
                    at += 1;
                }
            }
        }
        None
    }
}

/// Whether `byte` ends a number or a word.
fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'}' | b':') || is_space(byte)
}

/// JSON's white space.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where a field of an object lies in the object's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The key, its quotes included.
    pub(crate) key: Range<usize>,
    /// The value.
    pub(crate) value: Range<usize>,
}

impl Field {
    /// The whole field, from the key's first byte to the value's last.
    pub(crate) fn range(&self) -> Range<usize> {
        self.key.start..self.value.end
    }

    /// Whether the key, unescaped, is `name`.
    pub(crate) fn is(&self, object: &str, name: &str) -> bool {
        let key = &object[self.key.clone()];
        match key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => plain == name,
            _ => serde_json::from_str::<String>(key).is_ok_and(|key| key == name),
        }
    }
}

/// The fields of `object`, the text of one JSON object, in the order in which they stand.
pub(crate) fn fields(object: &str) -> impl Iterator<Item = Field> {
    let mut walk = Walk::behind(object, '{');
    std::iter::from_fn(move || {
        walk.skip(b',');
        if walk.text.as_bytes().get(walk.at) != Some(&b'"') {
            return None;
        }
        let key = walk.value()?;
        walk.skip(b':');
        Some(Field { key, value: walk.value()? })
    })
}

/// Where the elements of `array`, the text of one JSON array, lie in it.
pub(crate) fn elements(array: &str) -> impl Iterator<Item = Range<usize>> {
    let mut walk = Walk::behind(array, '[');
    std::iter::from_fn(move || {
        walk.skip(b',');
        if matches!(walk.text.as_bytes().get(walk.at), None | Some(b']')) { None } else { walk.value() }
    })
}

/// A place between the values of an array or an object.
#[derive(Debug)]
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// Just behind the first `open`.
    fn behind(text: &'a str, open: char) -> Self {
        Self { text, at: text.find(open).map_or(text.len(), |open| open + 1) }
    }

    /// Skips white space and `separator`, where it stands.
    fn skip(&mut self, separator: u8) {
        let rest = self.text.as_bytes()[self.at..].iter();
        self.at += rest.take_while(|&&byte| is_space(byte) || byte == separator).count();
    }

    /// The value that begins here.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let length = ValueScan::default().feed(&self.text.as_bytes()[start..])?;
        self.at = start + length;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_ends_where_it_ends_however_it_is_cut() {
        for (text, value) in [
            (r#"{"a":[1,{"b":"}"}]},"#, r#"{"a":[1,{"b":"}"}]}"#),
            (r#""a\"]\\",1"#, r#""a\"]\\""#),
            ("-1.5e3]", "-1.5e3"),
            ("true }", "true"),
            ("[]]", "[]"),
            (r#"{"ü":"\u007d"}x"#, r#"{"ü":"\u007d"}"#),
        ] {
            for cut in 0..text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let mut scan = ValueScan::default();
                let end = scan.feed(head).or_else(|| Some(cut + scan.feed(tail)?));
                assert_eq!(end, Some(value.len()), "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_unfinished_value_asks_for_more() {
        for text in [r#"{"a":1"#, "[[]", r#""abc"#, r#""abc\"#, "12", ""] {
            assert_eq!(ValueScan::default().feed(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn fields_are_found_with_and_without_white_space_and_escapes() {
        let object = "{ \"a\" : 1 ,\n\"b\\u0063\":{\"a\":2},\"d\":\"x,}\"}";
        let found: Vec<_> = fields(object).map(|field| (&object[field.key], &object[field.value])).collect();
        assert_eq!(found, [("\"a\"", "1"), ("\"b\\u0063\"", "{\"a\":2}"), ("\"d\"", "\"x,}\"")]);
        let second = fields(object).nth(1).unwrap();
        assert!(second.is(object, "bc") && !second.is(object, "b"));
        assert_eq!(fields("{}").count(), 0);
    }

    #[test]
    fn elements_are_found_with_and_without_white_space() {
        let array = r#" [ 1 ,{"a":[2]},"]", true,null ]"#;
        let found: Vec<_> = elements(array).map(|element| &array[element]).collect();
        assert_eq!(found, ["1", r#"{"a":[2]}"#, r#""]""#, "true", "null"]);
        assert_eq!(elements("[ ]").count(), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_walk_panic(text in "[\\[\\]{}\",:\\\\ a1ü]{0,40}") {
            for field in fields(&text) {
                let _ = field.is(&text, "a");
            }
            for element in elements(&text) {
                let _ = &text.as_bytes()[element];
            }
            ValueScan::default().feed(text.as_bytes());
        }
    }
}
