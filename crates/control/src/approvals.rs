//! Questions that wait for an approver, and their answers.
//!
//! A gate puts a question here and waits; a person answers from another process. Each question is answered once, only
//! while it is open and its gate is alive, only by an [`Approver`], and only for the digest that was asked. The gate
//! takes the answer once.

use crate::store::{Control, ControlError};
use lockgate_authority::{ActionDigest, Approver, Denial, Principal, PrincipalKind};
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};
use std::fmt;

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS questions (
    session BLOB NOT NULL,
    serial INTEGER NOT NULL,
    gate BLOB NOT NULL,
    asked_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    cell INTEGER NOT NULL,
    principal TEXT NOT NULL,
    point TEXT NOT NULL,
    op TEXT NOT NULL,
    args TEXT NOT NULL,
    reasons TEXT NOT NULL,
    writers TEXT NOT NULL,
    origins TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    by_kind TEXT,
    by_name TEXT,
    seen BLOB,
    note TEXT,
    endorses INTEGER NOT NULL DEFAULT 0,
    answered_ms INTEGER,
    taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, serial)
) STRICT;
CREATE INDEX IF NOT EXISTS questions_open ON questions (state, session);
CREATE TABLE IF NOT EXISTS gates (
    gate BLOB PRIMARY KEY,
    alive_ms INTEGER NOT NULL
) STRICT;
";

/// A gate that has not been heard of for so long is gone, and with it the sessions that asked. Milliseconds.
const GATE_GONE_MS: u64 = 10_000;
/// How often a gate with open questions must be heard of, in milliseconds.
pub const BEAT_MS: u64 = 2_000;
/// How long closed questions are kept; the journal keeps them for good. Milliseconds.
const KEPT_MS: u64 = 30 * 86_400_000;

const _: () = assert!(BEAT_MS * 4 < GATE_GONE_MS);

/// What has become of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionState {
    /// It waits for an answer.
    Open,
    /// The approver said yes.
    Approved,
    /// The approver said no.
    Denied,
    /// Nobody answered in time.
    TimedOut,
    /// Who asked gave it up.
    Withdrawn,
    /// The grant that would have allowed it was revoked.
    Revoked,
    /// The gate that asked is gone, and its session with it.
    Gone,
}

impl QuestionState {
    const ALL: [QuestionState; 7] = [
        QuestionState::Open,
        QuestionState::Approved,
        QuestionState::Denied,
        QuestionState::TimedOut,
        QuestionState::Withdrawn,
        QuestionState::Revoked,
        QuestionState::Gone,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuestionState::Open => "open",
            QuestionState::Approved => "approved",
            QuestionState::Denied => "denied",
            QuestionState::TimedOut => "timed_out",
            QuestionState::Withdrawn => "withdrawn",
            QuestionState::Revoked => "revoked",
            QuestionState::Gone => "gone",
        }
    }

    /// Words that follow "the question".
    const fn words(self) -> &'static str {
        match self {
            QuestionState::Open => "is open",
            QuestionState::Approved => "was approved before",
            QuestionState::Denied => "was denied before",
            QuestionState::TimedOut => "has run out",
            QuestionState::Withdrawn => "was withdrawn: the call was given up",
            QuestionState::Revoked => "is closed: the grant was revoked",
            QuestionState::Gone => "is closed: the gate that asked is gone",
        }
    }
}

/// Names a question: its session, and the journal's entry that asks. Shown as `3f2a9c01-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId {
    /// The session's 16 bytes.
    pub session: [u8; 16],
    /// Serial of the entry in it.
    pub serial: u64,
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.session;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}-{}", self.serial)
    }
}

