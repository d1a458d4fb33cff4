//! Processor time of one turn, cheaply.
//!
//! The monotonic clock costs 26 ns, the thread's processor clock 200 ns (a system call). A turn is therefore timed with
//! the first; the second is asked only when a turn was long enough that it may have been preempted, against a reading
//! taken at most [`STALE_NS`] before the turn began. So a turn is never charged more than it ran plus that much, however
//! busy the machine, and a short turn costs no system call.

use std::time::Instant;

/// Age at which the reading of the processor clock is renewed before a turn, in nanoseconds.
const STALE_NS: u64 = 1_000_000;
/// Turns longer than this are checked against the processor clock, in nanoseconds.
const SUSPECT_NS: u64 = 200_000;

/// The processor clock of the thread that runs cells.
pub struct Meter {
    read_at: Instant,
    cpu_ns: u64,
}

/// One turn that is being timed.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    began: Instant,
    /// The thread's processor time at or shortly before the beginning.
    cpu_ns: u64,
}

impl Meter {
    /// Reads both clocks. Belongs to the calling thread.
    pub fn new() -> Meter {
        Meter { read_at: Instant::now(), cpu_ns: thread_cpu_ns() }
    }

    /// Begins to time a turn.
    pub fn begin(&mut self) -> Span {
        let now = Instant::now();
        if nanos_between(self.read_at, now) > STALE_NS {
            self.cpu_ns = thread_cpu_ns();
            self.read_at = now;
        }
        Span { began: now, cpu_ns: self.cpu_ns }
    }
}

impl Span {
    /// Processor time since the beginning, in nanoseconds; must be called on the thread that began it.
    pub fn spent_ns(&self) -> u64 {
        let elapsed = nanos_between(self.began, Instant::now());
        if elapsed <= SUSPECT_NS {
            return elapsed;
        }
        elapsed.min(thread_cpu_ns().saturating_sub(self.cpu_ns))
    }

    /// When the turn began.
    pub fn began(&self) -> Instant {
        self.began
    }
}

fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one `timespec` during the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if done != 0 {
        // Never on Linux for one's own thread. Without it the monotonic clock alone counts, which is never less.
        return u64::MAX;
    }
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn n05_time_spent_waiting_is_not_processor_time() {
        let span = Meter::new().begin();
        std::thread::sleep(Duration::from_millis(30));
        assert!(span.spent_ns() < 20_000_000, "{} ns", span.spent_ns());
    }

    #[test]
    fn n05_time_spent_computing_is_processor_time() {
        let cpu_before = thread_cpu_ns();
        let span = Meter::new().begin();
        while thread_cpu_ns() - cpu_before < 5_000_000 {
            std::hint::spin_loop();
        }
        assert!(span.spent_ns() >= 4_900_000, "{} ns", span.spent_ns());
    }
}
