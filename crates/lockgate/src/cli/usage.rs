//! What is answered to arguments that make no sense, and to a request for help.

use super::output::Trouble;
use super::streams;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Prints what the parser of arguments has to say: help on standard output, a mistake on standard error, or with `--json`
/// among the arguments as the one object that every other error is.
pub(crate) fn answer(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        // Asking for help is no mistake.
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        return match printed {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => streams::unwritten(&error).print(false),
        };
    }
    if arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json") {
        return trouble(&error.render().to_string()).print(true);
    }
    let _ = error.print();
    ExitCode::from(2)
}

/// The message is the first paragraph; the next step is the tip if there is one, else how the command is called.
fn trouble(rendered: &str) -> Trouble {
    let mut paragraphs = rendered.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let message = joined(paragraphs.next().unwrap_or("the arguments make no sense"));
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let rest: Vec<&str> = paragraphs.collect();
    let labelled = |label: &str| {
        rest.iter().find_map(|paragraph| {
            let (_, said) = paragraph.split_once(label)?;
            Some(joined(said.split(label).next().unwrap_or(said)))
        })
    };
    let hint = labelled("tip: ")
        .or_else(|| labelled("Usage: ").map(|usage| format!("it is called as `{usage}`")))
        .unwrap_or_else(|| "`lockgate --help` shows what there is".to_owned());
    Trouble::usage(message).hint(hint)
}

/// The lines as one.
fn joined(lines: &str) -> String {
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
