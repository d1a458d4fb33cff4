//! The signatures of a token: what was signed, by which key, checked together.
//!
//! `biscuit-auth` makes the signatures and could check them one by one. Checked together they cost about half, so what
//! each signature is over is rebuilt here from the Biscuit specification; a test holds the two against each other.

use crate::error::TokenError;
use crate::key::{PublicKey, SecretKey};
use biscuit_auth::format::schema;
use prost::Message;

/// A token's signed blocks, each with the keys and signatures around it.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) root_hint: Option<u32>,
    pub(crate) blocks: Vec<Signed>,
}

/// One signed block.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) data: Vec<u8>,
    pub(crate) next: PublicKey,
    pub(crate) signature: [u8; 64],
    /// The holder's own signature, on a block that hands the token on.
    pub(crate) handed_on: Option<(PublicKey, [u8; 64])>,
    version: u32,
}

/// One signature to be checked.
pub(crate) struct Demand {
    /// The block that it is about; `None` for the proof of a holder.
    pub(crate) block: Option<usize>,
    pub(crate) key: PublicKey,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

/// The number by which Biscuit knows Ed25519.
const ED25519: i32 = schema::public_key::Algorithm::Ed25519 as i32;

impl Chain {
    /// Reads the bytes of a token. Checks its form and that its end is its end, but no signature.
    pub(crate) fn read(bytes: &[u8]) -> Result<Chain, TokenError> {
        if bytes.len() > crate::Token::MAX_BYTES {
            return Err(TokenError::TooManyBlocks);
        }
        // What cannot be read at all was cut off, or was never a token: the text around it tells the two apart.
        let wire = schema::Biscuit::decode(bytes).map_err(|_| TokenError::Truncated)?;
        if wire.blocks.len() >= crate::Token::MAX_BLOCKS {
            return Err(TokenError::TooManyBlocks);
        }
        if wire.encode_to_vec() != bytes {
            return Err(TokenError::NotCanonical);
        }
        let root_hint = wire.root_key_id;
        let secret = match wire.proof.content {
            None => return Err(TokenError::Truncated),
            Some(schema::proof::Content::FinalSignature(_)) => return Err(TokenError::Sealed),
            Some(schema::proof::Content::NextSecret(secret)) => secret,
        };
        let blocks = std::iter::once(wire.authority).chain(wire.blocks);
        let blocks: Vec<Signed> =
            blocks.enumerate().map(|(number, block)| Signed::read(number, block)).collect::<Result<_, _>>()?;
        // Who dropped blocks from the end does not know the secret that belongs to the block that is now last.
        let last = SecretKey::from_bytes(&secret).ok_or(TokenError::Truncated)?.public();
        if blocks.last().is_none_or(|block| block.next != last) {
            return Err(TokenError::Truncated);
        }
        Ok(Chain { root_hint, blocks })
    }

    /// Every signature that makes this a token of `root`.
    pub(crate) fn demands(&self, root: PublicKey) -> Vec<Demand> {
        let mut demands = Vec::with_capacity(self.blocks.len() + 1);
        let mut before: Option<&Signed> = None;
        for (number, block) in self.blocks.iter().enumerate() {
            let key = before.map_or(root, |before| before.next);
            let message = block.message(before.map(|before| &before.signature));
            demands.push(Demand { block: Some(number), key, message, signature: block.signature });
            if let (Some((key, signature)), Some(before)) = (block.handed_on, before) {
                let message = handed_on_message(&block.data, &before.signature);
                demands.push(Demand { block: Some(number), key, message, signature });
            }
            before = Some(block);
        }
        demands
    }

    /// Why block `number` is not what `root` or the block before it signed. For a message: costs many signatures.
    pub(crate) fn blame(&self, number: usize, root: PublicKey) -> TokenError {
        let of_root = |block: &Signed| root.verifies(&block.message(None), &block.signature);
        match self.blocks.get(number) {
            Some(block) if (number > 0 && of_root(block)) || self.fits_elsewhere(number, block) => {
                TokenError::Reordered(number)
            }
            _ => TokenError::Altered(number),
        }
    }

    /// The first block after the first that the one before it did not sign. For a message, without knowing the root.
    pub(crate) fn misplaced(&self) -> Option<TokenError> {
        let mut blocks = self.blocks.iter().enumerate();
        let first = blocks.next().filter(|(number, block)| self.fits_elsewhere(*number, block));
        let mut later = blocks.filter(|(number, block)| {
            !number.checked_sub(1).and_then(|before| self.blocks.get(before)).is_some_and(|before| before.signed(block))
        });
        let (number, block) = first.or_else(|| later.next())?;
        Some(match self.fits_elsewhere(number, block) {
            true => TokenError::Reordered(number),
            false => TokenError::Altered(number),
        })
    }

