//! What is changed in the file is found, and named.

mod common;

use std::fs;
use std::path::Path;

use common::{Dice, entries, fill, fresh, id};
use lockgate_journal::{Entry, Head, Problem, Query, Reader, Report, SessionId, verify};
use rusqlite::{Connection, params};

/// The file of a closed journal of four sessions with 600 entries each, so that each has two waypoints; and its entries.
fn closed() -> (tempfile::TempDir, std::path::PathBuf, Vec<Entry>) {
    let (directory, path, journal) = fresh();
    fill(&journal, 4, 600);
    drop(journal);
    assert!(verify(&path, &[]).unwrap().is_clean());
    let entries = entries(&path);
    assert_eq!(entries.len(), 2_400);
    (directory, path, entries)
}

/// Changes the file as anyone with an SQLite shell can.
fn tamper(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn names(report: &Report, session: SessionId, serial: u64) -> bool {
    report.findings.iter().any(|finding| finding.session == Some(session) && finding.serial == Some(serial))
}

/// Stores `entry` in its row.
fn replace(connection: &Connection, entry: &Entry) {
    let sql = "UPDATE entry SET time = ?2, kind = ?3, cell = ?4, hash = ?5, body = ?6 WHERE row = ?1";
    let Entry { row, time, kind, cell, hash, body, .. } = entry;
    let (row, time) = (row.cast_signed(), time.cast_signed());
    connection.execute(sql, params![row, time, kind.code(), cell, hash.as_bytes(), body]).unwrap();
}

#[test]
fn j02_each_field_of_an_entry_is_covered() {
    let (_directory, path, entries) = closed();
    let pristine = fs::read(&path).unwrap();
    let target = &entries[1_001];
    for change in [
        "serial = serial + 1",
        "time = time + 1",
        "kind = 5 - kind",
        "kind = 8",
        "cell = cell + 1",
        "cell = -1",
        "hash = zeroblob(32)",
        "hash = x''",
        "body = CAST(body || x'00' AS BLOB)",
        "body = zeroblob(70000)",
        "session = session % 4 + 1",
        "session = 77",
    ] {
        fs::write(&path, &pristine).unwrap();
        tamper(&path, &format!("UPDATE entry SET {change} WHERE row = {}", target.row));
        let report = verify(&path, &[]).unwrap();
        assert!(names(&report, target.session, target.serial), "{change}: {:?}", report.findings);
        assert!(report.findings[0].to_string().contains(&target.row.to_string()) || change.starts_with("session"));
    }
}

#[test]
fn j02_a_cut_tail_is_found() {
    let (_directory, path, entries) = closed();
    let last = entries.last().unwrap();
    tamper(&path, "DELETE FROM entry WHERE row = (SELECT max(row) FROM entry)");
    let report = verify(&path, &[]).unwrap();
    assert!(names(&report, last.session, last.serial), "{:?}", report.findings);
    assert_eq!(report.findings[0].problem, Problem::Count { recorded: 600, found: 599 });
}

#[test]
fn j02_a_cut_tail_with_its_record_is_found_by_an_expected_head() {
    let (_directory, path, entries) = closed();
    let (last, before) = (entries.last().unwrap(), &entries[entries.len() - 5]);
    assert_eq!((last.session, last.serial), (before.session, before.serial + 1));
    tamper(&path, "DELETE FROM entry WHERE row = (SELECT max(row) FROM entry)");
    let connection = Connection::open(&path).unwrap();
    let sql = "UPDATE session SET entries = entries - 1, head = ?2, last_row = ?3 WHERE id = ?1";
    connection
        .execute(sql, params![last.session.as_bytes(), before.hash.as_bytes(), before.row.cast_signed()])
        .unwrap();
    drop(connection);
    assert!(verify(&path, &[]).unwrap().is_clean());
    let head = Head { session: last.session, serial: last.serial, hash: last.hash };
    let report = verify(&path, &[head]).unwrap();
    assert!(names(&report, last.session, last.serial));
    assert_eq!(report.findings[0].problem, Problem::Rewritten { expected: last.hash, found: None });
}

#[test]
fn j02_a_missing_entry_is_found_and_not_read_over() {
    let (_directory, path, entries) = closed();
    let gone = &entries[1_201];
    tamper(&path, &format!("DELETE FROM entry WHERE row = {}", gone.row));
    let report = verify(&path, &[]).unwrap();
    assert!(names(&report, gone.session, gone.serial), "{:?}", report.findings);
    let reader = Reader::open(&path).unwrap();
    let read: Vec<_> = reader.entries(Query::session(gone.session)).collect();
    assert!(read.last().unwrap().as_ref().unwrap_err().to_string().contains("is missing"));
}

#[test]
fn j02_swapped_entries_are_found() {
    let (_directory, path, entries) = closed();
    let (one, two) = (&entries[1_600], &entries[1_604]);
    assert_eq!(one.session, two.session);
    let (a, b) = (one.row, two.row);
    tamper(
        &path,
        &format!(
            "UPDATE entry SET row = -1 WHERE row = {a}; UPDATE entry SET row = {a} WHERE row = {b}; \
             UPDATE entry SET row = {b} WHERE row = -1"
        ),
    );
    let report = verify(&path, &[]).unwrap();
    assert!(names(&report, one.session, one.serial), "{:?}", report.findings);
    assert_eq!(report.findings[0].problem, Problem::Order { expected: one.serial, found: two.serial });
}

#[test]
fn j02_an_entry_replaced_by_a_consistent_one_breaks_the_next() {
    let (_directory, path, entries) = closed();
    let (before, old, next) = (&entries[800], &entries[804], &entries[808]);
    let mut forged = Entry { body: b"\x63new".to_vec(), ..old.clone() };
    forged.hash = forged.hash_after(&before.hash);
    replace(&Connection::open(&path).unwrap(), &forged);
    let report = verify(&path, &[]).unwrap();
    assert!(names(&report, next.session, next.serial), "{:?}", report.findings);
    assert!(matches!(report.findings[0].problem, Problem::Hash { .. }));
}

#[test]
fn j02_a_chain_recomputed_from_its_start_is_found_by_an_expected_head() {
    let (_directory, path, entries) = closed();
    let session = id(2);
    let chain: Vec<_> = entries.iter().filter(|entry| entry.session == session).collect();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let mut previous = lockgate_journal::Hash::ZERO;
    for entry in &chain {
        let mut forged = (*entry).clone();
        if entry.serial == 17 {
            forged.body = b"\x63new".to_vec();
        }
        forged.hash = forged.hash_after(&previous);
        previous = forged.hash;
        replace(&connection, &forged);
    }
    let sql = "UPDATE session SET head = ?2 WHERE id = ?1";
    connection.execute(sql, params![session.as_bytes(), previous.as_bytes()]).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    drop(connection);
    assert!(verify(&path, &[]).unwrap().is_clean(), "by itself the journal is consistent");
    let head: Head = format!("{session}:599:{}", chain[599].hash).parse().unwrap();
    let report = verify(&path, &[head]).unwrap();
    assert!(names(&report, session, 599), "{:?}", report.findings);
    assert!(!names(&verify(&path, &[Head { serial: 3, hash: chain[3].hash, session }]).unwrap(), session, 3));
}

#[test]
fn j02_an_entry_after_the_end_is_found() {
    let (_directory, path, entries) = closed();
    let end = entries.iter().find(|entry| entry.session == id(0) && entry.serial == 599).unwrap();
    let mut extra = Entry { row: 2_401, serial: 600, ..end.clone() };
    extra.hash = extra.hash_after(&end.hash);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO entry SELECT 2401, session, 600, time, kind, cell, ?1, body FROM entry WHERE row = ?2",
            params![extra.hash.as_bytes(), end.row.cast_signed()],
        )
        .unwrap();
    let sql = "UPDATE session SET entries = 601, last_row = 2401, head = ?2 WHERE id = ?1";
    connection.execute(sql, params![end.session.as_bytes(), extra.hash.as_bytes()]).unwrap();
    drop(connection);
    let report = verify(&path, &[]).unwrap();
    assert!(names(&report, end.session, 600), "{:?}", report.findings);
}

