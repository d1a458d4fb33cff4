//! Every state of a small scope, and random walks through a large one.

use crate::world::{Invariant, Violation};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;

/// A transition system. Its states are rebuilt from the steps that lead to them.
pub trait System {
    /// One state.
    type World;
    /// One transition.
    type Step: Copy + fmt::Debug;
    /// What tells states apart.
    type Key: Eq + Hash;

    /// The state after these steps.
    fn after(&self, steps: &[Self::Step]) -> Self::World;
    /// The steps that can be taken in a state.
    fn steps(&self, world: &Self::World) -> Vec<Self::Step>;
    /// Takes one.
    fn take(&self, world: &mut Self::World, step: Self::Step);
    /// Two states with the same key have the same future.
    fn key(&self, world: &Self::World) -> Self::Key;
    /// What is broken in a state.
    fn check(&self, world: &Self::World) -> Vec<Violation>;
    /// Most steps from the first state.
    fn most(&self) -> usize;
}

/// A broken invariant and the steps that lead there: the fewest, where every state is visited.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is broken.
    pub violation: Violation,
    /// From the first state.
    pub steps: Vec<String>,
    /// The seed of the walk; `None` where every state was visited.
    pub seed: Option<u64>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        if let Some(seed) = self.seed {
            writeln!(f, "seed {seed}")?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// What an exploration came to.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// States that differ.
    pub states: usize,
    /// Steps taken between them.
    pub transitions: usize,
    /// The first violation of each invariant.
    pub found: Vec<Found>,
}

impl Explored {
    /// The violation of this invariant, if there is one.
    pub fn violation(&self, invariant: Invariant) -> Option<&Found> {
        self.found.iter().find(|found| found.violation.invariant == invariant)
    }

    fn add<S: fmt::Debug>(&mut self, violations: Vec<Violation>, steps: &[S], seed: Option<u64>) {
        let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        for violation in violations {
            if self.violation(violation.invariant).is_none() {
                self.found.push(Found { violation, steps: steps.clone(), seed });
            }
        }
    }
}

/// Visits every state within the bounds, the nearest first. Time and memory grow with the number of states; a state that
/// breaks an invariant is not gone on from.
pub fn explore<S: System>(system: &S) -> Explored {
    let mut out = Explored::default();
    let mut seen: HashSet<S::Key> = HashSet::from([system.key(&system.after(&[]))]);
    let mut waiting: VecDeque<Vec<S::Step>> = VecDeque::from([Vec::new()]);
    while let Some(steps) = waiting.pop_front() {
        out.states += 1;
        let world = system.after(&steps);
        let violations = system.check(&world);
        if !violations.is_empty() {
            out.add(violations, &steps, None);
            continue;
        }
        if steps.len() == system.most() {
            continue;
        }
        for step in system.steps(&world) {
            out.transitions += 1;
            let mut next = steps.clone();
            next.push(step);
            if seen.insert(system.key(&system.after(&next))) {
                waiting.push_back(next);
            }
        }
    }
    out
}

/// Walks at random, a number of times, and checks after every step. Counts a state once for each visit.
pub fn walk<S: System>(system: &S, seed: u64, walks: usize) -> Explored {
    let mut out = Explored::default();
    for number in 0..walks as u64 {
        let seed = seed.wrapping_add(number);
        let mut random = Random(seed);
        let mut world = system.after(&[]);
        let mut taken: Vec<S::Step> = Vec::new();
        loop {
            out.states += 1;
            let violations = system.check(&world);
            if !violations.is_empty() {
                out.add(violations, &taken, Some(seed));
                break;
            }
            if taken.len() == system.most() {
                break;
            }
            let steps = system.steps(&world);
            // Sorts of steps first, so that what there is one of is not drowned by what there are many of.
            let mut sorts: Vec<_> = steps.iter().map(std::mem::discriminant).collect();
            sorts.dedup();
            let Some(sort) = random.one(&sorts) else { break };
            let of_sort: Vec<S::Step> =
                steps.into_iter().filter(|step| std::mem::discriminant(step) == *sort).collect();
            let Some(step) = random.one(&of_sort) else { break };
            system.take(&mut world, *step);
            taken.push(*step);
            out.transitions += 1;
        }
    }
    out
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(items.len()).ok().filter(|count| *count > 0)?;
        items.get(usize::try_from(self.next() % count).ok()?)
    }
}
