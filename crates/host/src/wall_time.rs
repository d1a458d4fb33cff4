//! A cell's wall time, which stands still while the cell does nothing but wait for an approver.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a cell's wall time is over, as its gate counts it.
pub(crate) struct WallTime(Mutex<Clock>);

struct Clock {
    deadline: Instant,
    /// Whether the cell is in a turn.
    running: bool,
    /// Open questions of the cell and of those below it.
    questions: u32,
    /// Since when it stands still.
    since: Option<Instant>,
    /// By how much the deadline was put off since the worker was told last.
    untold: Duration,
}

impl WallTime {
    /// Of a cell that has just been started.
    pub(crate) fn until(deadline: Instant) -> WallTime {
        WallTime(Mutex::new(Clock { deadline, running: true, questions: 0, since: None, untold: Duration::ZERO }))
    }

    /// A turn begins; gives by how much its worker must put the deadline off.
    pub(crate) fn turn_begins(&self, now: Instant) -> Duration {
        let mut clock = self.lock();
        clock.running = true;
        clock.update(now);
        std::mem::take(&mut clock.untold)
    }

    /// A turn has ended.
    pub(crate) fn turn_ends(&self, now: Instant) {
        let mut clock = self.lock();
        clock.running = false;
        clock.update(now);
    }

    /// An approver is asked.
    pub(crate) fn question_opens(&self, now: Instant) {
        let mut clock = self.lock();
        clock.questions += 1;
        clock.update(now);
    }

    /// Questions have ended.
    pub(crate) fn questions_close(&self, count: u32, now: Instant) {
        let mut clock = self.lock();
        clock.questions = clock.questions.saturating_sub(count);
        clock.update(now);
    }

    /// Whether the wall time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let clock = self.lock();
        clock.since.is_none() && clock.deadline <= now
    }

    fn lock(&self) -> MutexGuard<'_, Clock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn update(&mut self, now: Instant) {
        let still = !self.running && self.questions > 0;
        match (still, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(since)) => {
                let stood = now.saturating_duration_since(since);
                self.deadline = self.deadline.checked_add(stood).unwrap_or(self.deadline);
                self.untold = self.untold.saturating_add(stood);
                self.since = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a12_wall_time_stands_still_only_while_a_cell_waits_for_an_approver() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let wall = WallTime::until(at(10));
        wall.question_opens(at(1));
        assert!(wall.is_over(at(10)), "the cell still computes");
        wall.turn_ends(at(2));
        assert!(!wall.is_over(at(1000)));
        assert_eq!(wall.turn_begins(at(5)), Duration::from_secs(3));
        assert!(!wall.is_over(at(12)) && wall.is_over(at(13)));
        wall.turn_ends(at(6));
        wall.question_opens(at(7));
        wall.questions_close(1, at(8));
        assert!(!wall.is_over(at(1000)), "one is still open");
        wall.questions_close(1, at(16));
        assert!(!wall.is_over(at(22)) && wall.is_over(at(23)), "ten seconds more");
        assert_eq!(wall.turn_begins(at(17)), Duration::from_secs(10));
        assert_eq!(wall.turn_begins(at(17)), Duration::ZERO);
    }
}
