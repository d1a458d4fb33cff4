//! Keys with which state is sealed: one that seals, and those before it, which still open.

use sha2::{Digest, Sha256};
use std::fmt;

const TITLE: &str = "lockgate seal keys 1";
/// Most keys of one file.
const MAX_KEYS: usize = 1000;

/// Names a key without telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A secret key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey {
    id: KeyId,
    secret: [u8; 32],
}

impl SealKey {
    /// The key of these random bytes.
    pub fn from_random(secret: [u8; 32]) -> SealKey {
        let digest = Sha256::new().chain_update(b"lockgate seal key id").chain_update(secret).finalize();
        let mut id = [0; 8];
        for (byte, from) in id.iter_mut().zip(digest) {
            *byte = from;
        }
        SealKey { id: KeyId(id), secret }
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a line of a file of seal keys")]
pub struct KeysError {
    /// The line, from 1.
    pub line: usize,
}

/// The keys of a gate, in the order in which they were made: the last one seals, all open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealKeys {
    before: Vec<SealKey>,
    newest: SealKey,
}

impl SealKeys {
    /// One key.
    pub fn new(key: SealKey) -> SealKeys {
        SealKeys { before: Vec::new(), newest: key }
    }

    /// The same with a new key, which seals from here on.
    #[must_use]
    pub fn rotated(mut self, key: SealKey) -> SealKeys {
        self.before.push(std::mem::replace(&mut self.newest, key));
        self
    }

    /// The key that seals.
    pub fn newest(&self) -> &SealKey {
        &self.newest
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.before.len() + 1
    }

    /// The key of this name.
    pub fn find(&self, id: KeyId) -> Option<&SealKey> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        self.before.iter().chain([&self.newest])
    }

    /// Reads what [`SealKeys::to_secret_text`] writes.
    ///
    /// # Errors
    ///
    /// The first line that is something else.
    pub fn from_text(text: &str) -> Result<SealKeys, KeysError> {
        let mut lines = text.lines().zip(1..);
        if lines.next().is_none_or(|(title, _)| title != TITLE) {
            return Err(KeysError { line: 1 });
        }
        let mut keys: Option<SealKeys> = None;
        for (line, number) in lines {
            let secret = line.strip_prefix("key ").and_then(unhex).filter(|_| number <= MAX_KEYS);
            let key = SealKey::from_random(secret.ok_or(KeysError { line: number })?);
            keys = Some(match keys {
                None => SealKeys::new(key),
                Some(keys) => keys.rotated(key),
            });
        }
        keys.ok_or(KeysError { line: 2 })
    }

    /// The keys themselves as text, for their owner's file.
    pub fn to_secret_text(&self) -> String {
        let keys: String = self.all().map(|key| format!("key {}\n", hex::encode(key.secret))).collect();
        format!("{TITLE}\n{keys}")
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
