//! Reading the few things that a syntax tree does not place: white space, comments, single tokens.

/// The length in bytes of the line terminator at the start of `rest`, or 0. `\r\n` is one.
pub(crate) fn line_terminator_len(rest: &[u8]) -> usize {
    match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        [0xE2, 0x80, 0xA8 | 0xA9, ..] => 3,
        _ => 0,
    }
}

/// Whether a line ends anywhere in `text`, comments and strings included.
pub(crate) fn has_line_terminator(text: &str) -> bool {
    text.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
}

/// The first offset at or after `at` that is neither white space nor in a comment; at most the end of `source`.
///
/// `at` must lie between tokens.
pub(crate) fn skip_trivia(source: &str, mut at: usize) -> usize {
    while let Some(rest) = source.get(at..) {
        let Some(next) = rest.chars().next() else { break };
        if next.is_whitespace() || next == '\u{FEFF}' {
            at += next.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else {
            break;
        }
    }
    at.min(source.len())
}

/// The byte at `at`, 0 at the end.
pub(crate) fn byte_at(source: &str, at: usize) -> u8 {
    source.as_bytes().get(at).copied().unwrap_or(0)
}

/// The run of ASCII letters at `at`, which is empty where there is none or where it is part of a longer name.
pub(crate) fn word_at(source: &str, at: usize) -> &str {
    let rest = source.get(at..).unwrap_or("");
    let end = rest.bytes().position(|b| !b.is_ascii_lowercase()).unwrap_or(rest.len());
    let follows = rest.as_bytes().get(end).copied().unwrap_or(b' ');
    if follows.is_ascii_alphanumeric() || matches!(follows, b'_' | b'$' | b'\\') || follows >= 0x80 {
        return "";
    }
    &rest[..end]
}
