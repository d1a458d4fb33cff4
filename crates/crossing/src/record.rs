//! What the journal is told, and how it is encoded.

use crate::approval::{Answer, Asked};
use crate::floating::Shown;
use lockgate_authority::{Approver, Denial, Value, digest_of};
use lockgate_decode::encode_value;
use lockgate_journal::{Journal, Kind, SessionKey, Ticket};
use minicbor::Encoder;

/// Why something could not be recorded. What was to be recorded does not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordFailed(pub String);

/// What intents and outcomes are written to: the journal, or one with faults in tests.
pub trait Recorder: Send + Sync {
    /// Appends an entry; its ticket tells when it is on disk.
    fn append(
        &self,
        session: SessionKey,
        kind: Kind,
        cell: u32,
        time_us: u64,
        body: &[u8],
    ) -> Result<Ticket, RecordFailed>;

    /// Calls back, from any thread, once the entry is on disk or never will be.
    fn on_durable(&self, ticket: Ticket, then: Box<dyn FnOnce(Result<(), RecordFailed>) + Send>);
}

impl Recorder for Journal {
    fn append(
        &self,
        session: SessionKey,
        kind: Kind,
        cell: u32,
        time_us: u64,
        body: &[u8],
    ) -> Result<Ticket, RecordFailed> {
        Journal::append(self, session, kind, cell, time_us, body).map_err(|error| RecordFailed(error.to_string()))
    }

    fn on_durable(&self, ticket: Ticket, then: Box<dyn FnOnce(Result<(), RecordFailed>) + Send>) {
        Journal::on_durable(self, ticket, move |done| then(done.map_err(|error| RecordFailed(error.to_string()))));
    }
}

/// Bodies of entries, as CBOR maps with text keys.
pub mod body {
    use super::*;

    /// Largest value kept whole in an entry, in bytes of its CBOR form; of larger ones long texts and bytes give way to their
    /// SHA-256 and size.
    pub const MAX_INLINE: usize = 16 << 10;
    /// Largest argument kept whole in the entry of a refusal.
    pub const MAX_REFUSED: usize = 512;

    type Fine = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

