use crate::budget::Refused;
use lockgate_authority::ReasonCode;
use std::borrow::Cow;

/// A text as it is written.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    /// Where it begins, after its quotation mark.
    pub(super) start: usize,
    /// Where the quotation mark after it is.
    pub(super) end: usize,
    /// Bytes of it once its escapes are resolved.
    pub(super) length: usize,
}

impl Raw {
    pub(super) fn has_escape(&self) -> bool {
        // Every escape is longer than what it stands for.
        self.length != self.end - self.start
    }
}

/// The text that begins at `start`, after its quotation mark; `None` where there is something in it that is not taken, or it does
/// not end.
#[inline(always)]
pub(super) fn raw(bytes: &[u8], start: usize) -> Option<Raw> {
    let end = special(bytes, start)?;
    match bytes.get(end) {
        Some(b'"') => Some(Raw { start, end, length: end - start }),
        _ => raw_escaped(bytes, start, end),
    }
}

/// [`raw`] where the first special byte, at `at`, is no quotation mark.
fn raw_escaped(bytes: &[u8], start: usize, mut at: usize) -> Option<Raw> {
    // What escapes are longer than what they stand for.
    let mut longer = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(Raw { start, end: at, length: at - start - longer }),
            b'\\' => {
                let (character, length) = escape(bytes.get(at..)?).ok()?;
                longer += length - character.len_utf8();
                at = special(bytes, at + length)?;
            }
            _ => return None,
        }
    }
}

/// Why the text that begins at `start` is not taken: first that it does not end, then what it is as a whole.
#[cold]
pub(super) fn why_refused(bytes: &[u8], start: usize) -> Refused {
    let (mut at, mut has_control, mut wrong) = (start, false, None);
    loop {
        match special(bytes, at).map(|found| (found, bytes.get(found..).unwrap_or_default())) {
            None => return Refused::malformed(super::CUT),
            Some((_, [b'"', ..])) => break,
            Some((found, rest @ [b'\\', ..])) => match escape(rest) {
                Ok((_, length)) => at = found + length,
                Err(refused) => {
                    wrong = wrong.or(Some(refused));
                    at = found + 2;
                }
            },
            Some((found, _)) => {
                has_control = true;
                at = found + 1;
            }
        }
    }
    match wrong {
        Some(refused) if !has_control => refused,
        _ => Refused::malformed("a control character in a text"),
    }
}

#[cold]
pub(super) fn too_long() -> Refused {
    Refused::new(ReasonCode::TooLarge, "text longer than allowed")
}

/// The key whose quotation mark is at `from`.
pub(super) fn key_at(document: &str, from: usize) -> Cow<'_, str> {
    match raw(document.as_bytes(), from + 1) {
        Some(raw) if !raw.has_escape() => Cow::Borrowed(document.get(raw.start..raw.end).unwrap_or_default()),
        Some(raw) => Cow::Owned(read(document, raw.start, &mut String::new()).unwrap_or_default().0),
        None => Cow::default(),
    }
}

/// The first quotation mark, backslash or control character from `at` on.
#[inline(always)]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Most texts and keys are short.
    for _ in 0..SHORT {
        let Some(word) = word(bytes, at) else { return special_of_few(bytes, at) };
        let found = marks(word);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    special_of_many(bytes, at)
}

/// Words of eight bytes that are looked at before whole blocks are.
const SHORT: usize = 6;
/// Bytes that are looked at together; the compiler makes a few wide instructions of it.
const BLOCK: usize = 32;

#[inline(never)]
fn special_of_many(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        if block.iter().fold(false, |found, byte| found | is_special(*byte)) {
            break;
        }
        at += BLOCK;
    }
    while let Some(word) = word(bytes, at) {
        let found = marks(word);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    special_of_few(bytes, at)
}

#[inline(never)]
fn special_of_few(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.iter().position(|byte| is_special(*byte)).map(|position| at + position)
}

/// What is below a space, or the quotation mark, is below `!` once its second bit is turned; nothing else is.
fn is_special(byte: u8) -> bool {
    (byte ^ 2 < b'!') | (byte == b'\\')
}

#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// The high bit of the first byte that is special is set, and of none before it.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let all = |byte: u8| ONES * u64::from(byte);
    let below_space_or_quote = (word ^ all(2)).wrapping_sub(all(b'!'));
    let backslash = (word ^ all(b'\\')).wrapping_sub(ONES);
    (below_space_or_quote | backslash) & !word & HIGH
}

/// The text that begins at `start` and is taken, its escapes resolved, and where its quotation mark is; `room` is room to work in.
#[inline(always)]
pub(super) fn read(document: &str, start: usize, room: &mut String) -> Option<(String, usize)> {
    let end = special(document.as_bytes(), start)?;
    match document.as_bytes().get(end) {
        Some(b'"') => Some((document.get(start..end)?.to_owned(), end)),
        _ => read_escaped(document, start, end, room),
    }
}

/// Bytes of a text with escapes for which there is room from the start.
const FEW_BYTES: usize = 1 << 10;

fn read_escaped(document: &str, start: usize, mut at: usize, room: &mut String) -> Option<(String, usize)> {
    let bytes = document.as_bytes();
    room.clear();
    room.reserve(FEW_BYTES.min(bytes.len()));
    let mut from = start;
    while bytes.get(at) == Some(&b'\\') {
        room.push_str(document.get(from..at)?);
        let (character, length) = escape(bytes.get(at..)?).ok()?;
        room.push(character);
        from = at + length;
        at = special(bytes, from)?;
    }
    room.push_str(document.get(from..at)?);
    Some((room.as_str().to_owned(), at))
}

/// The bytes of a text that is taken, its escapes resolved one by one.
pub(super) fn bytes_of(written: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = written;
    let mut utf8 = [0; 4];
    let mut left = 0..0;
    std::iter::from_fn(move || {
        if let Some(next) = left.next() {
            return utf8.get(next).copied();
        }
        let next = *rest.first()?;
        if next != b'\\' {
            rest = rest.get(1..)?;
            return Some(next);
        }
        let (character, length) = escape(rest).ok()?;
        rest = rest.get(length..)?;
        left = 1..character.encode_utf8(&mut utf8).len();
        Some(utf8[0])
    })
}

/// The character that an escape stands for, and how long the escape is.
#[inline(always)]
fn escape(escaped: &[u8]) -> Result<(char, usize), Refused> {
    let character = match escaped.get(1) {
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

#[inline(never)]
fn unicode(escaped: &[u8]) -> Result<(char, usize), Refused> {
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
fn unit(escaped: &[u8], at: usize) -> Option<u32> {
    let digits = escaped.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}
