//! A program and the modules it names, read from one directory and nowhere else.

use crate::error::RunError;
use lockgate_authority::{CanonicalPath, ReasonCode, Value};
use lockgate_decode::{ModuleKind, ModuleSpec, ProgramMode};
use lockgate_effects::fs::Directory;
use lockgate_syntax::ToolUse;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Largest source file, in bytes.
pub const MAX_SOURCE: u64 = 4 << 20;
/// Largest number of modules in a program.
pub const MAX_MODULES: usize = 512;

/// Specifiers that the guest itself provides.
const BUILT_IN: [&str; 3] = ["lockgate", "fs/promises", "node:fs/promises"];

/// What is tried after the specifier itself, in this order.
const ENDINGS: [&str; 8] = [".ts", ".mts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];

/// What preparing one source gives: JavaScript, and what it imports.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// JavaScript with every position where the source had it, or JSON text.
    pub js: String,
    /// What it is; `None` for a classic script.
    pub kind: Option<ModuleKind>,
    /// The specifiers in it, with line and column.
    pub imports: Vec<(String, u32, u32)>,
    /// The tools it names, as far as its text says so.
    pub tools: Vec<ToolUse>,
}

/// Turns source into JavaScript. Done inside a worker, since it parses hostile text.
pub trait Prepare {
    /// Prepares the source of the module `name`, whose ending says what language it is.
    fn prepare(&self, name: &str, source: &str) -> Result<Prepared, RunError>;
}

/// A program ready to be started in a cell.
#[derive(Clone, Debug)]
pub struct Program {
    /// How the entry is run.
    pub mode: ProgramMode,
    /// Name of the entry module.
    pub entry: String,
    /// The modules, the entry among them.
    pub modules: Vec<ModuleSpec>,
    /// SHA-256 of every module's source as it was read, by name.
    pub digests: Vec<(String, [u8; 32])>,
    /// The tools that the entry names, as far as its text says so. A worker's word: good for advice, decides nothing.
    pub tools: Vec<ToolUse>,
}

impl Program {
    /// A classic script, run as it is: no modules, no TypeScript.
    pub fn script(name: &str, source: &str) -> Program {
        let module =
            ModuleSpec { name: name.to_owned(), source: source.to_owned(), kind: ModuleKind::Esm, imports: Vec::new() };
        Program {
            mode: ProgramMode::Script,
            entry: name.to_owned(),
            digests: vec![(name.to_owned(), digest(source))],
            modules: vec![module],
            tools: Vec::new(),
        }
    }

    /// A program given as text: it has no directory, so it can import only what the guest provides.
    pub fn from_source(name: &str, source: &str, prepare: &dyn Prepare) -> Result<Program, RunError> {
        Loader { directory: None, prepare }.load(name, Some(source))
    }

    /// A program in a file, with the modules beside and below it.
    pub fn from_file(path: &Path, prepare: &dyn Prepare) -> Result<Program, RunError> {
        let shown = path.display().to_string();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| RunError::missing(&shown))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The entry may be a link: the operator named it. What it imports may not.
        let source = std::fs::metadata(path)
            .and_then(|data| if data.len() > MAX_SOURCE { Ok(None) } else { std::fs::read(path).map(Some) })
            .map_err(|error| RunError::unreadable(&shown, &error))?
            .ok_or_else(|| RunError::too_large(&shown, MAX_SOURCE))?;
        let source = String::from_utf8(source).map_err(|_| RunError::not_text(&shown))?;
        let directory = Directory::open(parent).map_err(|error| RunError::unreadable(&shown, &error))?;
        Loader { directory: Some(directory), prepare }.load(name, Some(&source))
    }
}

fn digest(source: &str) -> [u8; 32] {
    Sha256::digest(source.as_bytes()).into()
}

struct Loader<'a> {
    directory: Option<Directory>,
    prepare: &'a dyn Prepare,
}

