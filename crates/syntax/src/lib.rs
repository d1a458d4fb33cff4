//! TypeScript to JavaScript by removing types in place, and the imports a module names.
//!
//! [`prepare`] is a pure function of a name and a text. It opens no file, reads no clock, keeps nothing between calls
//! and calls no code of the program it reads. It is meant for hostile text: every input gives a [`Prepared`] or a
//! [`SyntaxError`].
//!
//! # What is done to TypeScript
//!
//! Removed text becomes white space of the same length in UTF-8 bytes (and, outside the first plane too, in UTF-16 code
//! units), and line ends stay where they are. So every token that remains has the line and the column it had in the
//! user's file, whether an engine counts bytes or UTF-16 code units, and no source map is needed. Where the removal would
//! change how the rest reads (statements held apart only by a type), one `;`, `(` or `)` is written into the removed text.
//!
//! | TypeScript | |
//! |---|---|
//! | type annotations, generics, type arguments, `this` parameters, optional `?`, definite `!` | removed |
//! | `interface`, `type`, `declare …`, `declare global`, `declare module "…"`, `export as namespace` | removed |
//! | `as`, `satisfies`, `as const`, non-null `!`, `<T>x`, `f<T>` | removed |
//! | overloads, `abstract` classes and members, index signatures, `implements`, `public private protected readonly override` | removed |
//! | `import type`, `export type`, `{ type X }` | removed |
//! | imported names that are used only as types, or not at all | removed, as the TypeScript compiler does by default; `import "x"` stays |
//! | `export { T }` of a type declared in the same file | removed |
//! | `enum`, `const enum` | kept as an object with TypeScript's reverse mapping; see *columns* |
//! | parameter properties (`constructor(private x: T)`) | kept as assignments; see *columns* |
//! | `import x = require("…")`, `import A = B.C`, `export =` | kept, in CommonJS files |
//! | `namespace` with only types in it | removed |
//! | `namespace` with values | refused: write a module or an object |
//! | decorators, `accessor` fields | refused: the engine has none |
//! | `.tsx`, `.jsx`, JSX | refused: compile it first |
//! | an `enum` whose member's value is computed from other members by more than constant arithmetic | refused |
//! | an `enum` declared in two parts | refused by the engine, as a name declared twice |
//! | `a + b as T * c` and the like, where the assertion alone keeps the order of evaluation | refused: write the parentheses |
//! | `return <T>` with the value on another line | refused: write `value as T` |
//!
//! Types are not checked. Fields are those of JavaScript: an initializer runs before the constructor's parameters are
//! assigned to the properties they declare, as TypeScript has it for ES2022 and later.
//!
//! **Columns** are exact except on the rest of a line after an `enum` member without a value, after the braces of an
//! `enum`, after the `{` of a constructor with parameter properties (or its `super(…)`), and after `export =`. Lines are
//! exact everywhere.
//!
//! # Which kind a file is
//!
//! The extension decides for `.mjs`, `.mts` (ES module), `.cjs`, `.cts` (CommonJS) and `.json`. For `.js`, `.ts` and names
//! without an extension the text decides: an `import` or `export` that remains, `import.meta` or a top-level `await` make
//! it an ES module; else `module.exports`, `exports`, `require(…)` or `export =` make it CommonJS, and so does text that
//! only reads as sloppy code (a top-level `return`, `with`); **what has neither is an ES module**. A name without a known
//! extension is read as JavaScript, and as TypeScript if it is not JavaScript.
//!
//! # Bounds
//!
//! Source: [`MAX_SOURCE_BYTES`]. Nesting: [`MAX_NESTING`]. Parsing runs on a thread of its own whose stack is sized from
//! the text so that no text can overflow it (address space, not memory: pages are touched only as deep as the text
//! nests). On WebAssembly, which has no threads and traps on overflow, it runs on the caller's stack. Time is linear in
//! the length of ordinary text; the worst text found, at the size limit, takes the parser minutes: a caller that runs
//! hostile text needs a deadline around it.
//!
//! Errors in positions that only an engine checks (duplicate declarations, unknown labels, regular expressions) are left
//! to the engine, which reports them with the same line and column.

