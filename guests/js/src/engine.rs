//! A thin owned layer over the engine's C API: the only file that calls it for plain values.
//!
//! Invariant that makes it safe: a runtime, once made, is never freed (a cell is dropped with its whole memory), and
//! every type here is bound to the thread that made it (`Ctx` holds a raw pointer, so none of them is `Send`). A
//! `Value` therefore never outlives what it points into.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;

use rquickjs::qjs;

use crate::natives::TABLE;

/// An exception is pending in the context; [`Ctx::take_exception`] has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thrown;

/// What a call into the engine gives.
pub type Js<T> = Result<T, Thrown>;

/// The engine's context. Copying it costs nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ctx(NonNull<qjs::JSContext>);

/// An owned JavaScript value.
pub struct Value {
    raw: qjs::JSValue,
    ctx: Ctx,
}

/// An owned property key.
pub struct Atom {
    raw: qjs::JSAtom,
    ctx: Ctx,
}

/// What a native function is called with.
pub struct Args<'a> {
    /// The context of the call.
    pub ctx: Ctx,
    values: &'a [qjs::JSValue],
}

/// A function of the guest that JavaScript can call.
pub struct Native {
    /// Its name, as `f.name` shows it.
    pub name: &'static CStr,
    /// Its `length`.
    pub arity: u8,
    /// What it does.
    pub call: fn(&Args) -> Js<Value>,
}

/// How a source text is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A classic script; the value is its completion value.
    Script,
    /// A module, compiled but not evaluated; the value is the engine's module.
    Module,
}

/// What kind of thing a value is, as far as a crossing cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `undefined`
    Undefined,
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number held as a 32-bit integer.
    Int(i32),
    /// Any other number.
    Float(f64),
    /// A string.
    Text,
    /// A symbol.
    Symbol,
    /// A bigint.
    BigInt,
    /// An object, which includes functions and arrays.
    Object,
    /// Engine-internal (module, bytecode, uninitialised).
    Internal,
}

/// State of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseState {
    /// Not settled.
    Pending,
    /// Fulfilled.
    Fulfilled,
    /// Rejected.
    Rejected,
}

/// A promise with the two functions that settle it.
pub struct Deferred {
    /// The promise.
    pub promise: Value,
    /// Fulfils it.
    pub resolve: Value,
    /// Rejects it.
    pub reject: Value,
}

/// The engine's class of errors; a test checks it.
const CLASS_ERROR: u32 = 3;

/// A property may be written, removed and listed.
pub const PLAIN: i32 = (qjs::JS_PROP_CONFIGURABLE | qjs::JS_PROP_WRITABLE | qjs::JS_PROP_ENUMERABLE) as i32;
/// A property may be written and removed, but is not listed (as the standard globals are).
pub const HIDDEN: i32 = (qjs::JS_PROP_CONFIGURABLE | qjs::JS_PROP_WRITABLE) as i32;

impl Ctx {
    /// Makes a runtime with one context and all of the language's own globals. It is never freed.
    pub fn create() -> Option<Ctx> {
        // SAFETY: a fresh runtime and context; null is checked.
        unsafe {
            let runtime = NonNull::new(qjs::JS_NewRuntime())?;
            NonNull::new(qjs::JS_NewContext(runtime.as_ptr())).map(Ctx)
        }
    }

    /// The raw context, for the files that need a call this layer lacks.
    pub fn raw(self) -> *mut qjs::JSContext {
        self.0.as_ptr()
    }

    /// The raw runtime.
    pub fn runtime(self) -> *mut qjs::JSRuntime {
        // SAFETY: the context is alive (never freed).
        unsafe { qjs::JS_GetRuntime(self.raw()) }
    }

    /// Wraps a context that the engine passed to a callback.
    ///
    /// # Safety
    /// `raw` is the live context of this thread's engine.
    pub unsafe fn from_raw(raw: *mut qjs::JSContext) -> Ctx {
        // SAFETY: the engine never passes null.
        Ctx(unsafe { NonNull::new_unchecked(raw) })
    }

    /// Takes ownership of a value that the engine returned; an exception becomes [`Thrown`].
    ///
    /// # Safety
    /// `raw` is an owned value of this context.
    pub unsafe fn own(self, raw: qjs::JSValue) -> Js<Value> {
        // SAFETY: reads the tag only.
        if unsafe { qjs::JS_VALUE_GET_TAG(raw) } == qjs::JS_TAG_EXCEPTION {
            return Err(Thrown);
        }
        Ok(Value { raw, ctx: self })
    }

