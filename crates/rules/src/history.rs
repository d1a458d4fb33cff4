//! What was done before in a session.

/// What rules may know of a session's past, all its cells together: what a child has read counts for its parent.
///
/// A crossing belongs to the past from when it is allowed, not from when it is done: what begins after a read began comes
/// after it. Made by [`Rules::history`](crate::Rules::history) and changed by [`Rules::begin`](crate::Rules::begin); as
/// large as the session's points, and it does not grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Crossings begun, by operation.
    pub(crate) begun: Vec<u64>,
    /// Whether something was read, by point.
    pub(crate) read: Vec<bool>,
    /// Whether something was sent, by point.
    pub(crate) sent: Vec<bool>,
    pub(crate) calls: u64,
    pub(crate) refusals: u64,
}

impl History {
    pub(crate) fn new(operations: usize, points: usize) -> History {
        History {
            begun: vec![0; operations],
            read: vec![false; points],
            sent: vec![false; points],
            calls: 0,
            refusals: 0,
        }
    }

    /// A crossing was refused.
    pub fn refuse(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    /// Crossings that were allowed so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Crossings that were refused so far.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }
}
