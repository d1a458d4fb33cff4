//! Points that say what they take: tools by their servers' schemas, sections by their own.

use lockgate_authority::{Denial, PointKind, ReasonCode, Value};
use lockgate_decode::{Refused, Schema, refuse_javascript_keys};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// What the arguments of an operation have to be; `Err` says why nobody can tell, so that it cannot be called.
pub type Type = Result<Arc<Schema>, String>;

/// The schemas that sections name, by the file that they name.
#[derive(Debug, Default)]
pub struct Schemas(HashMap<Box<str>, Arc<Schema>>);

impl Schemas {
    /// Adds the schema in a file.
    pub fn add(&mut self, file: impl Into<Box<str>>, schema: Schema) {
        self.0.insert(file.into(), Arc::new(schema));
    }

    /// The schema in a file, if it was loaded.
    pub(crate) fn get(&self, file: &str) -> Option<&Schema> {
        self.0.get(file).map(|schema| &**schema)
    }
}

/// The types of the operations of a session's tools, by the point's name and the operation's.
#[derive(Debug, Default)]
pub struct Types {
    of: HashMap<String, HashMap<String, Type>>,
    /// Operations that change nothing, as the operator says.
    read_only: HashMap<String, HashSet<String>>,
    /// Servers whose tools cannot be called, and why.
    pending: RwLock<HashMap<String, Standing>>,
}

/// Why a server's tools cannot be called.
#[derive(Debug)]
enum Standing {
    /// They wait for the operator's yes; the next step.
    Pending(String),
    /// It could not be started.
    Absent,
}

impl Types {
    /// From here on no tool of the server is called; `hint` is the next step.
    pub fn pend(&self, name: impl Into<String>, hint: impl Into<String>) {
        // An insertion is whole before anything can panic.
        self.pending
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), Standing::Pending(hint.into()));
    }

    /// The server could not be started: no tool of it is called.
    pub(crate) fn lack(&self, name: &str) {
        self.pending.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Standing::Absent);
    }

    /// Whether the server's tools cannot be called.
    pub(crate) fn is_pending(&self, name: &str) -> bool {
        self.pending.read().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    fn check_standing(&self, name: &str) -> Result<(), Denial> {
        match self.pending.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            None => Ok(()),
            Some(Standing::Absent) => {
                let message = format!("the tool server `{name}` could not be started");
                let hint = "its operator has been told why; a session that is begun anew tries again";
                Err(Denial::new(ReasonCode::ToolUnavailable, message).with_hint(hint.to_owned()))
            }
            Some(Standing::Pending(hint)) => {
                let message = format!("the tool server `{name}` is not what was approved: its tools wait for a yes");
                Err(Denial::new(ReasonCode::ToolPending, message).with_hint(hint.clone()))
            }
        }
    }

    /// Adds the types of one tool server's operations.
    pub fn add(&mut self, name: impl Into<String>, types: impl IntoIterator<Item = (String, Type)>) {
        self.of.insert(name.into(), types.into_iter().collect());
    }

    /// These operations of a tool server change nothing, as the operator says.
    pub fn read_only(&mut self, name: impl Into<String>, ops: impl IntoIterator<Item = String>) {
        self.read_only.insert(name.into(), ops.into_iter().collect());
    }

    pub(crate) fn is_read_only(&self, name: &str, op: &str) -> bool {
        self.read_only.get(name).is_some_and(|ops| ops.contains(op))
    }

    /// Refuses arguments that are not of the operation's type, and for any tool those with a key that JavaScript gives a
    /// meaning: many servers are written in it.
    pub(crate) fn check(&self, kind: PointKind, name: &str, op: &str, args: &Value) -> Result<(), Denial> {
        if kind != PointKind::Tool {
            return Ok(());
        }
        self.check_standing(name)?;
        refuse_javascript_keys(args)
            .map_err(|refused: Refused| Denial::new(refused.code, format!("the arguments hold {refused}")))?;
        match self.of.get(name).and_then(|types| types.get(op)) {
            None => Ok(()),
            Some(Err(why)) => Err(Denial::new(ReasonCode::ToolUnusable, format!("`{op}` cannot be called: {why}"))
                .with_hint("its server has to be corrected; its other tools can be called")),
            Some(Ok(known)) => {
                let json = args.to_json().map_err(|error| Denial::new(ReasonCode::Malformed, error.to_string()))?;
                known.check(&json).map_err(|mismatch| {
                    Denial::new(ReasonCode::ArgumentsMismatch, format!("the arguments of `{op}` hold {mismatch}"))
                        .with_hint("give what the tool's own schema says")
                })
            }
        }
    }
}