    /// `undefined`.
    pub fn undefined(self) -> Value {
        Value { raw: qjs::JS_UNDEFINED, ctx: self }
    }

    /// `null`.
    pub fn null(self) -> Value {
        Value { raw: qjs::JS_NULL, ctx: self }
    }

    /// A boolean.
    pub fn bool(self, value: bool) -> Value {
        Value { raw: if value { qjs::JS_TRUE } else { qjs::JS_FALSE }, ctx: self }
    }

    /// A number.
    pub fn number(self, value: f64) -> Value {
        Value { raw: qjs::JS_NewFloat64(value), ctx: self }
    }

    /// A string.
    pub fn text(self, text: &str) -> Js<Value> {
        // SAFETY: the engine copies `len` bytes of valid UTF-8.
        unsafe { self.own(qjs::JS_NewStringLen(self.raw(), text.as_ptr().cast(), text.len() as _)) }
    }

    /// A new `Uint8Array` with a copy of the bytes.
    pub fn bytes(self, bytes: &[u8]) -> Js<Value> {
        // SAFETY: the engine copies `len` bytes.
        unsafe { self.own(qjs::JS_NewUint8ArrayCopy(self.raw(), bytes.as_ptr(), bytes.len() as _)) }
    }

    /// A new `{}`.
    pub fn object(self) -> Js<Value> {
        // SAFETY: no arguments beyond the live context.
        unsafe { self.own(qjs::JS_NewObject(self.raw())) }
    }

    /// A new array of these values.
    pub fn array(self, items: Vec<Value>) -> Js<Value> {
        let raws: Vec<qjs::JSValue> = items.into_iter().map(Value::into_raw).collect();
        // SAFETY: the engine takes ownership of all `len` values, also when it fails.
        unsafe { self.own(qjs::JS_NewArrayFrom(self.raw(), raws.len() as _, raws.as_ptr())) }
    }

    /// A new error object whose stack is still absent: the engine fills it in where the error is thrown first.
    pub fn bare_error(self, prototype: &Value) -> Js<Value> {
        // SAFETY: the prototype is borrowed; the class is the engine's own of errors, whose objects need no more.
        unsafe { self.own(qjs::JS_NewObjectProtoClass(self.raw(), prototype.raw, CLASS_ERROR)) }
    }

    /// `Error.prototype`, as the engine has it.
    pub fn error_prototype(self) -> Js<Value> {
        // SAFETY: gives an owned reference.
        unsafe { self.own(qjs::JS_GetClassProto(self.raw(), CLASS_ERROR)) }
    }

    /// A property key.
    pub fn atom(self, name: &str) -> Js<Atom> {
        // SAFETY: the engine copies `len` bytes of valid UTF-8.
        let raw = unsafe { qjs::JS_NewAtomLen(self.raw(), name.as_ptr().cast(), name.len() as _) };
        if raw == 0 { Err(Thrown) } else { Ok(Atom { raw, ctx: self }) }
    }

    /// The global object.
    pub fn global(self) -> Value {
        // SAFETY: returns an owned reference to the context's global, never an exception.
        Value { raw: unsafe { qjs::JS_GetGlobalObject(self.raw()) }, ctx: self }
    }

    /// A function made of entry `index` of [`TABLE`].
    pub fn native(self, index: usize) -> Js<Value> {
        let native = &TABLE[index];
        // SAFETY: the engine calls a `generic_magic` function with exactly these five arguments; the union that
        // `JS_NewCFunction2` takes is declared by its first member, hence the cast of the function pointer.
        let call = unsafe { std::mem::transmute::<qjs::JSCFunctionMagic, qjs::JSCFunction>(Some(call_native)) };
        let proto = qjs::JSCFunctionEnum_JS_CFUNC_generic_magic;
        // SAFETY: the name is NUL-terminated and static; the index fits the engine's 16-bit field (table is short).
        unsafe {
            self.own(qjs::JS_NewCFunction2(
                self.raw(),
                call,
                native.name.as_ptr(),
                native.arity.into(),
                proto,
                index as _,
            ))
        }
    }

