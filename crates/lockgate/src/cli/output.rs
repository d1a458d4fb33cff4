//! How results, errors and text of guests reach a person or a program.

use super::streams;
use lockgate_authority::{ManifestErrors, ReasonCode, Value};
use lockgate_control::ControlError;
use lockgate_decode::is_unseen;
use lockgate_host::{OpenError, RunError};
use serde_json::{Map, Value as Json, json};
use std::process::ExitCode;

/// An error on its way out: what `--json` holds and what a person reads.
pub(crate) struct Trouble {
    pub(crate) status: u8,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Further fields of the JSON error, such as `file`, `line` and `column`.
    pub(crate) fields: Map<String, Json>,
    /// `file:line:column` in a program, put in front of the message for a person.
    pub(crate) place: Option<String>,
    /// Lines below the message for a person.
    pub(crate) details: Vec<String>,
    /// Standard output cannot take it, so that it is text even with `--json`.
    pub(crate) unwritable: bool,
    /// Ends the command without a word.
    pub(crate) silent: bool,
}

impl Trouble {
    pub(crate) fn usage(message: impl Into<String>) -> Trouble {
        Trouble {
            status: 2,
            code: ReasonCode::Misconfigured.as_str().to_owned(),
            message: message.into(),
            hint: None,
            fields: Map::new(),
            place: None,
            details: Vec::new(),
            unwritable: false,
            silent: false,
        }
    }

    /// Standard output failed.
    pub(crate) fn cannot_write(error: &std::io::Error) -> Trouble {
        Trouble {
            unwritable: true,
            ..Trouble::usage(format!("cannot write the result: {error}"))
                .hint("make room where its output goes, or send it elsewhere")
        }
    }

