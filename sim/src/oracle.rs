//! The naive oracle: grants as a table with the number of the one above, decided by brute force over plain text. What was
//! spent is the list of everything that ever happened. Shares no code with the crate under test.

use crate::scope::{Question, Rule};

/// One grant: the row above it, and its own rules.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row that it was derived from.
    pub above: Option<usize>,
    /// The cell that holds it.
    pub cell: usize,
    /// Its point, `fs.data`.
    pub point: String,
    /// What its derivation added.
    pub rules: Vec<Rule>,
    /// Whether it was revoked itself.
    pub revoked: bool,
}

/// One request that was made: through which row, and what it has moved or may yet move.
#[derive(Clone, Debug)]
pub struct Event {
    /// The row that allowed it.
    pub row: usize,
    /// Bytes.
    pub bytes: u64,
}

/// Everything that was granted and everything that happened.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The grants.
    pub rows: Vec<Row>,
    /// The requests.
    pub events: Vec<Event>,
}

impl Table {
    /// The row and all rows above it.
    pub fn line(&self, row: usize) -> Vec<usize> {
        let mut line = vec![row];
        while let Some(above) = self.rows[line[line.len() - 1]].above {
            line.push(above);
        }
        line
    }

    /// Whether the row, or one above it, was revoked.
    pub fn is_revoked(&self, row: usize) -> bool {
        self.line(row).iter().any(|row| self.rows[*row].revoked)
    }

    /// Whether some row of the cell allows the question now.
    pub fn allows(&self, cell: usize, question: &Question, now_ms: u64) -> bool {
        (0..self.rows.len()).any(|row| self.rows[row].cell == cell && self.row_allows(row, question, now_ms))
    }

    /// Whether some row of the cell would allow the question if nothing had been spent, revoked or run out.
    pub fn could_allow(&self, cell: usize, question: &Question) -> bool {
        let fresh = |row: usize| {
            let rules = self.line(row).into_iter().flat_map(|row| &self.rows[row].rules);
            self.rows[row].point == format!("{}.{}", question.kind, question.name)
                && rules.into_iter().all(|rule| fits(rule, question).unwrap_or(true))
        };
        (0..self.rows.len()).any(|row| self.rows[row].cell == cell && fresh(row))
    }

    /// Whether this row allows the question now.
    pub fn row_allows(&self, row: usize, question: &Question, now_ms: u64) -> bool {
        self.rows[row].point == format!("{}.{}", question.kind, question.name)
            && !self.is_revoked(row)
            && self.line(row).into_iter().all(|at| {
                self.rows[at].rules.iter().all(|rule| match rule {
                    Rule::Calls(most) => self.calls(at) < *most,
                    Rule::Bytes(most) => self.bytes(at) < *most && self.bytes(at) + question.bytes <= *most,
                    Rule::Until(time) => now_ms < *time,
                    rule => fits(rule, question).unwrap_or(true),
                })
            })
    }

    /// Requests made through the row or one below it.
    pub fn calls(&self, row: usize) -> u64 {
        self.through(row).count() as u64
    }

    /// Bytes moved through the row or one below it.
    pub fn bytes(&self, row: usize) -> u64 {
        self.through(row).map(|event| event.bytes).sum()
    }

    fn through(&self, row: usize) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| self.line(event.row).contains(&row))
    }
}

/// Whether the question fits a rule that depends on nothing else; `None` for the others.
fn fits(rule: &Rule, question: &Question) -> Option<bool> {
    match rule {
        Rule::Ops(ops) => Some(ops.contains(&question.op)),
        Rule::Under(path) => {
            let (path, about): (Vec<_>, Vec<_>) = (path.split('/').collect(), question.about.split('/').collect());
            Some(about.starts_with(&path))
        }
        Rule::Prefix(prefix) => Some(question.about.starts_with(prefix)),
        Rule::Calls(_) | Rule::Bytes(_) | Rule::Until(_) => None,
    }
}
