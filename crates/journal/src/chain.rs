//! Follows sessions entry by entry and says where one departs from what was recorded. Knows no file.

use std::collections::HashMap;

use crate::entry::{Hash, Head, Kind, Link, SessionId};
use crate::finding::{Finding, Problem, Report};

/// An entry to be checked.
pub(crate) struct Step<'a> {
    pub(crate) row: u64,
    pub(crate) serial: u64,
    pub(crate) time: u64,
    pub(crate) kind: Kind,
    pub(crate) cell: u32,
    pub(crate) body: &'a [u8],
    pub(crate) hash: Hash,
}

/// One session as far as it was followed.
pub(crate) struct Chain {
    pub(crate) id: SessionId,
    /// How many entries were seen.
    pub(crate) entries: u64,
    /// Hash of the last.
    pub(crate) head: Hash,
    pub(crate) first_row: u64,
    pub(crate) last_row: u64,
    pub(crate) ended: bool,
    /// A finding was made; the session is only counted on.
    pub(crate) broken: bool,
    /// Heads that were taken earlier.
    expected: Vec<Head>,
}

impl Chain {
    pub(crate) fn new(id: SessionId, expected: &mut Expected) -> Self {
        let expected = expected.0.remove(&id).unwrap_or_default();
        Chain { id, entries: 0, head: Hash::ZERO, first_row: 0, last_row: 0, ended: false, broken: false, expected }
    }

    /// Checks the next entry.
    pub(crate) fn follow(&mut self, step: &Step<'_>, report: &mut Report) {
        if !self.broken
            && let Err(problem) = self.check(step)
        {
            self.blame(Some(self.entries), Some(step.row), problem, report);
        }
        if self.entries == 0 {
            self.first_row = step.row;
        }
        self.entries += 1;
        self.head = step.hash;
        self.last_row = step.row;
        self.ended |= step.kind == Kind::End;
        if !self.expected.is_empty() {
            self.compare(step, report);
        }
    }

    fn check(&self, step: &Step<'_>) -> Result<(), Problem> {
        if step.serial != self.entries {
            return Err(Problem::Order { expected: self.entries, found: step.serial });
        }
        let Step { serial, time, kind, .. } = *step;
        let computed = Link { session: &self.id, serial, previous: &self.head, time, kind }.hash(step.cell, step.body);
        if computed != step.hash {
            return Err(Problem::Hash { computed, stored: step.hash });
        }
        if self.ended || (serial == 0) != (kind == Kind::Start) {
            return Err(Problem::Place { found: kind });
        }
        Ok(())
    }

    /// Compares with the heads taken earlier.
    fn compare(&mut self, step: &Step<'_>, report: &mut Report) {
        let mut rewritten = None;
        self.expected.retain(|head| {
            if head.serial == step.serial && head.hash != step.hash {
                rewritten = Some(head.hash);
            }
            head.serial != step.serial
        });
        if let Some(expected) = rewritten {
            let problem = Problem::Rewritten { expected, found: Some(step.hash) };
            self.blame(Some(step.serial), Some(step.row), problem, report);
        }
    }

    /// Nothing more of the session will come.
    pub(crate) fn finish(&mut self, recorded: u64, head: &Hash, report: &mut Report) {
        if !self.broken && recorded != self.entries {
            let first = recorded.min(self.entries);
            self.blame(Some(first), None, Problem::Count { recorded, found: self.entries }, report);
        } else if !self.broken && *head != self.head {
            let problem = Problem::Hash { computed: self.head, stored: *head };
            self.blame(self.entries.checked_sub(1), Some(self.last_row), problem, report);
        }
        for head in std::mem::take(&mut self.expected) {
            let problem = Problem::Rewritten { expected: head.hash, found: None };
            self.blame(Some(head.serial), None, problem, report);
        }
        if !self.broken
            && !self.ended
            && let Some(serial) = self.entries.checked_sub(1)
        {
            report.open.push(Head { session: self.id, serial, hash: self.head });
        }
    }

    pub(crate) fn blame(&mut self, serial: Option<u64>, row: Option<u64>, problem: Problem, report: &mut Report) {
        self.broken = true;
        report.add(Finding { session: Some(self.id), serial, row, problem });
    }
}

/// Heads that were taken earlier, of sessions not seen yet.
pub(crate) struct Expected(HashMap<SessionId, Vec<Head>>);

impl Expected {
    pub(crate) fn new(heads: &[Head]) -> Self {
        let mut map: HashMap<SessionId, Vec<Head>> = HashMap::new();
        for head in heads {
            map.entry(head.session).or_default().push(*head);
        }
        Self(map)
    }

    /// Reports those whose session was not seen at all.
    pub(crate) fn finish(self, report: &mut Report) {
        let mut left: Vec<_> = self.0.into_values().flatten().collect();
        left.sort_by_key(|head| (head.session, head.serial));
        for head in left {
            let problem = Problem::Rewritten { expected: head.hash, found: None };
            report.add(Finding { session: Some(head.session), serial: Some(head.serial), row: None, problem });
        }
    }
}
