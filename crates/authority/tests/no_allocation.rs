//! A decision that allows touches no heap.

use lockgate_authority::{
    Candidates, CanonicalPath, CanonicalUrl, Decision, Manifest, Mint, PointKind, Principal, PrincipalKind, Request,
    Spend, Subject, Usage, Value, authorize,
};
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
        // SAFETY: `pointer` came from `System` by `alloc` or `realloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`, and the caller guarantees a valid size.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.with(Cell::get);
    let out = work();
    (ALLOCATIONS.with(Cell::get) - before, out)
}

#[test]
fn a03_a_decision_that_allows_allocates_nothing() {
    let mut text = String::from("isolation = \"trusted\"\n");
    for index in 0..64 {
        text.push_str(&format!(
            "[http.h{index}]\nhosts = [\"h{index}.example.com\", \"*.w{index}.example.com\"]\nmethods = [\"GET\"]\n\
             paths = [\"/v1/\"]\ncalls = 1000\nbytes = \"1MiB\"\nrate = \"1000/s\"\nuntil = \"2100-01-01T00:00:00Z\"\n\
             [fs.d{index}]\npath = \".\"\nallow = [\"read\"]\nunder = \"a/b\"\n\
             [kv.k{index}]\nallow = [\"get\"]\nprefix = \"x/\"\n\
             [tool.t{index}]\ncommand = [\"x\"]\ntools = [\"write\"]\narguments = {{ write = [\"path\", \"n\", \"s\"] }}\n\
             [tool.t{index}.where.write]\npath = {{ under = \"/srv\" }}\nn = {{ min = 0, max = 9 }}\n\
             s = {{ one_of = [\"u\", \"v\"], max_length = 10, equals = \"s\" }}\n"
        ));
    }
    let manifest = Manifest::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors}"));
    let held = manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new());
    let path = CanonicalPath::parse("a/b/c.csv").expect("canonical");
    let url = CanonicalUrl::parse("https://deep.w63.example.com/v1/x").expect("canonical");
    let args = Value::map([("path", Value::from("/srv/x")), ("n", Value::Int(3)), ("s", Value::from("v"))]);
    let none = Value::EMPTY_MAP;
    let request = |kind, name, op, subject, args| Request {
        kind,
        name,
        op,
        subject,
        args,
        bytes: 100,
        now_ms: 1000,
        seen: None,
        approved: None,
    };
    let requests = [
        request(PointKind::Http, "http", "request", Subject::Url { url: &url, method: "GET" }, &none),
        request(PointKind::Http, "http", "body", Subject::Continued, &none),
        request(PointKind::Fs, "d63", "read", Subject::Path(&path), &none),
        request(PointKind::Kv, "k63", "get", Subject::Key("x/1"), &none),
        request(PointKind::Tool, "t63", "write", Subject::None, &args),
        request(PointKind::Clock, "clock", "now", Subject::None, &none),
    ];
    let mut usage = Usage::new();
    for request in &requests {
        let spent = match authorize(held.for_handle(request.kind, request.name), request, &usage) {
            Decision::Allow(grant) => usage.reserve(grant, Spend::call(10), 0).expect("there is enough"),
            Decision::Deny(denial) => panic!("{denial}"),
        };
        usage.settle(spent, 10);
        usage.revoke(held.for_handle(PointKind::Kv, "k0")[0].id());
        let candidates = Candidates::new(request.kind, held.for_handle(request.kind, request.name));
        let (count, allowed) = allocations(|| {
            let looked_up = candidates.authorize(request, &usage);
            let by_handle = authorize(held.for_handle(request.kind, request.name), request, &usage);
            let among_all = authorize(held.all(), request, &usage);
            let all = [looked_up, by_handle, among_all];
            all.iter().all(|decision| matches!(decision, Decision::Allow(_)))
        });
        assert!(allowed, "{request:?}");
        assert_eq!(count, 0, "{request:?}");
    }
    // The counter counts.
    assert!(allocations(|| std::hint::black_box(Vec::<u8>::with_capacity(10))).0 > 0);
}
