//! Modules in the engine: the loader over the host's table, and what the guest's `require` needs of it.
//!
//! A specifier means what the host's table says and nothing else. Beside the table there are only the built-in
//! modules of the guest, each only where its grant is held.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;

use rquickjs::qjs;

use crate::engine::{Args, CStrBytes, Ctx, Goal, HIDDEN, Js, PLAIN, PromiseState, Thrown, Value};
use crate::exports;
use crate::guest::Guest;
use crate::program::{Kind, Module, Program, Stage};

/// Makes the engine ask us for modules.
pub fn install_loader(ctx: Ctx) {
    // SAFETY: the functions have the signatures that the engine calls; they keep no opaque pointer.
    unsafe {
        qjs::JS_SetModuleLoaderFunc2(ctx.runtime(), Some(normalize), Some(load), None, std::ptr::null_mut());
    }
}

/// (index) gives the wrapper function of a CommonJS module, or the value of a JSON module.
pub fn compile(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    let name = program.c_name(module).ok_or_else(|| bad_name(args.ctx))?;
    if module.kind == Kind::Json {
        return parse_json(args.ctx, program, module, &name);
    }
    let source = wrap(program.source(module));
    let source = CStrBytes::new(&source).expect("ends with NUL");
    args.ctx.eval(&source, &name, Goal::Script, WRAPPED_FROM)
}

/// (index) gives `[name, kind]`, the kind as "esm", "cjs" or "json".
pub fn info(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    let kind = match module.kind {
        Kind::Esm => "esm",
        Kind::CommonJs => "cjs",
        Kind::Json => "json",
    };
    args.ctx.array(vec![args.ctx.text(program.name(module))?, args.ctx.text(kind)?])
}

/// (index of the importing module, specifier) gives the index of another module or the name of a built-in one.
pub fn resolve(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    let specifier = args.text(1)?;
    if let Some(index) = program.resolve(module, &specifier) {
        return Ok(args.ctx.number(index as f64));
    }
    match builtin_name(&specifier) {
        Some(name) if Guest::of(args.ctx)?.builtin(name)?.is_object() => args.ctx.text(name),
        _ => Err(not_found(args.ctx, program, module, &specifier)),
    }
}

/// (index) evaluates an ES module and all it imports: gives `[promise, namespace]`.
pub fn evaluate(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    let ctx = args.ctx;
    let (promise, namespace) = run(ctx, program, module)?;
    ctx.array(vec![promise, namespace])
}

/// (index) gives the namespace of an ES module to a CommonJS one, at once; an error where that cannot be.
pub fn require_module(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    let name = program.name(module);
    if graph(program, module).iter().any(|m| m.kind == Kind::Esm && m.stage.get() == Stage::Loaded) {
        let message = format!("cannot `require` `{name}` while it is being evaluated or awaited; use `import()`");
        return Err(args.ctx.plain_error(&message));
    }
    let (promise, namespace) = run(args.ctx, program, module)?;
    match promise.promise_state() {
        Some(PromiseState::Fulfilled) => Ok(namespace),
        Some(PromiseState::Rejected) => {
            // SAFETY: a live promise; its rejection is handled by being thrown here.
            unsafe { qjs::JS_PromiseMarkAsHandled(args.ctx.raw(), promise.raw()) };
            Guest::of(args.ctx)?.forget_rejection(&promise);
            Err(args.ctx.throw(promise.promise_result()?))
        }
        _ => {
            let message = format!("cannot `require` `{name}`, which uses top-level await; use `import()`");
            Err(args.ctx.plain_error(&message))
        }
    }
}

/// (index) notes that an ES module and all it imports have been evaluated.
pub fn settled(args: &Args) -> Js<Value> {
    let (program, module) = module_of(args)?;
    finish(program, module);
    Ok(args.ctx.undefined())
}

fn finish(program: &Program, module: &Module) {
    for done in graph(program, module) {
        if done.stage.get() == Stage::Loaded {
            done.stage.set(Stage::Done);
        }
    }
}