    /// Evaluates a source text. `source` ends with a NUL byte that is not part of the text; `line` is the number of
    /// its first line.
    pub fn eval(self, source: &CStrBytes, file: &CStr, goal: Goal, line: i32) -> Js<Value> {
        let eval_flags = match goal {
            Goal::Script => qjs::JS_EVAL_TYPE_GLOBAL,
            Goal::Module => qjs::JS_EVAL_TYPE_MODULE | qjs::JS_EVAL_FLAG_COMPILE_ONLY,
        } as i32;
        let mut options = qjs::JSEvalOptions {
            version: qjs::JS_EVAL_OPTIONS_VERSION as _,
            eval_flags,
            filename: file.as_ptr(),
            line_num: line,
        };
        let (text, len) = source.parts();
        // SAFETY: `text[len]` is the NUL the engine asks for; the options live through the call.
        unsafe { self.own(qjs::JS_Eval2(self.raw(), text, len as _, &mut options)) }
    }

    /// A promise and the functions that settle it.
    pub fn deferred(self) -> Js<Deferred> {
        let mut ends = [qjs::JS_UNDEFINED; 2];
        // SAFETY: the engine writes two owned functions unless it throws.
        unsafe {
            let promise = self.own(qjs::JS_NewPromiseCapability(self.raw(), ends.as_mut_ptr()))?;
            let [resolve, reject] = ends.map(|raw| Value { raw, ctx: self });
            Ok(Deferred { promise, resolve, reject })
        }
    }

    /// A promise already rejected with `reason`.
    pub fn rejected(self, reason: &Value) -> Js<Value> {
        // SAFETY: `reason` is borrowed for the call.
        unsafe { self.own(qjs::JS_NewSettledPromise(self.raw(), true, reason.raw)) }
    }

    /// Takes the pending exception (`undefined` if the engine was stopped without one).
    pub fn take_exception(self) -> Value {
        // SAFETY: hands over the pending exception; "none" comes back as the engine's uninitialised tag.
        let raw = unsafe { qjs::JS_GetException(self.raw()) };
        let value = Value { raw, ctx: self };
        if value.kind() == Kind::Internal { self.undefined() } else { value }
    }

    /// Makes `value` the pending exception.
    pub fn throw(self, value: Value) -> Thrown {
        // SAFETY: ownership of the value moves to the engine.
        unsafe { qjs::JS_Throw(self.raw(), value.into_raw()) };
        Thrown
    }

    /// Throws a `TypeError` with a message of at most 255 bytes.
    pub fn type_error(self, message: &str) -> Thrown {
        let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the format takes one C string.
        unsafe { qjs::JS_ThrowTypeError(self.raw(), c"%s".as_ptr(), text.as_ptr()) };
        Thrown
    }

    /// Throws a `RangeError` with a message of at most 255 bytes.
    pub fn range_error(self, message: &str) -> Thrown {
        let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the format takes one C string.
        unsafe { qjs::JS_ThrowRangeError(self.raw(), c"%s".as_ptr(), text.as_ptr()) };
        Thrown
    }

    /// Throws an `Error` with a message of at most 255 bytes.
    pub fn plain_error(self, message: &str) -> Thrown {
        let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the format takes one C string.
        unsafe { qjs::JS_ThrowPlainError(self.raw(), c"%s".as_ptr(), text.as_ptr()) };
        Thrown
    }

    /// Throws the engine's out-of-memory error.
    pub fn out_of_memory(self) -> Thrown {
        // SAFETY: no arguments beyond the live context.
        unsafe { qjs::JS_ThrowOutOfMemory(self.raw()) };
        Thrown
    }

    /// Runs one queued job. `None`: the queue is empty; `Some(Err)`: the job threw.
    pub fn run_job(self) -> Option<Js<()>> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the runtime is alive; the out-pointer is valid for the call.
        match unsafe { qjs::JS_ExecutePendingJob(self.runtime(), &mut context) } {
            0 => None,
            n if n < 0 => Some(Err(Thrown)),
            _ => Some(Ok(())),
        }
    }

    /// Limits the engine's use of its stack, counted from here.
    pub fn limit_stack(self, bytes: usize) {
        // SAFETY: plain settings of the live runtime.
        unsafe {
            qjs::JS_UpdateStackTop(self.runtime());
            qjs::JS_SetMaxStackSize(self.runtime(), bytes as _);
        }
    }

    /// No collection before the heap has grown past `bytes`.
    pub fn collect_after(self, bytes: usize) {
        // SAFETY: a plain setting of the live runtime.
        unsafe { qjs::JS_SetGCThreshold(self.runtime(), bytes as _) };
    }

    /// Collects garbage now.
    pub fn collect(self) {
        // SAFETY: called outside of any engine call that holds unrooted values.
        unsafe { qjs::JS_RunGC(self.runtime()) };
    }
}

