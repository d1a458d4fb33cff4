//! Times in the calendar, from milliseconds since the Unix epoch. UTC.

const DAY_MS: u64 = 86_400_000;

/// Hour of the day, 0 to 23.
pub(crate) fn hour(ms: u64) -> i64 {
    whole(ms % DAY_MS / 3_600_000)
}

/// Day of the week: Monday is 1, Sunday 7.
pub(crate) fn weekday(ms: u64) -> i64 {
    // The epoch was a Thursday.
    whole((ms / DAY_MS + 3) % 7 + 1)
}

/// `2026-11-28`.
pub(crate) fn day(ms: u64) -> String {
    let (year, month, day) = civil(ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-28T11:14:29.000Z`, as Cedar's `datetime` reads it.
pub(crate) fn instant(ms: u64) -> String {
    let within = ms % DAY_MS;
    let (hour, minute, second) = (within / 3_600_000, within / 60_000 % 60, within / 1000 % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", day(ms), within % 1000)
}

/// Year, month and day of a day since the epoch. Counts from the first of March of year 0, so that a leap day is the last
/// of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days from there to the epoch, and in 400 years.
    const TO_EPOCH: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days + TO_EPOCH;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_times_are_those_of_the_calendar() {
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!((hour(0), weekday(0)), (0, 4));
        // A leap day, the day after it, the end of a year, a century that is no leap year.
        assert_eq!(instant(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(day(1_709_164_800_000 + DAY_MS), "2024-03-01");
        assert_eq!(instant(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
        assert_eq!(day(4_107_542_400_000), "2100-03-01");
        assert_eq!(day(4_107_542_400_000 - DAY_MS), "2100-02-28");
        // Saturday, 28 November 2026, 11:14.
        assert_eq!((hour(1_795_864_440_000), weekday(1_795_864_440_000)), (11, 6));
    }
}
