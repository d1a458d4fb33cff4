//! The gate: puts the parts together and performs the effects.
//!
//! A [`Gate`] holds the journal and the workers; a [`Session`] holds what an operator's manifest grants; its
//! [`run`](Session::run) starts a program in a fresh cell and gives what it left behind.

mod approvals;
mod caller;
mod effects;
mod entries;
mod error;
mod gate;
mod keys;
mod live;
mod pending;
mod processor;
mod program;
mod receipts;
mod revocation;
mod rules;
mod schemas;
mod seals;
mod session;
mod spawn;
mod tokens;
mod tool_uses;
mod trace;
mod view;
mod wall_time;
mod workers;

pub use approvals::OnAsk;
pub use caller::{CallId, Caller, Doing, RunId, VisibleTool};
pub use error::RunError;
pub use gate::{Gate, GateOptions, OpenError, Placement, Walling, rule_points};
pub use keys::{KeyFileError, fresh_seed, new_key, now_ms, read_seal_keys, read_secret_key, write_secret_key};
pub use live::Finished;
pub use lockgate_control::{AnswerError, Inquiry, QuestionId, Reply};
pub use lockgate_crossing::Failed;
pub use lockgate_decode::ProgramMode;
pub use lockgate_effects::tool::ToolInfo;
pub use lockgate_syntax::{Shape, ToolUse};
pub use pending::{OnPending, PendingServer};
pub use program::{MAX_SOURCE, Prepare, Prepared, Program};
pub use rules::{rule_text, rule_texts};
pub use seals::{rotate_seal_keys, seal_keys_path};
pub use session::{Closed, OnLog, Session};
pub use tokens::{Opening, Presentation};
pub use trace::traced_manifest;
pub use view::{
    Crossing, LabelSource, Learned, Retold, SessionView, Tighten, TightenError, TokenBehind, Verdict, ViewError,
};
pub use workers::prepare_hook;
