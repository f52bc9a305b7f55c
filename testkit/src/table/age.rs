//! Ages in two or three figures, as people read them: `5m`, `3h20m`, `4d`.

use std::str::FromStr;

use jiff::Timestamp;

/// How long ago an RFC 3339 time is; `<unknown>` if there is none.
pub(super) fn age(time: &str, now: Timestamp) -> String {
    match Timestamp::from_str(time) {
        Ok(time) => since(now.as_millisecond() - time.as_millisecond()),
        Err(_) => "<unknown>".to_owned(),
    }
}

fn since(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let (seconds, minutes, hours) = (seconds.max(0), seconds / 60, seconds / 3600);
    let pair = |whole: i64, unit: &str, rest: i64, rest_unit: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
    };
    match (seconds, minutes, hours) {
        (..120, ..) => format!("{seconds}s"),
        (_, ..10, _) => pair(minutes, "m", seconds % 60, "s"),
        (_, ..180, _) => format!("{minutes}m"),
        (.., ..8) => pair(hours, "h", minutes % 60, "m"),
        (.., ..48) => format!("{hours}h"),
        (.., ..192) => pair(hours / 24, "d", hours % 24, "h"),
        (.., ..17_520) => format!("{}d", hours / 24),
        (.., ..70_080) => pair(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_or_three_figures() {
        let (minute, hour, day) = (60, 3600, 86_400);
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (2 * minute + 5, "2m5s"),
            (10 * minute + 5, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (7 * hour + 20 * minute, "7h20m"),
            (8 * hour + 20 * minute, "8h"),
            (47 * hour, "47h"),
            (2 * day, "2d"),
            (7 * day + 5 * hour, "7d5h"),
            (8 * day + 5 * hour, "8d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (800 * day, "2y70d"),
            (8 * 365 * day + 5 * day, "8y"),
        ] {
            assert_eq!(since(seconds * 1000), expected, "{seconds}");
        }
    }

    #[test]
    fn no_time_is_an_unknown_age() {
        assert_eq!(age("", Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(age("1970-01-01T00:00:00Z", Timestamp::UNIX_EPOCH), "0s");
    }
}
