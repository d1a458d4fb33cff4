//! Measures the journal on this machine and prints one JSON object a line.
//!
//! `journal_bench [--directory DIR] [--seconds S] [--large]`; `--large` adds a journal of 10^7 entries (about 2 GB).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use lockgate_journal::{Journal, Kind, Options, SessionId, SessionKey, verify};

/// Bytes of an intent's and of an outcome's body.
const BODY: usize = 120;

fn main() {
    let mut directory = env::temp_dir();
    let mut seconds = 5.0;
    let mut largest = 1_000_000;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--directory" => directory = PathBuf::from(arguments.next().expect("a directory follows")),
            "--seconds" => seconds = arguments.next().and_then(|s| s.parse().ok()).expect("a number follows"),
            "--large" => largest = 10_000_000,
            _ => panic!("unknown argument `{argument}`"),
        }
    }
    let directory = directory.join(format!("journal-bench-{}", std::process::id()));
    let length = Duration::from_secs_f64(seconds);
    for (producers, sessions) in [(1, 1), (2, 2), (2, 1_000)] {
        sustained(&directory, producers, sessions, length);
    }
    short_sessions(&directory, length);
    caller(&directory);
    waiting(&directory);
    growth(&directory, largest);
    let _ = fs::remove_dir_all(&directory);
}

/// Crossings recorded a second, all on disk at the end of the time.
fn sustained(directory: &Path, producers: u64, sessions: u64, length: Duration) {
    let journal = fresh(directory);
    let crossings = AtomicU64::new(0);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    thread::scope(|scope| {
        for producer in 0..producers {
            let (journal, crossings) = (&journal, &crossings);
            scope.spawn(move || {
                let keys: Vec<_> = (0..sessions / producers).map(|n| begin(journal, producer << 32 | n)).collect();
                let mut done = 0;
                while start.elapsed() < length {
                    for key in &keys {
                        cross(journal, *key, done);
                        done += 1;
                    }
                }
                crossings.fetch_add(done, Ordering::Relaxed);
            });
        }
    });
    journal.flush().expect("the disk takes the entries");
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let crossings = crossings.into_inner() as f64;
    drop(journal);
    println!(
        r#"{{"measure":"sustained","producers":{producers},"sessions":{sessions},"seconds":{elapsed:.2},"crossings_per_second":{:.0},"cpu_microseconds_per_crossing":{:.2},"bytes_per_entry":{:.0}}}"#,
        crossings / elapsed,
        cpu / crossings * 1e6,
        size(directory) / crossings / 2.0,
    );
}

/// Sessions of ten crossings each, one after the other, begun and ended.
fn short_sessions(directory: &Path, length: Duration) {
    let journal = fresh(directory);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut sessions = 0;
    while start.elapsed() < length {
        let key = begin(&journal, sessions);
        (0..10).for_each(|time| cross(&journal, key, time));
        let _ = journal.append(key, Kind::End, 0, 11, b"\xa0").expect("the journal takes it");
        sessions += 1;
    }
    journal.flush().expect("the disk takes the entries");
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        r#"{{"measure":"sessions of ten crossings","sessions":{sessions},"sessions_per_second":{:.0},"cpu_microseconds_per_session":{:.1}}}"#,
        sessions as f64 / elapsed,
        cpu / sessions as f64 * 1e6,
    );
}

/// What an append costs its caller, at 20,000 crossings a second and as fast as one thread goes.
fn caller(directory: &Path) {
    for (name, pause) in [("paced", Duration::from_micros(50)), ("unpaced", Duration::ZERO)] {
        let journal = fresh(directory);
        let key = begin(&journal, 0);
        let mut costs = Vec::new();
        let start = Instant::now();
        for n in 0..40_000u32 {
            while start.elapsed() < pause * n {
                std::hint::spin_loop();
            }
            let before = Instant::now();
            let _ = journal.append(key, Kind::Intent, 1, u64::from(n), &[7; BODY]).expect("the journal takes it");
            costs.push(before.elapsed().as_secs_f64() * 1e9);
        }
        report(&format!(r#""measure":"append","load":"{name}","unit":"ns""#), costs);
    }
}

/// Append, then wait until it is on disk.
fn waiting(directory: &Path) {
    let journal = fresh(directory);
    let key = begin(&journal, 0);
    let mut costs = Vec::new();
    for n in 0..500 {
        let before = Instant::now();
        let ticket = journal.append(key, Kind::Intent, 1, n, &[7; BODY]).expect("the journal takes it");
        journal.wait(ticket).expect("the disk takes it");
        costs.push(before.elapsed().as_secs_f64() * 1e6);
    }
    report(r#""measure":"append and wait","unit":"us""#, costs);
}

/// Recording and verifying as the journal grows tenfold from 10^3 entries to `largest`.
fn growth(directory: &Path, largest: u64) {
    let mut journal = fresh(directory);
    let mut entries = 0;
    let mut size = 1_000;
    while size <= largest {
        let key = begin(&journal, size);
        entries += 1;
        while entries < size {
            cross(&journal, key, entries);
            entries += 2;
        }
        journal.flush().expect("the disk takes the entries");
        let start = Instant::now();
        let mut crossings = 0;
        while start.elapsed() < Duration::from_millis(500) {
            cross(&journal, key, crossings);
            crossings += 1;
        }
        journal.flush().expect("the disk takes the entries");
        let rate = crossings as f64 / start.elapsed().as_secs_f64();
        entries += 2 * crossings;
        drop(journal);
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let found = verify(directory.join("journal"), &[]).expect("the journal is readable");
        assert!(found.is_clean() && found.entries == entries);
        let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!(
            r#"{{"measure":"growth","entries_before":{size},"crossings_per_second":{rate:.0},"verified_entries":{entries},"verified_per_second":{:.0},"verified_per_cpu_second":{:.0}}}"#,
            entries as f64 / elapsed,
            entries as f64 / cpu.max(0.01),
        );
        journal = Journal::open(directory.join("journal"), &Options::new()).expect("it opens again");
        size *= 10;
    }
}

fn cross(journal: &Journal, session: SessionKey, time: u64) {
    let body = [7; BODY];
    let _ = journal.append(session, Kind::Intent, 1, time, &body).expect("the journal takes it");
    let _ = journal.append(session, Kind::Outcome, 1, time, &body).expect("the journal takes it");
}

fn begin(journal: &Journal, number: u64) -> SessionKey {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    journal.begin(SessionId::from_bytes(id), 0, b"\xa0").expect("the journal takes it")
}

fn fresh(directory: &Path) -> Journal {
    let _ = fs::remove_dir_all(directory);
    Journal::open(directory.join("journal"), &Options::new().create(true)).expect("a journal is made")
}

fn report(head: &str, mut costs: Vec<f64>) {
    costs.sort_by(f64::total_cmp);
    let at = |part: f64| costs[((costs.len() - 1) as f64 * part) as usize];
    println!(
        r#"{{{head},"median":{:.0},"p90":{:.0},"p99":{:.0},"p999":{:.0},"most":{:.0}}}"#,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = text.rsplit(')').next().unwrap_or("").split(' ').map(|f| f.parse().unwrap_or(0.0)).collect();
    fields.get(12..14).map_or(0.0, |ticks| ticks.iter().sum::<f64>() / 100.0)
}

/// Bytes of the journal's file.
fn size(directory: &Path) -> f64 {
    fs::metadata(directory.join("journal")).map_or(0.0, |file| file.len() as f64)
}
