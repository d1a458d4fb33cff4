//! What several tests need.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};

use lockgate_journal::{Entry, Journal, Kind, Options, Query, Reader, SessionId, SessionKey, Ticket};
use tempfile::TempDir;

/// A new journal in a directory that lasts as long as the first value.
pub fn fresh() -> (TempDir, PathBuf, Journal) {
    let directory = tempfile::tempdir().expect("the system has room for a directory");
    let path = directory.path().join("journal");
    let journal = open(&path);
    (directory, path, journal)
}

pub fn open(path: &Path) -> Journal {
    Journal::open(path, &Options::new().create(true)).expect("the journal opens")
}

pub fn id(number: u64) -> SessionId {
    let mut bytes = [0x5a; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A body that is CBOR: the bytes of `seed`, repeated, as an array with a text.
pub fn body(seed: u64) -> Vec<u8> {
    let length = (seed % 200) as u8;
    let mut body = vec![0x82, 0x63, b'f', b'o', b'o', 0x58, length];
    body.extend((0..length).map(|n| n.wrapping_mul(31) ^ (seed as u8)));
    body
}

pub fn note(journal: &Journal, session: SessionKey, seed: u64) -> Ticket {
    let kind = [Kind::Spawn, Kind::Intent, Kind::Outcome, Kind::Refusal, Kind::Note, Kind::Limit][(seed % 6) as usize];
    journal.append(session, kind, (seed % 5) as u32, 1_700_000_000_000_000 + seed, &body(seed)).expect("it is taken")
}

/// `sessions` sessions of `entries` entries each, in turn; every second one ended.
pub fn fill(journal: &Journal, sessions: u64, entries: u64) {
    let keys: Vec<_> = (0..sessions).map(|n| journal.begin(id(n), n, &body(n)).expect("it begins")).collect();
    for n in 1..entries - 1 {
        for key in &keys {
            let _ = note(journal, *key, n);
        }
    }
    for (n, key) in keys.into_iter().enumerate() {
        let kind = if n % 2 == 0 { Kind::End } else { Kind::Note };
        let _ = journal.append(key, kind, 0, 2, b"\xf6").expect("it is taken");
    }
    journal.flush().expect("it is on disk");
}

pub fn entries(path: &Path) -> Vec<Entry> {
    let reader = Reader::open(path).expect("the journal opens");
    reader.entries(Query::all()).collect::<Result<_, _>>().expect("the journal is readable")
}

/// Numbers that look random and follow from `seed` (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}
