//! Durations, sizes, rates and times as text.

use crate::caveat::Rate;
use crate::limits::{Limit, Unit};
use jiff::Timestamp;

const DURATIONS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Milliseconds of `10s`, `500ms`, `2m`, `1h` or `7d`.
pub(crate) fn duration(text: &str) -> Option<u64> {
    with_unit(text, DURATIONS)
}

/// Bytes of `32MiB`, `64KiB`, `1GiB`, `10MB`, `1GB`, `5kB` or `100B`.
pub(crate) fn size(text: &str) -> Option<u64> {
    with_unit(text, SIZES)
}

/// `10/s`, `100/m`, `3/500ms`: calls in a span of time.
pub(crate) fn rate(text: &str) -> Option<Rate> {
    let (calls, per) = text.split_once('/')?;
    let per_ms = DURATIONS.iter().find(|(unit, _)| *unit == per).map(|(_, ms)| *ms).or_else(|| duration(per))?;
    let calls = number(calls)?;
    let valid = (1..=u64::from(Rate::MAX_CALLS)).contains(&calls) && per_ms > 0;
    valid.then_some(Rate { calls: u32::try_from(calls).ok()?, per_ms })
}

/// Milliseconds since the Unix epoch of an RFC 3339 time, not before 1970.
pub(crate) fn time(text: &str) -> Option<u64> {
    // jiff also reads forms that RFC 3339 does not have, such as a week date or an annotated zone.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TtZz ".contains(&byte));
    let timestamp: Timestamp = if plain { text.parse().ok()? } else { return None };
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// The duration in the largest unit that divides it.
pub(crate) fn display_duration(ms: u64) -> String {
    display(ms, DURATIONS, "0ms")
}

/// The size in the largest binary unit that divides it.
pub(crate) fn display_size(bytes: u64) -> String {
    let binary = SIZES.get(..3).unwrap_or_default();
    let largest = binary.iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    largest.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// The rate as [`rate`] reads it.
pub(crate) fn display_rate(rate: Rate) -> String {
    let unit = DURATIONS.iter().find(|(_, ms)| *ms == rate.per_ms);
    let per = unit.map_or_else(|| display_duration(rate.per_ms), |(unit, _)| (*unit).to_owned());
    format!("{}/{per}", rate.calls)
}

/// The time in RFC 3339, UTC.
pub(crate) fn display_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "9999-12-30T22:00:00Z".to_owned(), |time| time.to_string())
}

impl Limit {
    /// A value of this limit as a manifest writes it: `10s`, `32MiB`, `1000`.
    pub fn display(self, value: u64) -> String {
        match self.unit() {
            Unit::Milliseconds => display_duration(value),
            Unit::Bytes => display_size(value),
            Unit::Count => value.to_string(),
        }
    }

    /// Reads a value of this limit as a manifest writes it; `None` for anything else.
    pub fn parse(self, text: &str) -> Option<u64> {
        match self.unit() {
            Unit::Milliseconds => duration(text),
            Unit::Bytes => size(text),
            Unit::Count => number(text).filter(|_| !text.is_empty()),
        }
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (amount, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number(amount)?.checked_mul(*factor)
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn display(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    let largest = units.iter().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    largest.map_or_else(|| zero.to_owned(), |(unit, factor)| format!("{}{unit}", value / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn n02_units_are_required_and_exact() {
        assert_eq!(duration("10s"), Some(10_000));
        assert_eq!(duration("500ms"), Some(500));
        assert_eq!(size("32MiB"), Some(32 << 20));
        assert_eq!(size("1GB"), Some(1_000_000_000));
        assert_eq!(rate("10/s"), Some(Rate { calls: 10, per_ms: 1000 }));
        assert_eq!(rate("3/500ms"), Some(Rate { calls: 3, per_ms: 500 }));
        assert_eq!(time("2026-12-31T00:00:00Z"), Some(1_798_675_200_000));
        assert_eq!(time("2026-12-31T01:00:00+01:00"), Some(1_798_675_200_000));
        for text in [
            "10",
            "s",
            "",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1S",
            "10sec",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["10", "32mib", "32M", "1TiB", "0x10B"] {
            assert_eq!(size(text), None, "{text}");
        }
        for text in ["0/s", "10", "10/", "/s", "10/0s", "10001/s", "10/s/s", "10/fortnight"] {
            assert_eq!(rate(text), None, "{text}");
        }
        for text in [
            "2026-12-31",
            "2026-12-31T00:00:00",
            "1969-12-31T00:00:00Z",
            "tomorrow",
            "2026-13-01T00:00:00Z",
            "2026-12-31T00:00:00Z[UTC]",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn units_round_trip(value in 0_u64..1 << 50, calls in 1_u32..10_000, per_ms in 1_u64..1 << 40) {
            prop_assert_eq!(duration(&display_duration(value)), Some(value));
            prop_assert_eq!(size(&display_size(value)), Some(value));
            prop_assert_eq!(rate(&display_rate(Rate { calls, per_ms })), Some(Rate { calls, per_ms }));
            let time_ms = value % 253_402_207_200_000;
            prop_assert_eq!(time(&display_time(time_ms)), Some(time_ms));
        }
    }
}
