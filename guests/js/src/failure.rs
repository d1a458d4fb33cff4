//! What the host learns of an exception. One function decides: [`Failure::of`].

use rquickjs::qjs;

use crate::engine::{Ctx, Js, Kind, Thrown, Value};
use crate::guest::Guest;

/// Longest name, in bytes.
const MAX_NAME: usize = 128;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 8 << 10;
/// Most stack lines.
const MAX_LINES: usize = 32;
/// Longest stack line, in bytes.
const MAX_LINE: usize = 512;

/// An exception in the terms of the user's program.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error's name.
    pub name: String,
    /// Its message.
    pub message: String,
    /// Where it was thrown.
    pub place: Option<Place>,
    /// The stack, of the user's own files only.
    pub stack: String,
}

/// A position in a file of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The module's name.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Failure {
    /// A failure that the guest itself reports.
    pub fn plain(name: &str, message: &str) -> Failure {
        Failure { name: name.into(), message: message.into(), ..Failure::default() }
    }

    /// Reads a thrown value. It may be anything, and may do anything when it is read: what cannot be read is left out.
    pub fn of(guest: &Guest, thrown: &Value) -> Failure {
        // The engine throws null where it has no memory left for an error.
        if thrown.kind() == Kind::Null && !has_room(guest.ctx) {
            return Failure::plain("InternalError", "out of memory");
        }
        if !thrown.is_object() {
            return Failure::plain("ThrownValue", &clip(show(guest, thrown), MAX_MESSAGE));
        }
        let name = text_of(thrown, "name").filter(|name| !name.is_empty());
        let mut failure = match (name, text_of(thrown, "message")) {
            (Some(name), message) => {
                Failure::plain(&clip(name, MAX_NAME), &clip(message.unwrap_or_default(), MAX_MESSAGE))
            }
            (None, Some(message)) => Failure::plain("Error", &clip(message, MAX_MESSAGE)),
            (None, None) if thrown.is_error() => Failure::plain("Error", ""),
            (None, None) => Failure::plain("ThrownValue", &clip(show(guest, thrown), MAX_MESSAGE)),
        };
        failure.read_stack(&stack_of(guest, thrown), guest);
        failure
    }

    /// One line for a log.
    pub fn line(&self) -> String {
        match &self.place {
            Some(Place { file, line, column }) => {
                format!("{}: {} at {file}:{line}:{column}", self.name, self.message)
            }
            None => format!("{}: {}", self.name, self.message),
        }
    }

    /// Takes the place and the lines of the user's own files from a stack.
    fn read_stack(&mut self, stack: &str, guest: &Guest) {
        for line in stack.lines().take(MAX_LINES) {
            let Some(place) = Place::in_line(line).filter(|place| guest.is_users(&place.file)) else { continue };
            if !self.stack.is_empty() {
                self.stack.push('\n');
            }
            self.stack.push_str(&clip(line.trim().to_owned(), MAX_LINE));
            self.place.get_or_insert(place);
        }
    }

    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = minicbor::Encoder::new(out);
        let written = (|| {
            encoder.array(6)?.str(&self.name)?.str(&self.message)?;
            match &self.place {
                Some(place) => encoder.str(&place.file)?.u32(place.line)?.u32(place.column)?,
                None => encoder.null()?.null()?.null()?,
            };
            encoder.str(&self.stack)?;
            Ok::<_, minicbor::encode::Error<core::convert::Infallible>>(())
        })();
        written.expect("writing to a vector does not fail");
    }
}

impl Place {
    /// The place in a line of the engine's: `    at f (file:3:5)` or `    at file:3:5`.
    fn in_line(line: &str) -> Option<Place> {
        let rest = line.trim().strip_prefix("at ")?;
        let spot = match rest.strip_suffix(')') {
            Some(inner) => &inner[inner.rfind(" (")? + 2..],
            None => rest,
        };
        let (rest, column) = spot.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some(Place { file: file.into(), line: line.parse().ok()?, column: column.parse().ok()? })
    }
}

fn has_room(ctx: Ctx) -> bool {
    // SAFETY: a block of the engine's is taken and given back; an exception is left nowhere by the runtime's calls.
    unsafe {
        let block = qjs::js_malloc_rt(ctx.runtime(), ROOM);
        qjs::js_free_rt(ctx.runtime(), block);
        !block.is_null()
    }
}

/// A heap that cannot give this many bytes is full.
const ROOM: qjs::size_t = 64 << 10;

/// A property's text, if it can be had without an exception and is a string.
fn text_of(value: &Value, key: &str) -> Option<String> {
    quiet(value.ctx(), || {
        let text = value.get_named(key)?;
        if text.kind() == Kind::Text { text.to_text().map(Some) } else { Ok(None) }
    })
}

/// The engine's own record of where an error was made, or else what its `stack` property says.
fn stack_of(guest: &Guest, thrown: &Value) -> String {
    let own = quiet(guest.ctx, || {
        let stack = guest.hooks()?.stack.call(thrown, &[])?;
        if stack.kind() == Kind::Text { stack.to_text().map(Some) } else { Ok(None) }
    });
    own.filter(|stack| !stack.is_empty()).or_else(|| text_of(thrown, "stack")).unwrap_or_default()
}

/// A text for a value that is no error.
fn show(guest: &Guest, value: &Value) -> String {
    quiet(guest.ctx, || guest.hooks()?.inspect.call1(value)?.to_text().map(Some)).unwrap_or_default()
}

fn quiet(ctx: Ctx, read: impl FnOnce() -> Js<Option<String>>) -> Option<String> {
    read().unwrap_or_else(|Thrown| {
        drop(ctx.take_exception());
        None
    })
}

/// At most `max` bytes, cut at a character.
fn clip(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}
