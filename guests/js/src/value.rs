//! Values at the boundary: JavaScript to CBOR and back, through the engine's own calls. No JSON text, no evaluation.

use minicbor::data::Type;
use minicbor::decode::Decoder;
use rquickjs::qjs;

use crate::engine::{Atom, Ctx, Js, Kind, PLAIN, Thrown, Value, replace_surrogates};
use crate::guest::Guest;

/// Marks a sealed value; the host knows it by the same number.
const SEALED_TAG: u64 = 0x5ea1;

/// How deep a value may nest.
pub const MAX_DEPTH: u32 = 64;
/// How many bytes one value may take when encoded.
pub const MAX_BYTES: usize = 16 << 20;

/// Encodes a value to the end of `out`. What no crossing can carry is a `TypeError` in the guest, and `out` is then
/// as long as before.
pub fn encode(value: &Value, out: &mut Vec<u8>) -> Js<()> {
    let start = out.len();
    let mut encoder = Encoder { ctx: value.ctx(), start, out };
    let done = encoder.value(value, 0);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

/// Decodes one value. Anything malformed is an error of the host, told as a `TypeError`.
pub fn decode(ctx: Ctx, input: &mut Decoder) -> Js<Value> {
    decode_at(ctx, input, 0)
}

/// The names of an object's own, enumerable properties.
pub fn own_keys(object: &Value) -> Js<Vec<String>> {
    let keys = Keys::of(object)?;
    (0..keys.len).map(|index| keys.text(index)?.to_text()).collect()
}

struct Encoder<'a> {
    ctx: Ctx,
    start: usize,
    out: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: u32) -> Js<()> {
        match value.kind() {
            Kind::Undefined => self.put(&[0xf7]),
            Kind::Null => self.put(&[0xf6]),
            Kind::Bool(b) => self.put(&[if b { 0xf5 } else { 0xf4 }]),
            Kind::Int(n) => self.integer(n.into()),
            Kind::Float(n) => self.float(n),
            Kind::Text => self.text(value),
            Kind::Object => self.object(value, depth),
            Kind::Symbol => Err(self.refuse("a symbol")),
            Kind::BigInt => Err(self.refuse("a bigint")),
            Kind::Internal => Err(self.refuse("an internal value")),
        }
    }

    fn object(&mut self, value: &Value, depth: u32) -> Js<()> {
        if depth >= MAX_DEPTH {
            return Err(self.ctx.type_error("a value nests deeper than 64 levels or refers to itself"));
        }
        match shape_of(value) {
            Shape::Array => self.array(value, depth),
            Shape::Map => self.map_or_json(value, depth),
            Shape::ToJson => self.by_to_json(value, depth),
            Shape::Bytes => self.bytes(value),
            Shape::Buffer => self.buffer(value),
            Shape::Other(what) => Err(self.refuse(what)),
        }
    }

    /// An object says by `toJSON` what stands for it, as in JSON; without one it is its own properties.
    fn map_or_json(&mut self, value: &Value, depth: u32) -> Js<()> {
        let convert = self.converter(value)?;
        if !convert.is_function() {
            return self.map(value, depth);
        }
        let hooks = Guest::of(self.ctx)?.hooks()?;
        if convert.same(&hooks.sealed_json) {
            return self.sealed(value, &hooks.sealed_parts);
        }
        let plain = convert.call(value, &[])?;
        self.element(&plain, depth + 1)
    }

    /// A sealed value crosses as its number, marked by a tag that no plain value has.
    fn sealed(&mut self, value: &Value, parts: &Value) -> Js<()> {
        let parts = parts.call1(value)?;
        self.head(0xc0, SEALED_TAG)?;
        self.head(0x80, 3)?;
        for index in 0..3 {
            self.value(&parts.get_index(index)?, MAX_DEPTH)?;
        }
        Ok(())
    }

    /// An object of one of the language's own classes, such as a date.
    fn by_to_json(&mut self, value: &Value, depth: u32) -> Js<()> {
        let convert = self.converter(value)?;
        if !convert.is_function() {
            let is_plain = class_name(value).is_ok_and(|name| name == "Object");
            return if is_plain { self.map(value, depth) } else { Err(self.refuse("an object of this class")) };
        }
        let plain = convert.call(value, &[])?;
        self.element(&plain, depth + 1)
    }

    fn converter(&self, value: &Value) -> Js<Value> {
        // SAFETY: the atom is one of the engine's constants; the value is live.
        unsafe { self.ctx.own(qjs::JS_GetProperty(self.ctx.raw(), value.raw(), qjs::JS_ATOM_toJSON)) }
    }

    fn array(&mut self, value: &Value, depth: u32) -> Js<()> {
        let mut length = 0;
        // SAFETY: the out-pointer is valid for the call.
        if unsafe { qjs::JS_GetLength(self.ctx.raw(), value.raw(), &mut length) } < 0 {
            return Err(Thrown);
        }
        let length = u32::try_from(length).map_err(|_| self.refuse("an array of this length"))?;
        self.head(0x80, length.into())?;
        for index in 0..length {
            let item = value.get_index(index)?;
            self.element(&item, depth + 1)?;
        }
        Ok(())
    }

    /// An element of an array, where a hole or `undefined` becomes null, as in JSON.
    fn element(&mut self, item: &Value, depth: u32) -> Js<()> {
        if item.is_undefined() { self.put(&[0xf6]) } else { self.value(item, depth) }
    }

    fn map(&mut self, value: &Value, depth: u32) -> Js<()> {
        let keys = Keys::of(value)?;
        let at = self.out.len();
        self.head(0xa0, keys.len as u64)?;
        let head = self.out.len() - at;
        let mut count = 0u64;
        for index in 0..keys.len {
            let key = keys.atom(index);
            let item = value.get(&key)?;
            if item.is_undefined() {
                continue;
            }
            self.text(&keys.text(index)?)?;
            self.value(&item, depth + 1)?;
            count += 1;
        }
        if count != keys.len as u64 {
            patch_head(&mut self.out[at..at + head], count);
        }
        Ok(())
    }

    fn text(&mut self, value: &Value) -> Js<()> {
        value.with_text(|text| {
            self.head(0x60, text.len() as u64)?;
            let at = self.out.len();
            self.put(text)?;
            if !text.is_ascii() {
                replace_surrogates(&mut self.out[at..]);
            }
            Ok(())
        })?
    }

    fn bytes(&mut self, value: &Value) -> Js<()> {
        let mut len = 0;
        // SAFETY: the block is valid until user code runs, which `put` does not let happen.
        unsafe {
            let data = qjs::JS_GetUint8Array(self.ctx.raw(), &mut len, value.raw());
            self.block(data, len as usize)
        }
    }

    fn buffer(&mut self, value: &Value) -> Js<()> {
        let mut len = 0;
        // SAFETY: as in `bytes`.
        unsafe {
            let data = qjs::JS_GetArrayBuffer(self.ctx.raw(), &mut len, value.raw());
            self.block(data, len as usize)
        }
    }

    /// # Safety
    /// `data` is null (with an exception pending, or an empty block) or valid for `len` bytes.
    unsafe fn block(&mut self, data: *const u8, len: usize) -> Js<()> {
        if data.is_null() {
            // SAFETY: reads whether an exception is pending.
            if unsafe { qjs::JS_HasException(self.ctx.raw()) } {
                return Err(Thrown);
            }
            return self.head(0x40, 0);
        }
        self.head(0x40, len as u64)?;
        // SAFETY: the caller's promise.
        self.put(unsafe { std::slice::from_raw_parts(data, len) })
    }

    fn float(&mut self, n: f64) -> Js<()> {
        if n.trunc() == n && n.abs() <= MAX_SAFE && !(n == 0.0 && n.is_sign_negative()) {
            return self.integer(n as i64);
        }
        let mut item = [0xfb; 9];
        item[1..].copy_from_slice(&n.to_be_bytes());
        self.put(&item)
    }

    fn integer(&mut self, n: i64) -> Js<()> {
        if n >= 0 { self.head(0x00, n as u64) } else { self.head(0x20, !n as u64) }
    }

    fn head(&mut self, major: u8, n: u64) -> Js<()> {
        let wide = n.to_be_bytes();
        match n {
            0..=23 => self.put(&[major | n as u8]),
            24..=0xff => self.put(&[major | 24, n as u8]),
            0x100..=0xffff => self.put(&[major | 25, wide[6], wide[7]]),
            0x1_0000..=0xffff_ffff => self.put(&[major | 26, wide[4], wide[5], wide[6], wide[7]]),
            _ => {
                self.put(&[major | 27])?;
                self.put(&wide)
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Js<()> {
        if self.out.len() - self.start + bytes.len() > MAX_BYTES {
            return Err(self.ctx.range_error("a value is larger than 16 MiB"));
        }
        if self.out.try_reserve(bytes.len()).is_err() {
            return Err(self.ctx.out_of_memory());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn refuse(&self, what: &str) -> Thrown {
        self.ctx.type_error(&format!("{what} cannot cross the boundary of the cell"))
    }
}

const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

enum Shape {
    Array,
    Map,
    ToJson,
    Bytes,
    Buffer,
    Other(&'static str),
}

fn shape_of(value: &Value) -> Shape {
    let raw = value.raw();
    // SAFETY: each call only reads the class of a live object; proxy targets are owned by the proxy.
    unsafe {
        if qjs::JS_IsArray(raw) {
            return Shape::Array;
        }
        match qjs::JS_GetClassID(raw) {
            CLASS_OBJECT => return Shape::Map,
            _ if value.is_function() => return Shape::Other("a function"),
            _ if qjs::JS_IsProxy(raw) => return proxied(value),
            _ if qjs::JS_IsArrayBuffer(raw) => return Shape::Buffer,
            _ => {}
        }
        match qjs::JS_GetTypedArrayType(raw) {
            t if t == qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8 as i32 => Shape::Bytes,
            t if t >= 0 => Shape::Other("a typed array other than `Uint8Array`"),
            _ if value.is_promise() => Shape::Other("a promise that is not awaited"),
            _ if value.is_error() => Shape::Other("an `Error`"),
            _ if qjs::JS_IsMap(raw) => Shape::Other("a `Map`"),
            _ if qjs::JS_IsSet(raw) => Shape::Other("a `Set`"),
            _ => Shape::ToJson,
        }
    }
}

/// The engine's class of plain objects and of instances of classes without one of the language's own.
pub const CLASS_OBJECT: u32 = 1;

/// The engine's name for an object's class; a module's namespace is an "Object" too.
fn class_name(value: &Value) -> Js<String> {
    let ctx = value.ctx();
    // SAFETY: reads the class of a live value; the atom comes owned, null for what has no class.
    unsafe {
        match qjs::JS_GetClassName(ctx.runtime(), qjs::JS_GetClassID(value.raw())) {
            0 => Ok(String::new()),
            raw => {
                let atom = Atom::from_raw(ctx, raw);
                ctx.own(qjs::JS_AtomToString(ctx.raw(), atom.raw()))?.to_text()
            }
        }
    }
}

fn proxied(value: &Value) -> Shape {
    let mut target = value.clone();
    // SAFETY: reads the class; the target comes as an owned value. A chain of proxies is finite.
    unsafe {
        while qjs::JS_IsProxy(target.raw()) {
            match target.ctx().own(qjs::JS_GetProxyTarget(target.ctx().raw(), target.raw())) {
                Ok(next) => target = next,
                Err(Thrown) => {
                    drop(target.ctx().take_exception());
                    return Shape::Other("a revoked proxy");
                }
            }
        }
        if qjs::JS_IsArray(target.raw()) { Shape::Array } else { Shape::Map }
    }
}

/// The own, enumerable, string-keyed properties of an object.
struct Keys {
    ctx: Ctx,
    table: *mut qjs::JSPropertyEnum,
    len: usize,
}

impl Keys {
    fn of(value: &Value) -> Js<Keys> {
        let ctx = value.ctx();
        let (mut table, mut len) = (std::ptr::null_mut(), 0);
        let flags = (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_ENUM_ONLY) as i32;
        // SAFETY: the out-pointers are valid for the call.
        let done = unsafe { qjs::JS_GetOwnPropertyNames(ctx.raw(), &mut table, &mut len, value.raw(), flags) };
        if done < 0 { Err(Thrown) } else { Ok(Keys { ctx, table, len: len as usize }) }
    }

    fn atom(&self, index: usize) -> Atom {
        debug_assert!(index < self.len);
        // SAFETY: the table holds `len` atoms, kept alive by it; one reference is added for the result.
        unsafe {
            let raw = (*self.table.add(index)).atom;
            Atom::from_raw(self.ctx, qjs::JS_DupAtom(self.ctx.raw(), raw))
        }
    }

    fn text(&self, index: usize) -> Js<Value> {
        let key = self.atom(index);
        // SAFETY: gives an owned string for a live atom.
        unsafe { self.ctx.own(qjs::JS_AtomToString(self.ctx.raw(), key.raw())) }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // SAFETY: frees what `JS_GetOwnPropertyNames` gave, once.
        unsafe { qjs::JS_FreePropertyEnum(self.ctx.raw(), self.table, self.len as u32) }
    }
}

/// Writes a smaller count into a head without changing its width.
fn patch_head(head: &mut [u8], n: u64) {
    if let [first] = head {
        *first = (*first & 0xe0) | n as u8;
        return;
    }
    let width = head.len() - 1;
    head[1..].copy_from_slice(&n.to_be_bytes()[8 - width..]);
}

fn decode_at(ctx: Ctx, input: &mut Decoder, depth: u32) -> Js<Value> {
    if depth > MAX_DEPTH {
        return Err(ctx.range_error("a value from outside nests deeper than 64 levels"));
    }
    let kind = input.datatype().map_err(|_| malformed(ctx))?;
    match kind {
        Type::Map => decode_map(ctx, input, depth),
        Type::Array => decode_array(ctx, input, depth),
        Type::String => ctx.text(read(ctx, input.str())?),
        Type::Bytes => ctx.bytes(read(ctx, input.bytes())?),
        _ => decode_scalar(ctx, input, kind),
    }
}

fn decode_scalar(ctx: Ctx, input: &mut Decoder, kind: Type) -> Js<Value> {
    match kind {
        Type::Null => read(ctx, input.null()).map(|()| ctx.null()),
        Type::Undefined => read(ctx, input.undefined()).map(|()| ctx.undefined()),
        Type::Bool => read(ctx, input.bool()).map(|b| ctx.bool(b)),
        Type::F32 => read(ctx, input.f32()).map(|n| ctx.number(n.into())),
        Type::F64 => read(ctx, input.f64()).map(|n| ctx.number(n)),
        Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 => {
            read(ctx, input.i64()).map(|n| ctx.number(n as f64))
        }
        Type::U64 | Type::I64 | Type::Int => {
            let n = i128::from(read(ctx, input.int())?);
            Ok(ctx.number(n as f64))
        }
        _ => Err(malformed(ctx)),
    }
}

fn decode_array(ctx: Ctx, input: &mut Decoder, depth: u32) -> Js<Value> {
    let len = read(ctx, input.array())?.ok_or_else(|| malformed(ctx))?;
    let left = (input.input().len() - input.position()) as u64;
    let mut items = Vec::new();
    // Every item takes a byte at least, so a count beyond what is left is a lie.
    if len > left || items.try_reserve_exact(len as usize).is_err() {
        return Err(malformed(ctx));
    }
    for _ in 0..len {
        items.push(decode_at(ctx, input, depth + 1)?);
    }
    ctx.array(items)
}

fn decode_map(ctx: Ctx, input: &mut Decoder, depth: u32) -> Js<Value> {
    let len = read(ctx, input.map())?.ok_or_else(|| malformed(ctx))?;
    let object = ctx.object()?;
    for _ in 0..len {
        let key = ctx.atom(read(ctx, input.str())?)?;
        let value = decode_at(ctx, input, depth + 1)?;
        object.define(&key, value, PLAIN)?;
    }
    Ok(object)
}

fn read<T>(ctx: Ctx, item: Result<T, minicbor::decode::Error>) -> Js<T> {
    item.map_err(|_| malformed(ctx))
}

fn malformed(ctx: Ctx) -> Thrown {
    ctx.type_error("a value from outside is malformed")
}
