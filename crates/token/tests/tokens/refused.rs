//! Every way in which a token is not one to be accepted, each with its own error.

use super::*;
use biscuit_auth::builder::BlockBuilder;
use biscuit_auth::format::schema;
use biscuit_auth::{Algorithm, Biscuit, BiscuitBuilder, KeyPair, PrivateKey, UnverifiedBiscuit};
use lockgate_authority::ReasonCode;
use proptest::prelude::*;
use prost::Message;

#[test]
fn a04_a_token_is_text_and_back() {
    for blocks in [1, 2, 8, Token::MAX_BLOCKS as u64] {
        let token = chain(blocks);
        let read = Token::from_text(&format!(" {}\n", token.to_text())).unwrap();
        assert_eq!(read.as_bytes(), token.as_bytes());
        assert_eq!(read.links(), token.links());
        assert_eq!(read.head(), &data());
        assert_eq!(read.ids().len() as u64, blocks);
        verify(&read).unwrap();
    }
}

#[test]
fn a04_other_biscuit_software_verifies_the_same_tokens() {
    let token = token().attenuate(calls(3), seed(2)).unwrap();
    let token = token.hand_on(&key(HOLDER), key(NEXT).public(), calls(2), seed(3)).unwrap();
    let token = token.attenuate(calls(1), seed(4)).unwrap();
    let public =
        |number| biscuit_auth::PublicKey::from_bytes(key(number).public().as_bytes(), Algorithm::Ed25519).unwrap();
    Biscuit::from(token.as_bytes(), public(ROOT)).unwrap();
    Biscuit::from(token.as_bytes(), public(THIEF)).unwrap_err();
    verify(&token).unwrap();
    assert_eq!(token.holder(), key(NEXT).public());
}

#[test]
fn a04_time_bounds_are_bounds() {
    let from = Token::create(&key(ROOT), Head { not_before_ms: Some(NOW), ..data() }, seed(1)).unwrap();
    let until = from.attenuate(terms(PointKind::Fs, None, &[Caveat::Until(NOW + 10)]), seed(2)).unwrap();
    let at = |now| verify_at(&until, &[key(ROOT).public()], now, &[]).map(drop);
    assert_eq!(at(NOW - 1), Err(TokenError::NotYetValid));
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(NOW + 9), Ok(()));
    assert_eq!(at(NOW + 10), Err(TokenError::Expired));
}

#[test]
fn a04_a_truncated_token_is_said_to_be() {
    let token = chain(3);
    for bytes in 0..token.as_bytes().len() {
        let error = Token::from_bytes(&token.as_bytes()[..bytes]).unwrap_err();
        assert!(matches!(error, TokenError::Truncated | TokenError::NotCanonical), "{bytes}: {error:?}");
    }
    let text = token.to_text();
    assert_eq!(Token::from_text(&text[..text.len() - 3]).unwrap_err(), TokenError::Truncated);
    assert_eq!(Token::from_text("hello").unwrap_err(), TokenError::NotAToken);
    assert_eq!(Token::from_text("biscuit:%%").unwrap_err(), TokenError::NotAToken);
}

#[test]
fn a04_no_block_can_be_taken_off_the_end() {
    let mut wire = wire(&chain(3));
    wire.blocks.pop();
    assert_eq!(read(&wire).unwrap_err(), TokenError::Truncated);
}

#[test]
fn a04_reordered_blocks_are_said_to_be() {
    let token = chain(5);
    for (left, right) in [(0, 1), (1, 3), (2, 3)] {
        let mut wire = wire(&token);
        // The last block stays the last, so that the end still fits.
        wire.blocks.swap(left, right.min(2));
        if left == right.min(2) {
            continue;
        }
        let error = read(&wire).and_then(|token| verify(&token)).unwrap_err();
        assert!(matches!(error, TokenError::Reordered(_)), "{left} {right}: {error:?}");
    }
    let mut without = wire(&token);
    without.blocks.remove(1);
    let error = read(&without).and_then(|token| verify(&token)).unwrap_err();
    assert!(matches!(error, TokenError::Reordered(_) | TokenError::Altered(_)), "{error:?}");
}

#[test]
fn a04_a_foreign_root_is_refused() {
    let error = verify_at(&token(), &[key(THIEF).public()], NOW, &[]).unwrap_err();
    assert_eq!((error.clone(), error.code()), (TokenError::ForeignRoot, ReasonCode::TokenUntrusted));
    assert_eq!(verify_at(&token(), &[], NOW, &[]).unwrap_err(), TokenError::ForeignRoot);
    verify_at(&token(), &[key(THIEF).public(), key(ROOT).public()], NOW, &[]).unwrap();
}