    /// Nobody reads standard output any more: no error, and nothing more to say.
    pub(crate) fn reader_gone() -> Trouble {
        Trouble { status: 0, silent: true, ..Trouble::usage("nobody reads the result") }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Trouble {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it to standard error, as one JSON object or as text, where standard output is for something else.
    pub(crate) fn print_to_stderr(self, json: bool) -> ExitCode {
        if json {
            super::streams::note(&json!({"ok": false, "error": self.to_json()}).to_string());
            return ExitCode::from(self.status);
        }
        self.print(false)
    }

    /// Prints it, as one JSON object on standard output or as text on standard error.
    pub(crate) fn print(self, json: bool) -> ExitCode {
        if json && !self.silent && !self.unwritable {
            match print_json(&json!({"ok": false, "error": self.to_json()})) {
                Ok(()) => {}
                Err(gone) if gone.silent => {}
                Err(unwritable) => return unwritable.print(false),
            }
        } else if !self.silent {
            self.tell();
        }
        ExitCode::from(self.status)
    }

    fn tell(&self) {
        let place = self.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        streams::note(&format!("{} {}{}", paint("error:", RED), terminal(&place), terminal(&self.message)));
        for line in &self.details {
            streams::note(&format!("  {}", terminal(line)));
        }
        if let Some(hint) = &self.hint {
            streams::note(&format!("{} {}", paint("hint:", CYAN), terminal(hint)));
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut error = Map::new();
        error.insert("code".to_owned(), json!(self.code));
        error.insert("message".to_owned(), json!(self.message));
        error.insert("hint".to_owned(), json!(self.hint));
        error.extend(self.fields.clone());
        Json::Object(error)
    }
}

impl From<&RunError> for Trouble {
    fn from(error: &RunError) -> Trouble {
        let status = match () {
            () if error.is_limit() => 3,
            () if error.is_machine() => 4,
            () if error.code == ReasonCode::Misconfigured => 2,
            () => 1,
        };
        let mut fields = Map::new();
        if !error.name.is_empty() {
            fields.insert("name".to_owned(), json!(error.name));
        }
        if let Some(file) = &error.file {
            fields.insert("file".to_owned(), json!(file));
            fields.insert("line".to_owned(), json!(error.line));
            fields.insert("column".to_owned(), json!(error.column));
        }
        let details: Vec<String> = error.stack.lines().map(|line| line.trim().to_owned()).collect();
        if !error.stack.is_empty() {
            fields.insert("stack".to_owned(), json!(error.stack));
        }
        let place = match (&error.file, error.line, error.column) {
            (Some(file), Some(line), Some(column)) => Some(format!("{file}:{line}:{column}")),
            _ => None,
        };
        let message =
            if error.name.is_empty() { error.message.clone() } else { format!("{}: {}", error.name, error.message) };
        Trouble {
            status,
            code: error.code.as_str().to_owned(),
            message,
            hint: error.hint.clone(),
            fields,
            place,
            details,
            unwritable: false,
            silent: false,
        }
    }
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Trouble {
        Trouble::from(&error)
    }
}

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Trouble {
        Trouble::usage(error.to_string()).hint("it lies beside the journal: choose another place with `--journal`")
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Trouble {
        let (status, code) = match &error {
            OpenError::Rules(errors) => return Trouble::from(errors.clone()),
            OpenError::Walls { .. } => (4, ReasonCode::WallUnavailable),
            OpenError::Unrecorded(_) => (4, ReasonCode::JournalUnavailable),
            OpenError::Token { code, .. } => (2, *code),
            OpenError::Journal(_)
            | OpenError::Point { .. }
            | OpenError::RuleFile { .. }
            | OpenError::Io { .. }
            | OpenError::Control(_)
            | OpenError::Key(_) => (2, ReasonCode::Misconfigured),
            OpenError::Drift(_) => (2, ReasonCode::PinDrift),
        };
        let hint = error.hint();
        Trouble { status, code: code.as_str().to_owned(), hint, ..Trouble::usage(error.to_string()) }
    }
}

impl From<ManifestErrors> for Trouble {
    fn from(errors: ManifestErrors) -> Trouble {
        let problems: Vec<Json> = errors
            .problems
            .iter()
            .map(|problem| {
                json!({
                    "key": problem.key,
                    "line": problem.place.as_ref().map(|place| place.line),
                    "column": problem.place.as_ref().map(|place| place.column),
                    "message": problem.message,
                    "hint": problem.hint,
                })
            })
            .collect();
        let mut fields = Map::new();
        fields.insert("file".to_owned(), json!(errors.file));
        if let Some(place) = errors.problems.first().and_then(|problem| problem.place.as_ref()) {
            fields.insert("line".to_owned(), json!(place.line));
            fields.insert("column".to_owned(), json!(place.column));
        }
        fields.insert("problems".to_owned(), Json::Array(problems));
        let count = errors.problems.len();
        let message = match count {
            1 => errors.to_string(),
            _ => format!("the manifest has {count} problems"),
        };
        let details = if count == 1 { Vec::new() } else { errors.with_hints().lines().map(str::to_owned).collect() };
        let hint = if count == 1 { errors.problems.first().and_then(|problem| problem.hint.clone()) } else { None };
        Trouble { fields, details, hint, ..Trouble::usage(message) }
    }
}

/// One object on one line.
pub(crate) fn print_json(value: &Json) -> Result<(), Trouble> {
    streams::line(&value.to_string())
}

/// A result as JSON: bytes as `{"$bytes": base64}`, what JSON lacks as null.
pub(crate) fn to_json(value: &Value) -> Json {
    value.to_display_json()
}

/// A result for a person: text as it is, the rest as indented JSON, nothing for `undefined`.
pub(crate) fn print_result(value: &Value) -> Result<(), Trouble> {
    match value {
        Value::Undefined => Ok(()),
        Value::Text(text) => streams::line(&terminal(text)),
        value => match serde_json::to_string_pretty(&to_json(value)) {
            Ok(text) => streams::line(&terminal(&text)),
            Err(_) => streams::line("(a result that cannot be shown)"),
        },
    }
}

pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";
pub(crate) const YELLOW: &str = "33";
pub(crate) const CYAN: &str = "36";
pub(crate) const DIM: &str = "2";

/// Coloured where standard error is a terminal that wants it.
pub(crate) fn paint(text: &str, colour: &str) -> String {
    use std::io::IsTerminal;
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Text that cannot begin a line of its own, nor hide a part of itself: for what others say within one of our lines.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            '\n' => vec!['\\', 'n'],
            '\t' => vec!['\\', 't'],
            '\r' => vec!['\\', 'r'],
            unseen if is_unseen(unseen) => unseen.escape_unicode().collect(),
            seen => vec![seen],
        })
        .collect()
}

/// Text of a guest may hold sequences that command a terminal: control characters are shown, not sent.
pub(crate) fn terminal(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let is_harmless = matches!(character, '\n' | '\t') || !character.is_control();
            let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if is_harmless && !turns { vec![character] } else { character.escape_unicode().collect() }
        })
        .collect()
}
