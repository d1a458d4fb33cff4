//! YAML: recognised, and its tags told. It is not read.

use super::Found;
use crate::budget::Refused;
use crate::capability::Capabilities;
use lockgate_authority::ReasonCode;

/// Beginnings of tags that make an object of the reader's language.
const OBJECT_TAGS: &[&str] = &["python/", "ruby/", "java", "perl/", "php/", "net/", "!python/", "!java", "!ruby/"];
/// Tags of the language itself.
const PLAIN_TAGS: &[&str] =
    &["str", "int", "float", "bool", "null", "map", "seq", "set", "omap", "binary", "timestamp", "merge", "value"];

/// `None` where the text is not YAML, or cannot be told from any text.
pub(super) fn look(text: &str) -> Option<Found> {
    let mut can = Capabilities::default();
    let mut refused = Vec::new();
    let mut lines = 0_usize;
    let mut entries = 0_usize;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        lines += 1;
        entries += usize::from(is_entry(line));
        for tag in tags(line) {
            let at = format!("line {}", index + 1);
            let name = tag.trim_start_matches('!');
            if OBJECT_TAGS.iter().any(|object| name.starts_with(object)) {
                can.add(|can| &mut can.code, &at, name);
                refused.push(Refused {
                    code: ReasonCode::CodeRefused,
                    pointer: at,
                    found: "a tag that makes an object",
                });
            } else if !PLAIN_TAGS.contains(&name) {
                refused.push(Refused {
                    code: ReasonCode::FormatRefused,
                    pointer: at,
                    found: "a tag that is not known",
                });
            }
        }
    }
    let is_marked = text.starts_with("---") || text.starts_with("%YAML") || !can.code.is_empty();
    if !is_marked && (lines == 0 || entries * 2 < lines || entries == 0) {
        return None;
    }
    refused.push(Refused::new(ReasonCode::FormatRefused, "YAML, which is not read"));
    Some(Found { can, refused })
}

/// `key: value`, `key:` or `- item`.
fn is_entry(line: &str) -> bool {
    let line = line.strip_prefix("- ").unwrap_or(line);
    let key = line.split_once(": ").map(|(key, _)| key).or_else(|| line.strip_suffix(':'));
    key.is_some_and(|key| !key.is_empty() && key.len() < 80 && !key.contains(' '))
}

/// Words that begin with an exclamation mark where a value can begin, outside of quotes and comments.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    let mut before = ' ';
    let mut starts = Vec::new();
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (Some(open), character) if open == character => quote = None,
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(character),
            (None, '#') if before == ' ' => break,
            (None, '!') if matches!(before, ' ' | '[' | '{' | ',' | '(') => starts.push(at),
            _ => {}
        }
        before = character;
    }
    starts.into_iter().filter_map(move |at| tag(line.get(at..)?))
}

/// The tag at the start of `text`, in its short form.
fn tag(text: &str) -> Option<&str> {
    let tag = match text.strip_prefix("!<") {
        Some(whole) => whole.split('>').next()?,
        None => text.split([' ', ',', ']', '}']).next()?,
    };
    let tag = tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag);
    Some(tag).filter(|tag| !tag.trim_start_matches('!').is_empty())
}
