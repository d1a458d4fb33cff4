//! A journal as text that can be verified by itself.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use serde::Deserialize;

use crate::chain::{Chain, Expected, Step};
use crate::entry::{Entry, Hash, Head, Kind, MAX_BODY, MAX_TIME, SessionId};
use crate::error::{OpenError, StorageError};
use crate::finding::{Finding, Problem, Report};
use crate::json::{base64, body_to_json, from_base64, text};
use crate::read::{Query, Reader};

/// First line of an export.
const HEADER: &str = r#"{"format":"lockgate journal export","version":1}"#;

/// Longest line of an export, in bytes.
pub const MAX_LINE: usize = 2 << 20;

// Of one byte of CBOR the rendering makes at most 20, `{"$undefined":true},`; the body stands there once more as base64.
const _: () = assert!(MAX_BODY * 20 + MAX_BODY * 4 / 3 + 1024 < MAX_LINE);

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal could not be read on.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The export could not be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes the journal at `path`, or one session of it, as JSON Lines: canonical JSON (RFC 8785), one object a line.
///
/// - The first line names the format and its version.
/// - One line an entry, in the order they were recorded: `body` (rendered by [`body_to_json`]), `cbor` (the body in base64),
///   `cell`, `hash`, `kind`, `previous` (the hash before), `serial`, `session`, `time`. All that is hashed is in the line.
/// - One line a session, in the order they began: `ended`, `entries`, `head`, `session`.
/// - The last line counts them: `entries`, `sessions`.
///
/// The chain is checked on the way; what is wrong is in the report, and is exported as it is.
pub fn export(path: impl AsRef<Path>, only: Option<SessionId>, mut to: impl Write) -> Result<Report, ExportError> {
    let reader = Reader::open(path)?;
    // Taken first: what is recorded from now on may be in the export or not.
    let recorded = reader.sessions()?;
    let mut book = Book::new(&[]);
    writeln!(to, "{HEADER}")?;
    for entry in reader.entries(only.map_or_else(Query::all, Query::session)) {
        let entry = entry?;
        let previous = book.follow(&entry, entry.row);
        writeln!(to, "{}", entry_line(&entry, &previous))?;
    }
    for chain in &book.order {
        writeln!(to, "{}", session_line(chain))?;
    }
    writeln!(to, "{}", last_line(book.report.entries, book.order.len() as u64))?;
    to.flush()?;
    for session in recorded.iter().filter(|session| only.is_none_or(|id| id == session.head.session)) {
        let id = session.head.session;
        let found = book.place.get(&id).map_or(0, |&place| book.order[place].entries);
        if found < session.entries {
            book.add(Some(id), Some(found), None, Problem::Count { recorded: session.entries, found });
        }
    }
    Ok(book.finish())
}

/// Verifies an export by itself: every hash, that each line is in its one form (so that the rendered body is that of the hashed
/// one), and that none is missing at the end. `expected` are heads taken earlier, to which it must still lead.
pub fn verify_export(mut from: impl BufRead, expected: &[Head]) -> io::Result<Report> {
    let mut book = Book::new(expected);
    let mut number = 0;
    let mut line = Vec::new();
    let mut next = Part::Header;
    while next != Part::Nothing {
        number += 1;
        line.clear();
        (&mut from).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        let whole = line.pop_if(|last| *last == b'\n').is_some();
        let parsed = match std::str::from_utf8(&line) {
            Ok(line) if whole => book.read(line, number, next),
            _ if line.is_empty() => Err("the export stops before its last line"),
            _ => Err("it is too long, cut off, or not UTF-8"),
        };
        match parsed {
            Ok(part) => next = part,
            Err(detail) => {
                book.add(None, None, Some(number), Problem::Line { detail: detail.to_owned() });
                return Ok(book.finish());
            }
        }
    }
    if from.read(&mut [0])? > 0 {
        book.add(None, None, Some(number + 1), Problem::Line { detail: "it follows the last line".to_owned() });
    }
    Ok(book.finish())
}

/// What the next line of an export may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    /// An entry, a session's line, or the last.
    Entry,
    /// The line of the session with this number, or the last.
    Session(usize),
    Nothing,
}

/// The sessions of an export as they were followed.
struct Book {
    report: Report,
    order: Vec<Chain>,
    place: HashMap<SessionId, usize>,
    expected: Expected,
}

