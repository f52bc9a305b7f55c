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
        loop {
            match self.inside {
                Inside::Structure => {}
                Inside::Text | Inside::Escape => {
                    at = self.text(piece, at)?;
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
                Inside::Word => {
                    return piece[at..].iter().position(|&byte| is_delimiter(byte)).map(|length| at + length);
                }
            }
            self.inside = loop {
                let byte = *piece.get(at)?;
                at += 1;
                match byte {
                    b'"' => break Inside::Text,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth <= 1 => return Some(at),
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 1 && self.inner.is_none() {
                            self.inner = Some(self.before + at);
                        }
                    }
                    _ if self.depth == 0 => break Inside::Word,
                    _ => {}
                }
            };
        }
    }

    /// Goes on within a string, at `at`: tells where it has ended.
    fn text(&mut self, piece: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if self.inside == Inside::Escape {
                // Whatever it is, it does not end the string.
                piece.get(at)?;
                at += 1;
            }
            self.inside = Inside::Text;
            at += 1 + quote_or_backslash(&piece[at..])?;
            if piece[at - 1] == b'"' {
                self.inside = Inside::Structure;
                return Some(at);
            }
            self.inside = Inside::Escape;
        }
    }
}

/// Where the first quote or backslash is. Eight bytes at a time, since most of an object lies in strings; most of these are too
/// short for `memchr`, which takes longer here.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // The lowest top bit is that of the first byte which is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let each = |byte: u8| ONES * u64::from(byte);
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'));
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(text.len() - rest.len() + end)
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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

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

    /// Any JSON, rich in what ends strings and what does not.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn text() -> &'static str {
        "[\\[\\]{}\",:\\\\ a-zü!#\n]{0,30}"
    }

    proptest! {
        #[test]
        fn a_strings_end_is_the_first_of_its_bytes(
            before in prop::collection::vec(any::<u8>(), 0..20),
            mark in prop::sample::select(&b"\"\\!#[]\xa2\xdc"[..]),
            after in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let text = [&before[..], &[mark], &after].concat();
            let first = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&text), first);
        }

        #[test]
        fn pieces_of_any_size_are_walked_over_as_the_whole(
            value in any_json(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let (value, behind) = (value.to_string(), ",{\"");
            let text = format!("{value}{behind}");
            let whole = {
                let mut scan = ValueScan::default();
                (scan.feed(text.as_bytes()), scan.inner())
            };
            prop_assert_eq!(whole.0, Some(value.len()));
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(value.len())).collect();
            cuts.sort_unstable();
            let (mut scan, mut from) = (ValueScan::default(), 0);
            for cut in cuts {
                prop_assert_eq!(scan.feed(&text.as_bytes()[from..cut]), None);
                from = cut;
            }
            let end = scan.feed(&text.as_bytes()[from..]);
            prop_assert_eq!((end.map(|end| from + end), scan.inner()), whole);
        }

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
