//! `lockgate eval`.

use super::Done;
use super::run::execute;
use super::setup::{self, Common};
use lockgate_host::Program;

/// Flags of `eval`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The script's text, or `-` for standard input
    script: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

pub(crate) fn eval(arguments: Arguments) -> Done {
    let source = if arguments.script == "-" { setup::standard_input()? } else { arguments.script };
    execute(&arguments.common, |_| Ok(Program::script("script.js", &source)))
}
