//! Days and times that exist.

use super::Node;
use super::class::Kind;

/// Hour, minute, second and microsecond.
pub(super) const OF_DAY: &[Kind] =
    &[Kind::Within(0, 23), Kind::Within(0, 59), Kind::Within(0, 59), Kind::Within(0, 999_999)];

/// Year, month and day.
pub(super) fn is_day(parts: &[Node]) -> bool {
    matches!(parts, [Node::Int(year), Node::Int(month), Node::Int(day)] if exists(*year, *month, *day))
}

fn exists(year: i64, month: i64, day: i64) -> bool {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=9999).contains(&year) && (1..=days).contains(&day)
}

/// As Python's `isoformat` writes it: `2026-11-28T11:40:00`, perhaps with six digits of a second and an offset.
pub(super) fn is_iso(text: &str) -> bool {
    let mut rest = text;
    let Some([year, month, day]) = numbers(&mut rest, [4, 2, 2], "-") else { return false };
    if !exists(year, month, day) || !skip(&mut rest, "T") {
        return false;
    }
    let Some([hour, minute, second]) = numbers(&mut rest, [2, 2, 2], ":") else { return false };
    if hour > 23 || minute > 59 || second > 59 {
        return false;
    }
    if skip(&mut rest, ".") && number(&mut rest, 6).is_none() {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    if !skip(&mut rest, "+") && !skip(&mut rest, "-") {
        return false;
    }
    let offset = numbers(&mut rest, [2, 2], ":");
    rest.is_empty() && matches!(offset, Some([hours, minutes]) if hours <= 23 && minutes <= 59)
}

fn numbers<const N: usize>(rest: &mut &str, digits: [usize; N], between: &str) -> Option<[i64; N]> {
    let mut found = [0; N];
    for (index, (found, digits)) in found.iter_mut().zip(digits).enumerate() {
        if index > 0 && !skip(rest, between) {
            return None;
        }
        *found = number(rest, digits)?;
    }
    Some(found)
}

fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let (written, after) = rest.split_at_checked(digits)?;
    let number = written.bytes().all(|byte| byte.is_ascii_digit()).then(|| written.parse().ok())??;
    *rest = after;
    Some(number)
}

fn skip(rest: &mut &str, text: &str) -> bool {
    match rest.strip_prefix(text) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d07_dates_exist() {
        for text in ["2026-11-28T11:40:00", "2024-02-29T00:00:00.123456+02:00", "0001-01-01T23:59:59-23:59"] {
            assert!(is_iso(text), "{text}");
        }
        for text in [
            "",
            "2026-11-28",
            "2023-02-29T00:00:00",
            "2026-11-28T24:00:00",
            "2026-11-28T11:40:00.1",
            "é026-11-28T11:40:00",
            "2026-11-28T11:40:00+2",
        ] {
            assert!(!is_iso(text), "{text}");
        }
    }
}
