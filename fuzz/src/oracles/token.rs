//! What travels: tokens, proofs of holders, statements, keys, lists of agents.

use super::assert_shown;
use lockgate_authority::{Grant, Mint, Names};
use lockgate_token::{
    Agents, Claim, Proof, PublicKey, ReplayCache, Roots, SecretKey, Seed, Statement, Token, Verifier,
};

/// Reads bytes as a token and text as whatever travels as text. What is read is what would be written, and only what the
/// one trusted key signed is accepted.
pub fn token(bytes: &[u8]) {
    match Token::from_bytes(bytes) {
        Ok(token) => read(&token, bytes),
        Err(error) => assert_shown(&error.to_string()),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        travelling(text);
    }
}

/// The key that the seeds are signed with.
pub fn root() -> SecretKey {
    SecretKey::from_seed(Seed::from_random([1; 32]))
}

fn read(token: &Token, bytes: &[u8]) {
    assert_eq!(token.as_bytes(), bytes);
    let again = Token::from_text(&token.to_text()).expect("what is written is read");
    assert_eq!((again.id(), again.holder(), again.links()), (token.id(), token.holder(), token.links()));
    assert!(token.ids().len() <= Token::MAX_BLOCKS && token.ids().len() == token.links().len() + 1);
    assert_eq!(token.terms().count(), token.ids().len());
    assert!(token.terms().all(|terms| terms.kind() == token.head().point.kind));
    let _ = token.datalog();
    let roots = Roots::new([root().public()]);
    let verifier = Verifier { roots: &roots, now_ms: 1, skew_ms: 1, is_revoked: &|_| false };
    let Ok(verified) = verifier.verify(token.clone()) else { return };
    // A fuzzer forges no signature: it is a seed, or less of one by a block that anybody may add.
    assert_eq!(verified.root(), root().public());
    let point = token.head().point.clone();
    let holder = SecretKey::from_seed(Seed::from_random([2; 32]));
    let claim =
        Claim { point: &point, op: "read", args: &lockgate_authority::Value::EMPTY_MAP, audience: root().public() };
    let proof = Proof::make(&holder, token, &claim, 1, [0; 16]);
    let presented = verifier.admit(token.clone(), &proof, &claim, &mut ReplayCache::new(1));
    assert_eq!(presented.is_ok(), holder.public() == token.holder(), "its holder uses it, and nobody else");
    if let Ok(presented) = presented {
        let mut mint = Mint::new();
        let offered = Grant::root(&mut mint, point, Names::only(["read"]), Vec::new());
        let issued = presented.under(&mut mint, &offered).expect("a token's blocks fit into a grant");
        assert!(issued.grant.descends_from(offered.id()) && issued.layers.len() == token.ids().len());
    }
}

fn travelling(text: &str) {
    if let Ok(token) = Token::from_text(text) {
        read(&token, &token.as_bytes().to_vec());
    }
    if let Ok(proof) = Proof::from_text(text) {
        assert_eq!(Proof::from_text(&proof.to_text()), Ok(proof));
    }
    if let Ok(said) = Statement::from_text(text) {
        assert_eq!(Statement::from_text(&said.to_text()), Ok(said));
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    let _ = SecretKey::from_text(text);
    match Agents::parse(text) {
        Ok(agents) => assert!(agents.iter().all(|(name, key)| agents.name_of(key) == Some(name))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