#[test]
fn a04_a_token_that_names_a_trusted_root_is_not_its_token() {
    let mut wire = wire(&Token::create(&key(THIEF), data(), seed(1)).unwrap());
    wire.root_key_id = self::wire(&token()).root_key_id;
    assert_eq!(verify(&read(&wire).unwrap()).unwrap_err(), TokenError::Altered(0));
}

#[test]
fn a04_foreign_datalog_is_refused_whatever_it_means() {
    let allow_all = [
        "operation(\"write\");",
        "check if true;",
        "operation($x) <- request($y, $x);",
        "check if operation($x), [\"read\"].contains($x);",
        "reject if true;",
    ];
    for source in allow_all {
        let plain = BlockBuilder::new().code(source).unwrap();
        let with_context = plain.clone().context("{\"terms\":{\"calls\":3}}".to_owned());
        for block in [plain, with_context] {
            let biscuit = UnverifiedBiscuit::from(token().as_bytes()).unwrap();
            let made = biscuit.append(block).unwrap().to_vec().unwrap();
            let error = Token::from_bytes(&made).unwrap_err();
            assert!(matches!(error, TokenError::Foreign { block: 1, .. }), "{source}: {error:?}");
        }
    }
    let root = KeyPair::from(&PrivateKey::from_bytes(&[7; 32], Algorithm::Ed25519).unwrap());
    let bare = BiscuitBuilder::new().code("right(\"file\", \"read\");").unwrap().build(&root).unwrap();
    let error = Token::from_bytes(&bare.to_vec().unwrap()).unwrap_err();
    assert!(matches!(error, TokenError::Foreign { block: 0, .. }), "{error:?}");
}

#[test]
fn a04_a_context_is_read_in_one_spelling_only() {
    let spellings = [
        r#"{"terms": {"calls":3}}"#,
        r#"{"terms":{"calls":3},"more":1}"#,
        r#"{"terms":{"calls":3.0}}"#,
        r#"{"terms":{"calls":3,"calls":4}}"#,
        r#"{"terms":{"calls":-3}}"#,
        r#"{"terms":{"hosts":["a.example"]}}"#,
        r#"{"terms":{"under":"a/../b"}}"#,
        r#"{"terms":{"under":"./a"}}"#,
        r#"{"terms":{"path":"/etc"}}"#,
        r#"{"holder":null,"terms":{"calls":3}}"#,
    ];
    for context in spellings {
        let block = BlockBuilder::new().context(context.to_owned());
        let biscuit = UnverifiedBiscuit::from(token().as_bytes()).unwrap();
        let made = biscuit.append(block).unwrap().to_vec().unwrap();
        assert!(matches!(Token::from_bytes(&made), Err(TokenError::Foreign { block: 1, .. })), "{context}");
    }
}

#[test]
fn a04_who_has_the_token_alone_cannot_hand_it_on() {
    let stolen = token();
    let error = stolen.hand_on(&key(THIEF), key(THIEF).public(), calls(9), seed(2)).unwrap_err();
    assert_eq!(error, TokenError::NotTheHolder(key(HOLDER).public().fingerprint()));
    // The same without asking: first by a plain block, then by one that the thief signs too.
    let later = terms(PointKind::Fs, None, &[Caveat::Until(NOW + 1)]);
    let honest = stolen.hand_on(&key(HOLDER), key(THIEF).public(), later, seed(2)).unwrap();
    let block = schema::Block::decode(wire(&honest).blocks[0].block.as_slice()).unwrap();
    let builder = || BlockBuilder {
        context: block.context.clone(),
        ..BlockBuilder::new().code(honest.datalog()[1].as_str()).unwrap()
    };
    let biscuit = UnverifiedBiscuit::from(stolen.as_bytes()).unwrap();
    let plain = biscuit.append(builder()).unwrap().to_vec().unwrap();
    assert_eq!(Token::from_bytes(&plain).unwrap_err(), TokenError::NotHandedOn(1));
    let own = PrivateKey::from_bytes_hex(thief_hex().as_str(), Algorithm::Ed25519).unwrap();
    let signed = biscuit.third_party_request().unwrap().create_block(&own, builder()).unwrap();
    let signed = biscuit.append_third_party(&signed.serialize().unwrap()).unwrap().to_vec().unwrap();
    assert_eq!(Token::from_bytes(&signed).unwrap_err(), TokenError::NotHandedOn(1));
}

