//! What the gate and a JavaScript guest say to each other.
//!
//! ```text
//! Start   = [mode, now_ms, seed, entry, [[name, source, kind, [[specifier, module]…]]…], input, [[handle, kind, name, detail]…], js_stack]
//! Turn    = [status, body, [[id, handle, op, args, sealed?]…]]
//! Answers = [now_ms, [[id, ok, value | [code, message, hint]]…]]
//! Failure = [name, message, file, line, column, stack]
//! ```
//!
//! Where `sealed` is true, the result stays with the gate and its number is the answer. In arguments and in the body of a
//! turn such a number stands as `tag([number, pointer, as_text])`, see [`SealedRef`](crate::SealedRef).

use crate::budget::{Budget, Refused};
use crate::value::{Nothing, Unseal, decode_unsealing, encode_value};
use lockgate_authority::Value;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// How the entry is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramMode {
    /// A classic script; the result is its completion value.
    Script,
    /// An ES module; the result is its default export.
    Module,
    /// A CommonJS module; the result is `module.exports`.
    CommonJs,
}

/// What a module's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// ES module.
    Esm,
    /// CommonJS.
    CommonJs,
    /// JSON.
    Json,
}

/// One module of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSpec {
    /// The name shown in errors, such as `lib/table.ts`.
    pub name: String,
    /// JavaScript or JSON text.
    pub source: String,
    /// What the source is.
    pub kind: ModuleKind,
    /// What each specifier in it means: (specifier, module name).
    pub imports: Vec<(String, String)>,
}

/// One handle a cell is given.
#[derive(Clone, Debug, PartialEq)]
pub struct HandleSpec {
    /// The cell-local index.
    pub handle: u32,
    /// `fs`, `http`, `kv`, `tool`, `cell`, `parent`, `clock`, `random` or `log`.
    pub kind: &'static str,
    /// The point's name in the manifest.
    pub name: String,
    /// What the guest needs to know besides, such as a server's tool names.
    pub detail: Value,
}

/// Everything a cell is started with.
#[derive(Clone, Debug)]
pub struct StartSpec<'a> {
    /// How the entry is run.
    pub mode: ProgramMode,
    /// The clock the guest sees, milliseconds since 1970.
    pub now_ms: f64,
    /// Seed of the guest's random numbers.
    pub seed: [u8; 32],
    /// Name of the entry module.
    pub entry: &'a str,
    /// The modules, the entry among them.
    pub modules: &'a [ModuleSpec],
    /// What the program is called with.
    pub input: &'a Value,
    /// What the cell holds.
    pub handles: &'a [HandleSpec],
    /// Bytes of stack JavaScript may use.
    pub js_stack: u32,
}

/// Writes a Start.
pub fn encode_start(spec: &StartSpec<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + spec.modules.iter().map(|module| module.source.len()).sum::<usize>());
    // Writing to a `Vec` cannot fail: its error type has no values.
    let _ = write_start(spec, &mut Encoder::new(&mut out));
    out
}

type Infallible = minicbor::encode::Error<core::convert::Infallible>;

fn write_start(spec: &StartSpec<'_>, e: &mut Encoder<&mut Vec<u8>>) -> Result<(), Infallible> {
    let mode = match spec.mode {
        ProgramMode::Script => 0,
        ProgramMode::Module => 1,
        ProgramMode::CommonJs => 2,
    };
    e.array(8)?.u8(mode)?.f64(spec.now_ms)?.bytes(&spec.seed)?.str(spec.entry)?;
    e.array(spec.modules.len() as u64)?;
    for module in spec.modules {
        let kind = match module.kind {
            ModuleKind::Esm => 1,
            ModuleKind::CommonJs => 2,
            ModuleKind::Json => 3,
        };
        e.array(4)?.str(&module.name)?.str(&module.source)?.u8(kind)?;
        e.array(module.imports.len() as u64)?;
        for (specifier, name) in &module.imports {
            e.array(2)?.str(specifier)?.str(name)?;
        }
    }
    encode_value(spec.input, e)?;
    e.array(spec.handles.len() as u64)?;
    for handle in spec.handles {
        e.array(4)?.u32(handle.handle)?.str(handle.kind)?.str(&handle.name)?;
        encode_value(&handle.detail, e)?;
    }
    e.u32(spec.js_stack)?;
    Ok(())
}

