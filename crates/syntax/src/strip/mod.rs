//! Parses a text and removes its types in place.

mod assertions;
mod canvas;
mod classes;
mod enums;
mod functions;
mod modules;
mod statements;
mod visit;

use oxc_allocator::Allocator;
use oxc_parser::{Parser, ParserReturn};
use oxc_span::SourceType;

use crate::ImportKind;
use crate::error::{ErrorCode, Refused, syntax};
use crate::kind::{Kind, Language};
use crate::uses::{self, FoundUse};
use visit::Stripper;

/// A text without types.
pub(crate) struct Stripped {
    pub js: String,
    pub kind: Kind,
    /// In no particular order.
    pub imports: Vec<FoundImport>,
    /// In no particular order.
    pub tools: Vec<FoundUse>,
}

/// A module named by a string literal, before its place is a line and column.
pub(crate) struct FoundImport {
    pub specifier: String,
    pub offset: u32,
    pub dynamic: bool,
    pub kind: ImportKind,
}

/// Removes the types of `source`. Recursive: run it with [`crate::stack`].
pub(crate) fn strip(source: &str, language: Language, script: bool) -> Result<Stripped, Refused> {
    let wanted = |kind: Option<Kind>| if script { Some(Kind::Script) } else { kind };
    match language {
        Language::JavaScript(kind) => strip_as(source, false, wanted(kind)),
        Language::TypeScript(kind) => strip_as(source, true, wanted(kind)),
        Language::Json => strip_as(source, false, wanted(None)),
        Language::Either => strip_as(source, false, wanted(None)).or_else(|_| strip_as(source, true, wanted(None))),
    }
}

/// Reads `source` as a file of the kind `wanted`, or finds out which kind it is: read as an ES module if it can be,
/// else as CommonJS.
fn strip_as(source: &str, typescript: bool, wanted: Option<Kind>) -> Result<Stripped, Refused> {
    let goal = match wanted {
        Some(Kind::Script) => Goal::Script,
        Some(Kind::CommonJs) => Goal::CommonJs,
        _ => Goal::Module,
    };
    strip_toward(source, typescript, goal, wanted).or_else(|as_module| {
        if wanted.is_some() || as_module.code != ErrorCode::Syntax {
            return Err(as_module);
        }
        strip_toward(source, typescript, Goal::CommonJs, Some(Kind::CommonJs)).map_err(|as_common_js| {
            // The reading that got further is the one that was meant.
            if as_common_js.offset > as_module.offset { as_common_js } else { as_module }
        })
    })
}

/// Which grammar a text is read with.
#[derive(Clone, Copy)]
enum Goal {
    Module,
    CommonJs,
    Script,
}

fn strip_toward(source: &str, typescript: bool, goal: Goal, wanted: Option<Kind>) -> Result<Stripped, Refused> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, source_type(typescript, goal)).parse();
    if let Some(refused) = first_error(&parsed) {
        return Err(refused);
    }
    let stripped = Stripper::new(source, typescript).run(&parsed.program, wanted)?;
    Ok(Stripped { tools: uses::find(source, &parsed.program), ..stripped })
}

fn source_type(typescript: bool, goal: Goal) -> SourceType {
    let base = if typescript { SourceType::ts() } else { SourceType::mjs() };
    match goal {
        Goal::Module => base.with_module(true),
        Goal::CommonJs => base.with_commonjs(true),
        Goal::Script => base.with_script(true),
    }
}

/// The first complaint in the text.
fn first_error(parsed: &ParserReturn<'_>) -> Option<Refused> {
    let offset_of = |offset: Option<u32>| offset.unwrap_or(0);
    parsed
        .diagnostics
        .errors()
        .map(|error| (offset_of(error.labels.first().map(|label| label.offset())), error))
        .min_by_key(|(offset, _)| *offset)
        .map(|(offset, error)| syntax(offset, &error.message, error.help.clone()))
}
