//! What is sealed opens only with its key, for its readers, in its place and not older than what is known.

use lockgate_authority::ReasonCode;
use lockgate_decode::{
    Accept, Expected, Kind, SealHeader, SealKey, SealKeys, SealPlace, Sealed, inspect, inspect_sealed,
};
use proptest::prelude::*;

const PLACE: SealPlace = SealPlace([5; 32]);

fn keys(byte: u8) -> SealKeys {
    SealKeys::new(SealKey::from_random([byte; 32]))
}

fn header() -> SealHeader {
    SealHeader {
        writer: "a".to_owned(),
        readers: vec!["b".to_owned()],
        session: [1; 16],
        manifest: [2; 32],
        place: PLACE,
        shown: "fs.state:run.json".to_owned(),
        counter: 7,
        label_writers: vec!["web".to_owned()],
        label_readers: None,
    }
}

fn sealed(content: &[u8], header: &SealHeader, keys: &SealKeys) -> Vec<u8> {
    Sealed::seal(content, header, keys.newest(), [9; 24]).unwrap().into_bytes()
}

fn code(bytes: &[u8], keys: &SealKeys, expected: &Expected<'_>) -> Result<Vec<u8>, ReasonCode> {
    let sealed = Sealed::read(bytes.to_vec()).map_err(|refused| refused.code)?;
    sealed.open(keys, expected).map(|opened| opened.content).map_err(|refused| refused.code)
}

const OWN: Expected<'_> = Expected { reader: "a", writers: &[], place: PLACE, last: 0 };

#[test]
fn d10_each_context_that_is_not_its_own_is_refused_with_its_reason() {
    let bytes = sealed(b"state", &header(), &keys(1));
    let writers: [Box<str>; 1] = ["a".into()];
    let others: [Box<str>; 1] = ["c".into()];
    assert_eq!(code(&bytes, &keys(1), &OWN), Ok(b"state".to_vec()));
    let by_b = Expected { reader: "b", writers: &writers, ..OWN };
    assert_eq!(code(&bytes, &keys(1), &by_b), Ok(b"state".to_vec()));
    for (expected, refused) in [
        (Expected { reader: "b", ..OWN }, ReasonCode::SealForeign),
        (Expected { reader: "b", writers: &others, ..OWN }, ReasonCode::SealForeign),
        (Expected { reader: "c", writers: &writers, ..OWN }, ReasonCode::SealNotForReader),
        (Expected { place: SealPlace([6; 32]), ..OWN }, ReasonCode::SealMisplaced),
        (Expected { last: 8, ..OWN }, ReasonCode::SealRolledBack),
    ] {
        assert_eq!(code(&bytes, &keys(1), &expected), Err(refused), "{expected:?}");
    }
    assert_eq!(code(&bytes, &keys(1), &Expected { last: 7, ..OWN }), Ok(b"state".to_vec()));
    assert_eq!(code(&bytes, &keys(2), &OWN), Err(ReasonCode::SealForeign), "another gate's key");
    assert_eq!(code(b"{\"plain\": true}", &keys(1), &OWN), Err(ReasonCode::NotSealed));
    assert_eq!(code(b"", &keys(1), &OWN), Err(ReasonCode::NotSealed));
    let mut later = bytes.clone();
    later[7] = 2;
    assert_eq!(code(&later, &keys(1), &OWN), Err(ReasonCode::SealVersion));
}

#[test]
fn d10_every_changed_byte_and_every_cut_is_refused() {
    let (content, keys) = (b"the state of an agent", keys(1));
    let bytes = sealed(content, &header(), &keys);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let refused = code(&changed, &keys, &OWN).expect_err("a change is refused");
            let expected = match at {
                0..7 => vec![ReasonCode::NotSealed],
                7 => vec![ReasonCode::SealVersion],
                _ => vec![ReasonCode::SealBroken, ReasonCode::SealForeign],
            };
            assert!(expected.contains(&refused), "byte {at}: {refused}");
        }
    }
    for length in 0..bytes.len() {
        assert!(code(&bytes[..length], &keys, &OWN).is_err(), "{length} bytes");
    }
    let longer = [bytes.as_slice(), b"\0"].concat();
    assert_eq!(code(&longer, &keys, &OWN), Err(ReasonCode::SealBroken));
}

