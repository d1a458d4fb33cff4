//! The holder's signature over one use of a token.

use crate::error::Unproven;
use crate::key::{PublicKey, SecretKey};
use crate::token::Token;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockgate_authority::{Point, Value, digest_of};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a token is used for: what its holder signs, and what the gate is asked to do.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The point.
    pub point: &'a Point,
    /// The operation.
    pub op: &'a str,
    /// Its arguments.
    pub args: &'a Value,
    /// The gate at which it is used.
    pub audience: PublicKey,
}

/// A holder's signature over a use: token, point, operation, digest of the arguments, audience, time, nonce.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub(crate) holder: PublicKey,
    pub(crate) token: [u8; 32],
    pub(crate) point: String,
    pub(crate) op: String,
    pub(crate) args: [u8; 32],
    pub(crate) audience: PublicKey,
    pub(crate) time_ms: u64,
    pub(crate) nonce: [u8; 16],
    pub(crate) signature: [u8; 64],
}

/// What the signature is over begins so, so that it can be taken for nothing else.
const DOMAIN: &[u8] = b"lockgate holder proof 1\0";
const PREFIX: &str = "proof:";
/// Largest text of a proof, in bytes.
const MAX_TEXT: usize = 4096;

impl Proof {
    /// Signs one use, at `time_ms` in milliseconds since the Unix epoch. The nonce is random and used once.
    pub fn make(holder: &SecretKey, token: &Token, claim: &Claim<'_>, time_ms: u64, nonce: [u8; 16]) -> Proof {
        let mut proof = Proof {
            holder: holder.public(),
            token: token.digest(),
            point: claim.point.to_string(),
            op: claim.op.to_owned(),
            args: digest_of(claim.args),
            audience: claim.audience,
            time_ms,
            nonce,
            signature: [0; 64],
        };
        proof.signature = holder.sign(&proof.message());
        proof
    }

    /// Whether the proof is for this token and this use, by its holder, at about `now_ms`. Its signature is another
    /// matter.
    pub(crate) fn check(&self, token: &Token, claim: &Claim<'_>, now_ms: u64, skew_ms: u64) -> Result<(), Unproven> {
        if self.holder != token.holder() {
            return Err(Unproven::WrongHolder {
                found: self.holder.fingerprint(),
                holder: token.holder().fingerprint(),
            });
        }
        if self.token != token.digest() {
            return Err(Unproven::OtherToken);
        }
        if self.audience != claim.audience {
            return Err(Unproven::WrongAudience);
        }
        if self.point != claim.point.to_string() || self.op != claim.op {
            return Err(Unproven::OtherUse);
        }
        if self.args != digest_of(claim.args) {
            return Err(Unproven::AlteredArguments);
        }
        if self.time_ms.abs_diff(now_ms) > skew_ms {
            return Err(Unproven::Stale);
        }
        Ok(())
    }

    /// When it was made, as the holder's clock had it, in milliseconds since the Unix epoch.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// What is remembered of a use: a holder uses a nonce once.
    pub(crate) fn name(&self) -> [u8; 32] {
        Sha256::new().chain_update(self.holder.as_bytes()).chain_update(self.nonce).finalize().into()
    }

    /// What the signature is over.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(256);
        message.extend_from_slice(DOMAIN);
        message.extend_from_slice(&self.token);
        for text in [&self.point, &self.op] {
            message.extend_from_slice(&(text.len() as u64).to_be_bytes());
            message.extend_from_slice(text.as_bytes());
        }
        message.extend_from_slice(&self.args);
        message.extend_from_slice(self.audience.as_bytes());
        message.extend_from_slice(&self.time_ms.to_be_bytes());
        message.extend_from_slice(&self.nonce);
        message
    }

    /// The proof as text on one line.
    pub fn to_text(&self) -> String {
        let wire = Wire {
            holder: self.holder.to_string(),
            token: hex::encode(self.token),
            point: self.point.clone(),
            op: self.op.clone(),
            args: hex::encode(self.args),
            audience: self.audience.to_string(),
            time_ms: self.time_ms,
            nonce: hex::encode(self.nonce),
            signature: hex::encode(self.signature),
        };
        let json = serde_json::to_vec(&wire).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the text of a proof.
    pub fn from_text(text: &str) -> Result<Proof, Unproven> {
        let encoded = text.trim().strip_prefix(PREFIX).filter(|rest| rest.len() <= MAX_TEXT);
        let json = encoded.and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok()).ok_or(Unproven::NotAProof)?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| Unproven::NotAProof)?;
        let read = || {
            Some(Proof {
                holder: wire.holder.parse().ok()?,
                token: bytes(&wire.token)?,
                point: wire.point.clone(),
                op: wire.op.clone(),
                args: bytes(&wire.args)?,
                audience: wire.audience.parse().ok()?,
                time_ms: wire.time_ms,
                nonce: bytes(&wire.nonce)?,
                signature: bytes(&wire.signature)?,
            })
        };
        read().ok_or(Unproven::NotAProof)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    holder: String,
    token: String,
    point: String,
    op: String,
    args: String,
    audience: String,
    time_ms: u64,
    nonce: String,
    signature: String,
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}
