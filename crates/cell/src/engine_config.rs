// Shared by the build script, which compiles the image, and by the engine, which loads it: every setting that is baked
// into compiled code is decided here, once.

/// Stack that WebAssembly may use, in bytes. JavaScript is stopped by its own, much smaller limit first; only the
/// engine's parser recurses deeper. Twice this must fit on the thread that runs cells.
pub const WASM_STACK_BYTES: usize = 4 << 20;

/// Address space reserved for each linear memory, in bytes: all that 32-bit code can address, so that no access needs
/// a bounds check.
pub const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;

/// Inaccessible space after each linear memory, in bytes; covers the constant offsets that instructions add.
pub const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// The engine's settings without the ones that matter only while running (the pool).
pub fn compiler_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        // Cells run on the thread's own stack; the engine only insists that this is not smaller.
        .async_stack_size(WASM_STACK_BYTES)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .memory_may_move(false)
        .memory_init_cow(true)
        .concurrency_support(false)
        // No code of ours reads a stack trace of WebAssembly frames, and guests must not see one.
        .generate_address_map(false)
        .native_unwind_info(false);
    // What the guest needs and no more: a smaller compiler and runtime surface.
    config
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_extended_const(false);
    config
}