/// A question with everything that a person needs to answer it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// Its name.
    pub id: QuestionId,
    /// The gate that asks: 16 bytes that it drew when it was opened.
    pub gate: [u8; 16],
    /// When it was asked, in milliseconds since the Unix epoch.
    pub asked_ms: u64,
    /// Until when an answer is waited for.
    pub until_ms: u64,
    /// The cell or caller that asks, by its number in the session.
    pub cell: u32,
    /// Who asks.
    pub principal: String,
    /// The point.
    pub point: String,
    /// The operation.
    pub op: String,
    /// The arguments as JSON; long ones by their digests. The asking program's words.
    pub args: String,
    /// Why an approval is needed.
    pub reasons: Vec<String>,
    /// Who could have written what is sent, beside the operator.
    pub writers: Vec<String>,
    /// The values whose origin is asked about, as JSON: what an approver can trust for the rest of the session.
    pub foreign: Vec<String>,
    /// The exact action.
    pub digest: ActionDigest,
    /// What has become of it.
    pub state: QuestionState,
    /// Who answered.
    pub by: Option<String>,
    /// Their words.
    pub note: Option<String>,
    /// Whether the answer also trusts the values whose origin was asked about.
    pub endorses: bool,
    /// When it was answered.
    pub answered_ms: Option<u64>,
}

/// What an approver says.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    /// Who.
    pub by: &'a Approver,
    /// Yes or no.
    pub approves: bool,
    /// The action that they saw.
    pub digest: ActionDigest,
    /// Their words for the record.
    pub note: &'a str,
    /// Whether the values that were asked about are trusted from now on, in the session that asked.
    pub endorses: bool,
}

/// An answer as its gate takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Who; an error where they could never have approved.
    pub by: Result<Approver, Denial>,
    /// Yes or no.
    pub approves: bool,
    /// The action that they saw.
    pub digest: ActionDigest,
    /// Their words.
    pub note: String,
    /// Whether the values that were asked about are trusted from now on.
    pub endorses: bool,
}

/// Why a question takes no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// There is none of this name.
    #[error("there is no question `{0}`")]
    Unknown(QuestionId),
    /// It is not open.
    #[error("the question `{id}` {}", .state.words())]
    Closed {
        /// The question.
        id: QuestionId,
        /// What has become of it.
        state: QuestionState,
    },
    /// Another action was seen than was asked about.
    #[error("the question `{id}` is about the action {asked}, not {seen}")]
    Drift {
        /// The question.
        id: QuestionId,
        /// What it is about.
        asked: ActionDigest,
        /// What was seen.
        seen: ActionDigest,
    },
    /// No value's origin is asked about, so that there is none to trust.
    #[error("the question `{0}` is not about where a value comes from")]
    NothingToTrust(QuestionId),
    /// The file failed.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Puts questions, and takes their answers: a gate's side.