#[cfg(test)]
mod depth_tests;
mod error;
mod kind;
mod nesting;
mod position;
mod stack;
mod strip;
mod text;
mod uses;

pub use error::{ErrorCode, SyntaxError};
pub use kind::Kind;
pub use nesting::MAX_NESTING;
pub use uses::{Shape, ToolUse};

use kind::{Language, language_of};
use position::Lines;

/// The longest source text that is read, in bytes of UTF-8: 4 MiB.
pub const MAX_SOURCE_BYTES: usize = 4 << 20;

/// What [`prepare`] is to make of the text, where name and text do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Read the text as a classic script (sloppy, no module syntax), whatever its extension; the result is of
    /// [`Kind::Script`].
    pub script: bool,
}

/// A source text that an engine without types can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// JavaScript (or the JSON text, unchanged and unchecked), with every remaining token at its line and column.
    pub js: String,
    /// How it is to be run.
    pub kind: Kind,
    /// The modules it names by string literals, in the order of the text. A name that is computed is not here.
    pub imports: Vec<Import>,
    /// The tools it names, as far as its text says so, in the order of the text.
    pub tools: Vec<ToolUse>,
}

/// One place where a module names another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The text between the quotes, with its escapes resolved.
    pub specifier: String,
    /// Line of the opening quote, from 1.
    pub line: u32,
    /// Column of the opening quote in UTF-16 code units, from 1.
    pub column: u32,
    /// True for `import("…")`, which runs only when reached.
    pub dynamic: bool,
    /// With which syntax it was named.
    pub kind: ImportKind,
}

/// With which syntax a module names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// `import … from`, `export … from` or `import("…")`.
    Import,
    /// `require("…")`.
    Require,
}

/// Makes JavaScript of `source`, and finds what it imports. The extension of `name` says what language it is; `name`
/// appears in errors and is not otherwise looked at.
///
/// A 5 KB file takes some 90 µs, one of 1 MB some 14 ms.
///
/// # Errors
///
/// [`SyntaxError`], with the place: text that does not parse, syntax that is refused, text that is too long or nested too
/// deeply. The first place in the text is reported.
pub fn prepare(name: &str, source: &str, options: Options) -> Result<Prepared, SyntaxError> {
    prepare_with(name, source, options, None)
}

/// As [`prepare`], but on the caller's own stack, of which `stack_bytes` are left: for a thread that may start no other.
///
/// # Errors
///
/// Those of [`prepare`]; and a text that could need more stack than there is, is too large.
pub fn prepare_in_place(
    name: &str,
    source: &str,
    options: Options,
    stack_bytes: usize,
) -> Result<Prepared, SyntaxError> {
    prepare_with(name, source, options, Some(stack_bytes))
}

fn prepare_with(
    name: &str,
    source: &str,
    options: Options,
    stack_bytes: Option<usize>,
) -> Result<Prepared, SyntaxError> {
    let lines = Lines::new(name, source);
    let language = language_of(name).map_err(|refused| lines.error(refused))?;
    if source.len() > MAX_SOURCE_BYTES {
        return Err(lines.error(error::too_large(source.len())));
    }
    if language == Language::Json && !options.script {
        return Ok(Prepared { js: source.to_owned(), kind: Kind::Json, imports: Vec::new(), tools: Vec::new() });
    }
    let typescript = !matches!(language, Language::JavaScript(_) | Language::Json);
    nesting::check(source, typescript).map_err(|refused| lines.error(refused))?;
    let stripped = stack::with_room_for(source, stack_bytes, || strip::strip(source, language, options.script))
        .and_then(|result| result)
        .map_err(|refused| lines.error(refused))?;
    Ok(Prepared {
        imports: lines.imports(stripped.imports),
        tools: lines.tools(stripped.tools),
        js: stripped.js,
        kind: stripped.kind,
    })
}
