use crate::budget::Refused;
use lockgate_authority::ReasonCode;

/// A text as it is written, without its quotation marks.
pub(super) struct Raw<'t> {
    pub(super) text: &'t str,
    pub(super) has_escape: bool,
    pub(super) has_control: bool,
}

/// The text that begins at `start`, after its quotation mark; `None` where it does not end.
pub(super) fn raw(document: &str, start: usize) -> Option<Raw<'_>> {
    let bytes = document.as_bytes();
    let mut at = start;
    let (mut has_escape, mut has_control) = (false, false);
    loop {
        at = special(bytes, at)?;
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                has_escape = true;
                at += 2;
            }
            _ => {
                has_control = true;
                at += 1;
            }
        }
    }
    Some(Raw { text: document.get(start..at)?, has_escape, has_control })
}

/// The first quotation mark, backslash or control character from `at` on, eight bytes at a time.
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = marks(u64::from_le_bytes(*chunk));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|position| at + position)
}

/// The high bit of the first byte that is special is set, and of none before it.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

/// Gives the pieces of which a raw text consists once its escapes are resolved.
pub(super) fn unescaped(raw: &str, mut piece: impl FnMut(&str)) -> Result<(), Refused> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (plain, escaped) = rest.split_at_checked(at).unwrap_or_default();
        piece(plain);
        let (character, length) = escape(escaped)?;
        piece(character.encode_utf8(&mut [0; 4]));
        rest = escaped.get(length..).unwrap_or_default();
    }
    piece(rest);
    Ok(())
}

/// The character that an escape stands for, and how long the escape is.
fn escape(escaped: &str) -> Result<(char, usize), Refused> {
    let character = match escaped.as_bytes().get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(escaped),
        _ => return Err(Refused::malformed("an unknown escape in a text")),
    };
    Ok((character, 2))
}

fn unicode(escaped: &str) -> Result<(char, usize), Refused> {
    let half = || Refused::new(ReasonCode::TextNotUnicode, "half of a surrogate pair");
    let first = unit(escaped, 0).ok_or_else(|| Refused::malformed("an unknown escape in a text"))?;
    match first {
        0xd800..=0xdbff => {
            let second = unit(escaped, 6).filter(|unit| matches!(unit, 0xdc00..=0xdfff)).ok_or_else(half)?;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            char::from_u32(code).map(|character| (character, 12)).ok_or_else(half)
        }
        _ => char::from_u32(first).map(|character| (character, 6)).ok_or_else(half),
    }
}

/// The four hexadecimal digits of `\uXXXX` at `at`.
fn unit(escaped: &str, at: usize) -> Option<u32> {
    let digits = escaped.get(at..at + 6)?.strip_prefix("\\u")?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
