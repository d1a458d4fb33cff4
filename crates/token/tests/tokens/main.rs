//! Tokens through the public interface: made, read, attenuated, verified, used.

mod generate;
mod narrow;
mod refused;
mod used;

use lockgate_authority::{Caveat, Names, Point, PointKind, Principal, PrincipalKind, Terms};
use lockgate_token::{BlockId, Head, PublicKey, Roots, SecretKey, Seed, Token, TokenError, Verified, Verifier};

pub(crate) const NOW: u64 = 1_800_000_000_000;
pub(crate) const SKEW: u64 = 30_000;

pub(crate) fn seed(number: u64) -> Seed {
    let mut bytes = [0xa5; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Seed::from_random(bytes)
}

pub(crate) fn key(number: u64) -> SecretKey {
    SecretKey::from_seed(seed(1_000_000 + number))
}

pub(crate) const ROOT: u64 = 1;
pub(crate) const HOLDER: u64 = 2;
pub(crate) const NEXT: u64 = 3;
pub(crate) const GATE: u64 = 4;
pub(crate) const THIEF: u64 = 5;

pub(crate) fn terms(kind: PointKind, ops: Option<&[&str]>, caveats: &[Caveat]) -> Terms {
    Terms::new(kind, ops.map(Names::only), caveats.to_vec()).unwrap()
}

pub(crate) fn head(point: Point, terms: Terms) -> Head {
    let issuer = Principal::new(PrincipalKind::Operator, "alice");
    Head { point, issuer, holder: key(HOLDER).public(), not_before_ms: None, terms }
}

pub(crate) fn data() -> Head {
    head(Point::new(PointKind::Fs, "data"), terms(PointKind::Fs, Some(&["read", "list", "stat"]), &[Caveat::Calls(9)]))
}

pub(crate) fn token() -> Token {
    Token::create(&key(ROOT), data(), seed(1)).unwrap()
}

pub(crate) fn calls(most: u64) -> Terms {
    terms(PointKind::Fs, None, &[Caveat::Calls(most)])
}

/// A token of so many blocks.
pub(crate) fn chain(blocks: u64) -> Token {
    (2..=blocks).fold(token(), |token, block| token.attenuate(calls(100 - block), seed(block)).unwrap())
}

pub(crate) fn verify_at(
    token: &Token,
    roots: &[PublicKey],
    now_ms: u64,
    revoked: &[BlockId],
) -> Result<Verified, TokenError> {
    let roots = Roots::new(roots.iter().copied());
    let is_revoked = |id: BlockId| revoked.contains(&id);
    Verifier { roots: &roots, now_ms, skew_ms: SKEW, is_revoked: &is_revoked }.verify(token.clone())
}

pub(crate) fn verify(token: &Token) -> Result<Verified, TokenError> {
    verify_at(token, &[key(ROOT).public()], NOW, &[])
}
