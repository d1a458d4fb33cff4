//! Recording and reading back.

mod common;

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{fill, fresh};
use lockgate_journal::{
    AppendError, Cause, Journal, Kind, MAX_BODY, OpenError, Options, QUEUE_ENTRIES, Query, Reader, SessionId, verify,
};

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

#[test]
fn j01_a_session_is_read_from_any_serial() {
    let (_directory, path, journal) = fresh();
    fill(&journal, 3, 700);
    let reader = Reader::open(&path).unwrap();
    let all = common::entries(&path);
    for number in 0..3 {
        let whole: Vec<_> = all.iter().filter(|entry| entry.session == common::id(number)).cloned().collect();
        for from in [0, 1, 255, 256, 257, 511, 512, 513, 600, 699] {
            let query = Query::session_from(common::id(number), from);
            let read: Vec<_> = reader.entries(query).map(Result::unwrap).collect();
            assert!(read == whole[from as usize..], "session {number} from {from}");
            let few: Vec<_> = reader.entries(query.limit(40)).map(Result::unwrap).collect();
            assert!(few == read[..read.len().min(40)]);
        }
        assert_eq!(reader.entries(Query::session_from(common::id(number), 700)).count(), 0);
    }
    assert_eq!(reader.entries(Query::session(common::id(77))).count(), 0);
    let later: Vec<_> = reader.entries(Query::after_row(1_000).limit(300)).map(Result::unwrap).collect();
    assert!(later == all[1_000..1_300]);
}

#[test]
fn j01_a_reader_follows_what_is_recorded() {
    let (_directory, path, journal) = fresh();
    let one = journal.begin(common::id(1), 0, b"").unwrap();
    let two = journal.begin(common::id(2), 0, b"").unwrap();
    journal.flush().unwrap();
    let reader = Reader::open(&path).unwrap();
    let mut session = reader.entries(Query::session(common::id(1)));
    let mut all = reader.entries(Query::all());
    assert_eq!((session.by_ref().count(), all.by_ref().count()), (1, 2));
    assert!(!session.wait(Duration::ZERO).unwrap());
    let other = thread::spawn(move || {
        for n in 0..1_000 {
            let _ = common::note(&journal, one, n);
            let _ = common::note(&journal, two, n);
            if n % 100 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        journal
    });
    let mut serials = Vec::new();
    while serials.len() < 1_000 {
        assert!(session.wait(Duration::from_secs(60)).unwrap());
        serials.extend(session.by_ref().map(|entry| entry.unwrap().serial));
    }
    assert!(serials.into_iter().eq(1..=1_000));
    drop(other.join().unwrap());
    let rows: Vec<_> = all.map(|entry| entry.unwrap().row).collect();
    assert!(rows.into_iter().eq(3..=2_002));
}

#[test]
fn j01_callbacks_tell_what_is_durable() {
    let (_directory, path, journal) = fresh();
    let session = journal.begin(common::id(1), 0, b"").unwrap();
    let (send, receive) = mpsc::channel();
    for n in 0..500 {
        let ticket = common::note(&journal, session, n);
        let (send, path) = (send.clone(), path.clone());
        journal.on_durable(ticket, |_| panic::resume_unwind(Box::new("one that panics hinders no other")));
        journal.on_durable(ticket, move |result| {
            // Said from the writer's thread: what it says is in the file already.
            let found = if n % 100 == 0 { Reader::open(path).unwrap().head(common::id(1)).unwrap() } else { None };
            send.send((ticket.serial(), result.is_ok(), found.is_none_or(|head| head.serial >= ticket.serial())))
                .unwrap();
        });
    }
    let told: Vec<_> = receive.iter().take(500).collect();
    assert!(told.iter().all(|(_, durable, found)| *durable && *found));
    assert!(told.into_iter().map(|(serial, ..)| serial).eq(1..=500));
    let ticket = common::note(&journal, session, 1);
    journal.wait(ticket).unwrap();
    assert!(journal.is_durable(ticket));
    journal.on_durable(ticket, move |result| send.send((0, result.is_ok(), true)).unwrap());
    assert_eq!(receive.try_recv(), Ok((0, true, true)), "what is known is said at once");
}

#[test]
fn j01_the_last_handle_may_go_in_a_callback() {
    let (_directory, path, journal) = fresh();
    let session = journal.begin(common::id(1), 0, b"").unwrap();
    let ticket = common::note(&journal, session, 1);
    let (send, receive) = mpsc::channel();
    let last = journal.clone();
    journal.on_durable(ticket, move |_| {
        receive.recv().unwrap();
        drop(last);
    });
    drop(journal);
    send.send(()).unwrap();
    while path.with_file_name("journal-wal").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(common::entries(&path).len(), 2);
}

#[test]
fn j01_many_threads_record_without_gaps() {
    let (_directory, path, journal) = fresh();
    let shared = journal.begin(common::id(99), 0, b"").unwrap();
    thread::scope(|scope| {
        for number in 0..6 {
            let journal = &journal;
            scope.spawn(move || {
                let own = journal.begin(common::id(number), 0, b"").unwrap();
                for n in 0..20_000 {
                    assert_eq!(common::note(journal, own, n).serial(), n + 1);
                    let ticket = common::note(journal, shared, n);
                    if n % 5_000 == 0 {
                        journal.wait(ticket).unwrap();
                    }
                }
            });
        }
    });
    drop(journal);
    let report = verify(&path, &[]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.entries, 7 + 6 * 40_000);
}

#[test]
fn j01_a_full_queue_blocks_and_loses_nothing() {
    let (_directory, path, journal) = fresh();
    // Another process that holds the file keeps the writer from emptying the queue.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appended = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let session = journal.begin(common::id(1), 0, b"").unwrap();
            for n in 0..3 * QUEUE_ENTRIES as u64 {
                let _ = journal.append(session, Kind::Note, 0, n, b"").unwrap();
                appended.fetch_add(1, Ordering::Relaxed);
            }
        });
        thread::sleep(Duration::from_millis(500));
        let stuck = appended.load(Ordering::Relaxed);
        assert!(stuck <= 2 * QUEUE_ENTRIES, "{stuck} entries were taken while none could be written");
        other.execute_batch("ROLLBACK").unwrap();
    });
    drop(journal);
    assert_eq!(verify(&path, &[]).unwrap().entries, 3 * QUEUE_ENTRIES as u64 + 1);
}