fn run(ctx: Ctx, program: &Program, module: &Module) -> Js<(Value, Value)> {
    load_ahead(ctx, program, module);
    let name = program.c_name(module).ok_or_else(|| bad_name(ctx))?;
    let loaded = match module.loaded.get() {
        Some(loaded) => loaded.as_ptr().cast(),
        None => load_module(ctx, program, module, &name)?,
    };
    // SAFETY: a live module of the engine, which holds it in its list for good. `JS_EvalFunction` takes the reference
    // that is made for it here.
    unsafe {
        let value = qjs::JS_MKPTR(qjs::JS_TAG_MODULE, loaded.cast());
        let promise = ctx.own(qjs::JS_EvalFunction(ctx.raw(), qjs::JS_DupValue(ctx.raw(), value)))?;
        let namespace = ctx.own(qjs::JS_GetModuleNamespace(ctx.raw(), loaded))?;
        if promise.promise_state() == Some(PromiseState::Fulfilled) {
            finish(program, module);
        }
        Ok((promise, namespace))
    }
}

/// Loads the ES modules of a large program so that each comes after those that it imports: the engine itself would go
/// as deep into its stack as the imports go. What fails here fails again where the engine needs it, with its error.
fn load_ahead(ctx: Ctx, program: &Program, root: &Module) {
    let graph = graph(program, root);
    if graph.len() < AHEAD_FROM {
        return;
    }
    for module in graph.into_iter().rev() {
        let wanted = module.kind == Kind::Esm && module.stage.get() == Stage::Unloaded;
        let Some(name) = program.c_name(module).filter(|_| wanted) else { continue };
        if load_module(ctx, program, module, &name).is_err() {
            drop(ctx.take_exception());
        }
    }
}

/// Number of modules from which on they are loaded ahead.
const AHEAD_FROM: usize = 32;

/// A module with all it imports through ES modules, as far as the table says.
fn graph<'a>(program: &'a Program, root: &'a Module) -> Vec<&'a Module> {
    let mut found: Vec<&Module> = vec![root];
    let mut at = 0;
    while let Some(&module) = found.get(at) {
        at += 1;
        if module.kind != Kind::Esm {
            continue;
        }
        for (_, name) in program.imports(module) {
            let Some(next) = program.find(name).and_then(|index| program.module(index)) else { continue };
            if !found.iter().any(|known| std::ptr::eq(*known, next)) {
                found.push(next);
            }
        }
    }
    found
}

fn module_of(args: &Args) -> Js<(&'static Program, &'static Module)> {
    let program = Guest::of(args.ctx)?.program.get();
    let index = args.number(0);
    program
        .and_then(|program| Some((program, program.module(index as usize)?)))
        .ok_or_else(|| args.ctx.type_error("no such module"))
}

unsafe extern "C" fn normalize(
    ctx: *mut qjs::JSContext,
    base: *const c_char,
    specifier: *const c_char,
    _opaque: *mut c_void,
) -> *mut c_char {
    // SAFETY: the engine passes its live context and two C strings.
    let (ctx, base, specifier) = unsafe {
        (Ctx::from_raw(ctx), CStr::from_ptr(base).to_string_lossy(), CStr::from_ptr(specifier).to_string_lossy())
    };
    match resolve_name(ctx, &base, &specifier) {
        // SAFETY: copies `len` bytes into memory of the engine, which frees it.
        Ok(name) => unsafe { qjs::js_strndup(ctx.raw(), name.as_ptr().cast(), name.len() as _) },
        Err(Thrown) => std::ptr::null_mut(),
    }
}

fn resolve_name(ctx: Ctx, base: &str, specifier: &str) -> Js<String> {
    let guest = Guest::of(ctx)?;
    let Some(program) = guest.program.get() else { return Err(ctx.plain_error("there is no program")) };
    let importer = program.find(base).and_then(|index| program.module(index));
    let resolved = importer.and_then(|module| program.resolve(module, specifier));
    if let Some(found) = resolved.and_then(|index| program.module(index)) {
        return Ok(program.name(found).to_owned());
    }
    if let Some(name) = builtin_name(specifier)
        && guest.builtin(name)?.is_object()
    {
        return Ok(name.to_owned());
    }
    match importer {
        Some(module) => Err(not_found(ctx, program, module, specifier)),
        None => Err(ctx.plain_error(&format!("cannot find module `{specifier}`"))),
    }
}

/// The built-in modules: what the specifier names, if it is one of them.
fn builtin_name(specifier: &str) -> Option<&'static str> {
    match specifier {
        "lockgate" => Some("lockgate:lockgate"),
        "fs/promises" | "node:fs/promises" => Some("lockgate:fs/promises"),
        _ => None,
    }
}