/// A source text whose last byte is NUL and not part of it.
pub struct CStrBytes<'a>(&'a [u8]);

impl<'a> CStrBytes<'a> {
    /// `None` unless the last byte is NUL.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.last() == Some(&0)).then_some(CStrBytes(bytes))
    }

    /// Where the text starts and how long it is.
    pub fn parts(&self) -> (*const std::ffi::c_char, usize) {
        (self.0.as_ptr().cast(), self.0.len() - 1)
    }
}

impl Value {
    /// The context it belongs to.
    pub fn ctx(&self) -> Ctx {
        self.ctx
    }

    /// The raw value, still owned by `self`.
    pub fn raw(&self) -> qjs::JSValue {
        self.raw
    }

    /// Gives up ownership.
    pub fn into_raw(self) -> qjs::JSValue {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        // SAFETY: tag and payload of a live value.
        unsafe {
            match qjs::JS_VALUE_GET_NORM_TAG(self.raw) {
                qjs::JS_TAG_UNDEFINED => Kind::Undefined,
                qjs::JS_TAG_NULL => Kind::Null,
                qjs::JS_TAG_BOOL => Kind::Bool(qjs::JS_VALUE_GET_BOOL(self.raw)),
                qjs::JS_TAG_INT => Kind::Int(qjs::JS_VALUE_GET_INT(self.raw)),
                qjs::JS_TAG_FLOAT64 => Kind::Float(qjs::JS_VALUE_GET_FLOAT64(self.raw)),
                qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => Kind::Text,
                qjs::JS_TAG_SYMBOL => Kind::Symbol,
                qjs::JS_TAG_BIG_INT | qjs::JS_TAG_SHORT_BIG_INT => Kind::BigInt,
                qjs::JS_TAG_OBJECT => Kind::Object,
                _ => Kind::Internal,
            }
        }
    }

    /// Whether it is `undefined`.
    pub fn is_undefined(&self) -> bool {
        self.kind() == Kind::Undefined
    }

    /// Whether it is an object (or function, or array).
    pub fn is_object(&self) -> bool {
        self.kind() == Kind::Object
    }

    /// Whether it can be called.
    pub fn is_function(&self) -> bool {
        // SAFETY: reads the object's class.
        unsafe { qjs::JS_IsFunction(self.ctx.raw(), self.raw) }
    }

    /// Whether it is a promise of this engine (not merely an object with `then`).
    pub fn is_promise(&self) -> bool {
        // SAFETY: reads the object's class.
        unsafe { qjs::JS_IsPromise(self.raw) }
    }

    /// Whether it is an error object.
    pub fn is_error(&self) -> bool {
        // SAFETY: reads the object's class.
        unsafe { qjs::JS_IsError(self.raw) }
    }

    /// Whether both are the same object.
    pub fn same(&self, other: &Value) -> bool {
        // SAFETY: both are live values; the comparison calls no user code.
        unsafe { qjs::JS_IsSameValue(self.ctx.raw(), self.raw, other.raw) }
    }

