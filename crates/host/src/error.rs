//! What can go wrong before, in and after a run, as values a person or a program can act on.

use lockgate_authority::ReasonCode;
use std::fmt;
use std::io;

/// Why a program could not be read or run, with the place in the user's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// The documented reason.
    pub code: ReasonCode,
    /// The error's class as the program sees it, such as `TypeError`; empty where no program was running.
    pub name: String,
    /// One sentence.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// The user's file.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Frames in the user's files, one a line.
    pub stack: String,
}

impl RunError {
    /// An error without a place.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        RunError {
            code,
            name: String::new(),
            message: message.into(),
            hint: None,
            file: None,
            line: None,
            column: None,
            stack: String::new(),
        }
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place, unless there is one already.
    pub fn at(mut self, file: &str, line: u32, column: u32) -> Self {
        if self.file.is_none() {
            self.file = Some(file.to_owned());
            self.line = Some(line);
            self.column = Some(column);
        }
        self
    }

    /// Whether a limit ended the cell.
    pub fn is_limit(&self) -> bool {
        self.code.as_str().starts_with("limit_")
    }

    /// Whether the machine or a worker, not the program, is to blame.
    pub fn is_machine(&self) -> bool {
        matches!(
            self.code,
            ReasonCode::WorkerLost
                | ReasonCode::WallUnavailable
                | ReasonCode::JournalUnavailable
                | ReasonCode::Internal
        )
    }

    pub(crate) fn unrecorded(cause: &str) -> Self {
        RunError::new(ReasonCode::JournalUnavailable, format!("the journal could not be written: {cause}"))
            .hint("make room on the disk or choose another place with `--journal`, then run it again")
    }

    pub(crate) fn missing(path: &str) -> Self {
        RunError::new(ReasonCode::NotFound, format!("there is no program at `{path}`"))
            .hint("give the path of a .js or .ts file, or `-` to read the program from standard input")
    }

    pub(crate) fn unreadable(path: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => RunError::missing(path),
            _ => RunError::new(ReasonCode::Misconfigured, format!("cannot read the program `{path}`: {error}"))
                .hint("give the path of a readable .js or .ts file"),
        }
    }

    pub(crate) fn too_large(path: &str, limit: u64) -> Self {
        RunError::new(ReasonCode::TooLarge, format!("the program `{path}` is larger than {limit} bytes"))
            .hint("pass data as input or through a granted directory, not as source")
    }

    pub(crate) fn not_text(path: &str) -> Self {
        RunError::new(ReasonCode::Malformed, format!("the program `{path}` is not UTF-8 text"))
            .hint("save the file as UTF-8")
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        if !self.name.is_empty() {
            write!(f, "{}: ", self.name)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for RunError {}
