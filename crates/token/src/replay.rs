//! Which proofs were used.

use crate::error::Unproven;
use std::collections::{BTreeSet, HashSet};

/// Where it is remembered which proofs were used.
pub trait Replays {
    /// Remembers a use until `ends_ms`, from which on it is refused for its age; refused where it is known, or cannot be
    /// remembered.
    fn admit(&mut self, name: [u8; 32], ends_ms: u64, now_ms: u64) -> Result<(), Unproven>;
}

/// The proofs that were used and are not yet too old to be shown again, in memory. Bounded: what does not fit is refused.
///
/// 80 bytes for each proof, roughly twice that with the sets' own.
#[derive(Debug)]
pub struct ReplayCache {
    most: usize,
    known: HashSet<[u8; 32]>,
    /// When each is forgotten, earliest first.
    ends: BTreeSet<(u64, [u8; 32])>,
}

impl ReplayCache {
    /// A cache that remembers at most so many at one time.
    pub fn new(most: usize) -> Self {
        ReplayCache { most, known: HashSet::new(), ends: BTreeSet::new() }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl Replays for ReplayCache {
    fn admit(&mut self, name: [u8; 32], ends_ms: u64, now_ms: u64) -> Result<(), Unproven> {
        while self.ends.first().is_some_and(|(ends, _)| *ends < now_ms) {
            if let Some((_, old)) = self.ends.pop_first() {
                self.known.remove(&old);
            }
        }
        if self.known.contains(&name) {
            return Err(Unproven::Replayed);
        }
        if self.known.len() >= self.most {
            return Err(Unproven::Busy);
        }
        self.known.insert(name);
        self.ends.insert((ends_ms, name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u8) -> [u8; 32] {
        [number; 32]
    }

    #[test]
    fn a02_a_use_is_remembered_until_its_age_refuses_it() {
        let mut cache = ReplayCache::new(10);
        cache.admit(name(1), 1000, 900).unwrap();
        assert_eq!(cache.admit(name(1), 1000, 1000), Err(Unproven::Replayed));
        cache.admit(name(2), 2000, 1001).unwrap();
        assert_eq!(cache.len(), 1, "what is too old is forgotten");
    }

    #[test]
    fn a02_what_cannot_be_remembered_is_refused() {
        let mut cache = ReplayCache::new(2);
        cache.admit(name(1), 1000, 0).unwrap();
        cache.admit(name(2), 1000, 0).unwrap();
        assert_eq!(cache.admit(name(3), 1000, 0), Err(Unproven::Busy));
        assert_eq!(cache.admit(name(1), 1000, 0), Err(Unproven::Replayed));
        cache.admit(name(3), 2000, 1001).unwrap();
    }
}
