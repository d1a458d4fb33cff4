//! What a worker can still do behind every wall.

use libtest_mimic::Failed;
use lockgate_wall::{JailSpec, WallSet};

use crate::session::{Session, zygote};

crate::cases![w01_the_filter_lets_a_worker_work, n21_a_worker_scans_its_own_pages];

fn w01_the_filter_lets_a_worker_work() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    for _ in 0..3 {
        // Every block was doubled: 2 (2^24 - 1) bytes; then the map, the sleep and the clock.
        assert_eq!(session.ask("work"), "33554430 1000 true true");
    }
    assert_eq!(session.ask("tick"), "Ok(())");
    Ok(())
}

/// A pool that resets a memory by its page map must see its own process's pages: another's map
/// would leave one tenant's bytes to the next.
fn n21_a_worker_scans_its_own_pages() -> Result<(), Failed> {
    let zygote = zygote();
    for raise in [WallSet::all(), WallSet::all().minus(WallSet::namespaces())] {
        let spec = JailSpec { raise, ..JailSpec::default() };
        let mut session = Session::open(&zygote, &spec);
        assert_eq!(session.ask("scan"), "pages 3 to 5", "{raise:?}");
        assert_eq!(session.ask("scan"), "pages 3 to 5", "{raise:?}");
    }
    Ok(())
}