#[test]
fn d10_older_keys_open_and_the_newest_seals() {
    let old = keys(1);
    let bytes = sealed(b"state", &header(), &old);
    let rotated = old.clone().rotated(SealKey::from_random([2; 32]));
    assert_eq!(code(&bytes, &rotated, &OWN), Ok(b"state".to_vec()));
    let newer = sealed(b"state", &header(), &rotated);
    assert_eq!(code(&newer, &rotated, &OWN), Ok(b"state".to_vec()));
    assert_eq!(code(&newer, &old, &OWN), Err(ReasonCode::SealForeign));
    let text = rotated.to_secret_text();
    assert_eq!(SealKeys::from_text(&text).unwrap(), rotated);
    assert!(!format!("{rotated:?}").contains(&"01".repeat(8)), "a key is never shown");
    for (text, line) in
        [("", 1), ("lockgate seal keys 1\n", 2), ("lockgate seal keys 1\nkey 00\n", 2), (&*format!("{text}\n"), 4)]
    {
        assert_eq!(SealKeys::from_text(text).unwrap_err().line, line, "{text:?}");
    }
}

#[test]
fn d10_inspect_tells_what_a_seal_says_and_whether_that_is_so() {
    let content = br#"{"callback_url": "https://example.com/x"}"#;
    let bytes = sealed(content, &header(), &keys(1));
    let report = inspect(&bytes, &Accept::default());
    assert_eq!(report.kind, Kind::Sealed);
    let seal = report.seal.as_deref().unwrap();
    assert!(!seal.verified && seal.header == header() && report.inner.is_none());
    assert_eq!(report.refused[0].code, ReasonCode::SealForeign, "nothing says that it is whole");
    let report = inspect_sealed(&bytes, &Accept::default(), &keys(1));
    assert!(report.seal.as_deref().unwrap().verified && report.is_taken());
    assert_eq!(report.inner.as_deref().unwrap().can.hosts.len(), 1, "what is in it has a report");
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let report = inspect_sealed(&changed, &Accept::default(), &keys(1));
    assert!(!report.seal.as_deref().unwrap().verified && report.inner.is_none());
    assert_eq!(report.refused[0].code, ReasonCode::SealBroken);
    // A header of another seal before this content.
    let other = sealed(b"", &SealHeader { counter: 8, ..header() }, &keys(1));
    let head = other.len() - 24 - 16;
    let spliced = [&other[..head], &bytes[head..]].concat();
    assert_eq!(code(&spliced, &keys(1), &OWN), Err(ReasonCode::SealBroken));
}

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z]{1,8}", 0..4)
}

prop_compose! {
    fn headers()(
        writer in "[a-z]{1,8}", readers in names(), session: [u8; 16], manifest: [u8; 32], place: [u8; 32],
        shown in ".{0,40}", counter: u64, label_writers in names(), label_readers in proptest::option::of(names()),
    ) -> SealHeader {
        SealHeader {
            writer, readers, session, manifest, place: SealPlace(place), shown, counter, label_writers, label_readers,
        }
    }
}

proptest! {
    #[test]
    fn d10_what_was_sealed_comes_back_with_all_that_was_bound(
        content in proptest::collection::vec(any::<u8>(), 0..200), header in headers(), key: [u8; 32], nonce: [u8; 24],
    ) {
        let keys = SealKeys::new(SealKey::from_random(key));
        let bytes = Sealed::seal(&content, &header, keys.newest(), nonce).unwrap().into_bytes();
        let sealed = Sealed::read(bytes.clone()).unwrap();
        prop_assert_eq!(sealed.claims(), &header);
        prop_assert_eq!(sealed.as_bytes(), &bytes[..]);
        let expected = Expected { reader: &header.writer, writers: &[], place: header.place, last: header.counter };
        let opened = sealed.open(&keys, &expected).unwrap();
        prop_assert_eq!(opened.content, content);
        prop_assert_eq!(opened.header, header);
    }

    #[test]
    fn d10_any_change_of_any_seal_is_refused(
        content in proptest::collection::vec(any::<u8>(), 0..60), header in headers(), at: proptest::sample::Index,
        with in 1_u8.., cut: proptest::sample::Index,
    ) {
        let keys = keys(3);
        let bytes = sealed(&content, &header, &keys);
        let expected = Expected { reader: &header.writer, writers: &[], place: header.place, last: 0 };
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= with;
        prop_assert!(code(&changed, &keys, &expected).is_err());
        prop_assert!(code(&bytes[..cut.index(bytes.len())], &keys, &expected).is_err());
    }

    #[test]
    fn d10_any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let marked = [b"\x8cLkSeal\x01".as_slice(), &bytes].concat();
        for bytes in [bytes, marked] {
            if let Ok(sealed) = Sealed::read(bytes) {
                prop_assert!(sealed.open(&keys(1), &OWN).is_err(), "nobody sealed it");
            }
        }
    }
}
