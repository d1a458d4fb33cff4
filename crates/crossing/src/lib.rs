//! The one path from a cell to an effect: resolve, decode, authorize, record, act, settle.
//!
//! [`cross`] walks it for one request. Each step consumes a value that only the step before can make, so none can be
//! skipped: an effect takes a [`Ready`], and only a recorded intent gives one.
//!
//! What is absent: WebAssembly, sockets, files, threads and the clock (times are passed in).

mod approval;
mod book;
mod came;
mod condense;
mod content;
mod effect;
mod floating;
mod flow;
mod path;
mod record;
mod ruling;
mod sealed;
mod target;
mod typed;

pub use approval::{Answer, Asked, Ended};
pub use book::{CellBook, Handle, SessionBook, Stopped, UsedGrant};
pub use condense::content_of;
pub use content::{Way, check as check_content};
pub use effect::{Acted, Effects, Failed, Outcome, Ready, Target};
pub use floating::{Floating, Origin, Shown};
pub use path::{Pending, Reply, Step, abandon, answer, cross, settle};
pub use record::{RecordFailed, Recorder, body};
pub use ruling::Ruling;
pub use sealed::{Unsealing, Used};
pub use target::target;
pub use typed::{Schemas, Type, Types};
