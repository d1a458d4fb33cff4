//! What is wrong with a text of rules.

use cedar_policy::ffi::DetailedError;
use lockgate_authority::Place;
use std::fmt;

/// One thing that is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file's name.
    pub file: String,
    /// Where it stands; `None` where the whole is meant.
    pub place: Option<Place>,
    /// What was found.
    pub message: String,
    /// The next step, such as the name that was probably meant.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}:{}:{}: {}", self.file, place.line, place.column, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Everything that is wrong with a session's rules, in the order of the texts; never empty. Displayed a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<RuleError>);

impl RuleErrors {
    /// The same lines with each hint on a line below its problem.
    pub fn with_hints(&self) -> String {
        let mut out = String::new();
        for error in &self.0 {
            out.push_str(&format!("{error}\n"));
            if let Some(hint) = &error.hint {
                out.push_str(&format!("  hint: {hint}\n"));
            }
        }
        out
    }
}

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(RuleError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for RuleErrors {}

/// Most problems that are kept of one load.
const MOST: usize = 100;

/// The problems of one load.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<RuleError>);

impl Found {
    /// Adds a problem at byte `offset` of the text of `file`.
    pub(crate) fn at(
        &mut self,
        file: &str,
        text: &str,
        offset: Option<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let place = offset.map(|offset| Place::of(text, offset));
        if self.0.len() < MOST {
            self.0.push(RuleError { file: file.to_owned(), place, message: message.into(), hint });
        }
    }

    /// Adds what Cedar says, and what it says beside it. `within` is where the rule begins, for what has no place.
    pub(crate) fn cedar(&mut self, file: &str, text: &str, within: Option<usize>, error: &DetailedError) {
        let offset = error.source_locations.first().map(|label| label.loc.start).or(within);
        let label = error.source_locations.first().and_then(|label| label.label.as_deref());
        let message = match label {
            Some(label) if !label.is_empty() => format!("{}: {label}", plain(&error.message)),
            _ => plain(&error.message).to_owned(),
        };
        self.at(file, text, offset, message, error.help.clone());
        for related in &error.related {
            self.cedar(file, text, within, related);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order of the texts.
    pub(crate) fn into_errors(mut self) -> RuleErrors {
        let mut files: Vec<String> = Vec::new();
        for error in &self.0 {
            if !files.contains(&error.file) {
                files.push(error.file.clone());
            }
        }
        let order = |error: &RuleError| files.iter().position(|file| *file == error.file);
        self.0.sort_by_key(|error| (order(error), error.place));
        self.0.dedup();
        RuleErrors(self.0)
    }
}

/// What Cedar says without the number that the rule has inside: the place says which one it is.
fn plain(message: &str) -> &str {
    let Some((_, rest)) = message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) else {
        return message;
    };
    rest
}
