//! Documents that other programs exchange: JSON and MessagePack with objects in them, nearly right.

use arbitrary::{Arbitrary, Result, Unstructured};
use lockgate_authority::Value;
use lockgate_decode::classes;

use super::{AnyValue, Damage};

/// Deepest document that is made.
const MAX_DEPTH: usize = 6;
/// Most members of a container that is made.
const MAX_MEMBERS: usize = 6;

/// Keys of envelopes, messages, prompts and tool calls.
const KEYS: &[&str] = &[
    "lc",
    "type",
    "id",
    "kwargs",
    "args",
    "method",
    "name",
    "__lc_escaped__",
    "__proto__",
    "content",
    "additional_kwargs",
    "tool_calls",
    "tool_call_id",
    "usage_metadata",
    "template",
    "template_format",
    "prompt",
    "messages",
    "role",
    "page_content",
    "base_url",
    "api_key",
    "channel_values",
    "v",
    "jsonrpc",
    "function",
    "a",
];
/// Texts that mean something in one of them.
const TEXTS: &[&str] = &[
    "constructor",
    "secret",
    "not_implemented",
    "ai",
    "human",
    "f-string",
    "jinja2",
    "{x}",
    "{x.y}",
    "tool_use",
    "2.0",
    "fromisoformat",
    "model_validate_json",
    "2026-11-28T11:40:00",
    "10.0.0.0/8",
    "http://169.254.169.254/",
    "data:application/json;base64,e30=",
    "\u{1f600}",
    "\u{7f}\0",
    "",
];

/// A document, and how it is written.
#[derive(Arbitrary, Debug)]
pub enum Document {
    /// Bytes as they come.
    Raw(Vec<u8>),
    /// JSON with objects in it, damaged.
    Json(Made, Damage),
    /// JSON of any value, damaged.
    AnyJson(AnyValue, Damage),
    /// MessagePack with extensions in it, damaged.
    MessagePack(Packed, Damage),
}

impl Document {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Document::Raw(bytes) => bytes,
            Document::Json(made, damage) => damage.done_to(made.0.to_json_text().into_bytes()),
            Document::AnyJson(value, damage) => damage.done_to(value.0.to_json_text().into_bytes()),
            Document::MessagePack(packed, damage) => damage.done_to(packed.0),
        }
    }
}

/// Data with objects in it.
#[derive(Clone, Debug)]
pub struct Made(pub Value);

impl<'a> Arbitrary<'a> for Made {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, MAX_DEPTH).map(Made)
    }
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 9 })? {
        0 => Value::Null,
        1 => Value::Int(u.int_in_range(-1..=3)?),
        2 => Value::Bool(u.arbitrary()?),
        3 => Value::Float(*u.choose(&[1.0, -0.0, 1e22, 1e-7, 0.1])?),
        4 => Value::from(*u.choose(TEXTS)?),
        5 => Value::List(members(u, |u| value(u, depth - 1))?),
        6 | 7 => object(u, depth - 1)?,
        _ => Value::Map(entries(u, depth - 1)?),
    })
}

fn members<T>(u: &mut Unstructured<'_>, mut make: impl FnMut(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=MAX_MEMBERS)?;
    (0..count).map(|_| make(u)).collect()
}

fn entries(u: &mut Unstructured<'_>, depth: usize) -> Result<Vec<(String, Value)>> {
    let mut entries = members(u, |u| Ok(((*u.choose(KEYS)?).to_owned(), value(u, depth)?)))?;
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    entries.dedup_by(|left, right| left.0 == right.0);
    Ok(entries)
}

/// An envelope of a listed type with fields that are often its own.
fn object(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let paths: Vec<&str> = classes().flat_map(|class| class.paths().iter().copied()).collect();
    let path: Vec<Value> = u.choose(&paths)?.split('.').map(Value::from).collect();
    let mut fields = entries(u, depth)?;
    if u.arbitrary()? && fields.iter().all(|(key, _)| key != "content") {
        fields.push(("content".to_owned(), Value::from(*u.choose(TEXTS)?)));
    }
    Ok(Value::map([
        ("lc", Value::Int(1)),
        ("type", Value::from("constructor")),
        ("id", Value::List(path)),
        ("kwargs", Value::Map(fields)),
    ]))
}

/// MessagePack with extensions of the closed set and beside it.
#[derive(Clone, Debug)]
pub struct Packed(pub Vec<u8>);

impl<'a> Arbitrary<'a> for Packed {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut out = Vec::new();
        pack(u, MAX_DEPTH, &mut out)?;
        Ok(Packed(out))
    }
}

fn pack(u: &mut Unstructured<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match u.int_in_range(0..=if depth == 0 { 4 } else { 8 })? {
        0 => out.push(*u.choose(&[0xc0, 0xc2, 0xc3, 0x00, 0x7f, 0xff])?),
        1 => {
            out.push(*u.choose(&[0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xca, 0xcb])?);
            out.extend(u.arbitrary::<[u8; 8]>()?);
        }
        2 | 3 => pack_text(u.choose(TEXTS)?, out),
        4 => {
            out.extend([0xc4, 2]);
            out.extend(u.arbitrary::<[u8; 2]>()?);
        }
        5 => {
            let count = u.int_in_range(0..=MAX_MEMBERS)?;
            out.push(0x90 | count as u8);
            for _ in 0..count {
                pack(u, depth - 1, out)?;
            }
        }
        6 => {
            let count = u.int_in_range(0..=MAX_MEMBERS)?;
            out.push(0x80 | count as u8);
            for _ in 0..count {
                pack_text(u.choose(KEYS)?, out);
                pack(u, depth - 1, out)?;
            }
        }
        _ => {
            let content = extension(u, depth - 1)?;
            let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
            out.push(0xc8);
            out.extend(length.to_be_bytes());
            out.push(u.int_in_range(0..=8)?);
            out.extend(content);
        }
    }
    Ok(())
}

fn extension(u: &mut Unstructured<'_>, depth: usize) -> Result<Vec<u8>> {
    let paths: Vec<&str> = classes().flat_map(|class| class.paths().iter().copied()).collect();
    let path = u.choose(&paths)?;
    let (module, name) = path.rsplit_once('.').unwrap_or(("os", "system"));
    let has_method = u.arbitrary()?;
    let mut out = vec![if has_method { 0x94 } else { 0x93 }];
    pack_text(module, &mut out);
    pack_text(name, &mut out);
    pack(u, depth, &mut out)?;
    if has_method {
        pack_text(u.choose(&["fromisoformat", "model_validate_json", "construct"])?, &mut out);
    }
    Ok(out)
}

fn pack_text(text: &str, out: &mut Vec<u8>) {
    out.extend([0xd9, text.len() as u8]);
    out.extend(text.as_bytes());
}
