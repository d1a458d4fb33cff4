//! Writing as Python's `json.dumps` does: the same bytes that `langchain_core.load.dumps` would give.

use super::{ESCAPED, Node, Object, Parts};
use lockgate_authority::Value;
use std::fmt::Write;

/// `None` where something has no form in JSON: bytes, and objects of checkpoints.
pub(super) fn text(node: &Node) -> Option<String> {
    let mut out = String::new();
    write_node(node, &mut out)?;
    Some(out)
}

fn write_node(node: &Node, out: &mut String) -> Option<()> {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Node::Int(number) => write!(out, "{number}").ok()?,
        Node::Float(number) => write_float(*number, out)?,
        Node::Text(text) => write_text(text, out),
        Node::Bytes(_) => return None,
        Node::List(items) => write_list(items, out, write_node)?,
        Node::Map(entries) if looks_escaped(entries) => {
            write_escape(out, |out| write_map(entries, out, write_node))?;
        }
        Node::Map(entries) => write_map(entries, out, write_node)?,
        Node::Escaped(value) => write_escape(out, |out| write_value(value, out))?,
        Node::Object(object) => write_object(object, out)?,
    }
    Some(())
}

fn looks_escaped(entries: &[(String, Node)]) -> bool {
    entries.iter().any(|(key, _)| key == "lc") || matches!(entries, [(key, _)] if key == ESCAPED)
}

fn write_escape(out: &mut String, content: impl FnOnce(&mut String) -> Option<()>) -> Option<()> {
    out.push('{');
    write_text(ESCAPED, out);
    out.push_str(": ");
    content(out)?;
    out.push('}');
    Some(())
}

/// What is escaped is written as it is.
fn write_value(value: &Value, out: &mut String) -> Option<()> {
    match value {
        Value::List(items) => write_list(items, out, write_value),
        Value::Map(entries) => write_map(entries, out, write_value),
        scalar => write_node(&Node::data(scalar.clone()), out),
    }
}

fn write_object(object: &Object, out: &mut String) -> Option<()> {
    let Parts::Fields(fields) = &object.parts else { return None };
    out.push_str(r#"{"lc": 1, "type": "constructor", "id": ["#);
    for (index, part) in object.path.split('.').enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_text(part, out);
    }
    out.push_str(r#"], "kwargs": "#);
    write_map(fields, out, write_node)?;
    if let Some(name) = &object.name {
        out.push_str(r#", "name": "#);
        write_node(name, out)?;
    }
    out.push('}');
    Some(())
}

fn write_list<T>(items: &[T], out: &mut String, write: fn(&T, &mut String) -> Option<()>) -> Option<()> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write(item, out)?;
    }
    out.push(']');
    Some(())
}

fn write_map<T>(entries: &[(String, T)], out: &mut String, write: fn(&T, &mut String) -> Option<()>) -> Option<()> {
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_text(key, out);
        out.push_str(": ");
        write(value, out)?;
    }
    out.push('}');
    Some(())
}

/// ASCII only, everything else as `\uXXXX` in UTF-16.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// Python's `repr`: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn write_float(number: f64, out: &mut String) -> Option<()> {
    if !number.is_finite() {
        return None;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if number == 0.0 || (-4..16).contains(&exponent) {
        // Rust writes `1` for `1.0` with `{}` and never an exponent.
        write!(out, "{number:?}").ok()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d01_numbers_are_written_as_python_writes_them() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e22, "1e+22"),
            (1e16, "1e+16"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
        ] {
            let mut out = String::new();
            assert_eq!(write_float(number, &mut out), Some(()));
            assert_eq!(out, expected);
        }
    }
}
