//! What a run really used, as a manifest to paste.

use crate::live::Finished;
use lockgate_authority::{Limit, Manifest, PartialLimits, Used};

/// Limits that a run is measured by are rounded up to this many times what it used, so that the next run has room.
const ROOM: u64 = 2;

/// The manifest with only the points, operations, paths, hosts and tools that the run used, and with limits that leave it
/// twice what it used of processor time, wall time, memory, output and crossings.
pub fn traced_manifest(manifest: &Manifest, finished: &Finished) -> String {
    let used =
        finished.used.iter().map(|used| Used { point: &used.point, op: &used.op, subject: used.target.subject() });
    let mut narrowed = manifest.narrowed(used);
    let mut limits = PartialLimits::default();
    let measured = [
        (Limit::Wall, finished.wall_us.div_ceil(1000)),
        (Limit::Cpu, finished.cpu_us.div_ceil(1000)),
        (Limit::Memory, finished.memory_bytes),
        (Limit::Output, finished.output_bytes),
        (Limit::Crossings, finished.crossings),
    ];
    for (limit, value) in measured {
        let room = value.saturating_mul(ROOM).max(limit.least()).max(1);
        limits.set(limit, room.min(manifest.limits().get(limit)));
    }
    // Never above what the manifest allows, so the policy cannot refuse them.
    let _ = narrowed.set_limits(&limits);
    narrowed.to_toml()
}
