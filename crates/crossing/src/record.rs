//! What the journal is told, and how it is encoded.

use crate::approval::{Answer, Asked};
use crate::floating::Shown;
use lockgate_authority::{Approver, Denial, Value, digest_of};
use lockgate_decode::encode_value;
use lockgate_journal::{Journal, Kind, SessionKey, Ticket};
use minicbor::Encoder;
use sha2::{Digest, Sha256};

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

    /// What is about to happen.
    #[derive(Clone, Copy, Debug)]
    pub struct Intent<'a> {
        /// The point.
        pub point: &'a str,
        /// The operation.
        pub op: &'a str,
        /// The number of the grant that allows it.
        pub grant: u64,
        /// The serial of the approval, where it needed one.
        pub approval: Option<u64>,
        /// The label of what is sent.
        pub label: Shown<'a>,
        /// Sealed values that the arguments were given as.
        pub sealed: &'a [u32],
        /// Whether the decision told the cell something of them, so that its label rises to `label`.
        pub rises: bool,
        /// By what its label rose since the decision depended on what other cells did.
        pub heard: Shown<'a>,
        /// The arguments, with the content of sealed values.
        pub args: &'a [u8],
    }

    /// `{point, op, grant, approval, label, sealed, rises, heard, args}`: what is about to happen, by which grant, the serial of
    /// the approval where it needed one; the label of what is sent, the numbers of the sealed values among the arguments,
    /// whether the cell's label rises by them already, and by what other cells did, where there is anything to tell of it.
    pub fn intent(out: &mut Vec<u8>, intent: &Intent<'_>) {
        out.clear();
        // Writing to a `Vec` cannot fail, here and below.
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            let optional = [intent.approval.is_some(), !intent.sealed.is_empty(), intent.rises]
                .into_iter()
                .map(u64::from)
                .sum::<u64>();
            e.map(4 + labels(intent.label) + labels(intent.heard) + optional)?;
            e.str("point")?.str(intent.point)?.str("op")?.str(intent.op)?.str("grant")?.u64(intent.grant)?;
            if let Some(approval) = intent.approval {
                e.str("approval")?.u64(approval)?;
            }
            write_label(&mut e, "label", intent.label)?;
            if !intent.sealed.is_empty() {
                e.str("sealed")?.array(intent.sealed.len() as u64)?;
                for number in intent.sealed {
                    e.u32(*number)?;
                }
            }
            if intent.rises {
                e.str("rises")?.bool(true)?;
            }
            write_label(&mut e, "heard", intent.heard)
        })();
        raw(out, "args", intent.args, MAX_INLINE);
    }

    /// `{state: "asked", point, op, grant, principal, digest, why, until_ms, label, rises, heard, args}`: an approver is asked;
    /// whether the cell's label has risen to `label` by the decision, and by what other cells did, as in an intent.
    pub fn asked(out: &mut Vec<u8>, asked: &Asked, label: Shown<'_>, rises: bool, heard: Shown<'_>, args: &[u8]) {
        out.clear();
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(9 + labels(label) + u64::from(rises) + labels(heard))?.str("state")?.str("asked")?;
            e.str("point")?.str(asked.point())?.str("op")?.str(asked.op())?;
            e.str("grant")?.u64(asked.grant())?.str("principal")?.str(&asked.principal().to_string())?;
            e.str("digest")?.bytes(asked.digest().as_bytes())?;
            e.str("why")?.array(asked.reasons().len() as u64)?;
            for reason in asked.reasons() {
                e.str(clipped(reason))?;
            }
            e.str("until_ms")?.u64(asked.until_ms())?;
            write_label(&mut e, "label", label)?;
            if rises {
                e.str("rises")?.bool(true)?;
            }
            write_label(&mut e, "heard", heard)
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

    /// What was refused.
    #[derive(Clone, Copy, Debug)]
    pub struct Refusal<'a> {
        /// The point; `None` where there is none.
        pub point: Option<&'a str>,
        /// The operation.
        pub op: &'a str,
        /// Why.
        pub denial: &'a Denial,
        /// The path, URL or key.
        pub about: Option<&'a str>,
        /// To what the cell's label rises by it.
        pub label: Shown<'a>,
        /// By what its label rose since the decision depended on what other cells did.
        pub heard: Shown<'a>,
        /// The arguments as the cell sent them, with the content of sealed values where it was read, and the digest of what is
        /// sealed at rest.
        pub args: &'a [u8],
    }

    /// `{point, op, code, message, about, label, heard, args}`: what was refused, and why; to what the cell's label rises by it,
    /// where the refusal tells the cell something of a sealed value, and by what other cells did, where it tells of that.
    pub fn refusal(out: &mut Vec<u8>, refusal: &Refusal<'_>) {
        out.clear();
        let denial = refusal.denial;
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(6 + labels(refusal.label) + labels(refusal.heard))?.str("point")?;
            match refusal.point {
                Some(point) => e.str(point)?,
                None => e.null()?,
            };
            e.str("op")?.str(clipped(refusal.op))?;
            e.str("code")?.str(denial.code.as_str())?.str("message")?.str(clipped(&denial.message))?.str("about")?;
            match refusal.about {
                Some(about) => e.str(clipped(about))?,
                None => e.null()?,
            };
            write_label(&mut e, "label", refusal.label)?;
            write_label(&mut e, "heard", refusal.heard)
        })();
        raw(out, "args", refusal.args, MAX_REFUSED);
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

    /// What came of an intent.
    #[derive(Clone, Copy, Debug)]
    pub struct Outcome<'a> {
        /// Serial of the intent.
        pub of: u64,
        /// The label of the result.
        pub label: Shown<'a>,
        /// By what the cell's label rises since something came of another cell.
        pub heard: Shown<'a>,
        /// The number that the cell got for it, where it stayed with the gate.
        pub sealed: Option<u32>,
        /// Whether the cell is told nothing of it: it was answered as if it were done.
        pub untold: bool,
        /// The result, or the code and message of why there is none.
        pub result: Result<&'a Value, (&'a str, &'a str)>,
    }

    /// `{of, label, heard, sealed, ok}` or `{of, label, heard, sealed, untold, code, message}`: what came of the intent with
    /// serial `of`, its label, by what the cell's label rises as something came of another cell, the number that the cell got
    /// where it stayed with the gate, and whether it was told nothing of a failure; each where there is anything to tell.
    pub fn outcome(out: &mut Vec<u8>, outcome: &Outcome<'_>) {
        out.clear();
        let Outcome { of, label, heard, sealed, untold, result } = *outcome;
        let fields = 1 + labels(label) + labels(heard) + u64::from(sealed.is_some()) + u64::from(untold);
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            e.map(fields + if result.is_ok() { 1 } else { 2 })?.str("of")?.u64(of)?;
            write_label(&mut e, "label", label)?;
            write_label(&mut e, "heard", heard)?;
            if let Some(number) = sealed {
                e.str("sealed")?.u32(number)?;
            }
            if untold {
                e.str("untold")?.bool(true)?;
            }
            if let Err((code, message)) = result {
                e.str("code")?.str(code)?.str("message")?.str(clipped(message))?;
            }
            Ok(())
        })();
        if let Ok(value) = result {
            let mut encoded = Vec::new();
            let _ = encode_value(value, &mut Encoder::new(&mut encoded));
            raw(out, "ok", &encoded, MAX_INLINE);
        }
    }

    /// A label that was changed on purpose.
    #[derive(Clone, Copy, Debug)]
    pub struct Receipt<'a> {
        /// Serial of the intent.
        pub of: u64,
        /// The point, `endorse.NAME` or `declassify.NAME`.
        pub point: &'a str,
        /// The number of the grant that allowed it.
        pub grant: u64,
        /// Who did it.
        pub principal: &'a str,
        /// The bytes that it is about.
        pub content: &'a [u8],
        /// The label before.
        pub from: Shown<'a>,
        /// The label after.
        pub to: Shown<'a>,
        /// SHA-256 of the manifest that was in force.
        pub manifest: Option<&'a [u8]>,
    }

    /// `{of, point, grant, principal, sha256, bytes, from, to, manifest_sha256}`: which bytes count from here on as written by
    /// others, or may be read by others; digests in hexadecimal digits, to be compared by people. `from` and `to` are labels, left out where there is nothing to tell.
    pub fn receipt(out: &mut Vec<u8>, receipt: &Receipt<'_>) {
        out.clear();
        let _ = (|| -> Fine {
            let mut e = Encoder::new(&mut *out);
            let manifest = u64::from(receipt.manifest.is_some());
            e.map(6 + labels(receipt.from) + labels(receipt.to) + manifest)?;
            e.str("of")?.u64(receipt.of)?.str("point")?.str(receipt.point)?.str("grant")?.u64(receipt.grant)?;
            e.str("principal")?.str(receipt.principal)?;
            e.str("sha256")?.str(&hex(&Sha256::digest(receipt.content)))?;
            e.str("bytes")?.u64(receipt.content.len() as u64)?;
            write_label(&mut e, "from", receipt.from)?;
            write_label(&mut e, "to", receipt.to)?;
            if let Some(manifest) = receipt.manifest {
                e.str("manifest_sha256")?.str(&hex(manifest))?;
            }
            Ok(())
        })();
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Entries of the map that a label takes.
    fn labels(label: Shown<'_>) -> u64 {
        u64::from(!label.is_bottom())
    }

    /// `{writers, readers}` under `key`: names of parties, each where there is anything to tell.
    fn write_label(e: &mut Encoder<&mut Vec<u8>>, key: &str, label: Shown<'_>) -> Fine {
        if label.is_bottom() {
            return Ok(());
        }
        let (writers, readers) = (label.writers(), label.readers());
        e.str(key)?.map(u64::from(!writers.is_empty()) + u64::from(readers.is_some()))?;
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
