//! What names, labels and label values may look like, and the real server's complaint when they do not.
//!
//! Pure. Each function returns `None` for a good text and the complaint otherwise.

const LABEL_KEY: &str = "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
     (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn within(text: &str, alphabet: impl Fn(u8) -> bool, ends: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    ends(*first) && ends(*last) && bytes.iter().all(|byte| alphabet(*byte))
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label_text(text: &str) -> bool {
    within(
        text,
        |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
        |byte| byte.is_ascii_alphanumeric(),
    )
}

fn is_dns_label(text: &str) -> bool {
    within(text, |byte| lower(byte) || byte == b'-', lower)
}

/// The shape of most names: `example.com`.
pub(crate) fn dns_subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 bytes".to_owned());
    }
    let good = text.split('.').all(is_dns_label);
    (!good).then(|| {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
         alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .to_owned()
    })
}

/// The shape of a namespace's name: `my-name`.
pub(crate) fn dns_label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!is_dns_label(text)).then(|| {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
         character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            .to_owned()
    })
}

/// The shape of a service's name: as a namespace's, but it begins with a letter.
pub(crate) fn dns_1035_label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    let good = is_dns_label(text) && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    (!good).then(|| {
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an \
         alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            .to_owned()
    })
}

/// The shape of RBAC names, such as `system:node`: anything that fits into a URL's path.
pub(crate) fn path_segment(text: &str) -> Option<String> {
    match text {
        "." | ".." => Some(format!("may not be '{text}'")),
        _ if text.contains('/') => Some("may not contain '/'".to_owned()),
        _ if text.contains('%') => Some("may not contain '%'".to_owned()),
        _ => None,
    }
}

/// A label's or annotation's key: `name` or `prefix/name`.
pub(crate) fn qualified_name(text: &str, what: &str) -> Option<String> {
    let mut complaints = Vec::new();
    let mut parts = text.split('/');
    let (name, prefix) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (name, None),
        (Some(prefix), Some(name), None) => (name, Some(prefix)),
        _ => {
            return Some(format!(
                "{what} must {LABEL_KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            complaints.push("prefix part must be non-empty".to_owned());
        } else if let Some(complaint) = dns_subdomain(prefix) {
            complaints.push(format!("prefix part {complaint}"));
        }
    }
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        complaints.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_text(name) {
        complaints.push(format!("name part must {LABEL_KEY}"));
    }
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

/// A label's value.
pub(crate) fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!text.is_empty() && !is_label_text(text)).then(|| {
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass_and_bad_ones_do_not() {
        for good in ["a", "a-b", "a.b-c.d", "0"] {
            assert_eq!(dns_subdomain(good), None, "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a b", "ä"] {
            assert!(dns_subdomain(bad).is_some(), "{bad}");
        }
        assert!(dns_subdomain(&"a".repeat(254)).is_some());
        assert!(dns_label("a.b").is_some());
        assert!(dns_1035_label("1a").is_some());
        assert_eq!(path_segment("system:node"), None);
        assert!(path_segment("a/b").is_some());
    }

    #[test]
    fn label_keys_may_have_one_prefix() {
        for good in ["a", "A_b.c", "example.com/Name"] {
            assert_eq!(qualified_name(good, "a valid label key"), None, "{good}");
        }
        for bad in ["", "/a", "a/", "x/y/z", "-a", "EXAMPLE/a"] {
            assert!(qualified_name(bad, "a valid label key").is_some(), "{bad}");
        }
        assert_eq!(label_value(""), None);
        assert!(label_value("-").is_some());
    }
}