unsafe extern "C" fn load(
    ctx: *mut qjs::JSContext,
    name: *const c_char,
    _opaque: *mut c_void,
    _attributes: qjs::JSValue,
) -> *mut qjs::JSModuleDef {
    // SAFETY: the engine passes its live context and a C string.
    let (ctx, c_name) = unsafe { (Ctx::from_raw(ctx), CStr::from_ptr(name)) };
    load_named(ctx, c_name).unwrap_or(std::ptr::null_mut())
}

fn load_named(ctx: Ctx, c_name: &CStr) -> Js<*mut qjs::JSModuleDef> {
    let guest = Guest::of(ctx)?;
    let name = c_name.to_string_lossy();
    if name.starts_with("lockgate:") {
        let exports = guest.builtin(&name)?;
        return foreign_module(ctx, c_name, &own_names(&exports)?);
    }
    let found = guest.program.get().and_then(|program| Some((program, program.module(program.find(&name)?)?)));
    match found {
        Some((program, module)) => load_module(ctx, program, module, c_name),
        None => Err(ctx.plain_error(&format!("cannot find module `{name}`"))),
    }
}

fn load_module(ctx: Ctx, program: &Program, module: &Module, name: &CStr) -> Js<*mut qjs::JSModuleDef> {
    match module.kind {
        Kind::Esm => load_esm(ctx, program, module, name),
        Kind::CommonJs => foreign_module(ctx, name, &exports::named(program, module)),
        Kind::Json => foreign_module(ctx, name, &[]),
    }
}

fn load_esm(ctx: Ctx, program: &Program, module: &Module, name: &CStr) -> Js<*mut qjs::JSModuleDef> {
    let source = program.c_source(module).ok_or_else(|| bad_name(ctx))?;
    let was = module.stage.replace(Stage::Loaded);
    let loaded = ctx.eval(&source, name, Goal::Module, 1);
    let value = loaded.inspect_err(|_| module.stage.set(was))?;
    // SAFETY: a compiled module value holds the module, which the engine's own list keeps alive when it is dropped.
    unsafe {
        let loaded: *mut qjs::JSModuleDef = qjs::JS_VALUE_GET_PTR(value.raw()).cast();
        module.loaded.set(NonNull::new(loaded.cast()));
        let meta = ctx.own(qjs::JS_GetImportMeta(ctx.raw(), loaded))?;
        let name = program.name(module);
        let is_entry = program.module(program.entry).is_some_and(|entry| std::ptr::eq(entry, module));
        meta.define_named("url", ctx.text(&format!("file:///{}", name.trim_start_matches('/')))?, PLAIN)?;
        meta.define_named("filename", ctx.text(name)?, PLAIN)?;
        meta.define_named("main", ctx.bool(is_entry), PLAIN)?;
        Ok(loaded)
    }
}

/// A module for the engine whose exports come from the guest: CommonJS, JSON or built in.
fn foreign_module(ctx: Ctx, name: &CStr, exports: &[String]) -> Js<*mut qjs::JSModuleDef> {
    // SAFETY: the names are C strings for the calls; null and failures are checked.
    unsafe {
        let module = qjs::JS_NewCModule(ctx.raw(), name.as_ptr(), Some(fill_module));
        if module.is_null() {
            return Err(Thrown);
        }
        for export in std::iter::once("default").chain(exports.iter().map(String::as_str)) {
            let export = CString::new(export).map_err(|_| bad_name(ctx))?;
            if qjs::JS_AddModuleExport(ctx.raw(), module, export.as_ptr()) < 0 {
                return Err(Thrown);
            }
        }
        Ok(module)
    }
}

/// Called by the engine when a module made by [`foreign_module`] is evaluated.
unsafe extern "C" fn fill_module(ctx: *mut qjs::JSContext, module: *mut qjs::JSModuleDef) -> c_int {
    // SAFETY: the engine passes its live context and the module.
    let ctx = unsafe { Ctx::from_raw(ctx) };
    match fill(ctx, module) {
        Ok(()) => 0,
        Err(Thrown) => -1,
    }
}

