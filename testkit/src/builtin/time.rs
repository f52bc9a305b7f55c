//! Times as the server stores them: in UTC, to the second or to the microsecond.

use std::str::FromStr;

use jiff::Timestamp;

/// A time to the second, or Go's words about what is wrong with it.
pub(crate) fn to_second(text: &str) -> Result<String, String> {
    let timestamp = Timestamp::from_str(text).map_err(|_| malformed(text, "2006-01-02T15:04:05Z07:00"))?;
    Ok(timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A time to the microsecond, or Go's words about what is wrong with it. The fraction must have six digits.
pub(crate) fn to_microsecond(text: &str) -> Result<String, String> {
    let layout = "2006-01-02T15:04:05.000000Z07:00";
    let timestamp = Timestamp::from_str(text).map_err(|_| malformed(text, layout))?;
    let rest = text.get(19..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits != 6 {
        return Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as \".000000\""));
    }
    Ok(timestamp.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

/// Go names the first part of the layout that does not fit; here it is always the year.
fn malformed(text: &str, layout: &str) -> String {
    format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        assert_eq!(to_second("2026-01-31T10:00:00.9+02:00").as_deref(), Ok("2026-01-31T08:00:00Z"));
        assert_eq!(to_microsecond("2026-01-31T10:00:00.123456+01:00").as_deref(), Ok("2026-01-31T09:00:00.123456Z"));
        assert_eq!(
            to_microsecond("2026-01-31T10:00:00Z"),
            Err(r#"parsing time "2026-01-31T10:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#.to_owned())
        );
        assert_eq!(
            to_second("x"),
            Err(r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#.to_owned())
        );
    }
}
