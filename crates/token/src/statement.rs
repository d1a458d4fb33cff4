//! What a key says about a file, its successor or a block that it takes back.

use crate::key::{PublicKey, SecretKey};
use crate::token::BlockId;
use lockgate_authority::ReasonCode;
use sha2::{Digest, Sha256};

/// A signed statement: that a file is this one, that another key follows the one that signs, or that a block is revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    by: PublicKey,
    about: About,
    time_ms: u64,
    signature: [u8; 64],
}

#[derive(Clone, Debug, PartialEq)]
enum About {
    File([u8; 32]),
    Successor(PublicKey),
    Revoked(BlockId),
}

/// Why a statement is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The text is no statement.
    #[error("this is no signed statement")]
    NotAStatement,
    /// The signature does not match.
    #[error("the statement's signature does not match")]
    BadSignature,
    /// Another key signed.
    #[error("the statement was signed by another key")]
    OtherKey,
    /// The file is not the one that was signed.
    #[error("the file is not the one that was signed")]
    OtherFile,
}

const TITLE: &str = "lockgate statement 1";

impl StatementError {
    /// The code that a program reads.
    pub fn code(&self) -> ReasonCode {
        match self {
            StatementError::NotAStatement => ReasonCode::Malformed,
            StatementError::BadSignature | StatementError::OtherFile => ReasonCode::TokenInvalid,
            StatementError::OtherKey => ReasonCode::TokenUntrusted,
        }
    }

    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            StatementError::NotAStatement => "give the file that `lockgate` wrote beside what it signed",
            StatementError::BadSignature => "ask who signed it for it again; it was changed on its way",
            StatementError::OtherKey => "give the public key of who signed it with `--root`, if you trust it",
            StatementError::OtherFile => "ask who signed it for both files again, or sign the file again",
        }
    }
}

impl Statement {
    /// Says that a file holds these bytes.
    pub fn of_file(key: &SecretKey, content: &[u8], time_ms: u64) -> Statement {
        Statement::make(key, About::File(Sha256::digest(content).into()), time_ms)
    }

    /// Says that `next` follows `key`: who trusts the one may trust the other.
    pub fn of_successor(key: &SecretKey, next: PublicKey, time_ms: u64) -> Statement {
        Statement::make(key, About::Successor(next), time_ms)
    }

    /// Says that a block of a token, and all that was derived from it, is revoked.
    pub fn of_revoked(key: &SecretKey, block: BlockId, time_ms: u64) -> Statement {
        Statement::make(key, About::Revoked(block), time_ms)
    }

    fn make(key: &SecretKey, about: About, time_ms: u64) -> Statement {
        let mut made = Statement { by: key.public(), about, time_ms, signature: [0; 64] };
        made.signature = key.sign(made.said().as_bytes());
        made
    }

