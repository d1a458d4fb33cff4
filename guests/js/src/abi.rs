//! The exports. The host calls one at a time; a result is valid until the next call.

use std::cell::RefCell;

use crate::guest::Guest;
use crate::turn;

/// Longest message that the host may send, in bytes.
const MAX_INPUT: usize = 32 << 20;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static TURN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes the engine and evaluates the guest's own JavaScript. Called once, before the image is taken. Returns 1, or
/// 0 when that failed.
#[unsafe(no_mangle)]
extern "C" fn lg_init() -> u32 {
    TURN.with_borrow_mut(|turn| turn.reserve(4096));
    INPUT.with_borrow_mut(|input| input.reserve(4096));
    Guest::init().is_ok().into()
}

/// A buffer of at least `len` bytes for the next message; 0 when refused.
#[unsafe(no_mangle)]
extern "C" fn lg_buffer(len: u32) -> u32 {
    let len = len as usize;
    INPUT.with_borrow_mut(|input| {
        input.clear();
        if len > MAX_INPUT || input.try_reserve(len).is_err() {
            return 0;
        }
        input.as_mut_ptr() as u32
    })
}

/// Runs the Start message of `len` bytes in the buffer. Returns the Turn: its address in the high half, its length in
/// the low one; 0 when there is no guest or `len` exceeds the buffer.
#[unsafe(no_mangle)]
extern "C" fn lg_start(len: u32) -> u64 {
    // The program keeps the message: its sources are evaluated where they lie.
    run(len, |guest, input, turn| turn::start(guest, std::mem::take(input), turn))
}

/// Runs the Answers message of `len` bytes in the buffer, as [`lg_start`] does.
#[unsafe(no_mangle)]
extern "C" fn lg_resume(len: u32) -> u64 {
    run(len, |guest, input, turn| turn::resume(guest, input, turn))
}

fn run(len: u32, step: fn(&Guest, &mut Vec<u8>, &mut Vec<u8>)) -> u64 {
    let Some(guest) = Guest::get() else { return 0 };
    INPUT.with_borrow_mut(|input| {
        if len as usize > input.capacity() {
            return 0;
        }
        // SAFETY: the capacity is at least `len` and the host has written the first `len` bytes; in linear memory
        // every byte is initialised anyway.
        unsafe { input.set_len(len as usize) };
        TURN.with_borrow_mut(|turn| {
            step(guest, input, turn);
            (turn.as_ptr() as u64) << 32 | turn.len() as u64
        })
    })
}