    /// `{point, op, grant, approval, label, args}`: what is about to happen, by which grant, the serial of the approval
    /// where it needed one, and the label of what is sent, where there is anything to tell of it.
    pub fn intent(
        out: &mut Vec<u8>,
        point: &str,
        op: &str,
        grant: u64,
        approval: Option<u64>,
        label: Shown<'_>,
        args: &[u8],
    ) {
        out.clear();
        // Writing to a `Vec` cannot fail, here and below.
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(4 + u64::from(approval.is_some()) + labels(label))?;
            e.str("point")?.str(point)?.str("op")?.str(op)?.str("grant")?.u64(grant)?;
            if let Some(approval) = approval {
                e.str("approval")?.u64(approval)?;
            }
            write_label(&mut e, label)
        })();
        raw(out, "args", args, MAX_INLINE);
    }

    /// `{state: "asked", point, op, grant, principal, digest, why, until_ms, label, args}`: an approver is asked.
    pub fn asked(out: &mut Vec<u8>, asked: &Asked, label: Shown<'_>, args: &[u8]) {
        out.clear();
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(9 + labels(label))?.str("state")?.str("asked")?;
            e.str("point")?.str(asked.point())?.str("op")?.str(asked.op())?;
            e.str("grant")?.u64(asked.grant())?.str("principal")?.str(&asked.principal().to_string())?;
            e.str("digest")?.bytes(asked.digest().as_bytes())?;
            e.str("why")?.array(asked.reasons().len() as u64)?;
            for reason in asked.reasons() {
                e.str(clipped(reason))?;
            }
            e.str("until_ms")?.u64(asked.until_ms())?;
            write_label(&mut e, label)
        })();
        raw(out, "args", args, MAX_INLINE);
    }

    /// `{state, of, by, digest, note}`: how the question of the entry `of` ended.
    pub fn answered(out: &mut Vec<u8>, state: &str, of: u64, answer: Option<&Answer>) {
        out.clear();
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            let note = answer.map(|answer| answer.note.as_str()).filter(|note| !note.is_empty());
            e.map(2 + 2 * u64::from(answer.is_some()) + u64::from(note.is_some()))?;
            e.str("state")?.str(state)?.str("of")?.u64(of)?;
            if let Some(answer) = answer {
                e.str("by")?.str(&answer.by.principal().to_string())?;
                e.str("digest")?.bytes(answer.digest.as_bytes())?;
            }
            if let Some(note) = note {
                e.str("note")?.str(clipped(note))?;
            }
            Ok(())
        })();
    }

    /// `{point, op, code, message, about, args}`: what was refused, and why.
    pub fn refusal(
        out: &mut Vec<u8>,
        point: Option<&str>,
        op: &str,
        denial: &Denial,
        about: Option<&str>,
        args: &[u8],
    ) {
        out.clear();
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(6)?.str("point")?;
            match point {
                Some(point) => e.str(point)?,
                None => e.null()?,
            };
            e.str("op")?.str(clipped(op))?;
            e.str("code")?.str(denial.code.as_str())?.str("message")?.str(clipped(&denial.message))?.str("about")?;
            match about {
                Some(about) => e.str(clipped(about))?,
                None => e.null()?,
            };
            Ok(())
        })();
        raw(out, "args", args, MAX_REFUSED);
    }

    /// `{endorsed: "prompt", digest, by, approval, value}`: an approver trusts a value as if the prompt held it.
    pub fn endorsed(out: &mut Vec<u8>, value: &Value, by: &Approver, approval: u64) {
        out.clear();
        let mut encoded = Vec::new();
        let _ = encode_value(value, &mut Encoder::new(&mut encoded));
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(5)?.str("endorsed")?.str("prompt")?.str("digest")?.bytes(&digest_of(value))?;
            e.str("by")?.str(&by.principal().to_string())?.str("approval")?.u64(approval)?;
            Ok(())
        })();
        raw(out, "value", &encoded, MAX_REFUSED);
    }

    /// `{of, label, ok}` or `{of, label, code, message}`: what came of the intent with serial `of`, and its label, where
    /// there is anything to tell of it.
    pub fn outcome(out: &mut Vec<u8>, of: u64, label: Shown<'_>, result: Result<&Value, (&str, &str)>) {
        out.clear();
        match result {
            Ok(value) => {
                let mut encoded = Vec::new();
                let _ = encode_value(value, &mut Encoder::new(&mut encoded));
                let _ = (|| -> Fine {
                    let mut e = Encoder::new(&mut *out);
                    e.map(2 + labels(label))?.str("of")?.u64(of)?;
                    write_label(&mut e, label)
                })();
                raw(out, "ok", &encoded, MAX_INLINE);
            }
            Err((code, message)) => {
                let _ = (|| -> Fine {
                    let mut e = Encoder::new(&mut *out);
                    e.map(3 + labels(label))?.str("of")?.u64(of)?;
                    write_label(&mut e, label)?;
                    e.str("code")?.str(code)?.str("message")?.str(clipped(message))?;
                    Ok(())
                })();
            }
        }
    }

    /// Entries of the map that a label takes.
    fn labels(label: Shown<'_>) -> u64 {
        u64::from(!label.is_bottom())
    }

    /// `label: {writers, readers}`: names of parties, each where there is anything to tell.
    fn write_label(e: &mut Encoder<&mut Vec<u8>>, label: Shown<'_>) -> Fine {
        if label.is_bottom() {
            return Ok(());
        }
        let (writers, readers) = (label.writers(), label.readers());
        e.str("label")?.map(u64::from(!writers.is_empty()) + u64::from(readers.is_some()))?;
        for (key, names) in [("writers", Some(writers).filter(|names| !names.is_empty())), ("readers", readers)] {
            let Some(names) = names else { continue };
            e.str(key)?.array(names.len() as u64)?;
            for name in names {
                e.str(name)?;
            }
        }
        Ok(())
    }

    /// Appends a key and a value that is CBOR already, condensed where it is too large.
    fn raw(out: &mut Vec<u8>, key: &str, cbor: &[u8], most: usize) {
        let _ = Encoder::new(&mut *out).str(key).map(|_| ());
        if cbor.len() <= most {
            out.extend_from_slice(cbor);
        } else {
            out.extend_from_slice(&crate::condense::condensed(cbor, most));
        }
    }

    fn clipped(text: &str) -> &str {
        const MOST: usize = 1024;
        text.get(..text.floor_char_boundary(MOST)).unwrap_or_default()
    }
}