/// Answers to a cell's requests, gathered so that one resume carries them all.
#[derive(Debug, Default)]
pub struct Answers {
    body: Vec<u8>,
    count: u64,
}

impl Answers {
    /// No answers yet.
    pub fn new() -> Self {
        Answers::default()
    }

    /// True where nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes gathered so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Adds the result of request `id`.
    pub fn value(&mut self, id: u32, value: &Value) {
        self.count += 1;
        let mut e = Encoder::new(&mut self.body);
        let _ = write_value(&mut e, id, value);
    }

    /// Adds the refusal of request `id`.
    pub fn refusal(&mut self, id: u32, code: &str, message: &str, hint: Option<&str>) {
        self.count += 1;
        let mut e = Encoder::new(&mut self.body);
        let _ = write_refusal(&mut e, id, code, message, hint);
    }

    /// The message for the guest; `now_ms` is the clock it sees from here on. Leaves this empty for the next.
    pub fn take(&mut self, now_ms: f64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 24);
        let mut e = Encoder::new(&mut out);
        let _ = e.array(2).and_then(|e| e.f64(now_ms)).and_then(|e| e.array(self.count)).map(|_| ());
        out.append(&mut self.body);
        self.count = 0;
        out
    }
}

fn write_value(e: &mut Encoder<&mut Vec<u8>>, id: u32, value: &Value) -> Result<(), Infallible> {
    e.array(3)?.u32(id)?.bool(true)?;
    encode_value(value, e)
}

fn write_refusal(
    e: &mut Encoder<&mut Vec<u8>>,
    id: u32,
    code: &str,
    message: &str,
    hint: Option<&str>,
) -> Result<(), Infallible> {
    e.array(3)?.u32(id)?.bool(false)?.array(3)?.str(code)?.str(message)?;
    match hint {
        Some(hint) => e.str(hint)?,
        None => e.null()?,
    };
    Ok(())
}

/// Why a program failed, in terms of the user's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error's class, such as `TypeError`.
    pub name: String,
    /// Its message.
    pub message: String,
    /// The user's file.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Frames in the user's files, one a line.
    pub stack: String,
}

/// Where the program stands at the end of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnStatus {
    /// It waits for answers.
    Waiting,
    /// It is done, with this result.
    Done(Value),
    /// It failed.
    Failed(Failure),
}

/// What a cell says when it hands control back.
#[derive(Debug)]
pub struct Turn<'b> {
    /// Where it stands.
    pub status: TurnStatus,
    /// What it asks for.
    pub requests: Requests<'b>,
}

/// One request, its arguments unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRequest<'b> {
    /// The guest's number for it; 0 wants no answer.
    pub id: u32,
    /// The cell-local index of what is used.
    pub handle: u32,
    /// The operation.
    pub op: &'b str,
    /// The arguments as bytes.
    pub args: &'b [u8],
    /// Whether the result is to stay with the gate, unread.
    pub sealed: bool,
}

/// The requests of a turn, read one at a time.
#[derive(Debug)]
pub struct Requests<'b> {
    decoder: Decoder<'b>,
    left: u64,
}