impl Control {
    /// Puts a question. Its gate is heard of.
    pub fn ask(&self, inquiry: &Inquiry) -> Result<(), ControlError> {
        self.transaction(|transaction| {
            beat(transaction, &inquiry.gate, inquiry.asked_ms)?;
            transaction.execute(
                "INSERT INTO questions (session, serial, gate, asked_ms, until_ms, cell, principal, point, op, args,
                     reasons, writers, origins, digest, state)
                 VALUES (:session, :serial, :gate, :asked, :until, :cell, :principal, :point, :op, :args,
                     :reasons, :writers, :origins, :digest, 'open')",
                named_params! {
                    ":session": inquiry.id.session,
                    ":serial": signed(inquiry.id.serial),
                    ":gate": inquiry.gate,
                    ":asked": signed(inquiry.asked_ms),
                    ":until": signed(inquiry.until_ms),
                    ":cell": inquiry.cell,
                    ":principal": inquiry.principal,
                    ":point": inquiry.point,
                    ":op": inquiry.op,
                    ":args": inquiry.args,
                    ":reasons": lines(&inquiry.reasons),
                    ":writers": lines(&inquiry.writers),
                    ":origins": lines(&inquiry.foreign),
                    ":digest": inquiry.digest.as_bytes(),
                },
            )
            .map(drop)
        })
    }

    /// Says that a gate is alive; one with open questions does so every [`BEAT_MS`].
    pub fn beat(&self, gate: &[u8; 16], now_ms: u64) -> Result<(), ControlError> {
        self.transaction(|transaction| beat(transaction, gate, now_ms))
    }

    /// Closes the questions of gates that are gone, and forgets what was closed long ago.
    pub fn tidy_questions(&self, now_ms: u64) -> Result<(), ControlError> {
        self.transaction(|transaction| tidy(transaction, now_ms))
    }

    /// Serials of a session's questions that have an answer nobody has taken.
    pub fn answered(&self, session: &[u8; 16]) -> Result<Vec<u64>, ControlError> {
        self.transaction(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT serial FROM questions WHERE state IN ('approved', 'denied') AND session = ? AND taken = 0",
            )?;
            statement.query_map(params![session], |row| row.get::<_, i64>(0).map(unsigned))?.collect()
        })
    }

    /// Takes an answer. `None` where there is none, or where it was taken before: it is for one call.
    pub fn take(&self, id: QuestionId) -> Result<Option<Taken>, ControlError> {
        self.transaction(|transaction| take(transaction, id))
    }

    /// Closes a question that was not answered; an answer that came in time is taken instead.
    pub fn close(&self, id: QuestionId, state: QuestionState) -> Result<Option<Taken>, ControlError> {
        self.transaction(|transaction| {
            let taken = take(transaction, id)?;
            if taken.is_none() {
                transaction.execute(
                    "UPDATE questions SET state = ? WHERE session = ? AND serial = ? AND state = 'open'",
                    params![state.as_str(), id.session, signed(id.serial)],
                )?;
            }
            Ok(taken)
        })
    }
}

/// Shows questions and answers them: a person's side.
impl Control {
    /// The questions, in the order in which they were asked; only those that are open unless `all`.
    pub fn inquiries(&self, all: bool, now_ms: u64) -> Result<Vec<Inquiry>, ControlError> {
        self.transaction(|transaction| {
            tidy(transaction, now_ms)?;
            let mut statement = transaction.prepare(&format!("{SELECT} ORDER BY asked_ms, session, serial"))?;
            let read = statement.query_map([], |row| inquiry(row, now_ms))?;
            read.filter(|read| all || !matches!(read, Ok(read) if read.state != QuestionState::Open)).collect()
        })
    }

    /// The questions that a text means: `SESSION-SERIAL` with the beginning of the session's id.
    pub fn find_inquiries(&self, text: &str, now_ms: u64) -> Result<Vec<Inquiry>, ControlError> {
        let Some((beginning, serial)) = text.rsplit_once('-') else { return Ok(Vec::new()) };
        let plain = !beginning.is_empty() && beginning.bytes().all(|byte| byte.is_ascii_hexdigit());
        let serial = serial.bytes().all(|byte| byte.is_ascii_digit()).then(|| serial.parse::<i64>().ok()).flatten();
        let (true, Some(serial)) = (plain, serial) else { return Ok(Vec::new()) };
        self.transaction(|transaction| {
            tidy(transaction, now_ms)?;
            let mut statement = transaction
                .prepare(&format!("{SELECT} WHERE serial = ? AND substr(lower(hex(session)), 1, ?) = lower(?)"))?;
            let length = i64::try_from(beginning.len()).unwrap_or(i64::MAX);
            statement.query_map(params![serial, length, beginning], |row| inquiry(row, now_ms))?.collect()
        })
    }

