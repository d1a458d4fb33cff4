use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lockgate_journal::{
    Entry, Head, Journal, Kind, MAX_FINDINGS, Options, Query, Reader, Report, SessionId, export as export_journal,
    verify, verify_export,
};
use tempfile::TempDir;

use super::assert_shown;
use crate::generators::Damage;

/// A journal, as a file and as an export, and what it holds.
struct Sound {
    directory: TempDir,
    file: Vec<u8>,
    export: Vec<u8>,
    entries: Vec<Entry>,
    heads: Vec<Head>,
}

/// A damaged file is refused or read; a clean report means that every entry is as it was recorded; and the file is not
/// changed by looking at it.
pub fn journal(damage: &Damage) {
    let sound = sound();
    let path = sound.directory.path().join("damaged");
    let file = damage.done_to(sound.file.clone());
    std::fs::write(&path, &file).expect("there is room for the file");
    if let Ok(report) = verify(&path, &sound.heads) {
        assert_report(&report);
        if report.is_clean() {
            assert_eq!(entries(&path), sound.entries);
        }
    }
    // Reading without verifying may fail, and must end.
    if let Ok(reader) = Reader::open(&path) {
        let _ = reader.sessions();
        let most = sound.file.len();
        assert!(reader.entries(Query::all()).take(most + 1).take_while(Result::is_ok).count() <= most);
    }
    assert_eq!(std::fs::read(&path).expect("the file is still there"), file);
    for beside in ["damaged-wal", "damaged-shm", "damaged-journal"] {
        let _ = std::fs::remove_file(sound.directory.path().join(beside));
    }
}

/// As [`journal`] for an export, of which no byte may change unseen.
pub fn export(damage: &Damage) {
    let sound = sound();
    let text = damage.done_to(sound.export.clone());
    let report = verify_export(Cursor::new(&text), &sound.heads).expect("memory can be read");
    assert_report(&report);
    assert_eq!(report.is_clean(), text == sound.export);
    // Without knowing where sessions stood, a clean export still is in its one form.
    if verify_export(Cursor::new(&text), &[]).expect("memory can be read").is_clean() {
        assert!(text.ends_with(b"\n") && text.starts_with(b"{"));
    }
}

fn assert_report(report: &Report) {
    assert!(report.findings.len() <= MAX_FINDINGS);
    report.findings.iter().for_each(|finding| assert_shown(&finding.to_string()));
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        let directory = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
        let directory = directory.expect("there is room for a directory");
        let path = directory.path().join("sound");
        let heads = record(&path);
        let mut export = Vec::new();
        let report = export_journal(&path, None, &mut export).expect("the journal can be exported");
        assert!(report.is_clean() && verify(&path, &heads).expect("the journal opens").is_clean());
        let file = std::fs::read(&path).expect("the journal is a file");
        let entries = entries(&path);
        Sound { directory, file, export, entries, heads }
    })
}

/// Three sessions of different lengths, the longest past its first waypoint, interleaved and one of them ended.
fn record(path: &PathBuf) -> Vec<Head> {
    let journal = Journal::open(path, &Options::new().create(true)).expect("the journal is made");
    let ids = [1, 2, 3].map(|number| SessionId::from_bytes([number; 16]));
    let keys = ids.map(|id| journal.begin(id, 1, b"\xf6").expect("it begins"));
    for number in 0..300_u64 {
        let key = keys[if number % 10 == 0 { (number / 10 % 2) as usize } else { 2 }];
        let kind = [Kind::Intent, Kind::Outcome, Kind::Refusal, Kind::Note][(number % 4) as usize];
        let body = [&[0x58, (number % 90) as u8][..], &[number as u8; 90][..(number % 90) as usize]].concat();
        let _ = journal.append(key, kind, 1, 1_000 + number, &body).expect("it is taken");
    }
    let _ = journal.append(keys[0], Kind::End, 0, 2_000, b"\xf6").expect("it is taken");
    journal.flush().expect("it is on disk");
    let heads = ids.map(|id| journal.head(id).expect("it is readable").expect("it is there")).to_vec();
    drop(journal);
    assert!(!path.with_file_name("sound-wal").exists(), "a closed journal is one file");
    heads
}

fn entries(path: &Path) -> Vec<Entry> {
    let reader = Reader::open(path).expect("a clean journal opens");
    reader.entries(Query::all()).collect::<Result<_, _>>().expect("a clean journal can be read")
}