    /// Whether the block follows another than the one before it.
    fn fits_elsewhere(&self, number: usize, block: &Signed) -> bool {
        self.blocks.iter().enumerate().any(|(other, before)| other + 1 != number && before.signed(block))
    }
}

impl Signed {
    fn read(number: usize, wire: schema::SignedBlock) -> Result<Signed, TokenError> {
        let foreign = |what| TokenError::Foreign { block: number, what };
        let signature = |bytes: Vec<u8>| <[u8; 64]>::try_from(bytes).map_err(|_| TokenError::NotCanonical);
        let handed_on = match wire.external_signature {
            None => None,
            Some(_) if number == 0 => return Err(foreign("the first block has a second signature")),
            Some(external) => Some((key(&external.public_key)?, signature(external.signature)?)),
        };
        let version = wire.version.unwrap_or(0);
        if version > 1 {
            return Err(foreign("a signature of a version that is not known"));
        }
        if handed_on.is_some() && version != 1 {
            return Err(foreign("a second signature that does not cover its place"));
        }
        Ok(Signed {
            data: wire.block,
            next: key(&wire.next_key)?,
            signature: signature(wire.signature)?,
            handed_on,
            version,
        })
    }

    /// Whether `block` was signed to follow this one.
    fn signed(&self, block: &Signed) -> bool {
        self.next.verifies(&block.message(Some(&self.signature)), &block.signature)
    }

    /// What the block's signature is over.
    fn message(&self, before: Option<&[u8; 64]>) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.data.len() + 256);
        if self.version == 0 {
            message.extend_from_slice(&self.data);
            message.extend_from_slice(&ED25519.to_le_bytes());
            message.extend_from_slice(self.next.as_bytes());
            return message;
        }
        message.extend_from_slice(b"\0BLOCK\0\0VERSION\0");
        message.extend_from_slice(&self.version.to_le_bytes());
        message.extend_from_slice(b"\0PAYLOAD\0");
        message.extend_from_slice(&self.data);
        message.extend_from_slice(b"\0ALGORITHM\0");
        message.extend_from_slice(&ED25519.to_le_bytes());
        message.extend_from_slice(b"\0NEXTKEY\0");
        message.extend_from_slice(self.next.as_bytes());
        if let Some(before) = before {
            message.extend_from_slice(b"\0PREVSIG\0");
            message.extend_from_slice(before);
        }
        if let Some((_, signature)) = &self.handed_on {
            message.extend_from_slice(b"\0EXTERNALSIG\0");
            message.extend_from_slice(signature);
        }
        message
    }
}

/// What a holder signs to hand a token on: the block and where it stands.
fn handed_on_message(data: &[u8], before: &[u8; 64]) -> Vec<u8> {
    let mut message = Vec::with_capacity(data.len() + 128);
    message.extend_from_slice(b"\0EXTERNAL\0\0VERSION\0");
    message.extend_from_slice(&1_u32.to_le_bytes());
    message.extend_from_slice(b"\0PAYLOAD\0");
    message.extend_from_slice(data);
    message.extend_from_slice(b"\0PREVSIG\0");
    message.extend_from_slice(before);
    message
}

fn key(wire: &schema::PublicKey) -> Result<PublicKey, TokenError> {
    if wire.algorithm != ED25519 {
        return Err(TokenError::NotCanonical);
    }
    PublicKey::from_bytes(&wire.key).ok_or(TokenError::NotCanonical)
}

/// Whether every signature is good; costs about half of checking each. Where one is not, or is one that a strict check
/// might judge otherwise, the first that is not.
///
/// A signature made on purpose with a part of small order may pass here and fail elsewhere. Only the owner of its key
/// can make one, and gains nothing by it: keys of small order are refused when they are read.
pub(crate) fn check(demands: &[Demand]) -> Result<(), Option<usize>> {
    if let [one] = demands {
        return if one.key.verifies(&one.message, &one.signature) { Ok(()) } else { Err(one.block) };
    }
    let messages: Vec<&[u8]> = demands.iter().map(|demand| demand.message.as_slice()).collect();
    let signatures: Vec<_> =
        demands.iter().map(|demand| ed25519_dalek::Signature::from_bytes(&demand.signature)).collect();
    let keys: Vec<_> = demands.iter().map(|demand| demand.key.verifying()).collect();
    if ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok() {
        return Ok(());
    }
    match demands.iter().find(|demand| !demand.key.verifies(&demand.message, &demand.signature)) {
        Some(bad) => Err(bad.block),
        // Refused together, good one by one: that cannot be, so nothing is accepted.
        None => Err(demands.last().and_then(|demand| demand.block)),
    }
}
