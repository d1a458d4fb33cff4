//! Archives and compressed files: recognised, and the names in a zip or tar told. Nothing is unpacked.

use super::Found;
use crate::budget::Refused;
use crate::capability::Capabilities;
use lockgate_authority::ReasonCode;

/// Names that are looked at.
const MOST_NAMES: usize = 10_000;
/// How much larger than packed a file of a zip may say it is.
const MOST_GROWTH: u64 = 200;

/// First bytes of archives and compressed files, beside zip and tar.
const STARTS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"Rar!\x1a\x07", "rar"),
];

/// `None` where the bytes are no archive.
pub(super) fn look(bytes: &[u8]) -> Option<Found> {
    let mut found = Found { can: Capabilities::default(), refused: Vec::new() };
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        zip(bytes, &mut found);
    } else if bytes.get(257..262) == Some(b"ustar") {
        tar(bytes, &mut found);
    } else if !STARTS.iter().any(|(start, _)| bytes.starts_with(start)) {
        return None;
    }
    found.refused.push(Refused::new(ReasonCode::FormatRefused, "an archive or compressed file, which is not opened"));
    Some(found)
}

/// The central directory of a zip, as far as it can be followed.
fn zip(bytes: &[u8], found: &mut Found) {
    let Some(mut at) = directory(bytes) else {
        found.refused.push(Refused::malformed("an archive whose directory cannot be found"));
        return;
    };
    for _ in 0..MOST_NAMES {
        let Some(header) = bytes.get(at..).filter(|rest| rest.starts_with(b"PK\x01\x02")) else { return };
        let field = |at: usize, width: usize| number(header, at, width);
        let (Some(packed), Some(size)) = (field(20, 4), field(24, 4)) else { return };
        let (Some(name), Some(extra), Some(comment)) = (field(28, 2), field(30, 2), field(32, 2)) else { return };
        let (name, rest) = (name as usize, (extra + comment) as usize);
        let Some(written) = header.get(46..46 + name) else { return };
        let shown = String::from_utf8_lossy(written);
        entry(&shown, found);
        // The high half are Unix's kind and mode of the file.
        let is_link = field(38, 4).is_some_and(|attributes| attributes >> 16 & 0o170_000 == 0o120_000);
        if is_link {
            refuse(&shown, "a symbolic link", found);
        }
        if size / packed.max(1) > MOST_GROWTH {
            refuse(&shown, "a file that grows too much when it is unpacked", found);
        }
        at += 46 + name + rest;
    }
    found.refused.push(Refused::new(ReasonCode::TooLarge, "more files than are looked at"));
}

/// Where the directory begins, from the record at the end.
fn directory(bytes: &[u8]) -> Option<usize> {
    const RECORD: usize = 22;
    const COMMENT: usize = 65_535;
    let last = bytes.len().checked_sub(RECORD)?;
    let first = last.saturating_sub(COMMENT);
    let at = (first..=last).rev().find(|at| bytes.get(*at..at + 4) == Some(b"PK\x05\x06"))?;
    usize::try_from(number(bytes.get(at..)?, 16, 4)?).ok()
}

/// A number in so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(bytes.get(at..at + width)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn tar(bytes: &[u8], found: &mut Found) {
    let mut at = 0_usize;
    for _ in 0..MOST_NAMES {
        let Some(header) = bytes.get(at..at.saturating_add(512)) else { return };
        let text = |from: usize, to: usize| {
            let field = header.get(from..to).unwrap_or_default();
            String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
        };
        let name = text(0, 100);
        if name.is_empty() {
            return;
        }
        entry(&name, found);
        if matches!(header.get(156), Some(b'1' | b'2')) {
            refuse(&name, "a link", found);
        }
        let Ok(size) = usize::from_str_radix(text(124, 136).trim(), 8) else { return };
        let Some(next) = size.div_ceil(512).checked_mul(512).and_then(|size| at.checked_add(512)?.checked_add(size))
        else {
            return;
        };
        at = next;
    }
    found.refused.push(Refused::new(ReasonCode::TooLarge, "more files than are looked at"));
}

fn entry(name: &str, found: &mut Found) {
    found.can.add(|can| &mut can.files, name, name);
    let leads_out =
        name.starts_with(['/', '\\']) || name.contains(':') || name.split(['/', '\\']).any(|part| part == "..");
    if leads_out {
        refuse(name, "a name that leads out of the directory", found);
    }
    let is_code = [".pkl", ".pickle", ".pth"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if is_code {
        found.can.add(|can| &mut can.code, name, "pickle");
    }
}

fn refuse(name: &str, what: &'static str, found: &mut Found) {
    let shown = name.get(..name.floor_char_boundary(200)).unwrap_or_default();
    found.refused.push(Refused { code: ReasonCode::FormatRefused, pointer: shown.to_owned(), found: what });
}