    /// Answers a question; gives it as it was answered.
    pub fn answer(&self, id: QuestionId, reply: &Reply<'_>, now_ms: u64) -> Result<Inquiry, AnswerError> {
        self.transaction(|transaction| {
            tidy(transaction, now_ms)?;
            let Some(found) = read(transaction, id, now_ms)? else { return Ok(Err(AnswerError::Unknown(id))) };
            if found.state != QuestionState::Open {
                return Ok(Err(AnswerError::Closed { id, state: found.state }));
            }
            if found.digest != reply.digest {
                return Ok(Err(AnswerError::Drift { id, asked: found.digest, seen: reply.digest }));
            }
            if reply.endorses && found.foreign.is_empty() {
                return Ok(Err(AnswerError::NothingToTrust(id)));
            }
            let state = if reply.approves { QuestionState::Approved } else { QuestionState::Denied };
            let by = reply.by.principal();
            transaction.execute(
                "UPDATE questions SET state = :state, by_kind = :kind, by_name = :name, seen = :seen, note = :note,
                     endorses = :endorses, answered_ms = :now
                 WHERE session = :session AND serial = :serial AND state = 'open'",
                named_params! {
                    ":state": state.as_str(),
                    ":kind": by.kind.as_str(),
                    ":name": &*by.name,
                    ":seen": reply.digest.as_bytes(),
                    ":note": reply.note,
                    ":endorses": reply.approves && reply.endorses,
                    ":now": signed(now_ms),
                    ":session": id.session,
                    ":serial": signed(id.serial),
                },
            )?;
            Ok(read(transaction, id, now_ms)?.ok_or(AnswerError::Unknown(id)))
        })?
    }
}

fn beat(transaction: &Transaction<'_>, gate: &[u8; 16], now_ms: u64) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO gates (gate, alive_ms) VALUES (?, ?) ON CONFLICT (gate) DO UPDATE SET alive_ms = excluded.alive_ms",
            params![gate, signed(now_ms)],
        )
        .map(drop)
}

fn tidy(transaction: &Transaction<'_>, now_ms: u64) -> rusqlite::Result<()> {
    let gone = signed(now_ms.saturating_sub(GATE_GONE_MS));
    let old = signed(now_ms.saturating_sub(KEPT_MS));
    transaction.execute(
        "UPDATE questions SET state = 'gone'
         WHERE state = 'open' AND gate NOT IN (SELECT gate FROM gates WHERE alive_ms >= ?)",
        params![gone],
    )?;
    transaction.execute("DELETE FROM questions WHERE state <> 'open' AND asked_ms < ?", params![old])?;
    transaction.execute("DELETE FROM gates WHERE alive_ms < ?", params![old])?;
    Ok(())
}

fn take(transaction: &Transaction<'_>, id: QuestionId) -> rusqlite::Result<Option<Taken>> {
    let taken = transaction
        .query_row(
            "SELECT state, by_kind, by_name, seen, note, endorses FROM questions
             WHERE session = ? AND serial = ? AND state IN ('approved', 'denied') AND taken = 0",
            params![id.session, signed(id.serial)],
            |row| {
                let (kind, name): (String, String) = (row.get("by_kind")?, row.get("by_name")?);
                Ok(Taken {
                    by: approver(&kind, &name),
                    approves: row.get::<_, String>("state")? == QuestionState::Approved.as_str(),
                    digest: ActionDigest::from_bytes(row.get("seen")?),
                    note: row.get::<_, Option<String>>("note")?.unwrap_or_default(),
                    endorses: row.get("endorses")?,
                })
            },
        )
        .optional()?;
    if taken.is_some() {
        let id = params![id.session, signed(id.serial)];
        transaction.execute("UPDATE questions SET taken = 1 WHERE session = ? AND serial = ?", id)?;
    }
    Ok(taken)
}

/// Who a row says has answered. A kind that is not known is taken for a party outside, which approves nothing.
fn approver(kind: &str, name: &str) -> Result<Approver, Denial> {
    let kinds = [PrincipalKind::Operator, PrincipalKind::Agent, PrincipalKind::Cell, PrincipalKind::External];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind).unwrap_or(PrincipalKind::External);
    Approver::of(Principal::new(kind, name))
}

const SELECT: &str =
    "SELECT session, serial, gate, asked_ms, until_ms, cell, principal, point, op, args, reasons, writers,
    origins, digest, state, by_kind, by_name, note, endorses, answered_ms FROM questions";

fn read(transaction: &Transaction<'_>, id: QuestionId, now_ms: u64) -> rusqlite::Result<Option<Inquiry>> {
    let select = format!("{SELECT} WHERE session = ? AND serial = ?");
    let id = params![id.session, signed(id.serial)];
    transaction.query_row(&select, id, |row| inquiry(row, now_ms)).optional()
}

