//! Where no rule concerns an operation, judging it and putting it into the past touches no heap.

mod common;

use common::{Crossing, load, manifest};
use lockgate_authority::PointKind;
use lockgate_rules::Verdict;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what this thread asks it for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // The counter is gone while a thread ends; nothing is measured then.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to `System`, which upholds the contract; counting touches only a
// thread-local integer and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's guarantees are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a16_where_no_rule_concerns_an_operation_nothing_is_allocated() {
    let rules = load("forbid(principal, action == Action::\"tool.mail.send\", resource);").expect("rules");
    let (manifest, mut history) = (manifest(), rules.history());
    for (kind, name, op) in [
        (PointKind::Fs, "inbox", "read"),
        (PointKind::Tool, "mail", "search"),
        (PointKind::Http, "weather", "request"),
        (PointKind::Log, "log", "info"),
    ] {
        let crossing = Crossing::new(kind, name, op);
        let allocated = crossing.act(manifest.parties(), |act| {
            let before = ALLOCATIONS.with(Cell::get);
            let clear = rules.judge(act, &history) == Verdict::Clear;
            rules.begin(&mut history, crossing.handle(), op, &crossing.point, crossing.way());
            let after = ALLOCATIONS.with(Cell::get);
            assert!(clear);
            after - before
        });
        assert_eq!(allocated, 0, "{op}");
    }
    // The counter counts: a rule that is evaluated does allocate.
    let before = ALLOCATIONS.with(Cell::get);
    Crossing::new(PointKind::Tool, "mail", "send").judge(&rules, &history);
    assert!(ALLOCATIONS.with(Cell::get) > before);
}