fn fill(ctx: Ctx, module: *mut qjs::JSModuleDef) -> Js<()> {
    let guest = Guest::of(ctx)?;
    // SAFETY: a live module; its name comes as an owned atom, then as an owned string.
    let name = unsafe {
        let atom = crate::engine::Atom::from_raw(ctx, qjs::JS_GetModuleName(ctx.raw(), module));
        ctx.own(qjs::JS_AtomToString(ctx.raw(), atom.raw()))?.to_text()?
    };
    let (exports, names) = match guest.program.get() {
        _ if name.starts_with("lockgate:") => {
            let exports = guest.builtin(&name)?;
            let names = own_names(&exports)?;
            (exports, names)
        }
        Some(program) => {
            let index = program.find(&name).ok_or_else(|| bad_name(ctx))?;
            let entry = program.module(index).ok_or_else(|| bad_name(ctx))?;
            let names = if entry.kind == Kind::CommonJs { exports::named(program, entry) } else { Vec::new() };
            (guest.hooks()?.load.call1(&ctx.number(index as f64))?, names)
        }
        None => return Err(bad_name(ctx)),
    };
    set_export(ctx, module, "default", exports.clone())?;
    for name in names {
        let value = if exports.is_object() { exports.get_named(&name)? } else { ctx.undefined() };
        set_export(ctx, module, &name, value)?;
    }
    Ok(())
}

fn set_export(ctx: Ctx, module: *mut qjs::JSModuleDef, name: &str, value: Value) -> Js<()> {
    let name = CString::new(name).map_err(|_| bad_name(ctx))?;
    // SAFETY: a live module; the engine takes the value over.
    let done = unsafe { qjs::JS_SetModuleExport(ctx.raw(), module, name.as_ptr(), value.into_raw()) };
    if done < 0 { Err(Thrown) } else { Ok(()) }
}

fn own_names(object: &Value) -> Js<Vec<String>> {
    let mut names = crate::value::own_keys(object)?;
    names.retain(|name| name != "default");
    Ok(names)
}

fn parse_json(ctx: Ctx, program: &Program, module: &Module, name: &CStr) -> Js<Value> {
    let source = program.c_source(module).ok_or_else(|| bad_name(ctx))?;
    let (text, len) = source.parts();
    // SAFETY: `text[len]` is NUL, as the engine asks.
    unsafe { ctx.own(qjs::JS_ParseJSON(ctx.raw(), text, len as _, name.as_ptr())) }
}

/// The source of a CommonJS module inside the function that gives it its variables. The user's first line is the
/// third, so that columns are right on every line.
fn wrap(source: &str) -> Vec<u8> {
    let mut wrapped = Vec::with_capacity(source.len() + 80);
    wrapped.extend_from_slice(b"(function (exports, require, module, __filename, __dirname) {\n\n");
    match source.strip_prefix("#!") {
        Some(rest) => {
            wrapped.extend_from_slice(b"//");
            wrapped.extend_from_slice(rest.as_bytes());
        }
        None => wrapped.extend_from_slice(source.as_bytes()),
    }
    wrapped.extend_from_slice(b"\n})\0");
    wrapped
}

/// Number of the line that [`wrap`] puts first, so that the user's first is 1.
const WRAPPED_FROM: i32 = -1;

/// An error that says where the specifier stands.
fn not_found(ctx: Ctx, program: &Program, importer: &Module, specifier: &str) -> Thrown {
    let file = program.name(importer);
    let build = || -> Js<Value> {
        let error = ctx.bare_error(&ctx.error_prototype()?)?;
        let message = format!("cannot find module `{specifier}` imported by `{file}`");
        error.define_named("message", ctx.text(&message)?, HIDDEN)?;
        error.define_named("code", ctx.text("ERR_MODULE_NOT_FOUND")?, PLAIN)?;
        if let Some((line, column)) = place_of(program.source(importer), specifier) {
            error.define_named("stack", ctx.text(&format!("    at {file}:{line}:{column}\n"))?, HIDDEN)?;
        }
        Ok(error)
    };
    match build() {
        Ok(error) => ctx.throw(error),
        Err(Thrown) => Thrown,
    }
}

/// Line and column of the first place where a text stands in quotes.
fn place_of(source: &str, text: &str) -> Option<(usize, usize)> {
    let at = ['"', '\'', '`'].iter().filter_map(|quote| source.find(&format!("{quote}{text}{quote}"))).min()?;
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    Some((line, column))
}

fn bad_name(ctx: Ctx) -> Thrown {
    ctx.type_error("a module's name or export cannot hold NUL")
}