#[test]
fn j02_what_the_journal_keeps_besides_entries_is_covered() {
    let (_directory, path, _) = closed();
    let pristine = fs::read(&path).unwrap();
    for change in [
        "UPDATE session SET first_row = first_row + 4 WHERE key = 2",
        "UPDATE session SET last_row = last_row - 4 WHERE key = 2",
        "UPDATE session SET ended = 1 - ended WHERE key = 2",
        "UPDATE session SET head = zeroblob(32) WHERE key = 2",
        "UPDATE session SET entries = 601 WHERE key = 2",
        "UPDATE session SET id = zeroblob(16) WHERE key = 2",
        "UPDATE session SET id = zeroblob(15) WHERE key = 2",
        "DELETE FROM session WHERE key = 2",
        "INSERT INTO session SELECT 9, zeroblob(16), entries, head, first_row, last_row, ended FROM session WHERE key = 2",
        "UPDATE waypoint SET row = row + 4 WHERE session = 2 AND serial = 256",
        "UPDATE waypoint SET serial = 255, row = row - 4 WHERE session = 2 AND serial = 256",
        "DELETE FROM waypoint WHERE session = 2 AND serial = 512",
        "INSERT INTO waypoint VALUES (9, 256, 1)",
        "CREATE TABLE more (x)",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
        "CREATE INDEX i ON entry (time)",
    ] {
        fs::write(&path, &pristine).unwrap();
        tamper(&path, change);
        assert!(!verify(&path, &[]).unwrap().is_clean(), "{change}");
    }
}

