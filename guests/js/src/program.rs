//! The table of modules that the host gave, as it came: texts stay in the message and are found by range.

use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::ops::Range;
use std::ptr::NonNull;

use minicbor::decode::{Decoder, Error};

use crate::engine::CStrBytes;

/// What a module's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ES module.
    Esm,
    /// A CommonJS module.
    CommonJs,
    /// A JSON text.
    Json,
}

/// How far an ES module has come in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The engine does not have it.
    Unloaded,
    /// Parsed and linked or evaluating.
    Loaded,
    /// Evaluated to its end.
    Done,
}

/// A module of the table.
pub struct Module {
    name: Range<usize>,
    source: Range<usize>,
    imports: Range<usize>,
    /// What its source is.
    pub kind: Kind,
    /// How far the engine is with it.
    pub stage: Cell<Stage>,
    /// The engine's module, once it is loaded. The engine never frees it.
    pub loaded: Cell<Option<NonNull<c_void>>>,
}

/// All modules of a program.
pub struct Program {
    message: Vec<u8>,
    modules: Vec<Module>,
    /// Indices in the order of the names, for more than a few modules.
    by_name: Vec<u32>,
    /// The index of the entry.
    pub entry: usize,
}

impl Program {
    /// Reads the entry's name and the table, at which `input` stands; gives the byte ranges found. `message` is what
    /// `input` reads.
    pub fn decode(input: &mut Decoder) -> Result<Parts, Error> {
        let entry = text_range(input)?;
        let count = input.array()?.ok_or_else(indefinite)?;
        let mut modules = Vec::new();
        for _ in 0..count {
            input.array()?;
            let (name, source) = (text_range(input)?, text_range(input)?);
            let kind = match input.u8()? {
                1 => Kind::Esm,
                2 => Kind::CommonJs,
                3 => Kind::Json,
                _ => return Err(Error::message("unknown kind of module")),
            };
            let from = input.position();
            input.skip()?;
            let imports = from..input.position();
            modules.push(Module {
                name,
                source,
                imports,
                kind,
                stage: Cell::new(Stage::Unloaded),
                loaded: Cell::new(None),
            });
        }
        Ok(Parts { entry, modules })
    }

    /// Module `index`, which the caller took from this table.
    pub fn module(&self, index: usize) -> Option<&Module> {
        self.modules.get(index)
    }

    /// A module's name.
    pub fn name(&self, module: &Module) -> &str {
        self.text(&module.name)
    }

    /// A module's name for the engine.
    pub fn c_name(&self, module: &Module) -> Option<CString> {
        CString::new(self.name(module)).ok()
    }

    /// A module's source text.
    pub fn source(&self, module: &Module) -> &str {
        self.text(&module.source)
    }

    /// A module's source for the engine: the byte after it is NUL.
    pub fn c_source(&self, module: &Module) -> Option<CStrBytes<'_>> {
        CStrBytes::new(&self.message[module.source.start..=module.source.end])
    }

    /// The index of the module of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        if self.by_name.is_empty() {
            return self.modules.iter().position(|module| self.name(module) == name);
        }
        let found = self.by_name.binary_search_by(|&i| self.name(&self.modules[i as usize]).cmp(name));
        found.ok().map(|at| self.by_name[at] as usize)
    }

    /// What `specifier` means in a module: the index of another, if the host's table says so.
    pub fn resolve(&self, module: &Module, specifier: &str) -> Option<usize> {
        let name = self.imports(module).find(|(text, _)| *text == specifier)?.1;
        self.find(name)
    }

    /// All that a module imports, as the host resolved it: (specifier, name of the module).
    pub fn imports(&self, module: &Module) -> impl Iterator<Item = (&str, &str)> {
        let mut input = Decoder::new(&self.message[module.imports.clone()]);
        let count = input.array().ok().flatten().unwrap_or(0);
        (0..count).map_while(move |_| {
            input.array().ok()?;
            Some((input.str().ok()?, input.str().ok()?))
        })
    }

    fn text(&self, range: &Range<usize>) -> &str {
        // The ranges are of texts that `decode` has read as UTF-8.
        std::str::from_utf8(&self.message[range.clone()]).unwrap_or_default()
    }
}

/// What [`Program::decode`] found; [`Parts::own`] makes it a program.
pub struct Parts {
    entry: Range<usize>,
    modules: Vec<Module>,
}

impl Parts {
    /// Takes the message over. `None` unless the entry is among the modules.
    pub fn own(self, mut message: Vec<u8>) -> Option<Program> {
        for module in &self.modules {
            // The byte after a source is its kind, which has been read.
            message[module.source.end] = 0;
        }
        let mut program = Program { message, modules: self.modules, by_name: Vec::new(), entry: 0 };
        if program.modules.len() > SCAN_UP_TO {
            let mut order: Vec<u32> = (0..program.modules.len() as u32).collect();
            let name = |i: &u32| program.name(&program.modules[*i as usize]);
            order.sort_by(|a, b| name(a).cmp(name(b)));
            program.by_name = order;
        }
        program.entry = program.find(program.text(&self.entry))?;
        Some(program)
    }
}

/// Tables up to this long are scanned for a name.
const SCAN_UP_TO: usize = 8;

fn text_range(input: &mut Decoder) -> Result<Range<usize>, Error> {
    let len = input.str()?.len();
    let end = input.position();
    Ok(end - len..end)
}

fn indefinite() -> Error {
    Error::message("indefinite length")
}