    /// The number it is, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self.kind() {
            Kind::Int(n) => Some(n.into()),
            Kind::Float(n) => Some(n),
            _ => None,
        }
    }

    /// State of a promise; `None` if it is none.
    pub fn promise_state(&self) -> Option<PromiseState> {
        // SAFETY: any value is accepted.
        match unsafe { qjs::JS_PromiseState(self.ctx.raw(), self.raw) } {
            qjs::JSPromiseStateEnum_JS_PROMISE_PENDING => Some(PromiseState::Pending),
            qjs::JSPromiseStateEnum_JS_PROMISE_FULFILLED => Some(PromiseState::Fulfilled),
            qjs::JSPromiseStateEnum_JS_PROMISE_REJECTED => Some(PromiseState::Rejected),
            _ => None,
        }
    }

    /// What a settled promise holds.
    pub fn promise_result(&self) -> Js<Value> {
        // SAFETY: returns an owned value.
        unsafe { self.ctx.own(qjs::JS_PromiseResult(self.ctx.raw(), self.raw)) }
    }

    /// Its property, getters and proxies included.
    pub fn get(&self, key: &Atom) -> Js<Value> {
        // SAFETY: both are live.
        unsafe { self.ctx.own(qjs::JS_GetProperty(self.ctx.raw(), self.raw, key.raw)) }
    }

    /// Its property by name.
    pub fn get_named(&self, name: &str) -> Js<Value> {
        self.get(&self.ctx.atom(name)?)
    }

    /// Its element.
    pub fn get_index(&self, index: u32) -> Js<Value> {
        // SAFETY: the value is live.
        unsafe { self.ctx.own(qjs::JS_GetPropertyUint32(self.ctx.raw(), self.raw, index)) }
    }

    /// Defines an own property, whatever setters its prototypes have.
    pub fn define(&self, key: &Atom, value: Value, flags: i32) -> Js<()> {
        // SAFETY: the engine takes ownership of the value.
        let done = unsafe { qjs::JS_DefinePropertyValue(self.ctx.raw(), self.raw, key.raw, value.into_raw(), flags) };
        if done < 0 { Err(Thrown) } else { Ok(()) }
    }

    /// Defines the next element of an array.
    pub fn push(&self, value: Value) -> Js<()> {
        let mut length = 0;
        // SAFETY: the out-pointer is valid for the call; the engine takes ownership of the value.
        let done = unsafe {
            if qjs::JS_GetLength(self.ctx.raw(), self.raw, &mut length) < 0 {
                return Err(Thrown);
            }
            qjs::JS_DefinePropertyValueUint32(self.ctx.raw(), self.raw, length as u32, value.into_raw(), PLAIN)
        };
        if done < 0 { Err(Thrown) } else { Ok(()) }
    }

    /// It as a property key; a symbol is one as it is.
    pub fn to_atom(&self) -> Js<Atom> {
        // SAFETY: gives an owned atom, null after an exception.
        let raw = unsafe { qjs::JS_ValueToAtom(self.ctx.raw(), self.raw) };
        if raw == 0 { Err(Thrown) } else { Ok(Atom { raw, ctx: self.ctx }) }
    }

    /// Defines an own property by name.
    pub fn define_named(&self, name: &str, value: Value, flags: i32) -> Js<()> {
        self.define(&self.ctx.atom(name)?, value, flags)
    }

    /// Removes an own property, if it may be removed.
    pub fn delete_named(&self, name: &str) -> Js<()> {
        let key = self.ctx.atom(name)?;
        // SAFETY: both are live.
        let done = unsafe { qjs::JS_DeleteProperty(self.ctx.raw(), self.raw, key.raw, 0) };
        if done < 0 { Err(Thrown) } else { Ok(()) }
    }

    /// Calls it.
    pub fn call(&self, this: &Value, args: &[Value]) -> Js<Value> {
        let mut raws: Vec<qjs::JSValue> = args.iter().map(|v| v.raw).collect();
        // SAFETY: the arguments are borrowed for the call.
        unsafe { self.ctx.own(qjs::JS_Call(self.ctx.raw(), self.raw, this.raw, raws.len() as _, raws.as_mut_ptr())) }
    }

    /// Calls it with one argument and no `this`.
    pub fn call1(&self, argument: &Value) -> Js<Value> {
        let mut raw = argument.raw;
        // SAFETY: the argument is borrowed for the call.
        unsafe { self.ctx.own(qjs::JS_Call(self.ctx.raw(), self.raw, qjs::JS_UNDEFINED, 1, &mut raw)) }
    }

    /// Lends its text to `use_it` as the engine's UTF-8, in which a lone surrogate is three bytes that no valid UTF-8
    /// has. Anything but a string is converted first, which may run user code.
    pub fn with_text<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> Js<R> {
        let mut len = 0;
        // SAFETY: the returned block is valid for `len` bytes until it is freed below; `use_it` gets a borrow that
        // cannot outlive the call.
        unsafe {
            let text = qjs::JS_ToCStringLen2(self.ctx.raw(), &mut len, self.raw, false);
            if text.is_null() {
                return Err(Thrown);
            }
            let result = use_it(std::slice::from_raw_parts(text.cast(), len as usize));
            qjs::JS_FreeCString(self.ctx.raw(), text);
            Ok(result)
        }
    }

    /// Lends the bytes of a `Uint8Array`. `use_them` must not call into the engine, hence no context in it.
    pub fn with_bytes<R>(&self, use_them: impl FnOnce(&[u8]) -> R) -> Js<R> {
        self.with_bytes_mut(|bytes| use_them(bytes))
    }

    /// Lends the bytes of a `Uint8Array` for writing; otherwise as [`Value::with_bytes`].
    pub fn with_bytes_mut<R>(&self, use_them: impl FnOnce(&mut [u8]) -> R) -> Js<R> {
        let mut len = 0;
        // SAFETY: the engine gives the block of a live array, valid for `len` bytes until the engine runs again; null
        // comes with an exception for what is no such array, and without one for an empty array.
        unsafe {
            let data = qjs::JS_GetUint8Array(self.ctx.raw(), &mut len, self.raw);
            if data.is_null() {
                if qjs::JS_HasException(self.ctx.raw()) {
                    return Err(Thrown);
                }
                return Ok(use_them(&mut []));
            }
            Ok(use_them(std::slice::from_raw_parts_mut(data, len as usize)))
        }
    }

    /// Its text, lone surrogates replaced.
    pub fn to_text(&self) -> Js<String> {
        self.with_text(|bytes| {
            let mut bytes = bytes.to_vec();
            replace_surrogates(&mut bytes);
            String::from_utf8(bytes).unwrap_or_default()
        })
    }
}