/// Where each entry's hash and body lie in the file. SQLite leaves old copies in unused space: those entries are left out.
fn places(file: &[u8], entries: &[Entry]) -> Vec<Option<std::ops::Range<usize>>> {
    let place = |entry: &Entry| {
        let content: Vec<u8> = entry.hash.as_bytes().iter().chain(&entry.body).copied().collect();
        let start = content[0];
        let mut found =
            (0..=file.len() - content.len()).filter(|&at| file[at] == start && file[at..].starts_with(&content));
        let first = found.next().expect("every entry is in the file");
        found.next().is_none().then_some(first..first + content.len())
    };
    entries.iter().map(place).collect()
}

#[test]
fn j02_any_flipped_bit_is_found_or_was_in_unused_space() {
    let (_directory, path, entries) = closed();
    let pristine = fs::read(&path).unwrap();
    let places = places(&pristine, &entries);
    let seed = 0x10c6_a7e0;
    let mut dice = Dice(seed);
    let (mut named, mut harmless) = (0, 0);
    for round in 0..300 {
        let offset = dice.below(pristine.len() as u64) as usize;
        let mut file = pristine.clone();
        file[offset] ^= 1 << dice.below(8);
        fs::write(&path, &file).unwrap();
        let place = format!("seed {seed:#x}, round {round}, offset {offset}");
        let Ok(report) = verify(&path, &[]) else { continue };
        let hit = places.iter().position(|place| place.as_ref().is_some_and(|place| place.contains(&offset)));
        if let Some(hit) = hit {
            let Entry { session, serial, .. } = entries[hit];
            assert!(names(&report, session, serial), "{place}: {:?}", report.findings);
            named += 1;
        } else if report.is_clean() {
            assert_eq!(common::entries(&path), entries, "{place}");
            harmless += 1;
        }
    }
    assert!(named > 150, "{named} flips hit an entry, {harmless} hit nothing");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "verifying leaves no other file");
}

#[test]
fn j02_damaged_pages_leave_the_rest_readable() {
    let (_directory, path, entries) = closed();
    let pristine = fs::read(&path).unwrap();
    let seed = 77;
    let mut dice = Dice(seed);
    for round in 0..60 {
        let mut file = pristine.clone();
        let page = 1 + dice.below(file.len() as u64 / 4096 - 1) as usize;
        let pages = 1 + dice.below(3) as usize;
        let end = ((page + pages) * 4096).min(file.len());
        file[page * 4096..end].iter_mut().for_each(|byte| *byte = dice.next() as u8);
        fs::write(&path, &file).unwrap();
        let report = verify(&path, &[]).unwrap();
        assert!(!report.is_clean(), "seed {seed}, round {round}, page {page}");
        assert!(report.entries <= entries.len() as u64 + 100);
    }
    // A leaf in the middle of the entries: all the others are read.
    let mut file = pristine.clone();
    let leaf = pristine.len() / 4096 / 2;
    file[leaf * 4096..(leaf + 1) * 4096].fill(0xff);
    fs::write(&path, &file).unwrap();
    let report = verify(&path, &[]).unwrap();
    assert!(report.entries > 2_300, "{} entries were read: {:?}", report.entries, report.findings);
    assert!(report.findings.iter().any(|finding| finding.to_string().contains("cannot be read")));
}

#[test]
fn j02_a_file_cut_short_is_refused_or_found() {
    let (_directory, path, _) = closed();
    let pristine = fs::read(&path).unwrap();
    let mut dice = Dice(5);
    for _ in 0..60 {
        fs::write(&path, &pristine[..dice.below(pristine.len() as u64) as usize]).unwrap();
        assert!(!verify(&path, &[]).is_ok_and(|report| report.is_clean()));
    }
}

#[test]
fn j02_noise_never_panics() {
    let (_directory, path, _) = closed();
    let pristine = fs::read(&path).unwrap();
    let mut dice = Dice(99);
    for _ in 0..150 {
        let mut file = pristine.clone();
        for _ in 0..=dice.below(40) {
            let at = dice.below(file.len() as u64) as usize;
            file[at] = dice.next() as u8;
        }
        fs::write(&path, &file).unwrap();
        let _ = verify(&path, &[]);
        if let Ok(reader) = Reader::open(&path) {
            let _ = reader.sessions();
            let _ = reader.entries(Query::all()).count();
            let _ = reader.entries(Query::session_from(id(1), 300)).count();
        }
    }
}