impl Book {
    fn new(expected: &[Head]) -> Self {
        let report = Report::default();
        Self { report, order: Vec::new(), place: HashMap::new(), expected: Expected::new(expected) }
    }

    fn add(&mut self, session: Option<SessionId>, serial: Option<u64>, row: Option<u64>, problem: Problem) {
        self.report.add(Finding { session, serial, row, problem });
    }

    /// Checks an entry. Gives the hash before it.
    fn follow(&mut self, entry: &Entry, row: u64) -> Hash {
        self.report.entries += 1;
        let place = *self.place.entry(entry.session).or_insert_with(|| {
            self.order.push(Chain::new(entry.session, &mut self.expected));
            self.order.len() - 1
        });
        let chain = &mut self.order[place];
        let previous = chain.head;
        let Entry { serial, time, kind, cell, ref body, hash, .. } = *entry;
        chain.follow(&Step { row, serial, time, kind, cell, body, hash }, &mut self.report);
        previous
    }

    /// Takes a line. Gives what may follow it.
    fn read(&mut self, line: &str, number: u64, part: Part) -> Result<Part, &'static str> {
        let session = match part {
            Part::Header if line == HEADER => return Ok(Part::Entry),
            Part::Header => return Err("this is not the first line of an export this program knows"),
            Part::Entry if line.starts_with(r#"{"body":"#) => {
                let entry = parse_entry(line).ok_or("it is no entry")?;
                let previous = self.follow(&entry, number);
                return match entry_line(&entry, &previous) == line {
                    true => Ok(Part::Entry),
                    false => Err("its values contradict each other"),
                };
            }
            Part::Entry => 0,
            Part::Session(session) => session,
            Part::Nothing => return Err("it follows the last line"),
        };
        match self.order.get(session) {
            Some(chain) if session_line(chain) == line => Ok(Part::Session(session + 1)),
            Some(_) => Err("it is not the line of the next session, with the entries above"),
            None if last_line(self.report.entries, session as u64) == line => Ok(Part::Nothing),
            None => Err("it is not the last line, with the number of entries and sessions above"),
        }
    }

    fn finish(mut self) -> Report {
        self.report.sessions = self.order.len() as u64;
        for mut chain in self.order {
            let (entries, head) = (chain.entries, chain.head);
            chain.finish(entries, &head, &mut self.report);
        }
        self.expected.finish(&mut self.report);
        self.report
    }
}

fn entry_line(entry: &Entry, previous: &Hash) -> String {
    let Entry { session, serial, time, kind, cell, body, hash, .. } = entry;
    format!(
        r#"{{"body":{},"cbor":"{}","cell":{cell},"hash":"{hash}","kind":{},"previous":"{previous}","serial":{serial},"session":"{session}","time":{time}}}"#,
        body_to_json(body),
        base64(body),
        text(kind.name()),
    )
}

fn session_line(chain: &Chain) -> String {
    let Chain { ended, entries, head, id, .. } = chain;
    format!(r#"{{"ended":{ended},"entries":{entries},"head":"{head}","session":"{id}"}}"#)
}

fn last_line(entries: u64, sessions: u64) -> String {
    format!(r#"{{"entries":{entries},"sessions":{sessions}}}"#)
}

/// The fields of an entry's line behind its body.
#[derive(Deserialize)]
struct Fields<'a> {
    cbor: &'a str,
    cell: u32,
    hash: &'a str,
    kind: &'a str,
    serial: u64,
    session: &'a str,
    time: u64,
}

/// The entry in a line, if it is one. The body is taken from `cbor`; what is said elsewhere in the line is for the caller to compare.
fn parse_entry(line: &str) -> Option<Entry> {
    let behind = line.rfind(r#","cbor":"#)?;
    let fields = format!("{{{}", line.get(behind + 1..)?);
    let fields: Fields<'_> = serde_json::from_str(&fields).ok()?;
    Some(Entry {
        row: 0,
        session: fields.session.parse().ok()?,
        serial: fields.serial,
        time: Some(fields.time).filter(|time| *time <= MAX_TIME)?,
        kind: Kind::from_name(fields.kind)?,
        cell: fields.cell,
        body: from_base64(fields.cbor).filter(|body| body.len() <= MAX_BODY)?,
        hash: fields.hash.parse().ok()?,
    })
}
