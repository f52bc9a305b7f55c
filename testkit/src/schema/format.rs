//! The string formats that a schema may ask for, checked as the real server's strfmt registry checks them.
//!
//! An unknown format is no check at all. `bsonobjectid`, `isbn*` and `creditcard` are known to the real server and unchecked here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;

/// Whether `text` fits `format`; true for formats that are not checked.
pub(super) fn fits(format: &str, text: &str) -> bool {
    // The registry knows `date-time` and `datetime` as one.
    match format.replace('-', "").as_str() {
        "date" => matches(&DATE, text) && jiff::civil::Date::from_str(text).is_ok(),
        "datetime" => text.is_empty() || jiff::Timestamp::from_str(text).is_ok(),
        "duration" => matches(&DURATION, text) || matches(&GO_DURATION, text),
        "email" => matches(&EMAIL, text),
        "hostname" => text.len() <= 255 && matches(&HOSTNAME, text) && text.split('.').all(|label| label.len() <= 63),
        "ipv4" => Ipv4Addr::from_str(text).is_ok(),
        "ipv6" => Ipv6Addr::from_str(text).is_ok(),
        "cidr" => is_cidr(text),
        "mac" => matches(&MAC, text),
        "uuid" => matches(&UUID, text),
        "uuid3" => matches(&UUID, text) && version(text) == Some('3'),
        "uuid4" => matches(&UUID4_OR_5, text) && version(text) == Some('4'),
        "uuid5" => matches(&UUID4_OR_5, text) && version(text) == Some('5'),
        "uri" => is_request_uri(text),
        "byte" => matches(&BASE64, text),
        "hexcolor" => matches(&HEX_COLOR, text),
        "rgbcolor" => matches(&RGB_COLOR, text),
        "ssn" => text.len() == 11 && matches(&SSN, text),
        "k8sshortname" => text.len() <= 63 && matches(&SHORT_NAME, text),
        "k8slongname" => text.len() <= 253 && text.split('.').all(|label| matches(&SHORT_NAME, label)),
        _ => true,
    }
}

type Lazy = LazyLock<Option<Regex>>;

/// A pattern of this file that does not compile would match nothing; a test below compiles each.
fn matches(pattern: &Lazy, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

static DATE: Lazy = LazyLock::new(|| Regex::new(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$").ok());
static DURATION: Lazy = LazyLock::new(|| {
    Regex::new(r"(?i)[0-9]+\s*(ns|nano[a-zµ]*|us|µs|micro[a-zµ]*|ms|milli[a-zµ]*|s|sec[a-zµ]*|m|min[a-zµ]*|h|hr|hour[a-zµ]*|d|day[a-zµ]*|w|wk|week[a-zµ]*)([^a-zµ]|$)").ok()
});
static GO_DURATION: Lazy =
    LazyLock::new(|| Regex::new(r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$").ok());
static EMAIL: Lazy = LazyLock::new(|| Regex::new(r"^([^<>]*<)?[^\s<>@,;]+@[^\s<>@,;]+>?$").ok());
static HOSTNAME: Lazy = LazyLock::new(|| {
    Regex::new(r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.))+([a-zA-Z\p{L}]){2,63})$").ok()
});
static MAC: Lazy = LazyLock::new(|| {
    Regex::new(r"(?i)^([0-9a-f]{2}(:[0-9a-f]{2}){5}((:[0-9a-f]{2}){2})?|[0-9a-f]{2}(-[0-9a-f]{2}){5}((-[0-9a-f]{2}){2})?|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$").ok()
});
static UUID: Lazy =
    LazyLock::new(|| Regex::new(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$").ok());
static UUID4_OR_5: Lazy = LazyLock::new(|| {
    Regex::new(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[45][0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$").ok()
});
static BASE64: Lazy = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$").ok()
});
static HEX_COLOR: Lazy = LazyLock::new(|| Regex::new(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$").ok());
static RGB_COLOR: Lazy = LazyLock::new(|| {
    let part = r"\s*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*";
    Regex::new(&format!(r"^rgb\({part},{part},{part}\)$")).ok()
});
static SSN: Lazy = LazyLock::new(|| Regex::new(r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$").ok());
static SHORT_NAME: Lazy = LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());

/// The version digit of a UUID, dashed or not.
fn version(uuid: &str) -> Option<char> {
    uuid.chars().filter(|c| *c != '-').nth(12)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = IpAddr::from_str(address) else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.bytes().all(|b| b.is_ascii_digit()) && length.parse().is_ok_and(|length: u8| length <= most)
}

/// An absolute URI or an absolute path, as Go's `url.ParseRequestURI` takes it.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return false;
    }
    if text.starts_with('/') || text == "*" {
        return true;
    }
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && rest.starts_with('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_what_they_should_and_nothing_else() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("date", &["2026-01-31"], &["2026-02-30", "26-1-1", "x", "2026-01-31T00:00:00Z"]),
            ("date-time", &["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5+02:00"], &["2026-01-31", "x"]),
            ("duration", &["5m", "1h30m", "3 days", "22 ns"], &["soon", "5", "5 parsecs"]),
            ("email", &["a@example.com", "A <a@example.com>"], &["example.com", "a b@example.com", "@"]),
            ("hostname", &["example.com", "a", "x-1.example.org"], &["-a", "a_b", "a..b"]),
            ("ipv4", &["10.0.0.1"], &["10.0.0", "::1", "x"]),
            ("ipv6", &["::1", "fe80::1"], &["10.0.0.1", "x"]),
            ("cidr", &["10.0.0.0/24", "fe80::/10"], &["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+1"]),
            ("mac", &["01:23:45:67:89:ab", "0123.4567.89ab"], &["01:23", "01:23:45:67:89:zz"]),
            ("uuid", &["123e4567-e89b-12d3-a456-426614174000"], &["123e4567", "x"]),
            ("uuid3", &["123e4567-e89b-32d3-a456-426614174000"], &["123e4567-e89b-12d3-a456-426614174000"]),
            ("uuid4", &["123e4567-e89b-42d3-a456-426614174000"], &["123e4567-e89b-12d3-a456-426614174000"]),
            ("uuid5", &["123e4567-e89b-52d3-a456-426614174000"], &["123e4567-e89b-42d3-a456-426614174000"]),
            ("uri", &["https://example.com/x", "/path"], &["example.com", "", "a b"]),
            ("byte", &["YWJj", "YQ=="], &["YWJ", "a b", ""]),
            ("hexcolor", &["#fff", "A0B1C2"], &["#ff", "blue"]),
            ("rgbcolor", &["rgb(1, 20, 255)"], &["rgb(1,2)", "rgb(1,2,256)"]),
            ("ssn", &["111-22-3333"], &["111", "111-22-33333"]),
            ("k8s-short-name", &["a-1"], &["a.b", "A"]),
            ("k8s-long-name", &["a-1.b"], &["a..b", "A"]),
            ("password", &["anything"], &[]),
            ("made-up", &["anything"], &[]),
        ];
        for (format, good, bad) in cases {
            for text in *good {
                assert!(fits(format, text), "{format} should accept {text:?}");
            }
            for text in *bad {
                assert!(!fits(format, text), "{format} should refuse {text:?}");
            }
        }
    }
}
