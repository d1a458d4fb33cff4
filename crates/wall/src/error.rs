//! Why there is no zygote or no worker, in words for an operator, each with its next step.

use std::time::Duration;

use crate::exit::Exit;
use crate::wall::{Held, Walls};

/// Why a zygote did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refused a step.
    #[error("cannot start the zygote: {step}")]
    System {
        /// What was tried.
        step: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The program's preparation failed.
    #[error("the zygote could not prepare: {message}")]
    Prepare {
        /// What it said.
        message: String,
    },
    /// It ended without a word.
    #[error("the zygote ended before it was ready ({end}){}", said(.diagnostics))]
    Ended {
        /// How it ended.
        end: String,
        /// The last it wrote to standard error.
        diagnostics: String,
    },
    /// It did not get ready in time.
    #[error("the zygote was not ready within {} s", .after.as_secs())]
    Timeout {
        /// The time given.
        after: Duration,
    },
}

impl StartError {
    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            StartError::System { .. } => {
                "check that the program's own file can be executed and that processes and descriptors are not exhausted"
                    .into()
            }
            StartError::Prepare { .. } => "run `lockgate doctor` for the state of this machine".into(),
            StartError::Ended { .. } => {
                "a filter or a limit on the gate may have killed it; run `lockgate doctor`".into()
            }
            StartError::Timeout { .. } => "the machine may be overloaded; try again".into(),
        }
    }
}

/// Why no worker could be had.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The worker's walls are below the minimum, so it refused to serve.
    #[error("the worker's walls are below the minimum: {}", list(.missing))]
    BelowMinimum {
        /// Each missing wall with the reason.
        missing: Vec<Held>,
        /// Every wall.
        walls: Walls,
    },
    /// The worker ended before it reported.
    #[error("the worker ended while raising its walls: {exit}")]
    Died {
        /// How.
        exit: Exit,
    },
    /// The worker failed in a step that every worker needs.
    #[error("the worker could not start: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
    /// The worker did not report in time and was killed.
    #[error("the worker did not raise its walls within {} s", .after.as_secs())]
    Timeout {
        /// The time given.
        after: Duration,
    },
    /// The zygote has ended, and all its workers with it.
    #[error("the zygote has ended ({end}){}", said(.diagnostics))]
    ZygoteGone {
        /// How it ended.
        end: String,
        /// The last it wrote to standard error.
        diagnostics: String,
    },
    /// The system refused a step.
    #[error("cannot get a worker: {step}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl ForkError {
    /// The next step; for missing walls, one line for each.
    pub fn hint(&self) -> String {
        match self {
            ForkError::BelowMinimum { missing, .. } => missing
                .iter()
                .map(|held| format!("{}: {}", held.wall, held.wall.remedy()))
                .collect::<Vec<_>>()
                .join("\n"),
            ForkError::Died { .. } | ForkError::Failed { .. } => {
                "run `lockgate doctor` to see which wall this machine refuses".into()
            }
            ForkError::Timeout { .. } => "the machine may be overloaded; try again".into(),
            ForkError::ZygoteGone { .. } => "start a new zygote".into(),
            ForkError::System { .. } => "check the limits on processes and descriptors of the gate".into(),
        }
    }
}

fn list(missing: &[Held]) -> String {
    missing.iter().map(|held| format!("`{}` is {}", held.wall, held.state)).collect::<Vec<_>>().join("; ")
}

fn said(diagnostics: &str) -> String {
    if diagnostics.is_empty() { String::new() } else { format!("; it said: {}", diagnostics.trim_end()) }
}