fn inquiry(row: &Row<'_>, now_ms: u64) -> rusqlite::Result<Inquiry> {
    let number = |name: &str| row.get::<_, i64>(name).map(unsigned);
    let until_ms = number("until_ms")?;
    let name: String = row.get("state")?;
    let state = QuestionState::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or(QuestionState::Gone);
    // Its gate closes it within a moment.
    let late = state == QuestionState::Open && until_ms <= now_ms;
    let by = match (row.get::<_, Option<String>>("by_kind")?, row.get::<_, Option<String>>("by_name")?) {
        (Some(kind), Some(name)) => Some(format!("{kind}:{name}")),
        _ => None,
    };
    let list = |name: &str| {
        let text: String = row.get(name)?;
        Ok::<Vec<String>, rusqlite::Error>(serde_json::from_str(&text).unwrap_or_default())
    };
    Ok(Inquiry {
        id: QuestionId { session: row.get("session")?, serial: number("serial")? },
        gate: row.get("gate")?,
        asked_ms: number("asked_ms")?,
        until_ms,
        cell: row.get("cell")?,
        principal: row.get("principal")?,
        point: row.get("point")?,
        op: row.get("op")?,
        args: row.get("args")?,
        reasons: list("reasons")?,
        writers: list("writers")?,
        foreign: list("origins")?,
        digest: ActionDigest::from_bytes(row.get("digest")?),
        state: if late { QuestionState::TimedOut } else { state },
        by,
        note: row.get("note")?,
        endorses: row.get("endorses")?,
        answered_ms: row.get::<_, Option<i64>>("answered_ms")?.map(unsigned),
    })
}

fn lines(texts: &[String]) -> String {
    serde_json::json!(texts).to_string()
}

