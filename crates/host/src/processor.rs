//! Processor time of a cell and of all cells below it: one account, as for calls and bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a cell and those below it may use, and have used. What is used is used of every cell above too.
#[derive(Debug)]
pub(crate) struct Processor {
    limit_us: u64,
    spent_us: AtomicU64,
    /// What turns may still use that go on although their cells were dropped.
    held_us: AtomicU64,
    above: Option<Arc<Processor>>,
}

impl Processor {
    /// The account of a cell with this limit.
    pub(crate) fn new(limit_us: u64, above: Option<Arc<Processor>>) -> Arc<Processor> {
        Arc::new(Processor { limit_us, spent_us: AtomicU64::new(0), held_us: AtomicU64::new(0), above })
    }

    fn chain(&self) -> impl Iterator<Item = &Processor> {
        std::iter::successors(Some(self), |next| next.above.as_deref())
    }

    /// What it can still use: the least that it or one above has left.
    pub(crate) fn left_us(&self) -> u64 {
        let left = self.chain().map(|of| of.limit_us.saturating_sub(of.spent_us()));
        left.min().unwrap_or(0)
    }

    /// What a cell that begins can use: of that, what dropped cells still may use is not there.
    pub(crate) fn left_to_begin_us(&self) -> u64 {
        let taken = |of: &Processor| of.spent_us().saturating_add(of.held_us.load(Relaxed));
        self.chain().map(|of| of.limit_us.saturating_sub(taken(of))).min().unwrap_or(0)
    }

    /// What it and those below it have used.
    pub(crate) fn spent_us(&self) -> u64 {
        self.spent_us.load(Relaxed)
    }

    /// Whether its own limit is used up, by itself and those below.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent_us() >= self.limit_us
    }

    pub(crate) fn spend(&self, us: u64) {
        self.chain().for_each(|of| change(&of.spent_us, |spent| spent.saturating_add(us)));
    }

    fn hold(&self, us: u64) {
        self.chain().for_each(|of| change(&of.held_us, |held| held.saturating_add(us)));
    }

    fn release(&self, us: u64) {
        self.chain().for_each(|of| change(&of.held_us, |held| held.saturating_sub(us)));
    }
}

fn change(count: &AtomicU64, to: impl Fn(u64) -> u64) {
    // Never fails: there is always a next value.
    let _ = count.fetch_update(Relaxed, Relaxed, |now| Some(to(now)));
}

/// Cells that were dropped in the middle of a turn, which their workers finish all the same. Until then no other cell can begin with
/// what the turn may use, or starting and dropping cells would use it again and again.
#[derive(Debug, Default)]
pub(crate) struct Dropped(Mutex<HashMap<u32, Turn>>);

#[derive(Debug)]
struct Turn {
    processor: Arc<Processor>,
    before_us: u64,
    held_us: u64,
}

impl Dropped {
    /// A cell that had used `before_us` and may use `bound_us` in all is dropped in a turn.
    pub(crate) fn add(&self, cell: u32, processor: &Arc<Processor>, before_us: u64, bound_us: u64) {
        let held_us = bound_us.saturating_sub(before_us);
        processor.hold(held_us);
        self.lock().insert(cell, Turn { processor: Arc::clone(processor), before_us, held_us });
    }

    /// What it used in all is known now.
    pub(crate) fn settle(&self, cell: u32, used_us: u64) {
        if let Some(Turn { processor, before_us, held_us }) = self.lock().remove(&cell) {
            processor.spend(used_us.saturating_sub(before_us).min(held_us));
            processor.release(held_us);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tree of cells: each but the first below an earlier one.
    fn tree() -> impl Strategy<Value = Vec<(u64, proptest::sample::Index)>> {
        proptest::collection::vec((0..1_000_u64, any::<proptest::sample::Index>()), 1..8)
    }

    proptest! {
        #[test]
        fn a14_processor_time_is_used_of_every_cell_above(
            tree in tree(),
            uses in proptest::collection::vec((any::<proptest::sample::Index>(), 0..200_u64, any::<bool>()), 0..30),
        ) {
            let mut cells: Vec<(Arc<Processor>, Option<usize>)> = Vec::new();
            for (limit, above) in &tree {
                let above = (!cells.is_empty()).then(|| above.index(cells.len()));
                cells.push((Processor::new(*limit, above.map(|above| Arc::clone(&cells[above].0))), above));
            }
            let (mut used, dropped) = (vec![0_u64; cells.len()], Dropped::default());
            for (number, (cell, us, is_dropped)) in uses.iter().enumerate() {
                let cell = cell.index(cells.len());
                // A turn uses at most what was left when it began.
                let left = cells[cell].0.left_us();
                let us = (*us).min(left);
                if *is_dropped {
                    dropped.add(number as u32, &cells[cell].0, 10, 10 + left);
                    prop_assert_eq!(cells[cell].0.left_to_begin_us(), 0, "until it is known nobody begins with it");
                    dropped.settle(number as u32, 10 + us);
                    dropped.settle(number as u32, 10);
                } else {
                    cells[cell].0.spend(us);
                }
                let mut next = Some(cell);
                while let Some(at) = next {
                    used[at] += us;
                    next = cells[at].1;
                }
            }
            for (at, (cell, _)) in cells.iter().enumerate() {
                prop_assert!(used[at] <= tree[at].0);
                prop_assert_eq!(cell.is_spent(), used[at] == tree[at].0);
                let mut line = vec![at];
                while let Some(above) = cells[line[line.len() - 1]].1 {
                    line.push(above);
                }
                prop_assert_eq!(cell.left_us(), cell.left_to_begin_us());
                prop_assert_eq!(cell.left_us(), line.iter().map(|at| tree[*at].0 - used[*at]).min().unwrap());
            }
        }
    }
}
