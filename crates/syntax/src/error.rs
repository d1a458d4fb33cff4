//! What can be wrong with a text, and where.

use std::borrow::Cow;

use thiserror::Error;

/// The longest message, in characters: the parser quotes names of the program, which may be of any length.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a text was refused, and where in it.
///
/// Shown as `file:line:column: message`; the hint is apart.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SyntaxError {
    /// What kind of refusal this is.
    pub code: ErrorCode,
    /// The name that was given to [`prepare`](crate::prepare).
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in UTF-16 code units, from 1.
    pub column: u32,
    /// What is wrong there: lower case, no full stop, one line.
    pub message: String,
    /// What to write instead, where something can be said.
    pub hint: Option<String>,
}

/// The kinds of refusal, with a stable name each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The text is not JavaScript or TypeScript.
    Syntax,
    /// The text is correct, and of a form that cannot be run here.
    Unsupported,
    /// The text is longer than [`MAX_SOURCE_BYTES`](crate::MAX_SOURCE_BYTES), or this machine has not the address space
    /// to parse one of its length.
    TooLarge,
    /// The text is nested deeper than [`MAX_NESTING`](crate::MAX_NESTING).
    TooDeep,
    /// The parser failed in a way that is not the text's fault.
    Internal,
}

impl ErrorCode {
    /// The stable name, as machine-readable output shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Unsupported => "unsupported_syntax",
            Self::TooLarge => "source_too_large",
            Self::TooDeep => "source_too_deep",
            Self::Internal => "syntax_internal",
        }
    }
}

/// A refusal at a byte offset, before it is given a file, line and column.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub code: ErrorCode,
    pub offset: u32,
    pub message: String,
    pub hint: Option<Cow<'static, str>>,
}

/// Syntax that is correct and cannot be run.
pub(crate) fn unsupported(offset: u32, message: &str, hint: &'static str) -> Refused {
    Refused { code: ErrorCode::Unsupported, offset, message: message.to_owned(), hint: Some(hint.into()) }
}

/// Text that does not parse, in the parser's words made ours.
pub(crate) fn syntax(offset: u32, message: &str, hint: Option<Cow<'static, str>>) -> Refused {
    let hint = hint.map(|hint| in_our_form(&hint).into());
    Refused { code: ErrorCode::Syntax, offset, message: in_our_form(message), hint }
}

/// Text beyond [`MAX_SOURCE_BYTES`](crate::MAX_SOURCE_BYTES).
pub(crate) fn too_large(bytes: usize) -> Refused {
    Refused {
        code: ErrorCode::TooLarge,
        offset: 0,
        message: format!("the source has {bytes} bytes, more than the {} that are read", crate::MAX_SOURCE_BYTES),
        hint: Some("split it into modules, or pass data in as input instead of as source".into()),
    }
}

/// The parser's message in one short line, beginning in lower case and without a full stop.
fn in_our_form(message: &str) -> String {
    let mut kept: String =
        message.trim_end_matches('.').chars().take(MAX_MESSAGE_CHARS).filter(|c| !c.is_control()).collect();
    let mut start = kept.chars();
    if let (Some(first), Some(second)) = (start.next(), start.next())
        && first.is_ascii_uppercase()
        && !second.is_ascii_uppercase()
    {
        kept.replace_range(..1, &first.to_ascii_lowercase().to_string());
    }
    kept
}
