//! Amounts of resources (`500m`, `1Gi`) in the one form that the server stores: `1000m` becomes `1`.
//!
//! A client that applies `1000m` and reads back `1` sees a difference that is none; so does a hot-looping controller.
//! Exact for amounts below 10^29; larger ones are kept as they were written.

/// What Go says about a text that is no amount.
pub(crate) const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Whether the first amount is more than the second; amounts that cannot be compared exactly are not.
pub(crate) fn is_more(left: &str, right: &str) -> bool {
    let amount = |text: &str| -> Option<i128> {
        let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (mantissa, exponent, _) = parse(unsigned)??;
        // In nanos: the smallest unit there is.
        let power = u32::try_from(exponent + 9).ok()?;
        Some(sign * mantissa.checked_mul(10_i128.checked_pow(power)?)?)
    };
    matches!((amount(left), amount(right)), (Some(left), Some(right)) if left > right)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Exponent,
    Binary,
}

/// The canonical form of an amount, or none if it is malformed.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((mantissa, exponent, format)) = parse(unsigned)? else { return Some(text.to_owned()) };
    let sign = if text.starts_with('-') && mantissa != 0 { "-" } else { "" };
    print(mantissa, exponent, format).map_or_else(|| Some(text.to_owned()), |amount| Some(format!("{sign}{amount}")))
}

/// Reads an amount without its sign: none if it is malformed, `Some(None)` if it is too large to be handled exactly.
#[allow(
    clippy::option_option,
    reason = "malformed and too large are different answers, and both are local to this file"
)]
fn parse(unsigned: &str) -> Option<Option<(i128, i32, Format)>> {
    let digits = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (format, power) = scale(suffix)?;
    let mantissa: Option<i128> = format!("0{whole}{fraction}").parse().ok();
    let exponent = i32::try_from(fraction.len()).ok().map(|places| -places);
    let (Some(mantissa), Some(exponent)) = (mantissa, exponent) else { return Some(None) };
    let amount = match format {
        Format::Binary => mantissa.checked_mul(1 << power).and_then(|mantissa| normalize(mantissa, exponent)),
        Format::Decimal | Format::Exponent => normalize(mantissa, exponent + power),
    };
    Some(amount.map(|(mantissa, exponent)| (mantissa, exponent, format)))
}

fn scale(suffix: &str) -> Option<(Format, i32)> {
    let decimal = |power| Some((Format::Decimal, power));
    let binary = |power| Some((Format::Binary, power));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-100..100).contains(&power).then_some((Format::Exponent, power))
        }
    }
}

/// Moves trailing zeros into the exponent; what is finer than a nano is rounded up.
fn normalize(mut mantissa: i128, mut exponent: i32) -> Option<(i128, i32)> {
    while exponent < -9 {
        let up = i128::from(mantissa % 10 != 0);
        mantissa = mantissa / 10 + up;
        exponent += 1;
    }
    if mantissa == 0 {
        return Some((0, 0));
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    (exponent < 30).then_some((mantissa, exponent))
}

fn print(mantissa: i128, exponent: i32, format: Format) -> Option<String> {
    if format == Format::Binary
        && let Some(power) = u32::try_from(exponent).ok()
        && let Some(mut amount) = 10_i128.checked_pow(power).and_then(|power| mantissa.checked_mul(power))
        && amount >= 1024
    {
        let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter().peekable();
        let mut suffix = suffixes.next()?;
        while amount % 1024 == 0
            && let Some(next) = suffixes.next()
        {
            amount /= 1024;
            suffix = next;
        }
        return Some(format!("{amount}{suffix}"));
    }
    let rest = exponent.rem_euclid(3);
    let mantissa = mantissa.checked_mul(10_i128.pow(rest.unsigned_abs()))?;
    let exponent = exponent - rest;
    if format == Format::Exponent {
        return Some(if exponent == 0 { mantissa.to_string() } else { format!("{mantissa}e{exponent}") });
    }
    let suffix = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        0 => "",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => return None,
    };
    Some(format!("{mantissa}{suffix}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_have_one_form() {
        for (text, expected) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("512", "512"),
            ("1000", "1k"),
            ("100", "100"),
            ("0", "0"),
            ("-1500m", "-1500m"),
            ("100e3", "100e3"),
            ("1e3", "1e3"),
            ("12E", "12E"),
            ("0.0000000001", "1n"),
            ("0.5Ki", "512"),
            (".5", "500m"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn amounts_compare_by_value() {
        for (left, right, more) in
            [("2", "1", true), ("1000m", "1", false), ("1Gi", "1G", true), ("1", "-2", true), ("x", "1", false)]
        {
            assert_eq!(is_more(left, right), more, "{left} > {right}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "x", "1x", "1.2.3", "Gi", "1 Gi", "--1"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(
            text in "[+-]?[0-9]{1,12}(\\.[0-9]{1,6})?(n|u|m|k|M|G|T|Ki|Mi|Gi|e[0-9])?"
        ) {
            let once = canonical(&text);
            prop_assert!(once.is_some());
            prop_assert_eq!(canonical(once.as_deref().unwrap_or_default()), once);
        }
    }
}
