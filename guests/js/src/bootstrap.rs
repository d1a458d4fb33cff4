//! The guest's own JavaScript, evaluated once at pre-initialisation.

use std::ffi::CString;

use crate::engine::{CStrBytes, Ctx, Goal, HIDDEN, Js, PLAIN, Value};
use crate::grants::Ready;
use crate::natives::TABLE;

/// What it leaves behind for the native side.
pub struct Hooks {
    /// What is ready to be put on the global object.
    pub ready: Ready,
    /// (handle, kind, name, detail) makes what another handle grants.
    pub install: Value,
    /// (index of the entry, input) runs an ES module program; gives the promise of its result.
    pub run_module: Value,
    /// (index of the entry, input) runs a CommonJS program; gives the promise of its result.
    pub run_common: Value,
    /// (index) gives the exports of a CommonJS or JSON module.
    pub load: Value,
    /// (name) gives what a built-in module exports.
    pub builtin: Value,
    /// (code, message, hint) gives the error that rejects a refused request.
    pub refusal: Value,
    /// (value) gives a text for people.
    pub inspect: Value,
    /// The `toJSON` of sealed values, by which they are known.
    pub sealed_json: Value,
    /// (sealed) gives its number, the pointer of the part that is meant, and whether it is meant as text.
    pub sealed_parts: Value,
    /// The getter of `Error.prototype.stack`, as the engine made it.
    pub stack: Value,
}

/// Evaluates all of it.
pub fn run(ctx: Ctx) -> Js<Hooks> {
    let global = ctx.global();
    for name in ABSENT {
        global.delete_named(name)?;
    }
    let native = ctx.object()?;
    for (index, function) in TABLE.iter().enumerate() {
        native.define_named(&function.name.to_string_lossy(), ctx.native(index)?, HIDDEN)?;
    }
    let kit = ctx.object()?;
    kit.define_named("native", native, PLAIN)?;
    for (name, source) in PIECES {
        let file = CString::new(format!("lockgate:{name}")).expect("a constant without NUL");
        let source = CString::new(*source).expect("a constant without NUL");
        let source = CStrBytes::new(source.as_bytes_with_nul()).expect("ends with NUL");
        ctx.eval(&source, &file, Goal::Script, 1)?.call1(&kit)?;
    }
    Ok(Hooks {
        ready: Ready::of(&kit)?,
        install: kit.get_named("install")?,
        run_module: kit.get_named("runModule")?,
        run_common: kit.get_named("runCommon")?,
        load: kit.get_named("load")?,
        builtin: kit.get_named("builtin")?,
        refusal: kit.get_named("refusal")?,
        inspect: kit.get_named("inspect")?,
        sealed_json: kit.get_named("sealedJson")?,
        sealed_parts: kit.get_named("sealedParts")?,
        stack: kit.get_named("stackOf")?,
    })
}

/// Globals of the engine that a cell does not have.
const ABSENT: [&str; 3] = ["SharedArrayBuffer", "Atomics", "WebAssembly"];

/// The pieces in their order: each is a function of the kit, which it adds to.
const PIECES: &[(&str, &str)] = &[
    ("kit", include_str!("js/kit.js")),
    ("inspect", include_str!("js/inspect.js")),
    ("console", include_str!("js/console.js")),
    ("encoding", include_str!("js/encoding.js")),
    ("url", include_str!("js/url.js")),
    ("events", include_str!("js/events.js")),
    ("clone", include_str!("js/clone.js")),
    ("crypto", include_str!("js/crypto.js")),
    ("timers", include_str!("js/timers.js")),
    ("sealed", include_str!("js/sealed.js")),
    ("body", include_str!("js/body.js")),
    ("fetch", include_str!("js/fetch.js")),
    ("lockgate", include_str!("js/lockgate.js")),
    ("modules", include_str!("js/modules.js")),
];
