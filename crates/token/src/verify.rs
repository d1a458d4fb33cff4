//! From a token to authority.
//!
//! | step | takes | gives | guarantees |
//! |---|---|---|---|
//! | read | text | [`Token`] | every block is one that is written here |
//! | verify | [`Token`] | [`Verified`] | a trusted root signed it, its time is now, nothing it comes from was revoked |
//! | admit | [`Token`], [`Proof`] | [`Presented`] | that, and its holder asks for this very use, for the first time |
//! | grant | [`Presented`] | [`Issued`] | one layer for each block; decided without Datalog from here on |

use crate::chain::{Demand, check};
use crate::error::{TokenError, Unproven};
use crate::key::PublicKey;
use crate::proof::{Claim, Proof};
use crate::replay::Replays;
use crate::token::{BlockId, Token};
use lockgate_authority::{Grant, GrantId, Mint, Names, Terms, TooManyLayers};

/// The root keys that a gate trusts.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<PublicKey>);

impl Roots {
    /// These and no others.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Roots(keys.into_iter().collect())
    }

    /// Whether the key is among them.
    pub fn contains(&self, key: PublicKey) -> bool {
        self.0.contains(&key)
    }

    /// Whether there is none, so that no token can be verified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a token is verified against.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The keys that may have issued it.
    pub roots: &'a Roots,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How far the time of a proof may be from `now_ms`, in milliseconds.
    pub skew_ms: u64,
    /// Whether a block was revoked.
    pub is_revoked: &'a dyn Fn(BlockId) -> bool,
}

/// A token that a trusted root issued, valid now and not revoked. Only [`Verifier`] makes one.
///
/// It is no authority yet: who has it need not be its holder.
#[derive(Clone, Debug)]
pub struct Verified {
    token: Token,
    root: PublicKey,
}

/// A verified token in the hands of its holder, for one use. Only [`Verifier`] makes one.
#[derive(Clone, Debug)]
pub struct Presented {
    verified: Verified,
}

/// The grant that a presented token stands for.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The grant.
    pub grant: Grant,
    /// Which layer each block of the token became: what to revoke when a block is.
    pub layers: Vec<(BlockId, GrantId)>,
}

/// Why a presented token gives no grant here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// It is about another point than the one offered.
    #[error("the token is about another point")]
    OtherPoint,
    /// It and the grant that it is met with were derived too often.
    #[error(transparent)]
    TooManyLayers(#[from] TooManyLayers),
}

impl Verifier<'_> {
    /// Checks everything about a token but who holds it. Costs one signature check for each block, all done together.
    pub fn verify(&self, token: Token) -> Result<Verified, TokenError> {
        let root = self.check(&token, None).map_err(|error| match error {
            Unproven::Token(error) => error,
            _ => TokenError::Altered(0),
        })?;
        Ok(Verified { token, root })
    }

    /// Checks a token and that its holder asks for this use of it, which `replays` has not seen.
    pub fn admit(
        &self,
        token: Token,
        proof: &Proof,
        claim: &Claim<'_>,
        replays: &mut dyn Replays,
    ) -> Result<Presented, Unproven> {
        proof.check(&token, claim, self.now_ms, self.skew_ms)?;
        let root = self.check(&token, Some(proof))?;
        replays.admit(proof.name(), proof.time_ms().saturating_add(self.skew_ms), self.now_ms)?;
        Ok(Presented { verified: Verified { token, root } })
    }

    /// The root key that signed the token, where all is well.
    fn check(&self, token: &Token, proof: Option<&Proof>) -> Result<PublicKey, Unproven> {
        if token.head().not_before_ms.is_some_and(|time| self.now_ms < time) {
            return Err(TokenError::NotYetValid.into());
        }
        if token.until_ms().is_some_and(|time| time <= self.now_ms) {
            return Err(TokenError::Expired.into());
        }
        let signed = |root: PublicKey| {
            let mut demands = token.chain.demands(root);
            demands.extend(proof.map(|proof| Demand {
                block: None,
                key: proof.holder,
                message: proof.message(),
                signature: proof.signature,
            }));
            check(&demands).map_err(|block| match block {
                None => Unproven::BadSignature,
                Some(number) => Unproven::Token(token.chain.blame(number, root)),
            })
        };
        let named = self.roots.0.iter().filter(|root| Some(root.fingerprint().hint()) == token.chain.root_hint);
        let mut found = Err(TokenError::ForeignRoot.into());
        for root in named {
            found = signed(*root).map(|()| *root);
            if found.is_ok() {
                break;
            }
        }
        let root = found?;
        match token.ids().find(|id| (self.is_revoked)(*id)) {
            Some(id) => Err(TokenError::Revoked(id).into()),
            None => Ok(root),
        }
    }
}

impl Verified {
    /// The token.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The key that issued it.
    pub fn root(&self) -> PublicKey {
        self.root
    }
}

impl Presented {
    /// The token.
    pub fn token(&self) -> &Token {
        &self.verified.token
    }

    /// The key that issued it.
    pub fn root(&self) -> PublicKey {
        self.verified.root
    }

    /// The grant that the token stands for by itself: its first block is the root, each further one a derivation.
    pub fn grant(&self, mint: &mut Mint) -> Result<Issued, NotIssued> {
        let head = self.token().head();
        let ops = match head.terms.ops() {
            Some(ops) => ops.clone(),
            None => Names::only(head.point.kind.operations().unwrap_or_default()),
        };
        let mut grant = Grant::root(mint, head.point.clone(), ops, head.terms.caveats().to_vec());
        let mut layers = vec![grant.id()];
        for link in self.token().links() {
            grant = grant.attenuate(mint, link.terms.clone().into_caveats())?;
            layers.push(grant.id());
        }
        Ok(Issued { grant, layers: self.token().ids().zip(layers).collect() })
    }

    /// The grant that the token stands for where a gate offers `offered`: what both allow.
    pub fn under(&self, mint: &mut Mint, offered: &Grant) -> Result<Issued, NotIssued> {
        if *offered.point() != self.token().head().point {
            return Err(NotIssued::OtherPoint);
        }
        let (grant, layers) = Terms::narrow(self.token().terms(), offered, mint)?;
        Ok(Issued { grant, layers: self.token().ids().zip(layers).collect() })
    }
}
