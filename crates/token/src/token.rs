//! A token, not yet believed: made, read, attenuated, shown.

use crate::chain::Chain;
use crate::content::{Head, Link};
use crate::datalog;
use crate::error::TokenError;
use crate::key::{PublicKey, SecretKey, Seed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{BiscuitBuilder, KeyPair, UnverifiedBiscuit};
use lockgate_authority::{Caveat, Terms};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Names one block of one token: the first 16 bytes of the SHA-256 of its signature, as 32 hexadecimal digits.
///
/// Whoever derives from a token keeps the names of the blocks before, so that revoking one of them revokes all that
/// was derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId([u8; 16]);

impl BlockId {
    /// The id of these bytes, as a record holds it.
    pub const fn from_bytes(bytes: [u8; 16]) -> BlockId {
        BlockId(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn of(signature: &[u8; 64]) -> BlockId {
        let digest: [u8; 32] = Sha256::digest(signature).into();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        BlockId(id)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for BlockId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| NotAnId)?;
        Ok(BlockId(id))
    }
}

/// A text is no block's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block's id is 32 hexadecimal digits")]
pub struct NotAnId;

/// A token whose form is right: every block is one that would be written here. Its signatures are not checked yet.
///
/// The text holds the secret with which anyone can attenuate it further, but not use it: that takes its holder's key.
#[derive(Clone)]
pub struct Token {
    bytes: Vec<u8>,
    pub(crate) chain: Chain,
    head: Head,
    links: Vec<Link>,
    holder: PublicKey,
    id: BlockId,
}

const PREFIX: &str = "biscuit:";

impl Token {
    /// Most blocks of a token.
    pub const MAX_BLOCKS: usize = 32;
    /// Largest token, in bytes before base64.
    pub const MAX_BYTES: usize = 64 << 10;

    /// A token that grants what `head` says, signed by `root`. `fresh` is used for this token alone.
    pub fn create(root: &SecretKey, head: Head, fresh: Seed) -> Result<Token, TokenError> {
        head.check()?;
        let made = BiscuitBuilder::new()
            .merge(datalog::head(&head))
            .root_key_id(root.public().fingerprint().hint())
            .build_with_key_pair(&pair(root)?, SymbolTable::new(), &pair(&fresh.into_key())?)
            .and_then(|token| token.to_vec());
        Token::from_bytes(&made.map_err(|_| TokenError::Unwritable("the grant could not be signed"))?)
    }

    /// The token with more caveats, for the same holder. Needs no key and no connection.
    pub fn attenuate(&self, terms: Terms, fresh: Seed) -> Result<Token, TokenError> {
        let link = Link { holder: None, terms };
        self.check_addition(&link)?;
        let token = self.biscuit()?;
        let made = token.append_with_keypair(&pair(&fresh.into_key())?, datalog::link(&link));
        self.extended(made.and_then(|token| token.to_vec()))
    }

    /// The token with more caveats, handed to `next`. Only its present holder can do this; who has the token alone
    /// could otherwise name a key of its own.
    pub fn hand_on(&self, holder: &SecretKey, next: PublicKey, terms: Terms, fresh: Seed) -> Result<Token, TokenError> {
        if holder.public() != self.holder() {
            return Err(TokenError::NotTheHolder(self.holder().fingerprint()));
        }
        let link = Link { holder: Some(next), terms };
        self.check_addition(&link)?;
        let token = self.biscuit()?;
        let unwritable = |_| TokenError::Unwritable("the block could not be signed");
        let key = holder.to_biscuit().map_err(unwritable)?;
        let made = token
            .third_party_request()
            .and_then(|request| request.create_block(&key, datalog::link(&link)))
            .and_then(|block| block.serialize())
            .and_then(|block| token.append_third_party_with_keypair(&block, pair_of(&fresh.into_key())?))
            .and_then(|token| token.to_vec());
        self.extended(made)
    }

    /// Reads the bytes of a token: at most [`Token::MAX_BLOCKS`] blocks, each exactly as it would be written here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Token, TokenError> {
        let chain = Chain::read(bytes)?;
        Token::read(bytes, &chain).map_err(|error| match error {
            // Blocks that changed places no longer say what they said; that is the better thing to know.
            TokenError::Foreign { .. } => chain.misplaced().unwrap_or(error),
            error => error,
        })
    }

    fn read(bytes: &[u8], chain: &Chain) -> Result<Token, TokenError> {
        let mut symbols = SymbolTable::new();
        let (first, rest) = chain.blocks.split_first().ok_or(TokenError::Truncated)?;
        let foreign = |block, what| TokenError::Foreign { block, what };
        let head = Head::parse(context(&first.data).ok_or(foreign(0, NO_CONTEXT))?).map_err(|what| foreign(0, what))?;
        if datalog::encode(&datalog::head(&head), &mut symbols, false) != first.data {
            return Err(foreign(0, OTHER_CHECKS));
        }
        let (mut holder, mut id) = (head.holder, BlockId::of(&first.signature));
        let mut links = Vec::with_capacity(rest.len());
        for (number, block) in (1..).zip(rest) {
            let text = context(&block.data).ok_or(foreign(number, NO_CONTEXT))?;
            let link = Link::parse(text, head.point.kind).map_err(|what| foreign(number, what))?;
            // A block that its holder signed has symbols of its own.
            let written = match block.handed_on {
                Some(_) => datalog::encode(&datalog::link(&link), &mut SymbolTable::new(), true),
                None => datalog::encode(&datalog::link(&link), &mut symbols, false),
            };
            if written != block.data {
                return Err(foreign(number, OTHER_CHECKS));
            }
            // Whoever holds the token, and nobody else, signs the block that hands it on.
            let signed_by = block.handed_on.map(|(key, _)| key);
            match link.holder {
                Some(_) if signed_by != Some(holder) => return Err(TokenError::NotHandedOn(number)),
                Some(next) => holder = next,
                None if signed_by.is_some() => {
                    return Err(foreign(number, "it has a second signature and names no holder"));
                }
                None => {}
            }
            id = BlockId::of(&block.signature);
            links.push(link);
        }
        Ok(Token { bytes: bytes.to_vec(), chain: chain.clone(), head, links, holder, id })
    }

    /// Reads the text of a token, with white space around it.
    pub fn from_text(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        if encoded.len() > 2 * Token::MAX_BYTES {
            return Err(TokenError::TooManyBlocks);
        }
        let plain = encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
        // Text that is base64 as far as it goes was cut off.
        let failed = if plain { TokenError::Truncated } else { TokenError::NotAToken };
        Token::from_bytes(&URL_SAFE.decode(encoded).map_err(|_| failed)?)
    }

    /// The token as text on one line, as other Biscuit software reads it.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE.encode(&self.bytes))
    }

    /// The token's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What each block is called, from the first; the last names the token.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = BlockId> {
        self.chain.blocks.iter().map(|block| BlockId::of(&block.signature))
    }

    /// The token's own name: that of its last block.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// What was granted to begin with.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What each derivation added, from the first.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The terms of every block, from the first.
    pub fn terms(&self) -> impl Iterator<Item = &Terms> {
        std::iter::once(&self.head.terms).chain(self.links.iter().map(|link| &link.terms))
    }

    /// Whose signature each use must carry: the last holder that was named.
    pub fn holder(&self) -> PublicKey {
        self.holder
    }

    /// The time from which on the token is of no use, in milliseconds since the Unix epoch.
    pub fn until_ms(&self) -> Option<u64> {
        let caveats = self.terms().flat_map(Terms::caveats);
        caveats.filter_map(|caveat| if let Caveat::Until(ms) = caveat { Some(*ms) } else { None }).min()
    }

    /// The SHA-256 of the token's bytes: what a proof names it by.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// The Datalog of each block, for people who know Biscuit.
    pub fn datalog(&self) -> Vec<String> {
        std::iter::once(datalog::head(&self.head))
            .chain(self.links.iter().map(datalog::link))
            .map(|block| block.to_string())
            .collect()
    }

    fn biscuit(&self) -> Result<UnverifiedBiscuit, TokenError> {
        UnverifiedBiscuit::from(&self.bytes).map_err(|_| TokenError::NotCanonical)
    }

    fn check_addition(&self, link: &Link) -> Result<(), TokenError> {
        if link.terms.kind() != self.head.point.kind {
            return Err(TokenError::OtherKind(self.head.point.to_string()));
        }
        if self.chain.blocks.len() >= Token::MAX_BLOCKS {
            return Err(TokenError::TooManyBlocks);
        }
        Ok(())
    }

    fn extended(&self, made: Result<Vec<u8>, biscuit_auth::error::Token>) -> Result<Token, TokenError> {
        Token::from_bytes(&made.map_err(|_| TokenError::Unwritable("the block could not be signed"))?)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {} of {} blocks", self.id, self.chain.blocks.len())
    }
}

const NO_CONTEXT: &str = "it has no context";
const OTHER_CHECKS: &str = "its checks are not those of its terms";

/// The text that a block's typed content is read from: field 2. What else is in the block is not decoded, since the whole
/// of it is compared with what the text stands for.
fn context(data: &[u8]) -> Option<&str> {
    const SYMBOL: u64 = 1 << 3 | 2;
    const CONTEXT: u64 = 2 << 3 | 2;
    let mut rest = data;
    loop {
        // Fields stand in order, so only symbols come before.
        let field = prost::encoding::decode_varint(&mut rest).ok()?;
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
        let (value, after) = rest.split_at_checked(length)?;
        match field {
            SYMBOL => rest = after,
            CONTEXT => return std::str::from_utf8(value).ok(),
            _ => return None,
        }
    }
}

fn pair(key: &SecretKey) -> Result<KeyPair, TokenError> {
    pair_of(key).map_err(|_| TokenError::Unwritable("the key cannot sign"))
}

fn pair_of(key: &SecretKey) -> Result<KeyPair, biscuit_auth::error::Token> {
    Ok(KeyPair::from(&key.to_biscuit().map_err(biscuit_auth::error::Token::Format)?))
}
