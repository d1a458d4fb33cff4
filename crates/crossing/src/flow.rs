//! Which way a crossing moves data, and the words where a label may not flow.

use crate::floating::Floating;
use lockgate_authority::{Blocked, Denial, PartyNames, PointKind, ReasonCode};

/// Which way data moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Something of the cell's goes to the point.
    pub(crate) sends: bool,
    /// Something of the point's comes to the cell. An acknowledgement alone is not counted; a failure at a point outside is,
    /// whatever the operation.
    pub(crate) reads: bool,
}

/// The direction of an operation. What is not known moves data both ways.
pub(crate) fn direction(kind: PointKind, op: &str) -> Direction {
    let (sends, reads) = match (kind, op) {
        (PointKind::Fs, "read" | "list" | "stat") | (PointKind::Kv, "get" | "list") => (false, true),
        // Whether a directory can be made, or something removed, tells what is there; that something was written does not.
        (PointKind::Fs, "write") | (PointKind::Kv, "set") => (true, false),
        (PointKind::Http, "body") | (PointKind::Cell, "result" | "receive") | (PointKind::Parent, "receive") => {
            (false, true)
        }
        (PointKind::Cell, "spawn") | (PointKind::Log, _) => (true, false),
        // The label travels with a message, and the receiver's rises.
        (PointKind::Cell, "send" | "stop") | (PointKind::Parent, "send") | (PointKind::Http, "cancel") => {
            (false, false)
        }
        (PointKind::Clock | PointKind::Random, _) | (PointKind::Sealed, "drop") => (false, false),
        (PointKind::Sealed, "open") => (false, true),
        // What comes back stays sealed.
        (PointKind::Endorse | PointKind::Declassify, _) => (true, false),
        _ => (true, true),
    };
    Direction { sends, reads }
}

/// The refusal of what may not flow. Names parties and points of this session only.
pub(crate) fn denial(blocked: Blocked, point: &str, what: &Floating, parties: &PartyNames) -> Denial {
    let origins = what.words(blocked);
    match blocked {
        Blocked::Untrusted(writers) => {
            let from = if origins.is_empty() { String::new() } else { format!(": it depends on {origins}") };
            let message = format!(
                "what is sent to `{point}` could have been written by {}, whom it does not trust{from}",
                parties.words(writers)
            );
            Denial::new(ReasonCode::UntrustedData, message).with_hint(
                "send it from a cell that has not read that, such as a child that is given only what it needs",
            )
        }
        Blocked::Confidential(readers) => {
            let from = if origins.is_empty() { String::new() } else { format!(": it depends on {origins}") };
            let message = format!("`{point}` would show it to {}, who may not read it{from}", parties.words(readers));
            Denial::new(ReasonCode::ConfidentialData, message).with_hint(
                "send it from a cell that has not read that, or say in the manifest who reads it: `shown_to`",
            )
        }
        Blocked::BeyondClearance { .. } => {
            let message = format!("what is read from `{point}` lies beyond the clearance of this cell");
            Denial::new(ReasonCode::BeyondClearance, message)
                .with_hint("let a child with a higher clearance read it, or widen `[clearance]` in the manifest")
        }
    }
}
