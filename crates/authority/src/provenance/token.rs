//! Parts of a text that mean something as a whole: addresses, links, account numbers, ids, numbers, dates.

use std::fmt::Write;

/// Most tokens taken from one text.
const MAX_TOKENS: usize = 4096;
/// Longest token, in bytes; longer words are no tokens.
const MAX_TOKEN: usize = 2048;

/// What kind of thing a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An e-mail address, link or account number: what says where something goes.
    Address,
    /// A name made of letters and digits or joined by punctuation: a file's name, an id.
    Id,
    /// A number, without its unit.
    Number,
    /// A day, or a time of day.
    Date,
    /// A day without its year; beside the words that it was read from, so never a token of its own.
    DayOfMonth,
}

/// A token in the form in which tokens are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) text: String,
}

/// The tokens of a canonical text, in order, and whether that is all there are.
pub(super) fn tokens(text: &str) -> (Vec<Token>, bool) {
    let mut out = Vec::new();
    let pieces: Vec<&str> = text.split(is_delimiter).map(trimmed).filter(|piece| !piece.is_empty()).collect();
    let mut rest = pieces.as_slice();
    while let Some((piece, after)) = rest.split_first() {
        if out.len() >= MAX_TOKENS {
            return (out, false);
        }
        if let Some((account, used)) = account(rest) {
            out.push(Token { kind: TokenKind::Address, text: account });
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        if let Some((day, used)) = written_day(rest) {
            out.push(Token { kind: TokenKind::Date, text: day });
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        if let Some(time) = after.first().and_then(|half| half_of_day(piece, half)) {
            out.push(Token { kind: TokenKind::Date, text: time });
        }
        single(piece, &mut out);
        rest = after;
    }
    days_of_months(&pieces, &mut out);
    (out, true)
}

/// Day of a month without its year, as `14th to 16th of November` names two: for each month the days within a few words.
fn days_of_months(pieces: &[&str], out: &mut Vec<Token>) {
    /// Words between a month and its days.
    const NEAR: usize = 6;
    /// Months of one text that are looked at.
    const MOST: usize = 64;
    let months = pieces.iter().enumerate().filter_map(|(at, piece)| Some((at, month(piece)?)));
    for (at, month) in months.take(MOST) {
        let near = pieces.iter().take(at + NEAR + 1).skip(at.saturating_sub(NEAR));
        out.extend(
            near.filter_map(|piece| day(piece))
                .map(|day| Token { kind: TokenKind::DayOfMonth, text: format!("d:--{month:02}-{day:02}") }),
        );
    }
}

/// The days with their year that a text holds, each as its token.
pub(super) fn days(text: &str) -> Vec<String> {
    let (found, _) = tokens(&super::text::canonical(text));
    let is_day = |token: &Token| token.kind == TokenKind::Date && token.text.starts_with("d:");
    found.into_iter().filter(is_day).map(|token| token.text).collect()
}

/// The same day without its year.
pub(super) fn without_year(day: &str) -> Option<String> {
    day.strip_prefix("d:").and_then(|day| day.get(4..)).map(|rest| format!("d:-{rest}"))
}

/// The one token that a canonical text is, if it is one.
pub(super) fn whole(text: &str) -> Option<Token> {
    let (mut found, _) = tokens(text);
    found.retain(|token| token.kind != TokenKind::DayOfMonth);
    let covers =
        !text.contains(is_delimiter) || matches!(found.first(), Some(first) if first.kind != TokenKind::Number);
    match (found.len(), covers) {
        (1, true) if found.first().is_some_and(|token| weight(&token.text) >= weight(text) / 2) => found.pop(),
        _ => None,
    }
}

fn weight(text: &str) -> usize {
    text.chars().filter(|next| next.is_alphanumeric()).count()
}

/// The canonical form of a number.
pub(super) fn number(value: f64) -> String {
    let mut out = String::from("n:");
    let _ = if value == value.trunc() && value.abs() < 1e15 {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value}")
    };
    out
}

fn is_delimiter(next: char) -> bool {
    next.is_whitespace()
        || matches!(
            next,
            '<' | '>'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '"'
                | '\''
                | '`'
                | ','
                | ';'
                | '|'
                | '*'
                | '“'
                | '”'
                | '‘'
                | '’'
                | '«'
                | '»'
        )
}

fn trimmed(piece: &str) -> &str {
    piece.trim_matches(|next: char| matches!(next, '.' | ':' | '!' | '?' | '#'))
}

fn single(piece: &str, out: &mut Vec<Token>) {
    if piece.len() > MAX_TOKEN {
        return;
    }
    let mut push = |kind, text: String| out.push(Token { kind, text });
    if let Some(address) = address(piece) {
        push(TokenKind::Address, address);
    } else if let Some(number) = plain_number(piece) {
        push(TokenKind::Number, number);
    } else if let Some((day, time)) = day_and_time(piece) {
        day.into_iter().chain(time).for_each(|text| push(TokenKind::Date, text));
    } else if is_id(piece) {
        push(TokenKind::Id, piece.to_owned());
    }
}

/// An e-mail address, or a link without its scheme and last slash, so that each spelling is the same.
fn address(piece: &str) -> Option<String> {
    let piece = piece.strip_prefix("mailto:").unwrap_or(piece);
    let link = ["https://", "http://", "ftp://"].iter().find_map(|scheme| piece.strip_prefix(scheme));
    if let Some(link) = link.or(piece.starts_with("www.").then_some(piece)) {
        let link = link.trim_end_matches('/');
        return (!link.is_empty()).then(|| link.to_owned());
    }
    if let Some((name, host)) = piece.split_once('@') {
        let plausible = !name.is_empty() && host.contains('.') && !host.contains('@') && !host.starts_with('.');
        return plausible.then(|| piece.to_owned());
    }
    is_host(piece.split('/').next().unwrap_or(piece)).then(|| piece.trim_end_matches('/').to_owned())
}

/// A name that only a host would have; `notes.txt` is a file.
fn is_host(name: &str) -> bool {
    const TOP: &[&str] =
        &["com", "org", "net", "io", "edu", "gov", "info", "biz", "co", "dev", "app", "xyz", "ru", "de", "uk"];
    name.rsplit_once('.').is_some_and(|(host, top)| !host.is_empty() && TOP.contains(&top))
}

/// An IBAN, in one piece or in groups, and how many pieces it is made of.
fn account(pieces: &[&str]) -> Option<(String, usize)> {
    let first = pieces.first()?;
    let starts = |text: &str| {
        text.len() >= 4
            && text.is_ascii()
            && text.bytes().take(2).all(|byte| byte.is_ascii_lowercase())
            && text.bytes().skip(2).take(2).all(|byte| byte.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !starts(first) {
        return None;
    }
    if (15..=34).contains(&first.len()) {
        return Some(((*first).to_owned(), 1));
    }
    if first.len() != 4 {
        return None;
    }
    let mut joined = (*first).to_owned();
    let mut used = 1;
    for piece in pieces.iter().skip(1) {
        let group = piece.len() <= 4 && piece.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // The bank's code, right after the first group, may be all letters.
        let plausible = used == 1 || piece.bytes().filter(u8::is_ascii_digit).count() * 2 >= piece.len();
        if !group || !plausible || joined.len() + piece.len() > 34 {
            break;
        }
        joined.push_str(piece);
        used += 1;
        if piece.len() < 4 {
            break;
        }
    }
    (joined.len() >= 15).then_some((joined, used))
}

/// A number with its sign, separators of thousands (lost to the delimiter before), currency and per cent dropped.
fn plain_number(piece: &str) -> Option<String> {
    let bare = piece.trim_matches(|next: char| matches!(next, '$' | '€' | '£' | '¥' | '%' | '+'));
    let digits = bare.strip_prefix('-').unwrap_or(bare);
    let plain = digits.starts_with(|next: char| next.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = if plain { bare.parse().ok()? } else { return None };
    value.is_finite().then(|| number(value))
}

/// `2024-05-15`, `2024-05-15t10:30`, `10:30`, `10:30:00`, `10:30am`, `noon`: the day and the time of day.
fn day_and_time(piece: &str) -> Option<(Option<String>, Option<String>)> {
    match piece {
        "noon" | "midday" => return Some((None, Some("t:12:00".to_owned()))),
        "midnight" => return Some((None, Some("t:00:00".to_owned()))),
        _ => {}
    }
    let (day, time) = match piece.split_once('t') {
        Some((day, time)) if iso_day(day).is_some() => (Some(day), Some(time)),
        _ if iso_day(piece).is_some() => (Some(piece), None),
        _ => (None, Some(piece)),
    };
    let time = match time {
        None => None,
        Some(time) => Some(clock(time)?),
    };
    Some((day.and_then(iso_day), time))
}

/// Whether a text is a day in ISO form.
pub(super) fn is_day(text: &str) -> bool {
    iso_day(text).is_some()
}

fn iso_day(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str, length: usize| {
        (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let (_, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    (parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day)).then(|| format!("d:{text}"))
}

fn clock(text: &str) -> Option<String> {
    let bare = text.trim_end_matches('z');
    let (bare, shift) = match (bare.strip_suffix("am"), bare.strip_suffix("pm")) {
        (Some(bare), _) => (bare, 0),
        (_, Some(bare)) => (bare, 12),
        _ => (bare, 24),
    };
    let mut parts = bare.split(':');
    let two = |text: &str| {
        ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let hour = two(parts.next()?)?;
    let minute = match parts.next() {
        Some(minute) => two(minute)?,
        None if shift < 24 => 0,
        None => return None,
    };
    if parts.next().is_some_and(|second| two(second) != Some(0)) || parts.next().is_some() {
        return None;
    }
    let hour = match (shift, hour) {
        (24, hour) => hour,
        (shift, 1..=12) => hour % 12 + shift,
        _ => return None,
    };
    (hour < 24 && minute < 60).then(|| format!("t:{hour:02}:{minute:02}"))
}

/// `1 pm`, `1:30 p.m`: a time of day in two pieces, the first of which stays a number.
fn half_of_day(time: &str, half: &str) -> Option<String> {
    let half = match half {
        "am" | "a.m" => "am",
        "pm" | "p.m" => "pm",
        _ => return None,
    };
    time.ends_with(|last: char| last.is_ascii_digit()).then(|| clock(&format!("{time}{half}"))).flatten()
}

/// `may 15th 2024`, `15 may 2024`, and how many pieces it is made of. Without a year it is no day.
fn written_day(pieces: &[&str]) -> Option<(String, usize)> {
    let year = |text: &str| (text.len() == 4).then(|| text.parse::<u32>().ok()).flatten();
    let (first, second, third) = (pieces.first()?, pieces.get(1)?, pieces.get(2)?);
    let (month, day) = match (month(first), day(second), day(first), month(second)) {
        (Some(month), Some(day), ..) | (_, _, Some(day), Some(month)) => (month, day),
        _ => return None,
    };
    Some((format!("d:{:04}-{month:02}-{day:02}", year(third)?), 3))
}

/// The number of a month's name.
fn month(text: &str) -> Option<usize> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = MONTHS.iter().position(|month| text == *month || (text.len() == 3 && month.starts_with(text)))?;
    Some(at + 1)
}

/// The number of a day: `3`, `03`, `3rd`.
fn day(text: &str) -> Option<u32> {
    let bare = text.trim_end_matches(|next: char| next.is_ascii_alphabetic());
    let known = matches!(text.get(bare.len()..)?, "" | "st" | "nd" | "rd" | "th");
    known.then(|| bare.parse::<u32>().ok()).flatten().filter(|day| (1..=31).contains(day))
}

/// Letters and digits together, or words joined by punctuation.
fn is_id(piece: &str) -> bool {
    let has = |test: fn(char) -> bool| piece.chars().any(test);
    let letters = has(char::is_alphabetic);
    let digits = has(|next| next.is_ascii_digit());
    let joined = has(|next| matches!(next, '_' | '/' | '.' | '\\' | '=' | '&' | ':'));
    (digits && (letters || has(|next| matches!(next, '-' | '/')))) || (letters && joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let found = tokens(&super::super::text::canonical(text)).0;
        found.into_iter().filter(|token| token.kind != TokenKind::DayOfMonth).map(|token| token.text).collect()
    }

    #[test]
    fn a17_addresses_are_the_same_in_each_spelling() {
        assert_eq!(found("Write to <Ann.Lee@Example.com>, please."), ["ann.lee@example.com"]);
        assert_eq!(
            found("see https://www.example.com/a/ or WWW.example.com/a!"),
            ["www.example.com/a", "www.example.com/a"]
        );
        assert_eq!(found("secure-systems-252.com"), ["secure-systems-252.com"]);
        assert_eq!(found("DE89 3704 0044 0532 0130 00 and de89370400440532013000"), ["de89370400440532013000"; 2]);
        assert_eq!(found("open notes.txt"), ["notes.txt"]);
    }

    #[test]
    fn a17_numbers_and_days_are_the_same_in_each_spelling() {
        assert_eq!(found("$50.00, 50 and 50.0%"), ["n:50", "n:50", "n:50"]);
        assert_eq!(found("2024-05-15 10:30"), ["d:2024-05-15", "t:10:30"]);
        assert_eq!(found("May 15th, 2024 at 10:30am"), ["d:2024-05-15", "t:10:30"]);
        assert_eq!(found("15 May 2024, 1:05pm"), ["d:2024-05-15", "t:13:05"]);
        assert_eq!(found("2024-05-15T10:30:00"), ["d:2024-05-15", "t:10:30"]);
        assert_eq!(found("at 1 pm, or 12 a.m."), ["t:13:00", "n:1", "t:00:00", "n:12", "a.m"]);
        assert_eq!(found("1:30 PM"), ["t:13:30", "t:01:30"], "as it would be without its half of the day too");
        assert_eq!(found("17 pm"), ["n:17"], "no time");
        assert_eq!(found("at noon, or by midnight"), ["t:12:00", "t:00:00"]);
    }

    #[test]
    fn a17_a_day_is_found_without_its_year() {
        let days = |text: &str| {
            let found = tokens(&super::super::text::canonical(text)).0;
            let days = found.into_iter().filter(|token| token.kind == TokenKind::DayOfMonth);
            days.map(|token| token.text).collect::<Vec<_>>()
        };
        assert_eq!(days("from the 14th to the 16th of November"), ["d:--11-14", "d:--11-16"]);
        assert_eq!(days("on May 3rd"), ["d:--05-03"]);
        assert!(days("I march on; it may rain").is_empty());
        assert_eq!(without_year("d:2024-05-03").as_deref(), Some("d:--05-03"));
    }

    #[test]
    fn a17_plain_words_are_no_tokens() {
        assert!(found("Please say hello to the team; re-read it.").is_empty());
        assert_eq!(whole("ann@example.com").map(|token| token.kind), Some(TokenKind::Address));
        assert_eq!(whole("pay 5"), None);
        assert_eq!(whole("hello"), None);
    }
}