#[test]
fn a05_revoking_any_block_revokes_the_token() {
    let token = chain(4);
    for id in token.ids() {
        assert_eq!(verify_at(&token, &[key(ROOT).public()], NOW, &[id]).unwrap_err(), TokenError::Revoked(id));
    }
    let sibling = token_of(&[9, 8]);
    let revoked: Vec<_> = token.ids().skip(1).collect();
    verify_at(&sibling, &[key(ROOT).public()], NOW, &revoked).unwrap();
    assert_eq!(sibling.ids().next(), token.ids().next(), "both come from the same grant");
}

#[test]
fn a04_a_token_has_so_many_blocks_and_no_more() {
    let most = chain(Token::MAX_BLOCKS as u64);
    assert_eq!(most.attenuate(calls(1), seed(99)).unwrap_err(), TokenError::TooManyBlocks);
    let more = UnverifiedBiscuit::from(most.as_bytes()).unwrap().append(BlockBuilder::new()).unwrap();
    assert_eq!(Token::from_bytes(&more.to_vec().unwrap()).unwrap_err(), TokenError::TooManyBlocks);
    assert_eq!(Token::from_bytes(&vec![0; Token::MAX_BYTES + 1]).unwrap_err(), TokenError::TooManyBlocks);
}

#[test]
fn a04_a_sealed_token_is_refused() {
    let sealed = UnverifiedBiscuit::from(token().as_bytes()).unwrap().seal().unwrap();
    assert_eq!(Token::from_bytes(&sealed.to_vec().unwrap()).unwrap_err(), TokenError::Sealed);
}

#[test]
fn a04_only_what_a_manifest_grants_can_be_in_a_token() {
    let bad = |head: Head| Token::create(&key(ROOT), head, seed(1)).unwrap_err();
    let clock = head(Point::only(PointKind::Clock), terms(PointKind::Clock, None, &[]));
    assert!(matches!(bad(clock), TokenError::Unwritable(_)));
    let named = Head { point: Point::new(PointKind::Fs, "a/b"), ..data() };
    assert!(matches!(bad(named), TokenError::Unwritable(_)));
    let other = Head { point: Point::new(PointKind::Kv, "data"), ..data() };
    assert!(matches!(bad(other), TokenError::OtherKind(_)));
    let unnamed = Head { terms: calls(1), ..data() };
    assert!(matches!(bad(unnamed), TokenError::Unwritable(_)));
    let kv = terms(PointKind::Kv, Some(&["get"]), &[]);
    assert!(matches!(token().attenuate(kv, seed(2)).unwrap_err(), TokenError::OtherKind(_)));
}

#[test]
fn a04_a_bit_flipped_anywhere_is_refused() {
    let token = chain(2).hand_on(&key(HOLDER), key(NEXT).public(), calls(2), seed(3)).unwrap();
    for at in 0..token.as_bytes().len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        let read = Token::from_bytes(&bytes).and_then(|token| verify(&token).map(drop));
        assert!(read.is_err(), "byte {at} of {}", bytes.len());
    }
}

proptest! {
    #[test]
    fn a04_bytes_that_are_no_token_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
    ) {
        prop_assert!(Token::from_bytes(&bytes).is_err());
        let mut changed = chain(3).as_bytes().to_vec();
        let whole = changed.clone();
        for (at, bit) in flips {
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
        }
        let read = Token::from_bytes(&changed).and_then(|token| verify(&token).map(drop));
        prop_assert_eq!(read.is_ok(), changed == whole);
    }
}

fn thief_hex() -> String {
    let text = key(THIEF).to_secret_text("thief");
    text.lines().find_map(|line| line.strip_prefix("ed25519-private/")).unwrap().to_owned()
}

fn token_of(counts: &[u64]) -> Token {
    counts.iter().fold(token(), |token, count| token.attenuate(calls(*count), seed(500 + count)).unwrap())
}

fn wire(token: &Token) -> schema::Biscuit {
    schema::Biscuit::decode(token.as_bytes()).unwrap()
}

fn read(wire: &schema::Biscuit) -> Result<Token, TokenError> {
    Token::from_bytes(&wire.encode_to_vec())
}
