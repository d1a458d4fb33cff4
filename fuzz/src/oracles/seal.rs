use lockgate_decode::{Accept, Expected, SealHeader, SealKey, SealKeys, SealPlace, Sealed, inspect_sealed};

const NONCE: usize = 24;
const TAG: usize = 16;

/// The key with which seeds are sealed.
pub fn seal_keys() -> SealKeys {
    SealKeys::new(SealKey::from_random([7; 32]))
}

/// A seal is read whole or refused; what opens is what its key sealed, byte for byte; what is sealed opens, and no part of it can
/// be another.
pub fn seal(bytes: &[u8]) {
    let keys = seal_keys();
    if let Ok(sealed) = Sealed::read(bytes.to_vec()) {
        assert_eq!(sealed.as_bytes(), bytes);
        let SealHeader { writer, place, counter, .. } = sealed.claims();
        let expected = Expected { reader: writer, writers: &[], place: *place, last: *counter };
        if let Ok(opened) = sealed.open(&keys, &expected) {
            let at = bytes.len() - opened.content.len() - TAG - NONCE;
            let nonce = bytes[at..at + NONCE].try_into().expect("a nonce");
            let again = Sealed::seal(&opened.content, &opened.header, keys.newest(), nonce).expect("sealed before");
            assert_eq!(again.as_bytes(), bytes, "opened what its key did not seal so");
            let elsewhere = Expected { place: SealPlace([0xee; 32]), ..expected };
            assert!(*place == elsewhere.place || sealed.open(&keys, &elsewhere).is_err());
            let later = Expected { last: counter.saturating_add(1), ..expected };
            assert!(*counter == u64::MAX || sealed.open(&keys, &later).is_err());
        }
    }
    let _ = inspect_sealed(bytes, &Accept::default(), &keys);
    let (at, content) = bytes.split_first().map_or((0, bytes), |(at, content)| (usize::from(*at), content));
    let header = SealHeader {
        writer: String::from_utf8_lossy(content.get(..8).unwrap_or_default()).into_owned(),
        readers: vec!["b".to_owned()],
        session: [1; 16],
        manifest: [2; 32],
        place: SealPlace::of(&[content]),
        shown: String::new(),
        counter: at as u64,
        label_writers: Vec::new(),
        label_readers: None,
    };
    let sealed = Sealed::seal(content, &header, keys.newest(), [3; NONCE]).expect("short names");
    let expected = Expected { reader: &header.writer, writers: &[], place: header.place, last: header.counter };
    assert_eq!(sealed.open(&keys, &expected).expect("just sealed").content, content);
    let mut changed = sealed.into_bytes();
    let at = at * 7 % changed.len();
    changed[at] ^= 1;
    let opened = Sealed::read(changed).and_then(|changed| changed.open(&keys, &expected));
    assert!(opened.is_err(), "byte {at} was changed");
}
