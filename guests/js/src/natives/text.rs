//! What the guest's JavaScript does with text without the language's own methods, which user code can replace (a
//! regular expression asks its prototype at every use).

use crate::engine::{Args, Js, Value};

/// (text, what, with) replaces every occurrence.
pub fn replace(args: &Args) -> Js<Value> {
    args.ctx.text(&args.text(0)?.replace(&args.text(1)?, &args.text(2)?))
}

/// (text, separator) gives the parts.
pub fn split(args: &Args) -> Js<Value> {
    let (text, separator) = (args.text(0)?, args.text(1)?);
    let parts: Js<Vec<Value>> = text.split(&separator).map(|part| args.ctx.text(part)).collect();
    args.ctx.array(parts?)
}

/// (text, kind) tells whether a text is of a kind.
pub fn is(args: &Args) -> Js<Value> {
    let text = args.text(0)?;
    let is = match args.text(1)?.as_str() {
        "name" => {
            let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
            !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(part)
        }
        "index" => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
        "token" => {
            let part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            !text.is_empty() && text.bytes().all(part)
        }
        "field" => text.chars().all(|c| !matches!(c, '\0' | '\r' | '\n') && u32::from(c) <= 0xff),
        "printable" => text.bytes().all(|b| (0x20..=0x7e).contains(&b)),
        _ => false,
    };
    Ok(args.ctx.bool(is))
}

/// A header's value without the blanks around it.
pub fn trim_field(args: &Args) -> Js<Value> {
    args.ctx.text(args.text(0)?.trim_matches(['\t', '\n', '\r', ' ']))
}

/// A text with every line ending as CR LF.
pub fn crlf(args: &Args) -> Js<Value> {
    let text = args.text(0)?.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    args.ctx.text(&text)
}

/// A text as a string literal, in the quotes that need the fewest escapes.
pub fn quote(args: &Args) -> Js<Value> {
    let text = args.text(0)?;
    let mark = ['\'', '"', '`'].into_iter().find(|mark| !text.contains(*mark)).unwrap_or('\'');
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            c if c == mark => quoted.extend(['\\', c]),
            c if c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c) => quoted.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push(mark);
    args.ctx.text(&quoted)
}