impl Loader<'_> {
    fn load(&self, entry: &str, source: Option<&str>) -> Result<Program, RunError> {
        let mut done: BTreeMap<String, ModuleSpec> = BTreeMap::new();
        let mut digests = Vec::new();
        let mut mode = ProgramMode::Module;
        let mut tools = Vec::new();
        let mut waiting = VecDeque::from([(entry.to_owned(), source.map(str::to_owned))]);
        while let Some((name, source)) = waiting.pop_front() {
            if done.contains_key(&name) {
                continue;
            }
            if done.len() == MAX_MODULES {
                return Err(RunError::new(
                    ReasonCode::TooLarge,
                    format!("the program has more than {MAX_MODULES} modules"),
                ));
            }
            let source = match source {
                Some(source) => source,
                None => self.read(&name)?.ok_or_else(|| RunError::missing(&name))?,
            };
            let prepared = self.prepare.prepare(&name, &source)?;
            if name == entry {
                tools = prepared.tools;
                mode = match prepared.kind {
                    None => ProgramMode::Script,
                    Some(ModuleKind::CommonJs) => ProgramMode::CommonJs,
                    Some(ModuleKind::Esm | ModuleKind::Json) => ProgramMode::Module,
                };
            }
            digests.push((name.clone(), digest(&source)));
            let mut imports = Vec::new();
            for (specifier, line, column) in prepared.imports {
                if BUILT_IN.contains(&specifier.as_str()) {
                    continue;
                }
                let resolved = self.resolve(&name, &specifier).map_err(|error| error.at(&name, line, column))?;
                if !done.contains_key(&resolved.0) {
                    waiting.push_back((resolved.0.clone(), Some(resolved.1)));
                }
                imports.push((specifier, resolved.0));
            }
            let kind = prepared.kind.unwrap_or(ModuleKind::Esm);
            done.insert(name.clone(), ModuleSpec { name, source: prepared.js, kind, imports });
        }
        Ok(Program { mode, entry: entry.to_owned(), modules: done.into_values().collect(), digests, tools })
    }

    /// The module that `specifier` in `importer` means, and its source.
    fn resolve(&self, importer: &str, specifier: &str) -> Result<(String, String), RunError> {
        if !(specifier.starts_with("./") || specifier.starts_with("../")) {
            return Err(RunError::new(
                ReasonCode::NotFound,
                format!("cannot find module `{specifier}`: only relative files and {} exist", BUILT_IN.join(", ")),
            )
            .hint("copy what the program needs beside it, or use what it was granted through `lockgate`"));
        }
        let joined = join(importer, specifier).ok_or_else(|| {
            RunError::new(ReasonCode::PathNotGranted, format!("`{specifier}` leads outside the program's directory"))
                .hint("move the program so that everything it imports lies beside or below it")
        })?;
        let stem = joined.strip_suffix(".js").or_else(|| joined.strip_suffix(".mjs"));
        let candidates = std::iter::once(joined.clone())
            .chain(stem.into_iter().flat_map(|stem| [format!("{stem}.ts"), format!("{stem}.mts")]))
            .chain(ENDINGS.iter().map(|ending| format!("{joined}{ending}")));
        for candidate in candidates {
            if let Some(source) = self.read(&candidate)? {
                return Ok((candidate, source));
            }
        }
        Err(RunError::new(ReasonCode::NotFound, format!("cannot find module `{specifier}`"))
            .hint("the path is relative to the importing file"))
    }

    fn read(&self, name: &str) -> Result<Option<String>, RunError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let Ok(path) = CanonicalPath::parse(name) else { return Ok(None) };
        match directory.perform("read", &path, &Value::Null, MAX_SOURCE) {
            Ok(Value::Bytes(bytes)) => String::from_utf8(bytes).map(Some).map_err(|_| RunError::not_text(name)),
            Ok(_) => Ok(None),
            Err(error)
                if matches!(
                    error.code,
                    ReasonCode::NotFound | ReasonCode::IsADirectory | ReasonCode::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(RunError::new(error.code, format!("cannot read module `{name}`: {error}"))),
        }
    }
}

/// `specifier` as seen from `importer`, both relative to the program's directory; `None` where it leads outside.
fn join(importer: &str, specifier: &str) -> Option<String> {
    let mut parts: Vec<&str> = importer.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
