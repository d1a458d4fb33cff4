//! What opening a journal does, and refuses.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{entries, fill, fresh, id, note, open};
use lockgate_journal::{Journal, OpenError, Options, Query, Reader, verify};
use rusqlite::Connection;

/// Every way to open `path` gives an error that `test` accepts, and leaves the directory as it is.
fn refused(path: &Path, test: impl Fn(&OpenError) -> bool) -> String {
    let listing = || {
        let files = fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.map(|file| (fs::read(&file).ok(), file)).collect();
        files.sort();
        files
    };
    let before = listing();
    let errors = [
        Journal::open(path, &Options::new()).map(drop).unwrap_err(),
        Reader::open(path).map(drop).unwrap_err(),
        verify(path, &[]).map(drop).unwrap_err(),
    ];
    assert!(before == listing(), "a refused file was changed, or left something beside it");
    for error in &errors {
        assert!(test(error), "{error:?}");
        assert!(!error.hint().is_empty());
    }
    errors[0].to_string()
}

#[test]
fn j01_a_missing_journal_is_made_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    refused(&directory.path().join("journal"), |error| matches!(error, OpenError::Missing { .. }));
    let path = directory.path().join("one/two/journal ?#%41é");
    drop(open(&path));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory.path().join("one")), 0o700);
    assert_eq!(mode(&directory.path().join("one/two")), 0o700);
    assert_eq!(fs::read_dir(directory.path().join("one/two")).unwrap().count(), 1, "nothing else is left there");
    assert!(verify(&path, &[]).unwrap().is_clean());
    let journal = open(&path);
    assert_eq!(mode(&path.with_file_name("journal ?#%41é-wal")), 0o600);
    drop(journal);
}

#[test]
fn j01_a_newer_journal_is_refused_and_kept() {
    let (_directory, path, journal) = fresh();
    fill(&journal, 1, 10);
    drop(journal);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let text = refused(&path, |error| matches!(error, OpenError::Newer { found: 7, known: 1, .. }));
    assert!(text.contains("format 7") && text.contains("up to format 1"), "{text}");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 0).unwrap();
    refused(&path, |error| matches!(error, OpenError::NotAJournal { .. }));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(entries(&path).len(), 10);
}

#[test]
fn j01_what_is_no_journal_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let no_journal = |error: &OpenError| matches!(error, OpenError::NotAJournal { .. });
    for content in [&b""[..], b"x", &[b'x'; 10_000], b"SQLite format 3\0", &[0; 4096]] {
        fs::write(&path, content).unwrap();
        refused(&path, no_journal);
    }
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)").unwrap();
    refused(&path, no_journal);
    Connection::open(&path).unwrap().execute_batch("PRAGMA journal_mode = WAL; INSERT INTO mine VALUES (2)").unwrap();
    refused(&path, no_journal);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&path, no_journal);
}

#[test]
fn j02_verifying_and_reading_leave_nothing_behind() {
    let (directory, path, journal) = fresh();
    fill(&journal, 2, 20);
    drop(journal);
    let before = fs::read(&path).unwrap();
    assert!(verify(&path, &[]).unwrap().is_clean());
    assert_eq!(entries(&path).len(), 40);
    assert!(before == fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn j02_a_journal_is_read_where_nothing_may_be_written() {
    let (directory, path, journal) = fresh();
    fill(&journal, 2, 20);
    drop(journal);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert!(verify(&path, &[]).unwrap().is_clean());
    assert_eq!(entries(&path).len(), 40);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn j01_an_open_journal_can_be_verified_and_read() {
    let (_directory, path, journal) = fresh();
    fill(&journal, 3, 300);
    let key = journal.begin(id(9), 0, b"").unwrap();
    let ticket = note(&journal, key, 1);
    journal.wait(ticket).unwrap();
    let report = verify(&path, &[journal.head(id(9)).unwrap().unwrap()]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.entries, report.sessions, report.open.len()), (902, 4, 2));
    let opened: Vec<_> = report.open.iter().map(|head| (head.session, head.serial)).collect();
    assert_eq!(opened, [(id(1), 299), (id(9), 1)]);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.entries(Query::session(id(9))).count(), 2);
    let ticket = note(&journal, key, 2);
    journal.wait(ticket).unwrap();
    assert_eq!(reader.entries(Query::session(id(9))).count(), 3);
}

#[test]
fn j01_many_open_one_new_journal_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/journal");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let journal = open(path);
                let key = journal.begin(id(n), 0, b"").unwrap();
                let ticket = note(&journal, key, n);
                journal.wait(ticket).unwrap();
            });
        }
    });
    let report = verify(&path, &[]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.entries, report.sessions), (16, 8));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}