    /// Reads a statement and checks its signature.
    pub fn from_text(text: &str) -> Result<Statement, StatementError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut field = |name: &str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .ok_or(StatementError::NotAStatement)
        };
        let no = |_| StatementError::NotAStatement;
        if field("lockgate")? != "statement 1" {
            return Err(StatementError::NotAStatement);
        }
        let by: PublicKey = field("by")?.parse().map_err(|_| StatementError::NotAStatement)?;
        let about = field("says")?;
        let about = match about.split_once(' ') {
            Some(("file", digest)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(digest, &mut bytes).map_err(no)?;
                About::File(bytes)
            }
            Some(("revoked", id)) => About::Revoked(id.parse().map_err(|_| StatementError::NotAStatement)?),
            Some(("successor", key)) => About::Successor(key.parse().map_err(|_| StatementError::NotAStatement)?),
            _ => return Err(StatementError::NotAStatement),
        };
        let time_ms = field("time_ms")?.parse().map_err(|_| StatementError::NotAStatement)?;
        let mut signature = [0; 64];
        hex::decode_to_slice(field("signature")?, &mut signature).map_err(no)?;
        let read = Statement { by, about, time_ms, signature };
        if lines.next().is_some() {
            return Err(StatementError::NotAStatement);
        }
        if by.verifies(read.said().as_bytes(), &signature) { Ok(read) } else { Err(StatementError::BadSignature) }
    }

    /// The statement as text, a line for each field.
    pub fn to_text(&self) -> String {
        format!("{}signature {}\n", self.said(), hex::encode(self.signature))
    }

    /// Whether `key` signed that a file holds exactly `content`.
    pub fn check_file(&self, key: PublicKey, content: &[u8]) -> Result<(), StatementError> {
        if self.by != key {
            return Err(StatementError::OtherKey);
        }
        match self.about {
            About::File(digest) if digest == <[u8; 32]>::from(Sha256::digest(content)) => Ok(()),
            _ => Err(StatementError::OtherFile),
        }
    }

    /// Who signed.
    pub fn by(&self) -> PublicKey {
        self.by
    }

    /// When, as the signer's clock had it, in milliseconds since the Unix epoch.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The key that follows the one that signed, where the statement is about that.
    pub fn successor(&self) -> Option<PublicKey> {
        match self.about {
            About::Successor(next) => Some(next),
            About::File(_) | About::Revoked(_) => None,
        }
    }

    /// The block that is revoked, where the statement is about that.
    pub fn revoked(&self) -> Option<BlockId> {
        match self.about {
            About::Revoked(block) => Some(block),
            About::File(_) | About::Successor(_) => None,
        }
    }

    /// `keys` and all that follow them by these statements, directly or not.
    pub fn with_successors(keys: impl IntoIterator<Item = PublicKey>, statements: &[Statement]) -> Vec<PublicKey> {
        let mut known: Vec<PublicKey> = keys.into_iter().collect();
        let mut next = 0;
        while let Some(key) = known.get(next).copied() {
            for statement in statements.iter().filter(|statement| statement.by == key) {
                known.extend(statement.successor().filter(|follower| !known.contains(follower)));
            }
            next += 1;
        }
        known
    }

    fn said(&self) -> String {
        let about = match self.about {
            About::File(digest) => format!("file {}", hex::encode(digest)),
            About::Successor(key) => format!("successor {key}"),
            About::Revoked(block) => format!("revoked {block}"),
        };
        format!("{TITLE}\nby {}\nsays {about}\ntime_ms {}\n", self.by, self.time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Seed;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed(Seed::from_random([byte; 32]))
    }

    #[test]
    fn a02_a_signed_file_is_that_file_by_that_key() {
        let said = Statement::of_file(&key(1), b"text", 5);
        let read = Statement::from_text(&said.to_text()).unwrap();
        assert_eq!(read, said);
        assert_eq!(read.check_file(key(1).public(), b"text"), Ok(()));
        assert_eq!(read.check_file(key(1).public(), b"other"), Err(StatementError::OtherFile));
        assert_eq!(read.check_file(key(2).public(), b"text"), Err(StatementError::OtherKey));
    }

    #[test]
    fn a02_a_changed_statement_is_refused() {
        let text = Statement::of_file(&key(1), b"text", 5).to_text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let Ok(read) = Statement::from_text(&changed) else { continue };
            // Letters of hexadecimal digits are the same in either case; nothing else may be read.
            assert_eq!(read.to_text(), text, "{changed}");
        }
    }

    #[test]
    fn a05_a_revocation_names_its_block_and_who_said_it() {
        let said = Statement::of_revoked(&key(1), BlockId::from_bytes([7; 16]), 5);
        let read = Statement::from_text(&said.to_text()).unwrap();
        assert_eq!((read.revoked(), read.by()), (Some(BlockId::from_bytes([7; 16])), key(1).public()));
        assert_eq!((read.successor(), read.check_file(key(1).public(), b"")), (None, Err(StatementError::OtherFile)));
    }

    #[test]
    fn a02_keys_follow_only_by_the_word_of_the_key_before() {
        let rotate = |from: u8, to: u8| Statement::of_successor(&key(from), key(to).public(), 0);
        let statements = [rotate(2, 3), rotate(1, 2), rotate(3, 1), rotate(8, 9)];
        let known = Statement::with_successors([key(1).public()], &statements);
        assert_eq!(known, [key(1).public(), key(2).public(), key(3).public()]);
    }
}
