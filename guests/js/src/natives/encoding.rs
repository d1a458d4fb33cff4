//! Text to bytes and back, for `TextEncoder` and `TextDecoder`.

use crate::engine::{Args, Ctx, Js, Kind, Value};

/// A string as UTF-8; lone surrogates become U+FFFD.
pub fn utf8_encode(args: &Args) -> Js<Value> {
    let text = args.text(0)?;
    args.ctx.bytes(text.as_bytes())
}

/// Writes as many whole characters of a string as fit into a `Uint8Array`; gives UTF-16 units read and bytes written.
pub fn utf8_encode_into(args: &Args) -> Js<Value> {
    let text = args.text(0)?;
    let (read, written) = args.get(1).with_bytes_mut(|bytes| {
        let end = text.floor_char_boundary(bytes.len());
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        (text[..end].chars().map(char::len_utf16).sum::<usize>(), end)
    })?;
    pair(args.ctx, args.ctx.number(read as f64), args.ctx.number(written as f64))
}

/// Decodes UTF-8: (bytes, fatal, more to come) gives the text and how many bytes it took, or `undefined` if `fatal`
/// and malformed. A sequence cut off by the end is left over when more is to come.
pub fn utf8_decode(args: &Args) -> Js<Value> {
    let (fatal, more) = (truth(args, 1), truth(args, 2));
    let decoded = args.get(0).with_bytes(|bytes| {
        let mut text = String::with_capacity(bytes.len());
        let mut used = 0;
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let bad = chunk.invalid();
            if bad.is_empty() {
                break;
            }
            let cut_off = used + bad.len() == bytes.len() && could_continue(bad);
            if cut_off && more {
                break;
            }
            if fatal {
                return None;
            }
            text.push('\u{fffd}');
            used += bad.len();
        }
        Some((text, used))
    })?;
    text_and_used(args.ctx, decoded)
}

/// Decodes UTF-16: (bytes, big endian, fatal, more to come), as [`utf8_decode`].
pub fn utf16_decode(args: &Args) -> Js<Value> {
    let (big, fatal, more) = (truth(args, 1), truth(args, 2), truth(args, 3));
    let decoded = args.get(0).with_bytes(|bytes| {
        let mut units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|b| if big { u16::from_be_bytes([b[0], b[1]]) } else { u16::from_le_bytes([b[0], b[1]]) })
            .collect();
        let mut used = units.len() * 2;
        let mut odd = bytes.len() % 2 == 1;
        let ends_high = units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit));
        if more {
            odd = false;
            if ends_high {
                units.pop();
                used -= 2;
            }
        } else {
            used = bytes.len();
        }
        let mut text = String::with_capacity(units.len());
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(character) => text.push(character),
                Err(_) if fatal => return None,
                Err(_) => text.push('\u{fffd}'),
            }
        }
        if odd {
            if fatal {
                return None;
            }
            // A high surrogate and half a unit after it are one error, not two.
            if !ends_high {
                text.push('\u{fffd}');
            }
        }
        Some((text, used))
    })?;
    text_and_used(args.ctx, decoded)
}

/// Decodes windows-1252, which is what the label `latin1` means on the web.
pub fn latin1_decode(args: &Args) -> Js<Value> {
    let text = args.get(0).with_bytes(|bytes| {
        bytes
            .iter()
            .map(|&byte| match byte {
                0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
                _ => char::from(byte),
            })
            .collect::<String>()
    })?;
    args.ctx.text(&text)
}

/// Characters for the bytes 0x80 to 0x9f.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Whether a malformed tail may still become a character: it is too short, not wrong.
fn could_continue(tail: &[u8]) -> bool {
    std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none())
}

fn text_and_used(ctx: Ctx, decoded: Option<(String, usize)>) -> Js<Value> {
    match decoded {
        Some((text, used)) => pair(ctx, ctx.text(&text)?, ctx.number(used as f64)),
        None => Ok(ctx.undefined()),
    }
}

fn pair(ctx: Ctx, first: Value, second: Value) -> Js<Value> {
    ctx.array(vec![first, second])
}

fn truth(args: &Args, index: usize) -> bool {
    args.get(index).kind() == Kind::Bool(true)
}
