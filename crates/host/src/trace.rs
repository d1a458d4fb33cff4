//! What a run really used, as a manifest to paste.

use crate::live::Finished;
use lockgate_authority::{Limit, Manifest, PartialLimits, Used};

/// The next run gets this many times what this one used.
const ROOM: u64 = 2;
/// And never less than this, since times vary with the load of the machine: milliseconds of wall and processor time, bytes of
/// memory and output, crossings.
const FLOORS: [(Limit, u64); 5] = [
    (Limit::Wall, 2_000),
    (Limit::Cpu, 200),
    (Limit::Memory, 8 << 20),
    (Limit::Output, 4 << 10),
    (Limit::Crossings, 16),
];

/// The manifest with only the points, operations, paths, hosts and tools that the run used, and with limits that leave room
/// for another run like it.
pub fn traced_manifest(manifest: &Manifest, finished: &Finished) -> String {
    let used =
        finished.used.iter().map(|used| Used { point: &used.point, op: &used.op, subject: used.target.subject() });
    let mut narrowed = manifest.narrowed(used);
    let mut limits = PartialLimits::default();
    let measured = [
        finished.wall_us.div_ceil(1000),
        finished.cpu_in_all_us.div_ceil(1000),
        finished.memory_bytes,
        finished.output_bytes,
        finished.crossings,
    ];
    for ((limit, floor), value) in FLOORS.into_iter().zip(measured) {
        limits.set(limit, value.saturating_mul(ROOM).max(floor).min(manifest.limits().get(limit)));
    }
    // Never above what the manifest allows, so the policy cannot refuse them.
    let _ = narrowed.set_limits(&limits);
    narrowed.to_toml()
}
