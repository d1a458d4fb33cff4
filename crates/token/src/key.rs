//! Ed25519 keys and their text.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Thirty-two random bytes for one key, used once.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Bytes that nobody can guess, from the operating system.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Seed(bytes)
    }

    pub(crate) fn into_key(self) -> SecretKey {
        SecretKey(SigningKey::from_bytes(&self.0))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no line that holds a key.
    #[error("there is no key in it: expected a line that starts with `{0}`")]
    Missing(&'static str),
    /// There is more than one.
    #[error("there is more than one key in it")]
    Several,
    /// A private key where a public one is expected.
    #[error("it holds a private key where a public key is expected")]
    Private,
    /// A public key where a private one is expected.
    #[error("it holds a public key where a private key is expected")]
    Public,
    /// Something other than 64 hexadecimal digits after the slash.
    #[error("expected 64 hexadecimal digits after `{0}`")]
    Digits(&'static str),
    /// The digits are no point of the curve, or one of those few that verify anything.
    #[error("the digits are no usable Ed25519 key")]
    Unusable,
}

impl KeyError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            KeyError::Private => "give the public key: `lockgate key show FILE` prints it",
            KeyError::Public => "give the file that `lockgate key new --out FILE` wrote",
            _ => "`lockgate key new --out FILE` makes a key, `lockgate key show FILE` prints its public half",
        }
    }
}

const PUBLIC: &str = "ed25519/";
const PRIVATE: &str = "ed25519-private/";

/// A private key. Never displayed; its memory is wiped when it is dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of this seed.
    pub fn from_seed(seed: Seed) -> Self {
        seed.into_key()
    }

    /// Reads a key file: one line `ed25519-private/HEX`, empty lines, and lines that start with `#`.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let line = one_line(text, PRIVATE)?;
        if line.starts_with(PUBLIC) {
            return Err(KeyError::Public);
        }
        digits(line, PRIVATE).map(|bytes| SecretKey(SigningKey::from_bytes(&bytes)))
    }

    /// The content of a key file. Whoever reads it can act as its owner.
    pub fn to_secret_text(&self, name: &str) -> String {
        let name: String = name.chars().filter(|next| !next.is_control()).collect();
        format!(
            "# lockgate private key of {name}: keep it secret, mode 0600\n# public key: {}\n{PRIVATE}{}\n",
            self.public(),
            hex::encode(self.0.to_bytes())
        )
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    pub(crate) fn to_biscuit(&self) -> Result<biscuit_auth::PrivateKey, biscuit_auth::error::Format> {
        biscuit_auth::PrivateKey::from_bytes(&self.0.to_bytes(), biscuit_auth::Algorithm::Ed25519)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| SecretKey(SigningKey::from_bytes(bytes)))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

/// A public key. Displayed as `ed25519/` and 64 hexadecimal digits, which is also how Biscuit writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the file of a public key, or the text of one: one line `ed25519/HEX`, empty lines and `#` comments.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let line = one_line(text, PUBLIC)?;
        if line.starts_with(PRIVATE) {
            return Err(KeyError::Private);
        }
        PublicKey::from_bytes(&digits(line, PUBLIC)?).ok_or(KeyError::Unusable)
    }

    /// A few bytes that stand for the key, for people and records.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        Fingerprint(short)
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
        (!key.is_weak()).then_some(PublicKey(key))
    }

    pub(crate) fn verifying(&self) -> VerifyingKey {
        self.0
    }

    /// Whether `signature` is this key's over `message`, strictly.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        PublicKey::from_text(text)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first 16 bytes of the SHA-256 of a public key, displayed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The number by which a token says which root key signed it.
    pub(crate) fn hint(self) -> u32 {
        let [first, second, third, fourth, ..] = self.0;
        u32::from_be_bytes([first, second, third, fourth])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn one_line<'t>(text: &'t str, wanted: &'static str) -> Result<&'t str, KeyError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or(KeyError::Missing(wanted))?;
    match lines.next() {
        Some(_) => Err(KeyError::Several),
        None if line.starts_with(PUBLIC) || line.starts_with(PRIVATE) => Ok(line),
        None => Err(KeyError::Missing(wanted)),
    }
}

fn digits(line: &str, prefix: &'static str) -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    let rest = line.strip_prefix(prefix).ok_or(KeyError::Missing(prefix))?;
    hex::decode_to_slice(rest, &mut bytes).map_err(|_| KeyError::Digits(prefix))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed(Seed::from_random([byte; 32]))
    }

    #[test]
    fn a02_keys_are_text_and_back() {
        let secret = key(7);
        let read = SecretKey::from_text(&secret.to_secret_text("alice\n")).unwrap();
        assert_eq!(read.public(), secret.public());
        let public = secret.public();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert_eq!(PublicKey::from_text(&format!("# of alice\n\n{public}\n")).unwrap(), public);
        assert!(!format!("{secret:?}").contains(&hex::encode([7; 32])));
    }

    #[test]
    fn a02_what_is_no_key_is_refused_and_said_why() {
        let (secret, public) = (key(7).to_secret_text("a"), key(7).public().to_string());
        assert_eq!(PublicKey::from_text(&secret).unwrap_err(), KeyError::Private);
        assert_eq!(SecretKey::from_text(&public).unwrap_err(), KeyError::Public);
        assert_eq!(SecretKey::from_text("").unwrap_err(), KeyError::Missing(PRIVATE));
        assert_eq!(PublicKey::from_text("rsa/00").unwrap_err(), KeyError::Missing(PUBLIC));
        assert_eq!(PublicKey::from_text(&format!("{public}\n{public}")).unwrap_err(), KeyError::Several);
        assert_eq!(PublicKey::from_text("ed25519/00").unwrap_err(), KeyError::Digits(PUBLIC));
        // The neutral element verifies anything.
        let weak = format!("ed25519/01{}", "00".repeat(31));
        assert_eq!(PublicKey::from_text(&weak).unwrap_err(), KeyError::Unusable);
    }
}
