//! Keys that are given twice, found without building them.

use super::text::{self, Raw};
use std::cmp::Ordering;

/// Keys of maps that are open at once. Each takes 8 bytes, so that they take at most 768 KiB while they grow.
const MOST_OPEN: usize = 64 << 10;
/// Keys of a map that are compared pair by pair; nearly all maps have no more.
const PAIRWISE: usize = 16;

/// The keys of the maps that are open, each as 32 bits that equal keys share and 32 that say where it stands.
pub(super) struct Keys(Vec<u64>);

impl Keys {
    pub(super) fn new() -> Self {
        Keys(Vec::with_capacity(PAIRWISE))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps the key whose quotation mark is at `from`. False where no more can be kept.
    #[inline(always)]
    pub(super) fn push(&mut self, bytes: &[u8], from: usize, raw: &Raw) -> bool {
        let place = from as u64;
        let fits = self.0.len() < MOST_OPEN && place <= u64::from(u32::MAX);
        if fits {
            self.0.push(u64::from(mark(bytes, raw)) << 32 | place);
        }
        fits
    }

    /// Forgets the keys of the map that ends, whose first is `first`; one that stands in it twice is given by its place.
    #[inline(always)]
    pub(super) fn close(&mut self, document: &str, first: usize) -> Option<usize> {
        let keys = self.0.get_mut(first..).unwrap_or_default();
        let twice = if keys.len() <= PAIRWISE { of_few(keys, document) } else { of_many(keys, document) };
        self.0.truncate(first);
        twice
    }
}

#[inline(always)]
fn of_few(keys: &[u64], document: &str) -> Option<usize> {
    let mut rest = keys;
    while let [key, others @ ..] = rest {
        for other in others {
            if key >> 32 == other >> 32 && compare(document, *key, *other) == Ordering::Equal {
                return Some(place(*key));
            }
        }
        rest = others;
    }
    None
}

#[inline(never)]
fn of_many(keys: &mut [u64], document: &str) -> Option<usize> {
    keys.sort_unstable();
    keys.chunk_by_mut(|a, b| *a >> 32 == *b >> 32).find_map(|alike| {
        alike.sort_unstable_by(|a, b| compare(document, *a, *b));
        let twice = alike.windows(2).find(|pair| match pair {
            [a, b] => compare(document, *a, *b) == Ordering::Equal,
            _ => false,
        });
        twice.and_then(<[u64]>::first).map(|key| place(*key))
    })
}

fn place(key: u64) -> usize {
    (key & u64::from(u32::MAX)) as usize
}

#[inline(never)]
fn compare(document: &str, a: u64, b: u64) -> Ordering {
    let bytes = document.as_bytes();
    let raw = |key| text::raw(bytes, place(key) + 1);
    let written = |raw: &Raw| bytes.get(raw.start..raw.end).unwrap_or_default();
    match (raw(a), raw(b)) {
        (Some(a), Some(b)) if !a.has_escape() && !b.has_escape() => written(&a).cmp(written(&b)),
        (Some(a), Some(b)) => text::bytes_of(written(&a)).cmp(text::bytes_of(written(&b))),
        _ => Ordering::Equal,
    }
}

/// What equal keys share, and others seldom: made of its length and its first and last eight bytes.
#[inline(always)]
fn mark(bytes: &[u8], raw: &Raw) -> u32 {
    if raw.has_escape() {
        return mark_escaped(bytes.get(raw.start..raw.end).unwrap_or_default());
    }
    match text::word(bytes, raw.start) {
        Some(head) if raw.length >= 8 => mix(head, text::word(bytes, raw.end - 8).unwrap_or_default(), raw.length),
        Some(head) => {
            let head = head & ((1 << (8 * raw.length)) - 1);
            mix(head, head, raw.length)
        }
        None => mark_escaped(bytes.get(raw.start..raw.end).unwrap_or_default()),
    }
}

#[inline(never)]
fn mark_escaped(written: &[u8]) -> u32 {
    let (mut head, mut tail, mut length) = (0_u64, 0_u64, 0_usize);
    for byte in text::bytes_of(written) {
        let byte = u64::from(byte);
        if length < 8 {
            head |= byte << (8 * length);
            tail = head;
        } else {
            tail = tail >> 8 | byte << 56;
        }
        length += 1;
    }
    mix(head, tail, length)
}

fn mix(head: u64, tail: u64, length: usize) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (head ^ tail.rotate_left(29) ^ length as u64).wrapping_mul(ODD);
    (mixed >> 32) as u32
}
