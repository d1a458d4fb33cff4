//! What is judged.

use lockgate_authority::{Label, PartyNames, Point, Principal, Request};

/// One crossing that a grant allows, about to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// On whose behalf the session runs.
    pub agent: &'a str,
    /// How many cells lie above the one that asks.
    pub depth: u64,
    /// The point whose grant allows it; of `http`, one of the points that the handle stands for.
    pub point: &'a Point,
    /// The request.
    pub request: &'a Request<'a>,
    /// The label of what is sent.
    pub label: Label,
    /// The names of the session's parties.
    pub parties: &'a PartyNames,
    /// Whether a server led here from an address that was judged before.
    pub redirected: bool,
}

/// Which way a crossing moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Something of the cell's goes to the point.
    pub sends: bool,
    /// Something of the point's comes to the cell.
    pub reads: bool,
}