impl Requests<'_> {
    /// How many are left.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// True where none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'b> Turn<'b> {
    /// Reads a turn; `budget` bounds its result. Requests are read when the iterator gets to them.
    pub fn read(bytes: &'b [u8], budget: &Budget) -> Result<Turn<'b>, Refused> {
        Turn::read_unsealing(bytes, budget, &mut Nothing)
    }

    /// As [`Turn::read`], of a cell that has sealed values: where one stands in the result, its content is put.
    pub fn read_unsealing(bytes: &'b [u8], budget: &Budget, unseal: &mut dyn Unseal) -> Result<Turn<'b>, Refused> {
        let cut = |_| Refused::malformed("a turn cut short");
        let mut decoder = Decoder::new(bytes);
        if decoder.array().map_err(cut)? != Some(3) {
            return Err(Refused::malformed("a turn that is not three parts"));
        }
        let status = decoder.u8().map_err(cut)?;
        let body = raw_value(&mut decoder, bytes)?;
        let status = match status {
            0 => TurnStatus::Waiting,
            1 => TurnStatus::Done(decode_unsealing(body, budget, unseal)?),
            2 => TurnStatus::Failed(read_failure(body)?),
            _ => return Err(Refused::malformed("a turn of unknown status")),
        };
        let left = decoder.array().map_err(cut)?.ok_or_else(|| Refused::malformed("an indefinite length"))?;
        if left > bytes.len() as u64 {
            return Err(Refused::malformed("a turn cut short"));
        }
        Ok(Turn { status, requests: Requests { decoder, left } })
    }
}

impl<'b> Iterator for Requests<'b> {
    type Item = Result<RawRequest<'b>, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let request = self.read();
        if request.is_err() {
            self.left = 0;
        }
        Some(request)
    }
}

impl<'b> Requests<'b> {
    fn read(&mut self) -> Result<RawRequest<'b>, Refused> {
        let cut = |_| Refused::malformed("a request cut short");
        let parts = self.decoder.array().map_err(cut)?;
        if !matches!(parts, Some(4 | 5)) {
            return Err(Refused::malformed("a request that is not four or five parts"));
        }
        let id = self.decoder.u32().map_err(cut)?;
        let handle = self.decoder.u32().map_err(cut)?;
        let op = self.decoder.str().map_err(cut)?;
        let bytes = self.decoder.input();
        let args = raw_value(&mut self.decoder, bytes)?;
        let sealed = parts == Some(5) && self.decoder.bool().map_err(cut)?;
        Ok(RawRequest { id, handle, op, args, sealed })
    }
}

/// The bytes of the next value, without reading it.
fn raw_value<'b>(decoder: &mut Decoder<'b>, bytes: &'b [u8]) -> Result<&'b [u8], Refused> {
    let from = decoder.position();
    decoder.skip().map_err(|_| Refused::malformed("a value cut short"))?;
    bytes.get(from..decoder.position()).ok_or_else(|| Refused::malformed("a value cut short"))
}

/// Longest text kept of a failure, in bytes.
const MAX_FAILURE_TEXT: usize = 16 << 10;

fn read_failure(bytes: &[u8]) -> Result<Failure, Refused> {
    let cut = |_| Refused::malformed("a failure cut short");
    let mut d = Decoder::new(bytes);
    if d.array().map_err(cut)? != Some(6) {
        return Err(Refused::malformed("a failure that is not six parts"));
    }
    let name = clipped(d.str().map_err(cut)?);
    let message = clipped(d.str().map_err(cut)?);
    let file = optional(&mut d, |d| d.str().map(clipped))?;
    let line = optional(&mut d, Decoder::u32)?;
    let column = optional(&mut d, Decoder::u32)?;
    let stack = clipped(d.str().map_err(cut)?);
    Ok(Failure { name, message, file, line, column, stack })
}

fn optional<'b, T>(
    d: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
) -> Result<Option<T>, Refused> {
    let cut = |_| Refused::malformed("a failure cut short");
    if matches!(d.datatype(), Ok(Type::Null)) {
        d.null().map_err(cut)?;
        return Ok(None);
    }
    read(d).map(Some).map_err(cut)
}

fn clipped(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_FAILURE_TEXT)).unwrap_or_default().to_owned()
}
