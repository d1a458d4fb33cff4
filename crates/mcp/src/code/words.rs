//! Words of others within text that a model or a person reads: on one line, bounded, without characters that hide or move
//! other text.

use lockgate_decode::is_unseen;

/// The start of a text, with its white space and control characters made single spaces and its unseen characters written out.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut gap = false;
    for next in text.chars() {
        if next.is_whitespace() || next.is_control() {
            gap = !out.is_empty();
            continue;
        }
        if is_unseen(next) {
            gap = false;
            out.push_str(&written_out(next));
            if out.len() > most {
                out.push('…');
                break;
            }
            continue;
        }
        if out.len() + next.len_utf8() + 1 > most {
            out.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
        }
        out.push(next);
    }
    out
}

/// All of a text, with what is unseen in it written out.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::new();
    for next in text.chars() {
        match is_unseen(next) {
            true => out.push_str(&written_out(next)),
            false => out.push(next),
        }
    }
    out
}

/// The same of text with several lines.
pub(crate) fn visible_lines(text: &str) -> String {
    text.chars()
        .map(|next| match next {
            '\n' | '\t' => next.to_string(),
            next if is_unseen(next) => written_out(next),
            next => next.to_string(),
        })
        .collect()
}

fn written_out(next: char) -> String {
    format!("\\u{{{:x}}}", u32::from(next))
}

/// The text as a comment of TypeScript can hold it.
pub(crate) fn comment(text: &str, most: usize) -> String {
    plain(text, most).replace("*/", "* /")
}

/// The text as a literal of TypeScript, all unseen characters written out.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for next in text.chars() {
        match next {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            next if is_unseen(next) || (next.is_whitespace() && next != ' ') => {
                let mut units = [0; 2];
                for unit in next.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            next => out.push(next),
        }
    }
    out.push('"');
    out
}

/// Whether a name can stand after a dot.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '_' | '$'));
    first && chars.all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '$'))
}

/// `.name`, or `["name"]` where it is no identifier.
pub(crate) fn member(name: &str) -> String {
    if is_identifier(name) { format!(".{name}") } else { format!("[{}]", literal(name)) }
}

/// `name`, or `"name"` where it is no identifier: a key of an object.
pub(crate) fn key(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { literal(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_words_of_others_stay_on_their_line_and_hide_nothing() {
        assert_eq!(plain("  a\r\n\tb\u{1b}[31m c\u{202e}d\u{200b}e ", 100), "a b [31m c\\u{202e}d\\u{200b}e");
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(comment("x */ declare const y: string /*", 100), "x * / declare const y: string /*");
        assert_eq!(literal("a\"b\\\n\u{202e}\u{e0041}"), "\"a\\\"b\\\\\\n\\u202e\\udb40\\udc41\"");
        assert_eq!(member("read_file"), ".read_file");
        assert_eq!(member("get-sum"), "[\"get-sum\"]");
        assert!(!is_identifier("") && !is_identifier("1a") && is_identifier("$a_1"));
    }
}
