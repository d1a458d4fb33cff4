//! Recording and reading back.

use lockgate_journal::{AppendError, Journal, Kind, MAX_BODY, OpenError, Options, Query, Reader, SessionId, verify};

fn id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

#[test]
fn j01_what_was_appended_is_read_back_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/journal");
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let one = journal.begin(id(1), 100, b"\xa0").unwrap();
    let two = journal.begin(id(2), 101, b"").unwrap();
    assert_eq!(journal.append(one, Kind::Intent, 7, 102, b"\x01").unwrap().serial(), 1);
    let ticket = journal.append(two, Kind::End, 0, 103, b"\xf6").unwrap();
    journal.wait(ticket).unwrap();
    assert!(journal.is_durable(ticket));
    assert!(matches!(journal.append(two, Kind::Note, 0, 104, b""), Err(AppendError::NotOpen)));

    let reader = Reader::open(&path).unwrap();
    let all: Vec<_> = reader.entries(Query::all()).map(Result::unwrap).collect();
    let seen: Vec<_> = all.iter().map(|e| (e.session, e.serial, e.kind, e.cell, e.time, e.body.as_slice())).collect();
    assert_eq!(
        seen,
        [
            (id(1), 0, Kind::Start, 0, 100, &b"\xa0"[..]),
            (id(2), 0, Kind::Start, 0, 101, b""),
            (id(1), 1, Kind::Intent, 7, 102, b"\x01"),
            (id(2), 1, Kind::End, 0, 103, b"\xf6"),
        ]
    );
    let sessions = reader.sessions().unwrap();
    assert_eq!(sessions.iter().map(|s| (s.entries, s.ended)).collect::<Vec<_>>(), [(2, false), (2, true)]);
    assert_eq!(journal.head(id(2)).unwrap().unwrap().hash, all[3].hash);
    drop(journal);
    assert!(verify(&path, &[]).unwrap().is_clean());
}

#[test]
fn j01_callers_mistakes_are_told_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    assert!(matches!(Journal::open(&path, &Options::new()), Err(OpenError::Missing { .. })));
    assert!(!path.exists());
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let session = journal.begin(id(1), 0, b"").unwrap();
    assert!(matches!(journal.begin(id(1), 0, b""), Err(AppendError::Taken)));
    assert!(matches!(journal.append(session, Kind::Start, 0, 0, b""), Err(AppendError::Start)));
    let long = vec![0; MAX_BODY + 1];
    assert!(matches!(journal.append(session, Kind::Note, 0, 0, &long), Err(AppendError::TooLong { .. })));
    assert!(matches!(journal.append(session, Kind::Note, 0, u64::MAX, b""), Err(AppendError::TooLate { .. })));
    let ticket = journal.append(session, Kind::Note, 0, 0, &long[1..]).unwrap();
    journal.wait(ticket).unwrap();
    assert_eq!(ticket.serial(), 1);
}
