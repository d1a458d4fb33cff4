//! A stack that no text can overflow.
//!
//! Parser and visitor are recursive, and each level of recursion consumes at least one token. So the number of tokens
//! that can open a level bounds the depth, and the depth bounds the stack. The bound is on address space: a page is
//! touched only when the text really nests that deep.

use crate::error::{ErrorCode, Refused};

/// Stack for one token that can nest, in bytes. The most that any form was measured to need is 1.8 KiB (nested tuple
/// types); a test runs every form with half of this.
const STACK_PER_TOKEN: usize = if cfg!(debug_assertions) { 16 << 10 } else { 4 << 10 };

/// Stack for what does not depend on the text, in bytes.
const STACK_BASE: usize = 512 << 10;

/// Runs `work` on a stack with room for any recursion over `source`: a new one, or the caller's if it has that many bytes
/// `left`.
///
/// # Errors
///
/// `TooLarge` if the system has no such address space, `Internal` if `work` panics.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn with_room_for<T: Send>(
    source: &str,
    left: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Refused> {
    let needed = STACK_BASE + STACK_PER_TOKEN * tokens_that_can_nest(source);
    match left {
        None => run_on(needed, work),
        Some(left) if needed > left => {
            Err(failure(ErrorCode::TooLarge, "the source has more tokens than can be parsed here"))
        }
        Some(_) => Ok(work()),
    }
}

/// WebAssembly has neither threads nor a stack that can be overflowed: it traps.
#[cfg(target_family = "wasm")]
pub(crate) fn with_room_for<T>(_: &str, _: Option<usize>, work: impl FnOnce() -> T) -> Result<T, Refused> {
    Ok(work())
}

#[cfg(not(target_family = "wasm"))]
fn run_on<T: Send>(stack_bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T, Refused> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("lockgate-syntax".to_owned())
            .stack_size(stack_bytes)
            .spawn_scoped(scope, work)
            .map_err(|_| failure(ErrorCode::TooLarge, "no address space to parse a source of this length"))?;
        thread.join().map_err(|_| failure(ErrorCode::Internal, "the parser failed on this source"))
    })
}

#[cfg(not(target_family = "wasm"))]
fn failure(code: ErrorCode, message: &str) -> Refused {
    Refused { code, offset: 0, message: message.to_owned(), hint: None }
}

/// An upper bound of how many tokens of `source` can each open one more level of recursion. Text in strings and comments
/// counts as well, so that nothing depends on telling it from code.
fn tokens_that_can_nest(source: &str) -> usize {
    let mut tokens = 0;
    let mut in_word = false;
    for &byte in source.as_bytes() {
        let word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\\') || byte >= 0x80;
        let closes = matches!(byte, b')' | b']' | b'}' | b';' | b',' | b'"' | b'\'') || byte <= b' ';
        if (word && !in_word) || !(word || closes) {
            tokens += 1;
        }
        in_word = word;
    }
    tokens
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs `work` with half the stack that [`with_room_for`] gives.
    pub(crate) fn with_half_the_room_for<T: Send>(source: &str, work: impl FnOnce() -> T + Send) -> T {
        run_on((STACK_BASE + STACK_PER_TOKEN * tokens_that_can_nest(source)) / 2, work).expect("the thread runs")
    }

    #[test]
    fn n20_each_token_that_can_nest_is_counted() {
        assert_eq!(tokens_that_can_nest("((("), 3);
        assert_eq!(tokens_that_can_nest("a=>a=>a"), 7);
        assert_eq!(tokens_that_can_nest("new new A ! ! a"), 6);
        assert_eq!(tokens_that_can_nest("`${`${a}`}`"), 9);
        assert_eq!(tokens_that_can_nest("   )]};,"), 0);
    }
}
