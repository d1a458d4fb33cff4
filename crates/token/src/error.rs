//! What is wrong with a token or with its use.

use crate::key::Fingerprint;
use crate::token::BlockId;
use lockgate_authority::ReasonCode;

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not text that holds a token.
    #[error("this is no token: expected `biscuit:` and base64url text")]
    NotAToken,
    /// It ends too early, or blocks at its end are missing.
    #[error("the token is truncated")]
    Truncated,
    /// It can be read but is not how a token is written.
    #[error("the token is not in the one form that a token has")]
    NotCanonical,
    /// It has more blocks, or is larger, than is read.
    #[error("the token has more than {} blocks or {} bytes", crate::Token::MAX_BLOCKS, crate::Token::MAX_BYTES)]
    TooManyBlocks,
    /// No trusted root key signed it.
    #[error("the token was signed by a root key that is not trusted here")]
    ForeignRoot,
    /// A block stands where it was not signed to stand.
    #[error("block {0} of the token was signed to stand elsewhere: the blocks were reordered, or one was left out")]
    Reordered(usize),
    /// A block is not what was signed.
    #[error("block {0} of the token is not what was signed")]
    Altered(usize),
    /// A block says something that `lockgate` would not have written.
    #[error("block {block} of the token holds foreign Datalog: {what}")]
    Foreign {
        /// The block, from 0.
        block: usize,
        /// What is not as expected.
        what: &'static str,
    },
    /// A block hands the token to another holder without the signature of the present one.
    #[error("block {0} of the token hands it on without the signature of its holder")]
    NotHandedOn(usize),
    /// Its time has passed.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It, or what it was derived from, was revoked.
    #[error("the token was revoked (block {0})")]
    Revoked(BlockId),
    /// It was sealed by other software and cannot be attenuated.
    #[error("the token is sealed: nothing can be added to it")]
    Sealed,
    /// The key at hand is not the holder's.
    #[error("only the holder of the token, key {0}, can hand it to another")]
    NotTheHolder(Fingerprint),
    /// A caveat that a token cannot carry.
    #[error("{0}")]
    Terms(#[from] lockgate_authority::TermsError),
    /// What was to be added would be about another kind of point.
    #[error("the token is about `{0}`, what is to be added is about another kind of point")]
    OtherKind(String),
    /// A grant that cannot be written for another reason.
    #[error("{0}")]
    Unwritable(&'static str),
}

/// Why a use of a token is not its holder's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The text is no proof.
    #[error("this is no proof of a holder")]
    NotAProof,
    /// Signed by another key than the holder's.
    #[error("the proof was made with key {found}, the token's holder is {holder}")]
    WrongHolder {
        /// Who signed.
        found: Fingerprint,
        /// Who should have.
        holder: Fingerprint,
    },
    /// Made for another token.
    #[error("the proof was made for another token")]
    OtherToken,
    /// Made for another gate.
    #[error("the proof was made for another gate")]
    WrongAudience,
    /// Made for another point or operation.
    #[error("the proof was made for another point or operation")]
    OtherUse,
    /// Made for other arguments.
    #[error("the proof was made for other arguments")]
    AlteredArguments,
    /// Made too long ago, or ahead of time.
    #[error("the proof's time is further from now than clocks may differ")]
    Stale,
    /// The signature does not match what it is over.
    #[error("the proof's signature does not match")]
    BadSignature,
    /// Seen before.
    #[error("the proof was used before")]
    Replayed,
    /// More uses at one time than are remembered.
    #[error("more uses at one time than the gate remembers")]
    Busy,
    /// The token itself is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl TokenError {
    /// The code that a journal or a program reads.
    pub fn code(&self) -> ReasonCode {
        match self {
            TokenError::NotAToken
            | TokenError::Truncated
            | TokenError::NotCanonical
            | TokenError::Altered(_)
            | TokenError::Reordered(_)
            | TokenError::Foreign { .. } => ReasonCode::TokenInvalid,
            TokenError::TooManyBlocks => ReasonCode::TooLarge,
            TokenError::ForeignRoot => ReasonCode::TokenUntrusted,
            TokenError::NotHandedOn(_) | TokenError::NotTheHolder(_) => ReasonCode::HolderUnproven,
            TokenError::Expired => ReasonCode::Expired,
            TokenError::NotYetValid => ReasonCode::NotYetValid,
            TokenError::Revoked(_) => ReasonCode::Revoked,
            TokenError::Sealed | TokenError::Terms(_) | TokenError::OtherKind(_) | TokenError::Unwritable(_) => {
                ReasonCode::Misconfigured
            }
        }
    }

    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            TokenError::NotAToken => "give the file that `lockgate grant create` wrote, or `-` for standard input",
            TokenError::Truncated => "copy the token again, whole",
            TokenError::NotCanonical | TokenError::Altered(_) | TokenError::Reordered(_) => {
                "ask who gave you the token for it again; this one was changed on its way"
            }
            TokenError::TooManyBlocks => "ask its issuer for a token that was derived less often",
            TokenError::ForeignRoot => "give its issuer's public key with `--root FILE`, if you trust it",
            TokenError::Foreign { .. } => {
                "only blocks that `lockgate grant` writes are read; what else they say is not known"
            }
            TokenError::NotHandedOn(_) => {
                "who holds the token must hand it on: `lockgate grant attenuate --to KEY --holder-key FILE`"
            }
            TokenError::NotTheHolder(_) => "give the holder's key with `--holder-key FILE`, or leave `--to` away",
            TokenError::Expired => "ask its issuer for a new one",
            TokenError::NotYetValid => "wait, or check this machine's clock",
            TokenError::Revoked(_) => "ask its issuer for a new one, if it was not revoked for good",
            TokenError::Sealed => "use it as it is",
            TokenError::Terms(_) => "give each sort of caveat once",
            TokenError::OtherKind(_) => "use the kind of point that `lockgate grant show` prints",
            TokenError::Unwritable(_) => "see `lockgate grant create --help`",
        }
    }
}

impl Unproven {
    /// The code that a journal or a program reads.
    pub fn code(&self) -> ReasonCode {
        match self {
            Unproven::Token(error) => error.code(),
            Unproven::NotAProof => ReasonCode::Malformed,
            Unproven::Replayed => ReasonCode::Replayed,
            _ => ReasonCode::HolderUnproven,
        }
    }

    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Unproven::Token(error) => error.hint(),
            Unproven::WrongHolder { .. } => "give the holder's key with `--holder-key FILE`",
            Unproven::Stale => "set the clocks of both machines, then make a new proof",
            Unproven::Busy => "try again later",
            _ => "make a new proof for this very use",
        }
    }
}
