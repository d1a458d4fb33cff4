//! N-21: what a cell leaves in its slot is gone when the next one gets it. Compared byte by byte over the whole linear
//! memory, for slots that were used, grown and filled, in this process and in one forked from it.

mod common;

use common::program::script_with;
use common::{Outcome, on_big_stack, outcome, tiny_engine_with};
use lockgate_cell::{Bounds, Engine, EngineError, EngineOptions, Executor, ExecutorError};
use std::panic::{AssertUnwindSafe, catch_unwind};

const SLOTS: u32 = 4;

fn bounds() -> Bounds {
    Bounds { memory_bytes: 256 << 20, cpu_us: 10_000_000, ..Bounds::default() }
}

/// Fills every slot with what `leave` does, drops them all, starts `look` in every slot, and compares each memory with
/// that of `look` in an engine whose slots were never used. Running is deterministic, so they must be the same.
fn assert_nothing_is_left(unused: &Engine, used: &Engine, leave: &[u8], look: &[u8]) {
    let mut executor = Executor::new(unused).expect("the thread fits");
    assert_eq!(outcome(executor.start(0, &bounds(), look)).0, Outcome::Waiting);
    let expected = executor.memory(0).expect("it waits").to_vec();
    let mut executor = Executor::new(used).expect("the thread fits");
    for round in 0..3 {
        for cell in 0..SLOTS {
            assert_eq!(outcome(executor.start(cell, &bounds(), leave)).0, Outcome::Waiting, "round {round}");
            assert!(executor.memory(cell).expect("it waits") != expected, "the pattern was not written");
        }
        (0..SLOTS).for_each(|cell| assert!(executor.drop_cell(cell)));
        for cell in 0..SLOTS {
            assert_eq!(outcome(executor.start(cell, &bounds(), look)).0, Outcome::Waiting, "round {round}");
            let memory = executor.memory(cell).expect("it waits");
            assert_eq!(memory.len(), expected.len());
            let differing = memory.iter().zip(&expected).position(|(found, expected)| found != expected);
            assert_eq!(differing, None, "slot {cell}, round {round}");
        }
        (0..SLOTS).for_each(|cell| assert!(executor.drop_cell(cell)));
    }
}

/// With and without the kernel's help in finding what was changed.
fn ways() -> [EngineOptions; 2] {
    [true, false].map(|page_scan| EngineOptions { slots: SLOTS, page_scan })
}

fn javascript(options: EngineOptions) -> Engine {
    Engine::new(options).expect("the image is valid")
}

/// A program that leaves strings, arrays and bytes behind, about a megabyte a time, and then waits.
fn leave(times: u32) -> Vec<u8> {
    let source = format!(
        "globalThis.kept = [];
         for (let i = 0; i < {times}; i++) {{
             kept.push(new Uint8Array(700 * 1024).fill(0xa5), 'secret'.repeat(20000) + i, Array(5000).fill(i));
         }}
         Object.prototype.leak = kept;
         lockgate.clock.sleep(1)"
    );
    script_with(&source, &[(1, "clock", "clock")])
}

/// A program that waits at once.
fn look() -> Vec<u8> {
    script_with("lockgate.clock.sleep(1)", &[(1, "clock", "clock")])
}

#[test]
fn n21_patterns_over_the_whole_memory_are_gone() {
    for way in ways() {
        on_big_stack(|| assert_nothing_is_left(&tiny_engine_with(way), &tiny_engine_with(way), b"p", b"w"));
    }
}

#[test]
fn n21_what_a_small_program_leaves_is_gone() {
    for way in ways() {
        on_big_stack(|| assert_nothing_is_left(&javascript(way), &javascript(way), &leave(0), &look()));
    }
}

#[test]
fn n21_what_a_grown_program_leaves_is_gone() {
    for way in ways() {
        for times in [1, 4, 60] {
            on_big_stack(|| assert_nothing_is_left(&javascript(way), &javascript(way), &leave(times), &look()));
        }
    }
}

#[test]
fn n21_what_an_exhausted_program_leaves_is_gone() {
    for way in ways() {
        on_big_stack(|| {
            let (unused, used) = (javascript(way), javascript(way));
            let mut executor = Executor::new(&used).expect("the thread fits");
            let full = script_with("const a = []; for (;;) a.push('secret' + a.length)", &[]);
            for cell in 0..3 * SLOTS {
                let small = Bounds { memory_bytes: 16 << 20, ..bounds() };
                assert!(matches!(outcome(executor.start(cell, &small, &full)).0, Outcome::Ended(_)));
            }
            assert_nothing_is_left(&unused, &used, &leave(0), &look());
        });
    }
}

#[test]
fn n21_a_forked_process_cleans_its_slots_too() {
    for way in ways() {
        on_big_stack(|| {
            let (unused, used) = (javascript(way), javascript(way));
            used.warm_up().expect("there is a slot");
            unused.warm_up().expect("there is a slot");
            let clean = in_fork(|| {
                let check = AssertUnwindSafe(|| assert_nothing_is_left(&unused, &used, &leave(2), &look()));
                catch_unwind(check).is_ok()
            });
            assert!(clean, "the slots of the forked process are not clean");
            assert_nothing_is_left(&unused, &used, &leave(1), &look());
        });
    }
}

#[test]
fn n05_a_process_forked_after_the_clock_started_runs_no_cell() {
    on_big_stack(|| {
        let engine = javascript(ways()[0]);
        drop(Executor::new(&engine).expect("the thread fits"));
        let refused = in_fork(|| matches!(Executor::new(&engine), Err(ExecutorError::Engine(EngineError::Forked))));
        assert!(refused, "nothing would have ended an infinite loop");
    });
}

/// Forks; what `body` says in the child, said in the parent.
fn in_fork(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs only this thread's code and leaves by `_exit`. Other threads of the test program may hold
    // locks of the allocator at the fork; glibc makes its own usable in the child.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let code = i32::from(!body());
        // SAFETY: ends the child without running the parent's destructors.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    // SAFETY: `child` is a child of this process and `status` a valid place.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    status == 0
}
