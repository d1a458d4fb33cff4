//! Bounds and life cycle of cells, with a guest in which every misbehaviour is one instruction away.

mod common;

use common::{Outcome, on_big_stack, outcome, start, tiny_engine};
use lockgate_cell::{Bounds, EndReason, Executor, ExecutorError};

fn quick() -> Bounds {
    Bounds { cpu_us: 30_000, wall_us: 5_000_000, memory_bytes: 8 << 20, ..Bounds::default() }
}

#[test]
fn n05_cpu_limit_ends_an_infinite_loop() {
    let (outcome, usage) = start(&tiny_engine(2), quick(), "l");
    assert_eq!(outcome, Outcome::Ended(EndReason::Cpu));
    assert!(usage.cpu_us >= 30_000, "{usage:?}");
}

#[test]
fn n05_cpu_limit_adds_up_over_turns() {
    on_big_stack(|| {
        let engine = tiny_engine(2);
        let mut executor = Executor::new(&engine).unwrap();
        let bounds = Bounds { cpu_us: 200, ..quick() };
        let (mut last, mut turns) = (outcome(executor.start(1, &bounds, b"w")), 0);
        while last.0 == Outcome::Waiting {
            last = outcome(executor.resume(1, b"w"));
            turns += 1;
            assert!(turns < 10_000_000, "a cell ran for ever");
        }
        assert_eq!(last.0, Outcome::Ended(EndReason::Cpu));
        assert!(turns > 1);
    });
}

#[test]
fn n05_wall_limit_ends_a_running_cell() {
    let bounds = Bounds { wall_us: 20_000, cpu_us: 60_000_000, ..quick() };
    assert_eq!(start(&tiny_engine(2), bounds, "l").0, Outcome::Ended(EndReason::Wall));
}

#[test]
fn n05_wall_limit_ends_a_cell_that_waited_too_long() {
    on_big_stack(|| {
        let engine = tiny_engine(2);
        let mut executor = Executor::new(&engine).unwrap();
        let bounds = Bounds { wall_us: 5_000, ..quick() };
        assert_eq!(outcome(executor.start(1, &bounds, b"w")).0, Outcome::Waiting);
        std::thread::sleep(std::time::Duration::from_millis(6));
        assert_eq!(outcome(executor.resume(1, b"d")).0, Outcome::Ended(EndReason::Wall));
    });
}

#[test]
fn a12_wall_time_can_be_put_off_while_a_cell_waits() {
    on_big_stack(|| {
        let engine = tiny_engine(2);
        let mut executor = Executor::new(&engine).unwrap();
        let bounds = Bounds { wall_us: 5_000, ..quick() };
        for cell in [1, 2] {
            assert_eq!(outcome(executor.start(cell, &bounds, b"w")).0, Outcome::Waiting);
        }
        std::thread::sleep(std::time::Duration::from_millis(6));
        assert!(executor.extend(1, 60_000_000) && !executor.extend(3, 1));
        assert_eq!(outcome(executor.resume(1, b"d")).0, Outcome::Finished);
        assert_eq!(outcome(executor.resume(2, b"d")).0, Outcome::Ended(EndReason::Wall));
    });
}

#[test]
fn n05_memory_limit_ends_the_cell() {
    let (outcome, usage) = start(&tiny_engine(2), quick(), "g");
    assert_eq!(outcome, Outcome::Ended(EndReason::Memory));
    assert!(usage.memory_bytes <= 8 << 20, "{usage:?}");
}

#[test]
fn n05_memory_limit_below_the_image_refuses_the_cell() {
    let bounds = Bounds { memory_bytes: 1 << 16, ..quick() };
    assert_eq!(start(&tiny_engine(2), bounds, "d").0, Outcome::Ended(EndReason::Memory));
}

#[test]
fn n05_input_that_the_guest_has_no_room_for_ends_it() {
    let input = "x".repeat(100_000);
    assert_eq!(start(&tiny_engine(2), quick(), &input).0, Outcome::Ended(EndReason::Memory));
}

#[test]
fn n05_table_limit_ends_the_cell() {
    let bounds = Bounds { table_elements: 100, ..quick() };
    assert_eq!(start(&tiny_engine(2), bounds, "e").0, Outcome::Ended(EndReason::Table));
    let bounds = Bounds { table_elements: u32::MAX, ..quick() };
    assert_eq!(start(&tiny_engine(2), bounds, "e").0, Outcome::Ended(EndReason::Table));
}

#[test]
fn n05_stack_limit_ends_the_cell() {
    assert_eq!(start(&tiny_engine(2), quick(), "r").0, Outcome::Ended(EndReason::Stack));
}

#[test]
fn n05_turn_larger_than_its_bound_ends_the_cell() {
    let bounds = Bounds { turn_bytes: 1 << 20, ..quick() };
    assert_eq!(start(&tiny_engine(2), bounds, "b").0, Outcome::Ended(EndReason::Output));
    assert_eq!(start(&tiny_engine(2), quick(), "b").0, Outcome::Waiting);
}

