//! What one cell may use, and which of it ended the cell.

/// JavaScript's own stack limit that gates should put into a cell's start, in bytes. Deep recursion then throws a
/// `RangeError` in the guest; only what recurses outside JavaScript meets [`crate::WASM_STACK_BYTES`].
pub const JS_STACK_BYTES: u32 = 160 << 10;

/// Size of the pages in which a cell's memory grows, in bytes.
pub const WASM_PAGE_BYTES: u64 = 64 << 10;

/// The limits of one cell. All of them hold over everything the guest executes: promise jobs, getters, regular
/// expressions, comparators and loops inside the interpreter's own functions as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Processor time over all turns, in microseconds. A cell that exceeds it ends later by the overshoot: 0.6 ms in the
    /// median, 4 to 7 ms at most in 40 runs, both with two processors and four other busy processes. A bulk memory
    /// operation cannot be interrupted and adds its own time, about 0.1 ms for each MiB (`cell_bench overshoot`).
    pub cpu_us: u64,
    /// Time since the start, waiting included, in microseconds; an order can put its end off. A cell that waits is ended when it is next resumed:
    /// whoever holds the cell's requests must watch the clock meanwhile.
    pub wall_us: u64,
    /// Linear memory in bytes, the image's own part included. Asking for more ends the cell.
    pub memory_bytes: u64,
    /// Elements of each function table. Asking for more ends the cell.
    pub table_elements: u32,
    /// Size of one turn (requests or the result) in bytes. A larger one ends the cell.
    pub turn_bytes: u32,
}

impl Default for Bounds {
    /// One second of processor time within ten seconds, 64 MiB, turns of at most 8 MiB.
    fn default() -> Bounds {
        Bounds {
            cpu_us: 1_000_000,
            wall_us: 10_000_000,
            memory_bytes: 64 << 20,
            table_elements: 16_384,
            turn_bytes: 8 << 20,
        }
    }
}

/// Why a cell is dead. Names no value of the guest's or of the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum EndReason {
    /// It used all its processor time.
    #[error("the cell used all its processor time")]
    Cpu = 1,
    /// Its time was over.
    #[error("the cell's time was over")]
    Wall = 2,
    /// It asked for more memory than it may have.
    #[error("the cell asked for more memory than it may have")]
    Memory = 3,
    /// It recursed deeper than the engine's stack.
    #[error("the cell recursed too deeply")]
    Stack = 4,
    /// It asked for a larger function table than it may have.
    #[error("the cell asked for a larger table than it may have")]
    Table = 5,
    /// It handed over more bytes in one turn than it may.
    #[error("the cell handed over more bytes in one turn than it may")]
    Output = 6,
    /// The interpreter stopped in a state that it cannot leave.
    #[error("the cell's interpreter failed")]
    Trap = 7,
    /// What it handed over lay outside its memory or was no turn.
    #[error("the cell broke the rules of its interface")]
    BadAbi = 8,
    /// Every slot of the pool was taken.
    #[error("the worker has no room for another cell")]
    NoSlot = 9,
    /// A living cell has the same number.
    #[error("the cell's number is taken")]
    Taken = 10,
    /// The process that held it is gone. Said by the gate's side of a connection, never by a worker.
    #[error("the worker that held the cell is gone")]
    WorkerLost = 11,
}

impl EndReason {
    /// Stable code, as in messages and records.
    pub fn code(self) -> &'static str {
        match self {
            EndReason::Cpu => "cpu",
            EndReason::Wall => "wall",
            EndReason::Memory => "memory",
            EndReason::Stack => "stack",
            EndReason::Table => "table",
            EndReason::Output => "output",
            EndReason::Trap => "trap",
            EndReason::BadAbi => "bad_abi",
            EndReason::NoSlot => "no_slot",
            EndReason::Taken => "taken",
            EndReason::WorkerLost => "worker_lost",
        }
    }

    /// The reason for a byte that a worker sent; [`EndReason::WorkerLost`] cannot come from there.
    pub fn from_wire(byte: u8) -> Option<EndReason> {
        use EndReason::*;
        [Cpu, Wall, Memory, Stack, Table, Output, Trap, BadAbi, NoSlot, Taken]
            .into_iter()
            .find(|reason| *reason as u8 == byte)
    }
}

/// What a cell has used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time over all turns, in microseconds.
    pub cpu_us: u64,
    /// Linear memory now, in bytes, the image's own part included.
    pub memory_bytes: u64,
}
