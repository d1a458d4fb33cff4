//! The model beside the code: every state of a small scope, random walks through a large one.

use lockgate_sim::{Explored, Flows, Invariant, Scope, explore, walk};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// The small scope, explored once for all tests.
fn small() -> &'static Explored {
    static EXPLORED: OnceLock<Explored> = OnceLock::new();
    EXPLORED.get_or_init(|| {
        let explored = explore(&&Scope::SMALL);
        println!("model: {} states, {} transitions, every one visited", explored.states, explored.transitions);
        explored
    })
}

/// Walks through the large scope, their seed drawn anew unless `LOCKGATE_SEED` is set.
fn large() -> &'static Explored {
    static WALKED: OnceLock<Explored> = OnceLock::new();
    WALKED.get_or_init(|| {
        let seed = seed();
        let walked = walk(&&Scope::LARGE, seed, 300);
        println!("model: {} steps of 300 random walks, LOCKGATE_SEED={seed}", walked.transitions);
        walked
    })
}

/// The seed of walks: `LOCKGATE_SEED`, else drawn anew.
fn seed() -> u64 {
    let given = std::env::var("LOCKGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().hash_one(0_u8))
}

fn holds(invariant: Invariant) {
    for explored in [small(), large()] {
        if let Some(found) = explored.violation(invariant) {
            panic!("{found}");
        }
    }
}

#[test]
fn a01_code_and_oracle_decide_alike_in_every_state() {
    holds(Invariant::DecisionsAgree);
}

#[test]
fn a04_no_reachable_state_has_a_child_above_its_parent() {
    holds(Invariant::ChildBelowParent);
}

#[test]
fn a05_no_reachable_state_has_a_revoked_grant_in_use() {
    holds(Invariant::RevokedUnused);
}

#[test]
fn a14_in_every_state_what_is_spent_below_a_grant_stays_within_its_budget() {
    holds(Invariant::BudgetsHold);
}

#[test]
fn the_small_scope_is_worth_exploring() {
    let explored = small();
    assert!(explored.states > 10_000, "{} states", explored.states);
    assert!(explored.transitions > explored.states);
}

/// Labels in every state of a small scope, and in walks through a large one.
fn flows() -> &'static [Explored; 2] {
    static EXPLORED: OnceLock<[Explored; 2]> = OnceLock::new();
    EXPLORED.get_or_init(|| {
        let small = explore(&&Flows::small());
        println!("model: labels: {} states, {} transitions, every one visited", small.states, small.transitions);
        let seed = seed();
        let large = walk(&&Flows::large(), seed, 300);
        println!("model: labels: {} steps of 300 random walks, LOCKGATE_SEED={seed}", large.transitions);
        [small, large]
    })
}

fn holds_of_labels(invariant: Invariant) {
    if let Some(found) = flows().iter().find_map(|explored| explored.violation(invariant)) {
        panic!("{found}");
    }
}

#[test]
fn a09_no_reachable_state_has_what_outsiders_wrote_in_a_trusted_sink_unless_it_was_endorsed() {
    holds_of_labels(Invariant::TrustedSink);
}

#[test]
fn a09_no_reachable_state_shows_everyone_what_few_may_read_unless_it_was_declassified() {
    holds_of_labels(Invariant::SecretKept);
}

#[test]
fn a09_in_every_state_labels_say_what_is_true_and_stay_below_their_clearance() {
    holds_of_labels(Invariant::LabelTrue);
}

#[test]
fn a10_in_every_state_what_is_kept_sealed_raises_nobody_s_label() {
    holds_of_labels(Invariant::SealedUnread);
}

#[test]
fn a11_code_and_oracle_decide_alike_on_labels_in_every_state() {
    holds_of_labels(Invariant::DecisionsAgree);
}

#[test]
fn a09_the_small_scope_of_labels_is_worth_exploring() {
    let [small, _] = flows();
    assert!(small.states > 10_000, "{} states", small.states);
}
