//! What a file is, by its name.

use crate::error::{Refused, unsupported};

/// How a prepared text is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ES module.
    Esm,
    /// A CommonJS module.
    CommonJs,
    /// A JSON document.
    Json,
    /// A classic script, whose completion value is its result.
    Script,
}

/// What the extension says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// JavaScript, of the module kind that the extension fixes, if it does.
    JavaScript(Option<Kind>),
    /// TypeScript, likewise.
    TypeScript(Option<Kind>),
    /// The name does not say: JavaScript if it parses as that, else TypeScript.
    Either,
    Json,
}

/// The language of a file of this name. Case is ignored.
pub(crate) fn language_of(name: &str) -> Result<Language, Refused> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let extension = last.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("js") => Ok(Language::JavaScript(None)),
        Some("mjs") => Ok(Language::JavaScript(Some(Kind::Esm))),
        Some("cjs") => Ok(Language::JavaScript(Some(Kind::CommonJs))),
        Some("ts") => Ok(Language::TypeScript(None)),
        Some("mts") => Ok(Language::TypeScript(Some(Kind::Esm))),
        Some("cts") => Ok(Language::TypeScript(Some(Kind::CommonJs))),
        Some("json") => Ok(Language::Json),
        Some("tsx" | "jsx") => Err(unsupported(
            0,
            "files with JSX are not run",
            "compile it to `.js` first, or write calls in place of the elements and name it `.ts` or `.js`",
        )),
        _ => Ok(Language::Either),
    }
}