#[test]
fn n05_bulk_operations_are_interrupted_between_them() {
    assert_eq!(start(&tiny_engine(2), quick(), "f").0, Outcome::Ended(EndReason::Cpu));
}

#[test]
fn n05_a_small_thread_is_refused_rather_than_overrun() {
    let engine = tiny_engine(2);
    let made = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || Executor::new(&engine).map(|_| ()))
        .unwrap()
        .join()
        .unwrap();
    assert!(matches!(made, Err(ExecutorError::Stack { .. })), "{made:?}");
}

#[test]
fn n05_a_trap_says_no_more_than_that() {
    assert_eq!(start(&tiny_engine(2), quick(), "t").0, Outcome::Ended(EndReason::Trap));
}

#[test]
fn n05_turns_outside_the_memory_are_refused() {
    assert_eq!(start(&tiny_engine(2), quick(), "o").0, Outcome::Ended(EndReason::BadAbi));
    assert_eq!(start(&tiny_engine(2), quick(), "n").0, Outcome::Ended(EndReason::BadAbi));
}

#[test]
fn n05_a_full_pool_refuses_and_recovers() {
    on_big_stack(|| {
        let engine = tiny_engine(2);
        let mut executor = Executor::new(&engine).unwrap();
        assert_eq!(outcome(executor.start(1, &quick(), b"w")).0, Outcome::Waiting);
        assert_eq!(outcome(executor.start(2, &quick(), b"w")).0, Outcome::Waiting);
        assert_eq!(outcome(executor.start(3, &quick(), b"w")).0, Outcome::Ended(EndReason::NoSlot));
        assert!(executor.drop_cell(1));
        assert_eq!(outcome(executor.start(3, &quick(), b"w")).0, Outcome::Waiting);
        assert_eq!(executor.len(), 2);
    });
}

#[test]
fn n05_finished_cells_never_fill_the_pool() {
    on_big_stack(|| {
        let engine = tiny_engine(3);
        let mut executor = Executor::new(&engine).unwrap();
        for cell in 0..20 {
            assert_eq!(outcome(executor.start(cell, &quick(), b"d")).0, Outcome::Finished);
        }
        assert!(executor.is_empty());
    });
}

#[test]
fn g02_exhausted_cell_is_dead() {
    on_big_stack(|| {
        let engine = tiny_engine(4);
        let mut executor = Executor::new(&engine).unwrap();
        for command in ["l", "g", "r", "e", "t", "o", "n"] {
            assert_eq!(outcome(executor.start(7, &quick(), b"w")).0, Outcome::Waiting);
            assert!(matches!(outcome(executor.resume(7, command.as_bytes())).0, Outcome::Ended(_)), "{command}");
            assert_eq!(outcome(executor.resume(7, b"w")).0, Outcome::Gone, "{command}");
            assert!(!executor.drop_cell(7), "{command}");
        }
    });
}

#[test]
fn g02_finished_cell_cannot_be_resumed() {
    on_big_stack(|| {
        let engine = tiny_engine(4);
        let mut executor = Executor::new(&engine).unwrap();
        assert_eq!(outcome(executor.start(7, &quick(), b"d")).0, Outcome::Finished);
        assert_eq!(outcome(executor.resume(7, b"d")).0, Outcome::Gone);
    });
}

#[test]
fn g02_a_taken_number_is_refused_and_the_living_cell_stays() {
    on_big_stack(|| {
        let engine = tiny_engine(4);
        let mut executor = Executor::new(&engine).unwrap();
        assert_eq!(outcome(executor.start(7, &quick(), b"w")).0, Outcome::Waiting);
        assert_eq!(outcome(executor.start(7, &quick(), b"d")).0, Outcome::Ended(EndReason::Taken));
        assert_eq!(outcome(executor.resume(7, b"d")).0, Outcome::Finished);
    });
}

#[test]
fn n22_a_spare_is_as_fresh_as_any() {
    on_big_stack(|| {
        let engine = tiny_engine(4);
        let mut executor = Executor::new(&engine).unwrap();
        for cell in 0..10 {
            executor.make_spare();
            assert_eq!(outcome(executor.start(cell, &quick(), b"p")).0, Outcome::Waiting);
            executor.make_spare();
            assert_eq!(outcome(executor.start(100 + cell, &quick(), b"w")).0, Outcome::Waiting);
            let memory = executor.memory(100 + cell).unwrap();
            // Only the command that was handed over differs from the image.
            assert!(memory[64..65_536].iter().all(|byte| *byte == 0));
            assert!(memory[65_537..].iter().all(|byte| *byte == 0));
            assert!(executor.drop_cell(cell) && executor.drop_cell(100 + cell));
        }
    });
}
