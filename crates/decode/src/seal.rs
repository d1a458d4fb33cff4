//! State at rest that only a holder of the gate's key can have written, and only for whom and where it says.
//!
//! ```text
//! sealed  = mark version length header nonce ciphertext
//! mark    = 8c "LkSeal"                     7 bytes that begin no text, JSON, pickle or archive
//! version = 01
//! length  = two bytes, big endian: of the header
//! header  = CBOR: [key, writer, readers, session, manifest, place, shown, counter, label writers, label readers]
//! nonce   = 24 bytes
//! ```
//!
//! XChaCha20-Poly1305 with everything before the nonce as associated data. Opening checks the cipher's tag first, so that every
//! other refusal speaks of a header that the key's holder wrote.
//!
//! What is absent: randomness (key and nonce are given), I/O, and the counter last known, which the caller keeps.

mod keys;

use crate::budget::Refused;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
pub use keys::{KeyId, KeysError, SealKey, SealKeys};
use lockgate_authority::ReasonCode;
use minicbor::{Decoder, Encoder};
use sha2::{Digest, Sha256};

/// The first bytes of everything that is sealed.
const MARK: &[u8] = b"\x8cLkSeal";
/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Longest header, in bytes.
const MAX_HEADER: usize = 16 << 10;
/// Longest name or path that a header holds, in bytes.
const MAX_TEXT: usize = 4096;
/// Most names of one list of a header.
const MAX_NAMES: usize = 65;

/// Most bytes by which what is sealed is longer than its content.
pub const SEAL_OVERHEAD: usize = MARK.len() + 1 + 2 + MAX_HEADER + NONCE + TAG;

/// Where something is kept: the SHA-256 of whatever names the place among all places of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealPlace(pub [u8; 32]);

impl SealPlace {
    /// The place that these parts name together.
    pub fn of(parts: &[&[u8]]) -> SealPlace {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        SealPlace(hash.finalize().into())
    }
}

/// What is bound to the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealHeader {
    /// The agent that sealed it.
    pub writer: String,
    /// The other agents that may open it.
    pub readers: Vec<String>,
    /// The session in which it was sealed.
    pub session: [u8; 16],
    /// SHA-256 of the manifest that was in force.
    pub manifest: [u8; 32],
    /// Where it lies.
    pub place: SealPlace,
    /// The point and its path or key, for people.
    pub shown: String,
    /// How often something was put there.
    pub counter: u64,
    /// Names of those who could have written the content.
    pub label_writers: Vec<String>,
    /// Names of those who may read the content; `None` for everyone.
    pub label_readers: Option<Vec<String>>,
}

/// Who wants to open something, and where it was found.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The agent that reads.
    pub reader: &'a str,
    /// Agents whose seals it opens beside its own.
    pub writers: &'a [Box<str>],
    /// Where it was found.
    pub place: SealPlace,
    /// The counter last known there; 0 where there is none.
    pub last: u64,
}

/// Content whose seal is whole, and for this reader and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// What was bound to it.
    pub header: SealHeader,
    /// What was sealed.
    pub content: Vec<u8>,
}

/// Something sealed. Its content is had by [`Sealed::open`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    key: KeyId,
    header: SealHeader,
    bytes: Vec<u8>,
    /// Where the nonce begins.
    nonce: usize,
}

