//! Which names a CommonJS module exports, read from its text, so that an ES module can import them by name.
//!
//! A heuristic: it finds `exports.a =`, `module.exports.a =`, `module.exports = { a, b: … }`,
//! `Object.defineProperty(exports, "a"` and, followed into the other module, `module.exports = require("…")` and
//! `__exportStar(require("…"), exports)`. A name found in error is an export that holds `undefined`.

use crate::program::{Kind, Module, Program};

/// The names, without `default`, each once.
pub fn named(program: &Program, module: &Module) -> Vec<String> {
    let mut names = Vec::new();
    collect(program, module, &mut names, 0);
    names
}

/// How many re-exports are followed.
const MAX_HOPS: u32 = 8;
/// Most names of one module.
const MAX_NAMES: usize = 4096;

fn collect(program: &Program, module: &Module, names: &mut Vec<String>, hops: u32) {
    if module.kind != Kind::CommonJs {
        return;
    }
    let source = program.source(module);
    for (at, word) in source.match_indices("exports") {
        let rest = &source[at + word.len()..];
        if let Some(name) = assigned_member(rest) {
            add(names, name);
        } else if let Some(literal) = assigned_object(source, at, rest) {
            literal.for_each(|name| add(names, name));
        } else if let Some(name) = defined_property(source, at, rest) {
            add(names, name);
        }
        if hops < MAX_HOPS
            && let Some(specifier) = re_exported(source, at, rest)
            && let Some(next) = program.resolve(module, specifier).and_then(|index| program.module(index))
        {
            collect(program, next, names, hops + 1);
        }
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    let usable = name != "default" && name != "__esModule" && names.len() < MAX_NAMES;
    if usable && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// `.name =`, but not `.name ==`.
fn assigned_member(rest: &str) -> Option<&str> {
    let rest = rest.trim_start().strip_prefix('.')?.trim_start();
    let name = identifier(rest)?;
    let after = rest[name.len()..].trim_start().strip_prefix('=')?;
    (!after.starts_with('=')).then_some(name)
}

/// The keys in `module.exports = { … }`, up to the first that is not plain.
fn assigned_object<'a>(source: &str, at: usize, rest: &'a str) -> Option<impl Iterator<Item = &'a str>> {
    if !source[..at].trim_end().ends_with('.') {
        return None;
    }
    let mut rest = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('{')?;
    Some(std::iter::from_fn(move || {
        rest = skip_blank(rest);
        let (name, after) = key(rest)?;
        rest = skip_value(skip_blank(after))?;
        Some(name)
    }))
}

/// `defineProperty(exports, "name"`.
fn defined_property<'a>(source: &str, at: usize, rest: &'a str) -> Option<&'a str> {
    let before = source[..at].trim_end().trim_end_matches("module.").trim_end();
    if !before.ends_with("defineProperty(") {
        return None;
    }
    let (name, _) = quoted(rest.trim_start().strip_prefix(',')?.trim_start())?;
    identifier(name).filter(|whole| whole.len() == name.len())
}

/// The specifier in `module.exports = require("x")` or in `__exportStar(require("x"), exports)`.
fn re_exported<'a>(source: &'a str, at: usize, rest: &'a str) -> Option<&'a str> {
    if let Some(value) = rest.trim_start().strip_prefix('=') {
        return required(value.trim_start());
    }
    let near = &source[source.floor_char_boundary(at.saturating_sub(512))..at];
    let (_, between) = near.rsplit_once("__exportStar(")?;
    required(between.trim_start()).filter(|_| !between.contains(';'))
}

fn required(text: &str) -> Option<&str> {
    let text = text.strip_prefix("require")?.trim_start().strip_prefix('(')?.trim_start();
    quoted(text).map(|(specifier, _)| specifier)
}

fn identifier(text: &str) -> Option<&str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let starts_well = text.chars().next().is_some_and(|c| is_part(c) && !c.is_ascii_digit());
    (end > 0 && starts_well).then(|| &text[..end])
}

/// A key of an object literal and what follows it.
fn key(text: &str) -> Option<(&str, &str)> {
    match quoted(text) {
        Some((name, after)) => identifier(name).filter(|whole| whole.len() == name.len()).map(|name| (name, after)),
        None => identifier(text).map(|name| (name, &text[name.len()..])),
    }
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let end = text[1..].find(quote)? + 1;
    Some((&text[1..end], &text[end + 1..]))
}

fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix("//") {
            text = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(rest) = text.strip_prefix("/*") {
            text = rest.split_once("*/").map_or("", |(_, after)| after);
        } else {
            return text;
        }
    }
}

/// What follows the comma after a property's value, if the value is simple enough to be skipped.
fn skip_value(text: &str) -> Option<&str> {
    if let Some(after) = text.strip_prefix(',') {
        return Some(after);
    }
    if text.starts_with('}') {
        return Some(text);
    }
    let mut depth = 0u32;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | ']' | '}' => return Some(&text[at..]),
            ',' if depth == 0 => return Some(&text[at + 1..]),
            '"' | '\'' | '`' => {
                let mut escaped = false;
                for (_, inner) in chars.by_ref() {
                    match inner {
                        _ if escaped => escaped = false,
                        '\\' => escaped = true,
                        _ if inner == c => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use minicbor::{Decoder, Encoder};
    use proptest::prelude::*;

    use super::named;
    use crate::program::Program;

    fn names_of(source: &str) -> Vec<String> {
        let mut table = Vec::new();
        let mut encoder = Encoder::new(&mut table);
        encoder.str("m.js").unwrap().array(1).unwrap().array(4).unwrap().str("m.js").unwrap().str(source).unwrap();
        encoder.u8(2).unwrap().array(0).unwrap();
        let program = Program::decode(&mut Decoder::new(&table)).unwrap().own(table).unwrap();
        named(&program, program.module(program.entry).unwrap())
    }

    #[test]
    fn n20_names_are_found_and_look_alikes_are_not() {
        assert_eq!(
            names_of("exports.a = 1; exports . b=2; exports.c == 3; exports.d; myexports.e = 1"),
            ["a", "b", "e"]
        );
        assert_eq!(
            names_of("module.exports = { a, 'b': 1, d() {}, \"c\": f(1, [2]), ...rest, e }"),
            ["a", "b", "d", "c"]
        );
        assert_eq!(names_of("module.exports = { a, 'not-a-name': 3, b }"), ["a"]);
        assert_eq!(names_of("exports = { a: 1 }; exports.default = 1; exports.__esModule = true"), [""; 0]);
        assert_eq!(
            names_of("Object.defineProperty(module.exports, 'x', {}); Object.defineProperty(exports, \"y\", {})"),
            ["x", "y"]
        );
    }

    proptest! {
        #[test]
        fn n20_any_text_is_read_to_its_end(source in "(exports|module\\.exports|[.={}(),'\"`:é ]|defineProperty\\(|__exportStar\\(|require|//|/\\*|[a-z]|\n){0,60}") {
            let _ = names_of(&source);
        }
    }
}
