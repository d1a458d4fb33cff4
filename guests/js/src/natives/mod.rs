//! Functions of the guest that its own JavaScript calls. User code never holds one of them.

mod crypto;
mod encoding;
mod reflect;
mod request;
mod text;
mod url;

pub use crypto::Random;

use crate::engine::{Args, Js, Native, Value};

/// All of them. The index in this table is the engine's `magic`.
pub static TABLE: &[Native] = &[
    native(c"request", 4, request::request),
    native(c"web", 3, request::web),
    native(c"hasWeb", 0, request::has_web),
    native(c"sleep", 1, request::sleep),
    native(c"clockNow", 1, request::clock_now),
    native(c"notify", 2, request::notify),
    native(c"now", 0, request::now),
    native(c"origin", 0, request::origin),
    native(c"schedule", 1, request::schedule),
    native(c"random", 0, crypto::random),
    native(c"fillRandom", 1, crypto::fill),
    native(c"digest", 2, crypto::digest),
    native(c"utf8Encode", 1, encoding::utf8_encode),
    native(c"utf8EncodeInto", 2, encoding::utf8_encode_into),
    native(c"utf8Decode", 3, encoding::utf8_decode),
    native(c"utf16Decode", 4, encoding::utf16_decode),
    native(c"latin1Decode", 1, encoding::latin1_decode),
    native(c"urlParse", 2, url::parse),
    native(c"urlPart", 2, url::part),
    native(c"urlSet", 3, url::set),
    native(c"formParse", 1, url::form_parse),
    native(c"formSerialize", 1, url::form_serialize),
    native(c"replace", 3, text::replace),
    native(c"split", 2, text::split),
    native(c"is", 2, text::is),
    native(c"trimField", 1, text::trim_field),
    native(c"crlf", 1, text::crlf),
    native(c"quote", 1, text::quote),
    native(c"own", 3, reflect::own),
    native(c"hide", 3, reflect::hide),
    native(c"push", 2, reflect::push),
    native(c"classOf", 1, reflect::class_of),
    native(c"then", 3, reflect::then),
    native(c"promiseState", 1, reflect::promise_state),
    native(c"proxyTarget", 1, reflect::proxy_target),
    native(c"bareError", 2, reflect::bare_error),
    native(c"compile", 1, crate::modules::compile),
    native(c"moduleInfo", 1, crate::modules::info),
    native(c"resolve", 2, crate::modules::resolve),
    native(c"evaluate", 1, crate::modules::evaluate),
    native(c"requireModule", 1, crate::modules::require_module),
    native(c"settled", 1, crate::modules::settled),
];

const fn native(name: &'static std::ffi::CStr, arity: u8, call: fn(&Args) -> Js<Value>) -> Native {
    Native { name, arity, call }
}
