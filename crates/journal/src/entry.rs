//! One entry, its place in a session, and the hash that links it to the one before.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Longest body of an entry, in bytes.
pub const MAX_BODY: usize = 65_535;

/// Latest time an entry can carry, in microseconds since 1970-01-01T00:00:00Z: the largest integer that
/// canonical JSON represents exactly (in the year 2255).
pub const MAX_TIME: u64 = (1 << 53) - 1;

/// First bytes of what is hashed, so that no other hash of the product can be taken for an entry's.
const DOMAIN: &[u8; 16] = b"lockgate.entry.1";

/// Bytes that are hashed before the body.
const PREFIX: usize = 16 + 16 + 8 + 32 + 8 + 1 + 4 + 4;

/// What an entry records. Closed: a journal that holds another kind does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// First entry of a session, serial 0.
    Start = 0,
    /// A cell was made.
    Spawn = 1,
    /// A crossing was allowed and is about to act.
    Intent = 2,
    /// What a crossing came to.
    Outcome = 3,
    /// A crossing was refused.
    Refusal = 4,
    /// A remark: neither a decision nor an effect.
    Note = 5,
    /// A limit was reached.
    Limit = 6,
    /// Last entry of a session; nothing can follow.
    End = 7,
    /// A grant was revoked, and with it all that was derived from it.
    Revocation = 8,
    /// An approval was asked for, given, refused or ran out.
    Approval = 9,
    /// A label was raised or lowered on purpose, bound to the bytes by their digest.
    Receipt = 10,
}

impl Kind {
    /// Every kind, in the order of its code.
    pub const ALL: [Kind; 11] = [
        Kind::Start,
        Kind::Spawn,
        Kind::Intent,
        Kind::Outcome,
        Kind::Refusal,
        Kind::Note,
        Kind::Limit,
        Kind::End,
        Kind::Revocation,
        Kind::Approval,
        Kind::Receipt,
    ];

    /// The number that is stored and hashed.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this number, if there is one.
    pub fn from_code(code: i64) -> Option<Kind> {
        usize::try_from(code).ok().and_then(|code| Self::ALL.get(code).copied())
    }

    /// The kind's name, as shown and exported.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::Spawn => "spawn",
            Kind::Intent => "intent",
            Kind::Outcome => "outcome",
            Kind::Refusal => "refusal",
            Kind::Note => "note",
            Kind::Limit => "limit",
            Kind::End => "end",
            Kind::Revocation => "revocation",
            Kind::Approval => "approval",
            Kind::Receipt => "receipt",
        }
    }

    /// The kind of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A session's public name: 128 bits that its maker drew at random, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id of these 16 bytes. They must be random: two sessions of one id cannot be in one journal.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes that are stored and hashed.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for SessionId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_hex(text).map(Self).ok_or(ParseError::Session)
    }
}

/// SHA-256 of an entry and, through the one before, of everything earlier in its session. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands in place of a previous hash in a session's first entry.
    pub const ZERO: Hash = Hash([0; 32]);

    /// The hash of these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes that are stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for Hash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_hex(text).map(Self).ok_or(ParseError::Hash)
    }
}

/// Where a session stood: its last entry's serial and hash. Written `session:serial:hash`.
///
/// Who keeps one apart from the journal can later tell that nothing up to that entry was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Whose head.
    pub session: SessionId,
    /// Serial of the last entry.
    pub serial: u64,
    /// Hash of the last entry.
    pub hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.session, self.serial, self.hash)
    }
}

impl FromStr for Head {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.splitn(3, ':');
        let (Some(session), Some(serial), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ParseError::Head);
        };
        let plain = !serial.is_empty() && serial.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Head {
            session: session.parse()?,
            serial: serial.parse().ok().filter(|_| plain).ok_or(ParseError::Serial)?,
            hash: hash.parse()?,
        })
    }
}

/// Why a text is no session id, hash or head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not 32 hexadecimal digits.
    #[error("a session id is 32 hexadecimal digits")]
    Session,
    /// Not 64 hexadecimal digits.
    #[error("an entry's hash is 64 hexadecimal digits")]
    Hash,
    /// Not a decimal number below 2^64.
    #[error("a serial is a decimal number")]
    Serial,
    /// Not three parts.
    #[error("a head is written `session:serial:hash`")]
    Head,
}

/// One entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Place in the whole journal, from 1 up.
    pub row: u64,
    /// Session it belongs to.
    pub session: SessionId,
    /// Place in the session, from 0 up without gaps.
    pub serial: u64,
    /// Microseconds since 1970-01-01T00:00:00Z, as its maker said.
    pub time: u64,
    /// What it records.
    pub kind: Kind,
    /// Cell it is about; 0 where there is none.
    pub cell: u32,
    /// CBOR, at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
    /// Links it to all earlier entries of the session.
    pub hash: Hash,
}

impl Entry {
    /// What an entry with these contents hashes to after `previous`.
    pub fn hash_after(&self, previous: &Hash) -> Hash {
        let link = Link { session: &self.session, serial: self.serial, previous, time: self.time, kind: self.kind };
        link.hash(self.cell, &self.body)
    }
}

/// The part of an entry that is hashed before cell and body.
pub(crate) struct Link<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) serial: u64,
    pub(crate) previous: &'a Hash,
    pub(crate) time: u64,
    pub(crate) kind: Kind,
}

impl Link<'_> {
    /// The entry's hash. `body` is at most [`MAX_BODY`] bytes; a longer one hashes with its length cut to 32 bits,
    /// which no reader or writer lets through.
    pub(crate) fn hash(&self, cell: u32, body: &[u8]) -> Hash {
        let mut prefix = [0u8; PREFIX];
        prefix[..16].copy_from_slice(DOMAIN);
        prefix[16..32].copy_from_slice(&self.session.0);
        prefix[32..40].copy_from_slice(&self.serial.to_be_bytes());
        prefix[40..72].copy_from_slice(&self.previous.0);
        prefix[72..80].copy_from_slice(&self.time.to_be_bytes());
        prefix[80] = self.kind.code();
        prefix[81..85].copy_from_slice(&cell.to_be_bytes());
        prefix[85..89].copy_from_slice(&(body.len() as u32).to_be_bytes());
        Hash(Sha256::new().chain_update(prefix).chain_update(body).finalize().into())
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Exactly `N` bytes from lower-case hexadecimal digits.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0u8; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
