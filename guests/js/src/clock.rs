//! The clock of the cell. It moves only when the host says so.

use std::cell::Cell;

thread_local! {
    static NOW_MS: Cell<f64> = const { Cell::new(0.0) };
    static STARTED_MS: Cell<f64> = const { Cell::new(0.0) };
}

/// Sets the time at which the program starts.
pub fn start(ms: f64) {
    STARTED_MS.with(|started| started.set(ms));
    set_now(ms);
}

/// The time at which the program started.
pub fn started() -> f64 {
    STARTED_MS.with(Cell::get)
}

/// Sets the time, in milliseconds since the Unix epoch.
pub fn set_now(ms: f64) {
    NOW_MS.with(|now| now.set(ms));
}

/// The time that the host set last, in milliseconds since the Unix epoch.
pub fn now() -> f64 {
    NOW_MS.with(Cell::get)
}

/// The one clock that the engine's C library asks (microseconds). Defining it here keeps it from being an import.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    now() * 1000.0
}

/// Natively the engine asks the C library for the time of day: answered from the host's time as well, so that tests
/// see the clock that cells see.
#[cfg(not(target_arch = "wasm32"))]
#[unsafe(no_mangle)]
extern "C" fn gettimeofday(time: *mut [i64; 2], _zone: *mut std::ffi::c_void) -> std::ffi::c_int {
    let us = (now() * 1000.0) as i64;
    // SAFETY: the caller passes a `timeval`, two 64-bit fields on the hosts where tests run.
    unsafe { *time = [us.div_euclid(1_000_000), us.rem_euclid(1_000_000)] };
    0
}