impl Sealed {
    /// Seals `content`. The nonce must be random and of no other use.
    ///
    /// # Errors
    ///
    /// Where the header is longer than one can be.
    pub fn seal(content: &[u8], header: &SealHeader, key: &SealKey, nonce: [u8; NONCE]) -> Result<Sealed, Refused> {
        let too_large = || Refused::new(ReasonCode::TooLarge, "names that are too long for a seal");
        let encoded = encode(key.id(), header).filter(|encoded| encoded.len() <= MAX_HEADER).ok_or_else(too_large)?;
        let length = u16::try_from(encoded.len()).map_err(|_| too_large())?;
        let mut bytes = Vec::with_capacity(content.len() + encoded.len() + 64);
        bytes.extend_from_slice(MARK);
        bytes.push(VERSION);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&encoded);
        let payload = Payload { msg: content, aad: &bytes };
        let ciphertext = XChaCha20Poly1305::new(key.secret().into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Refused::new(ReasonCode::TooLarge, "more bytes than can be sealed"))?;
        let at = bytes.len();
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&ciphertext);
        Ok(Sealed { key: key.id(), header: header.clone(), bytes, nonce: at })
    }

    /// Reads what is sealed without a key. Nothing of it is verified.
    ///
    /// # Errors
    ///
    /// `not_sealed` for any other bytes, `seal_version`, and `seal_broken` where a part is missing or is not as it is written.
    pub fn read(bytes: Vec<u8>) -> Result<Sealed, Refused> {
        let plain = || Refused::new(ReasonCode::NotSealed, "plain bytes where a seal is demanded");
        let rest = bytes.strip_prefix(MARK).ok_or_else(plain)?;
        let (version, rest) = rest.split_first().ok_or_else(cut)?;
        if *version != VERSION {
            return Err(Refused::new(ReasonCode::SealVersion, "a seal of a version that is not known"));
        }
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (header, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        if rest.len() < NONCE + TAG {
            return Err(cut());
        }
        let (key, header) = decode(header).ok_or_else(cut)?;
        let nonce = bytes.len() - rest.len();
        Ok(Sealed { key, header, nonce, bytes })
    }

    /// Whether bytes say that they are sealed.
    pub fn is_marked(bytes: &[u8]) -> bool {
        bytes.starts_with(MARK)
    }

    /// What it says of itself. Not verified unless this very process sealed it.
    pub fn claims(&self) -> &SealHeader {
        &self.header
    }

    /// The key that it says it was sealed with.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What lies on the disk.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What lies on the disk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// In this order: `seal_foreign` (a key that is not among these), `seal_broken`, `seal_foreign` (another writer),
    /// `seal_not_for_reader`, `seal_misplaced`, `seal_rolled_back`.
    pub fn open(&self, keys: &SealKeys, expected: &Expected<'_>) -> Result<Unsealed, Refused> {
        let content = self.verify(keys)?;
        let SealHeader { writer, readers, place, counter, .. } = &self.header;
        let is_own = writer == expected.reader;
        if !is_own && !expected.writers.iter().any(|name| **name == **writer) {
            return Err(Refused::new(ReasonCode::SealForeign, "a seal of an agent whose seals are not opened here"));
        }
        if !is_own && !readers.iter().any(|name| name == expected.reader) {
            return Err(Refused::new(ReasonCode::SealNotForReader, "a seal for other readers"));
        }
        if *place != expected.place {
            return Err(Refused::new(ReasonCode::SealMisplaced, "a seal that was made for another path or key"));
        }
        if *counter < expected.last {
            return Err(Refused::new(ReasonCode::SealRolledBack, "a seal older than the last one known here"));
        }
        Ok(Unsealed { header: self.header.clone(), content })
    }

    /// The content, wherever it lies and whoever may read it: for an operator who holds the key.
    ///
    /// # Errors
    ///
    /// `seal_foreign` for a key that is not among these, `seal_broken` where anything was changed.
    pub fn verify(&self, keys: &SealKeys) -> Result<Vec<u8>, Refused> {
        let key = keys.find(self.key);
        let key =
            key.ok_or_else(|| Refused::new(ReasonCode::SealForeign, "a seal made with a key that is not this gate's"))?;
        let (bound, rest) = self.bytes.split_at_checked(self.nonce).ok_or_else(cut)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or_else(cut)?;
        XChaCha20Poly1305::new(key.secret().into())
            .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: bound })
            .map_err(|_| Refused::new(ReasonCode::SealBroken, "a seal that was changed"))
    }
}

fn cut() -> Refused {
    Refused::new(ReasonCode::SealBroken, "a seal that was cut or changed")
}

/// Fields of a header.
const FIELDS: u64 = 10;

/// `None` where something is longer than is read back.
fn encode(key: KeyId, header: &SealHeader) -> Option<Vec<u8>> {
    let label_readers = header.label_readers.iter().flatten();
    let names = header.readers.iter().chain(&header.label_writers).chain(label_readers);
    let mut texts = names.chain([&header.writer, &header.shown]);
    let lists = [Some(&header.readers), Some(&header.label_writers), header.label_readers.as_ref()];
    if texts.any(|text| text.len() > MAX_TEXT) || lists.into_iter().flatten().any(|list| list.len() > MAX_NAMES) {
        return None;
    }
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    // Writing to a `Vec` cannot fail.
    let _ = (|| -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        e.array(FIELDS)?.bytes(&key.0)?.str(&header.writer)?;
        write_names(&mut e, Some(&header.readers))?;
        e.bytes(&header.session)?.bytes(&header.manifest)?.bytes(&header.place.0)?;
        e.str(&header.shown)?.u64(header.counter)?;
        write_names(&mut e, Some(&header.label_writers))?;
        write_names(&mut e, header.label_readers.as_deref())
    })();
    Some(out)
}

fn write_names(
    e: &mut Encoder<&mut Vec<u8>>,
    names: Option<&[String]>,
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    let Some(names) = names else { return e.null().map(drop) };
    e.array(names.len() as u64)?;
    names.iter().try_for_each(|name| e.str(name).map(drop))
}

/// `None` for anything that [`encode`] does not write.
fn decode(bytes: &[u8]) -> Option<(KeyId, SealHeader)> {
    if bytes.len() > MAX_HEADER {
        return None;
    }
    let mut d = Decoder::new(bytes);
    if d.array().ok()? != Some(FIELDS) {
        return None;
    }
    let key = KeyId(d.bytes().ok()?.try_into().ok()?);
    let header = SealHeader {
        writer: text(&mut d)?,
        readers: names(&mut d)?,
        session: d.bytes().ok()?.try_into().ok()?,
        manifest: d.bytes().ok()?.try_into().ok()?,
        place: SealPlace(d.bytes().ok()?.try_into().ok()?),
        shown: text(&mut d)?,
        counter: d.u64().ok()?,
        label_writers: names(&mut d)?,
        label_readers: match d.datatype().ok()? {
            minicbor::data::Type::Null => d.null().ok().map(|()| None)?,
            _ => Some(names(&mut d)?),
        },
    };
    // One header has one spelling.
    let again = encode(key, &header)?;
    (again == bytes).then_some((key, header))
}

fn text(d: &mut Decoder<'_>) -> Option<String> {
    d.str().ok().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned)
}

fn names(d: &mut Decoder<'_>) -> Option<Vec<String>> {
    let count = usize::try_from(d.array().ok()??).ok().filter(|count| *count <= MAX_NAMES)?;
    (0..count).map(|_| text(d)).collect()
}
