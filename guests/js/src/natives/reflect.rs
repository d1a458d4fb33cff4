//! What a value really is, whatever its prototype says; and errors without a stack of their own.

use rquickjs::qjs;

use crate::engine::{Args, HIDDEN, Js, PLAIN, PromiseState, Thrown, Value};
use crate::guest::Guest;

/// (object, name, value) defines an own property as an assignment would, and gives the object.
pub fn own(args: &Args) -> Js<Value> {
    args.get(0).define(&args.get(1).to_atom()?, args.get(2), PLAIN)?;
    Ok(args.get(0))
}

/// (object, name, value) defines an own property that is not listed, and gives the object.
pub fn hide(args: &Args) -> Js<Value> {
    args.get(0).define(&args.get(1).to_atom()?, args.get(2), HIDDEN)?;
    Ok(args.get(0))
}

/// (array, value) defines the array's next element, and gives the array.
pub fn push(args: &Args) -> Js<Value> {
    let list = args.get(0);
    list.push(args.get(1))?;
    Ok(list)
}

/// The engine's class of an object as a name; `undefined` for a primitive.
pub fn class_of(args: &Args) -> Js<Value> {
    let value = args.get(0);
    if !value.is_object() {
        return Ok(args.ctx.undefined());
    }
    args.ctx.text(class_name(&value))
}

fn class_name(value: &Value) -> &'static str {
    let raw = value.raw();
    // SAFETY: each call reads the class of a live object.
    unsafe {
        match () {
            () if qjs::JS_IsProxy(raw) => "Proxy",
            () if value.is_function() => "Function",
            () if qjs::JS_IsArray(raw) => "Array",
            () if value.is_error() => "Error",
            () if value.is_promise() => "Promise",
            () if qjs::JS_IsDate(raw) => "Date",
            () if qjs::JS_IsRegExp(raw) => "RegExp",
            () if qjs::JS_IsMap(raw) => "Map",
            () if qjs::JS_IsSet(raw) => "Set",
            () if qjs::JS_IsWeakMap(raw) => "WeakMap",
            () if qjs::JS_IsWeakSet(raw) => "WeakSet",
            () if qjs::JS_IsWeakRef(raw) => "WeakRef",
            () if qjs::JS_IsArrayBuffer(raw) => "ArrayBuffer",
            () if qjs::JS_IsDataView(raw) => "DataView",
            () if qjs::JS_GetTypedArrayType(raw) >= 0 => "TypedArray",
            () if qjs::JS_GetClassID(raw) == crate::value::CLASS_OBJECT => "Object",
            () => "Other",
        }
    }
}

/// `[state, what it holds]` of a promise; `undefined` for anything else.
pub fn promise_state(args: &Args) -> Js<Value> {
    let value = args.get(0);
    let (name, result) = match value.promise_state() {
        None => return Ok(args.ctx.undefined()),
        Some(PromiseState::Pending) => ("pending", args.ctx.undefined()),
        Some(PromiseState::Fulfilled) => ("fulfilled", value.promise_result()?),
        Some(PromiseState::Rejected) => ("rejected", value.promise_result()?),
    };
    args.ctx.array(vec![args.ctx.text(name)?, result])
}

/// (promise, fulfilled, rejected) is `then` without asking the promise for its constructor.
pub fn then(args: &Args) -> Js<Value> {
    let (promise, fulfilled, rejected) = (args.get(0), args.get(1), args.get(2));
    // SAFETY: three live values, borrowed for the call.
    unsafe { args.ctx.own(qjs::JS_PromiseThen(args.ctx.raw(), promise.raw(), fulfilled.raw(), rejected.raw())) }
}

/// What a proxy stands for; `undefined` for anything else and for a revoked proxy.
pub fn proxy_target(args: &Args) -> Js<Value> {
    let value = args.get(0);
    // SAFETY: the class is checked first; the target comes as an owned value.
    let target = unsafe {
        if !qjs::JS_IsProxy(value.raw()) {
            return Ok(args.ctx.undefined());
        }
        args.ctx.own(qjs::JS_GetProxyTarget(args.ctx.raw(), value.raw()))
    };
    Ok(target.unwrap_or_else(|Thrown| {
        drop(args.ctx.take_exception());
        args.ctx.undefined()
    }))
}

/// (message, prototype) gives an error without a stack: it gets one where it is thrown first, which for an error that
/// rejects an awaited promise is the user's `await`.
pub fn bare_error(args: &Args) -> Js<Value> {
    let error = Guest::of(args.ctx)?.bare_error(&args.get(1))?;
    error.define_named("message", args.get(0), HIDDEN)?;
    Ok(error)
}