#[test]
fn j01_a_session_id_that_is_in_the_file_stops_the_journal() {
    let (_directory, path, journal) = fresh();
    fill(&journal, 1, 5);
    drop(journal);
    let journal = common::open(&path);
    let session = journal.begin(common::id(0), 0, b"").unwrap();
    let ticket = journal.append(session, Kind::Note, 0, 0, b"").unwrap();
    assert_eq!(journal.wait(ticket).unwrap_err().cause(), Cause::Other);
    assert!(matches!(journal.append(session, Kind::Note, 0, 0, b""), Err(AppendError::Failed(_))));
    drop(journal);
    assert_eq!(common::entries(&path).len(), 5);
}

#[test]
fn j01_a_callback_may_append_more_than_the_queue_holds_but_not_wait() {
    let (_directory, path, journal) = fresh();
    let session = journal.begin(common::id(1), 0, b"").unwrap();
    let ticket = common::note(&journal, session, 1);
    let (send, receive) = mpsc::channel();
    let own = journal.clone();
    journal.on_durable(ticket, move |_| {
        let mut last = ticket;
        for n in 0..2 * QUEUE_ENTRIES as u64 {
            last = own.append(session, Kind::Note, 0, n, b"").unwrap();
        }
        send.send((last, own.wait(last).is_err())).unwrap();
    });
    let (last, refused) = receive.recv().unwrap();
    assert!(refused);
    journal.wait(last).unwrap();
    drop(journal);
    assert_eq!(verify(&path, &[]).unwrap().entries, 2 * QUEUE_ENTRIES as u64 + 2);
}

/// The log is made longer with zeros before they are needed. Killed then, the journal has every entry and no other, and goes on.
#[test]
fn j01_a_log_that_was_made_longer_ends_where_its_entries_do() {
    let (_directory, path, journal) = fresh();
    let session = journal.begin(id(1), 0, b"\xa0").unwrap();
    for serial in 1..60 {
        let ticket = journal.append(session, Kind::Note, 0, serial, b"\xa0").unwrap();
        journal.wait(ticket).unwrap();
    }
    // What a kill leaves behind: the two files as they are.
    let elsewhere = tempfile::tempdir().unwrap();
    let left = elsewhere.path().join("journal");
    let log = |path: &std::path::Path| path.with_file_name("journal-wal");
    let mut copied = 0;
    for _ in 0..100 {
        std::fs::copy(&path, &left).unwrap();
        copied = std::fs::copy(log(&path), log(&left)).unwrap();
        if copied >= 1 << 20 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(copied >= 1 << 20, "the log has {copied} bytes and was never made longer");
    assert!(verify(&left, &[]).unwrap().is_clean());
    let again = Journal::open(&left, &Options::new()).unwrap();
    let other = again.begin(id(2), 0, b"\xa0").unwrap();
    let ticket = again.append(other, Kind::End, 0, 1, b"\xa0").unwrap();
    again.wait(ticket).unwrap();
    let count = |session| Reader::open(&left).unwrap().entries(Query::session(session)).map(Result::unwrap).count();
    assert_eq!((count(id(1)), count(id(2))), (60, 2));
    drop(again);
    assert!(verify(&left, &[]).unwrap().is_clean());
}
