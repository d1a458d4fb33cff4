//! Tokens only shrink: chains of random terms, decided by the function that decides in production, beside a naive one
//! and beside Biscuit's own authorizer.

use super::generate::{Asked, KINDS, asked, terms};
use super::*;
use lockgate_authority::{Decision, Grant, Mint, Usage, Value, authorize};
use lockgate_token::{Claim, Opinion, Proof, ReplayCache, second_opinion};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The terms of each block of a token, and requests.
fn cases(blocks: usize) -> impl Strategy<Value = (PointKind, Vec<Terms>, Vec<Asked>)> {
    select(KINDS).prop_flat_map(move |kind| {
        let chain = (terms(kind, true), vec(terms(kind, false), 0..blocks));
        let chain = chain.prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect());
        (Just(kind), chain, vec(asked(kind), 1..6))
    })
}

fn made(kind: PointKind, terms: &[Terms]) -> Token {
    let name = if kind.is_named() { "data" } else { kind.as_str() };
    let (first, rest) = terms.split_first().unwrap();
    let root = Token::create(&key(ROOT), head(Point::new(kind, name), first.clone()), seed(1)).unwrap();
    rest.iter().zip(2..).fold(root, |token, (terms, number)| token.attenuate(terms.clone(), seed(number)).unwrap())
}

/// The grant that the token becomes. Its time bounds are for the decision here, so it is presented long before.
fn granted(token: &Token) -> Grant {
    let point = token.head().point.clone();
    let claim = Claim { point: &point, op: "use", args: &Value::Null, audience: key(GATE).public() };
    let proof = Proof::make(&key(HOLDER), token, &claim, 0, [0; 16]);
    let roots = Roots::new([key(ROOT).public()]);
    let verifier = Verifier { roots: &roots, now_ms: 0, skew_ms: SKEW, is_revoked: &|_| false };
    let read = Token::from_text(&token.to_text()).unwrap();
    verifier.admit(read, &proof, &claim, &mut ReplayCache::new(1)).unwrap().grant(&mut Mint::new()).unwrap().grant
}

/// One request on fresh accounts.
fn allows(grant: &Grant, asked: &Asked) -> bool {
    matches!(authorize([grant], &asked.request(), &Usage::new()), Decision::Allow(_))
}

/// What a chain of terms allows, written down as plainly as can be: each block by itself, as a root grant of its own.
fn naive(kind: PointKind, blocks: &[Terms], asked: &Asked) -> bool {
    let private_allowed = blocks[0].caveats().contains(&Caveat::Private(true))
        && !blocks.iter().any(|terms| terms.caveats().contains(&Caveat::Private(false)));
    let private = matches!(&asked.about, super::generate::About::Url(url, _) if url.host().is_known_private());
    let alone = |terms: &Terms| {
        let ops = terms.ops().cloned().unwrap_or(Names::All);
        let mut caveats: Vec<_> =
            terms.caveats().iter().filter(|caveat| !matches!(caveat, Caveat::Private(_))).cloned().collect();
        caveats.push(Caveat::Private(true));
        let name = asked.request().name.to_owned();
        allows(&Grant::root(&mut Mint::new(), Point::new(kind, name), ops, caveats), asked)
    };
    blocks.iter().all(alone) && (!private || private_allowed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a04_attenuation_is_a_conjunction((kind, blocks, requests) in cases(4)) {
        let grants: Vec<Grant> = (1..=blocks.len()).map(|length| granted(&made(kind, &blocks[..length]))).collect();
        for asked in &requests {
            let mut before = true;
            for (length, grant) in (1..).zip(&grants) {
                let now = allows(grant, asked);
                prop_assert!(before || !now, "{length} blocks allow what fewer refuse: {asked:?} {blocks:?}");
                prop_assert_eq!(now, naive(kind, &blocks[..length], asked), "{:?} {:?}", asked, &blocks[..length]);
                before = now;
            }
        }
    }

    #[test]
    fn a04_datalog_and_the_typed_decision_agree((kind, blocks, requests) in cases(3)) {
        let token = made(kind, &blocks);
        let grant = granted(&token);
        for asked in &requests {
            let expected = if allows(&grant, asked) { Opinion::Allows } else { Opinion::Refuses };
            let found = second_opinion(&token, key(ROOT).public(), &asked.request());
            prop_assert_eq!(found, expected, "{:?}\n{}", asked, token.datalog().join("\n"));
        }
    }

    #[test]
    fn a04_terms_have_one_text((_, blocks, _) in cases(1)) {
        for terms in &blocks {
            let json = terms.to_json();
            prop_assert_eq!(&Terms::parse(terms.kind(), json.clone()).unwrap(), terms);
            let text = json.to_string();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Terms::parse(terms.kind(), read).unwrap().to_json().to_string(), text);
        }
    }
}