/// SQLite's integers are signed; times and serials stay far below their largest.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn control() -> (tempfile::TempDir, Control) {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(&directory.path().join("control.sqlite")).unwrap();
        (directory, control)
    }

    fn question(serial: u64) -> Inquiry {
        Inquiry {
            id: QuestionId { session: [0xab; 16], serial },
            gate: [1; 16],
            asked_ms: NOW,
            until_ms: NOW + 600_000,
            cell: 1,
            principal: "agent:a".to_owned(),
            point: "fs.out".to_owned(),
            op: "write".to_owned(),
            args: r#"{"path":"a"}"#.to_owned(),
            reasons: vec!["each call".to_owned()],
            writers: vec!["web".to_owned()],
            foreign: vec!["\"bob\"".to_owned()],
            digest: ActionDigest::from_bytes([7; 32]),
            state: QuestionState::Open,
            by: None,
            note: None,
            endorses: false,
            answered_ms: None,
        }
    }

    fn operator() -> Approver {
        Approver::of(Principal::new(PrincipalKind::Operator, "alice")).unwrap()
    }

    fn yes(by: &Approver) -> Reply<'_> {
        Reply { by, approves: true, digest: ActionDigest::from_bytes([7; 32]), note: "go", endorses: false }
    }

    #[test]
    fn a12_an_answer_is_given_once_and_taken_once() {
        let (_directory, control) = control();
        let (asked, by) = (question(3), operator());
        control.ask(&asked).unwrap();
        assert_eq!(control.inquiries(false, NOW).unwrap(), std::slice::from_ref(&asked));
        assert_eq!(control.take(asked.id).unwrap(), None);
        let answered = control.answer(asked.id, &yes(&by), NOW + 5).unwrap();
        assert_eq!((answered.state, answered.by.as_deref()), (QuestionState::Approved, Some("operator:alice")));
        assert!(control.inquiries(false, NOW).unwrap().is_empty());
        assert_eq!(control.answered(&asked.id.session).unwrap(), [3]);
        let again = control.answer(asked.id, &Reply { approves: false, ..yes(&by) }, NOW + 6);
        assert!(matches!(again, Err(AnswerError::Closed { state: QuestionState::Approved, .. })));
        let taken = control.take(asked.id).unwrap().unwrap();
        assert_eq!((taken.by, taken.approves, taken.note.as_str()), (Ok(by), true, "go"));
        assert_eq!(control.take(asked.id).unwrap(), None);
        assert!(control.answered(&asked.id.session).unwrap().is_empty());
    }

    #[test]
    fn a12_what_is_late_unknown_or_about_something_else_is_refused() {
        let (_directory, control) = control();
        let (asked, by) = (question(3), operator());
        control.ask(&asked).unwrap();
        let other = QuestionId { serial: 4, ..asked.id };
        assert!(matches!(control.answer(other, &yes(&by), NOW), Err(AnswerError::Unknown(_))));
        let seen = Reply { digest: ActionDigest::from_bytes([8; 32]), ..yes(&by) };
        assert!(matches!(control.answer(asked.id, &seen, NOW), Err(AnswerError::Drift { .. })));
        control.beat(&asked.gate, asked.until_ms).unwrap();
        let late = control.answer(asked.id, &yes(&by), asked.until_ms);
        assert!(matches!(late, Err(AnswerError::Closed { state: QuestionState::TimedOut, .. })));
        assert_eq!(control.close(asked.id, QuestionState::TimedOut).unwrap(), None);
    }

    #[test]
    fn a12_an_answer_that_came_in_time_wins_over_the_time_out() {
        let (_directory, control) = control();
        let (asked, by) = (question(3), operator());
        control.ask(&asked).unwrap();
        control.answer(asked.id, &yes(&by), NOW).unwrap();
        assert!(control.close(asked.id, QuestionState::TimedOut).unwrap().is_some_and(|taken| taken.approves));
        assert!(control.close(asked.id, QuestionState::TimedOut).unwrap().is_none());
        assert_eq!(control.inquiries(true, NOW).unwrap()[0].state, QuestionState::Approved);
    }

    #[test]
    fn a12_the_questions_of_a_gate_that_is_gone_are_closed() {
        let (_directory, control) = control();
        let (asked, by) = (question(3), operator());
        control.ask(&asked).unwrap();
        control.beat(&asked.gate, NOW + 5_000).unwrap();
        assert_eq!(control.inquiries(false, NOW + 14_000).unwrap().len(), 1);
        assert!(control.inquiries(false, NOW + 16_000).unwrap().is_empty());
        let late = control.answer(asked.id, &yes(&by), NOW + 16_000);
        assert!(matches!(late, Err(AnswerError::Closed { state: QuestionState::Gone, .. })));
        control.tidy_questions(NOW + KEPT_MS + 1).unwrap();
        assert!(control.inquiries(true, NOW + KEPT_MS + 1).unwrap().is_empty());
    }

    #[test]
    fn a12_a_row_that_an_agent_wrote_approves_nothing() {
        let (_directory, control) = control();
        let asked = question(3);
        control.ask(&asked).unwrap();
        for kind in ["agent", "cell", "external", "wizard"] {
            let forge = |transaction: &Transaction<'_>| {
                transaction.execute(
                    "UPDATE questions SET state = 'approved', by_kind = ?, by_name = 'x', seen = digest, taken = 0",
                    params![kind],
                )
            };
            control.transaction(forge).unwrap();
            assert!(control.take(asked.id).unwrap().unwrap().by.is_err(), "{kind}");
        }
    }

    #[test]
    fn a12_a_question_is_found_by_the_beginning_of_its_session() {
        let (_directory, control) = control();
        control.ask(&question(3)).unwrap();
        let count = |text: &str| control.find_inquiries(text, NOW).unwrap().len();
        assert_eq!([count("abababab-3"), count("AB-3"), count("a-3")], [1, 1, 1]);
        assert_eq!([count("ac-3"), count("-3"), count("ab-4"), count("ab"), count("%-3"), count("ab-+3")], [0; 6]);
        assert_eq!(question(3).id.to_string(), "abababab-3");
    }
}