/// Makes the engine's text valid UTF-8: U+FFFD in place of each lone surrogate. Both take three bytes.
pub fn replace_surrogates(text: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = text[at..].windows(3).position(|w| w[0] == 0xed && w[1] >= 0xa0) {
        at += found;
        text[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        at += 3;
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        // SAFETY: adds a reference to a live value.
        Value { raw: unsafe { qjs::JS_DupValue(self.ctx.raw(), self.raw) }, ctx: self.ctx }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `self` owns.
        unsafe { qjs::JS_FreeValue(self.ctx.raw(), self.raw) }
    }
}

impl Drop for Atom {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `self` owns.
        unsafe { qjs::JS_FreeAtom(self.ctx.raw(), self.raw) }
    }
}

impl Atom {
    /// Takes ownership of an atom of the engine.
    ///
    /// # Safety
    /// `raw` is an owned, non-null atom of `ctx`.
    pub unsafe fn from_raw(ctx: Ctx, raw: qjs::JSAtom) -> Atom {
        Atom { raw, ctx }
    }

    /// The raw atom, still owned by `self`.
    pub fn raw(&self) -> qjs::JSAtom {
        self.raw
    }
}

impl Args<'_> {
    /// Argument `index`, or `undefined`.
    pub fn get(&self, index: usize) -> Value {
        match self.values.get(index) {
            // SAFETY: adds a reference to a value that the engine holds for the call.
            Some(&raw) => Value { raw: unsafe { qjs::JS_DupValue(self.ctx.raw(), raw) }, ctx: self.ctx },
            None => self.ctx.undefined(),
        }
    }

    /// Argument `index` as text; anything but a string is a `TypeError`.
    pub fn text(&self, index: usize) -> Js<String> {
        let value = self.get(index);
        if value.kind() != Kind::Text {
            return Err(self.ctx.type_error("a string is expected"));
        }
        value.to_text()
    }

    /// Argument `index` as a number; anything else is NaN.
    pub fn number(&self, index: usize) -> f64 {
        self.get(index).as_number().unwrap_or(f64::NAN)
    }
}

unsafe extern "C" fn call_native(
    ctx: *mut qjs::JSContext,
    _this: qjs::JSValue,
    argc: std::ffi::c_int,
    argv: *mut qjs::JSValue,
    magic: std::ffi::c_int,
) -> qjs::JSValue {
    // SAFETY: the engine passes its live context and `argc` values that it holds for the call (`argv` may be null or
    // dangling when there is none).
    let (ctx, values) = unsafe {
        let values = if argc > 0 { std::slice::from_raw_parts(argv, argc as usize) } else { &[] };
        (Ctx::from_raw(ctx), values)
    };
    let native = &TABLE[magic as usize];
    match (native.call)(&Args { ctx, values }) {
        Ok(value) => value.into_raw(),
        Err(Thrown) => qjs::JS_EXCEPTION,
    }
}
