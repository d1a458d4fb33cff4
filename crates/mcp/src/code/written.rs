//! Programs as models write them: a module, or the body of an asynchronous function.

use lockgate_host::{Prepare, Prepared, Program, ProgramMode, RunError};
use std::borrow::Cow;

/// What a body of a function is put into, so that `return` and `await` mean what its writer thought.
const BODY: (&str, &str) = ("export default async (input) => {", "\n}");
/// What its places name it by.
const NAME: &str = "program.ts";

/// A program, and how it differs from its text.
pub(crate) struct Written {
    pub(crate) program: Program,
    /// Columns by which the first line of the text was moved.
    pub(crate) shift: u32,
}

impl Written {
    /// Reads a program. The places of an error are those of the text as it was written.
    pub(crate) fn read(code: &str, prepare: &dyn Prepare) -> Result<Written, RunError> {
        let as_module = match Program::from_source(NAME, code, prepare) {
            // A `return` outside of functions makes it CommonJS, where it would return to nobody.
            Ok(program) if program.mode == ProgramMode::CommonJs && returns(code) => None,
            done => Some(done),
        };
        match as_module {
            Some(Ok(program)) => Ok(Written { program, shift: 0 }),
            first => {
                let body = format!("{}{code}{}", BODY.0, BODY.1);
                match (Program::from_source(NAME, &body, &Shift(prepare)), first) {
                    (Ok(program), _) => Ok(Written { program, shift: BODY.0.len() as u32 }),
                    (Err(_), Some(Err(first))) => Err(first),
                    (Err(error), _) => Err(error),
                }
            }
        }
    }
}

fn returns(code: &str) -> bool {
    !["module.exports", "exports.", "require("].iter().any(|sign| code.contains(sign))
}

/// Prepares what was put into a function, and gives places as they are in what was put there.
struct Shift<'a>(&'a dyn Prepare);

impl Prepare for Shift<'_> {
    fn prepare(&self, name: &str, source: &str) -> Result<Prepared, RunError> {
        let by = BODY.0.len() as u32;
        let mut prepared = self.0.prepare(name, source).map_err(|error| as_written(&error, by).into_owned())?;
        for found in &mut prepared.tools {
            found.column = column(found.line, found.column, by);
        }
        Ok(prepared)
    }
}

fn column(line: u32, column: u32, by: u32) -> u32 {
    if line == 1 { column.saturating_sub(by).max(1) } else { column }
}

/// An error of a program whose first line was moved by so many columns, with places as they are in its text.
pub(crate) fn as_written(error: &RunError, by: u32) -> Cow<'_, RunError> {
    if by == 0 {
        return Cow::Borrowed(error);
    }
    let at = error.line.zip(error.column).map(|(line, found)| column(line, found, by));
    Cow::Owned(RunError { column: at, stack: places(&error.stack, by), ..error.clone() })
}

/// The same text with the columns in `program.ts:1:COLUMN` moved back.
fn places(text: &str, by: u32) -> String {
    let first_line = format!("{NAME}:1:");
    let mut parts = text.split(&*first_line);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(&first_line);
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        match part.get(..digits).and_then(|digits| digits.parse().ok()) {
            Some(found) => {
                out.push_str(&column(1, found, by).to_string());
                out.push_str(part.get(digits..).unwrap_or_default());
            }
            None => out.push_str(part),
        }
    }
    out
}
