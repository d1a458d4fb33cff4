use crate::budget::{Budget, Refused};
use lockgate_authority::{ReasonCode, Value};
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::encode::{Encoder, Write};

/// Longest integer a JavaScript number holds exactly, 2^53 - 1.
const MAX_EXACT: i64 = (1 << 53) - 1;

/// The tag (RFC 8949) that marks a sealed value among plain ones. No plain value has a tag, so none can be taken for it.
pub const SEALED_TAG: u64 = 0x5ea1;

/// A sealed value where a guest has put it: `tag([number, pointer, as_text])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRef<'b> {
    /// The cell-local number of the sealed value.
    pub number: u32,
    /// JSON Pointer of the part that is meant; empty for the whole.
    pub pointer: &'b str,
    /// Whether bytes are meant as the UTF-8 text that they are, malformed ones as U+FFFD.
    pub as_text: bool,
}

/// Where a sealed value stands in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands<'a> {
    /// The key of the outermost map; empty where there is none.
    pub under: &'a str,
    /// How many lists and maps it lies in.
    pub depth: usize,
}

/// What gives the content of sealed values.
pub trait Unseal {
    /// The part of a sealed value that is to stand there, or why none can.
    fn unseal(&mut self, sealed: SealedRef<'_>, stands: Stands<'_>) -> Result<&Value, Refused>;
}

/// There is no sealed value.
pub(crate) struct Nothing;

impl Unseal for Nothing {
    fn unseal(&mut self, _: SealedRef<'_>, _: Stands<'_>) -> Result<&Value, Refused> {
        Err(Refused::malformed("a sealed value where none can stand"))
    }
}

/// Reads exactly one value from `bytes`, which must hold nothing else.
///
/// Refused: indefinite lengths, tags, big integers, duplicate keys, keys that are not text, invalid UTF-8,
/// trailing bytes, and whatever exceeds `budget`.
pub fn decode_value(bytes: &[u8], budget: &Budget) -> Result<Value, Refused> {
    decode_unsealing(bytes, budget, &mut Nothing)
}

/// As [`decode_value`], and where a sealed value stands its content is put. The budget holds for what comes out, before
/// anything is copied.
pub fn decode_unsealing(bytes: &[u8], budget: &Budget, unseal: &mut dyn Unseal) -> Result<Value, Refused> {
    if bytes.len() > budget.bytes {
        return Err(Refused::new(ReasonCode::TooLarge, "more bytes than allowed"));
    }
    let mut reader =
        Reader { decoder: Decoder::new(bytes), left: budget.nodes, unsealed: 0, under: "", budget, unseal };
    let value = reader.value(0)?;
    if reader.decoder.position() != bytes.len() {
        return Err(Refused::malformed("bytes after the value"));
    }
    Ok(value)
}

struct Reader<'b, 'a> {
    decoder: Decoder<'b>,
    left: usize,
    /// Bytes that were put in place of sealed values.
    unsealed: u64,
    /// The key of the outermost map.
    under: &'b str,
    unseal: &'a mut dyn Unseal,
    budget: &'a Budget,
}

impl<'b> Reader<'b, '_> {
    fn value(&mut self, depth: usize) -> Result<Value, Refused> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| Refused::new(ReasonCode::TooLarge, "more values than allowed"))?;
        let kind = self.decoder.datatype().map_err(|_| Refused::malformed("a value cut short"))?;
        match kind {
            Type::Null => self.decoder.null().map(|()| Value::Null).map_err(broken),
            Type::Undefined => self.decoder.undefined().map(|()| Value::Undefined).map_err(broken),
            Type::Bool => self.decoder.bool().map(Value::Bool).map_err(broken),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                self.integer()
            }
            Type::F64 => self.decoder.f64().map(Value::Float).map_err(broken),
            Type::String => self.text().map(|text| Value::Text(text.into())),
            Type::Bytes => self.bytes(),
            Type::Array => self.list(depth),
            Type::Map => self.map(depth),
            Type::Tag => self.sealed(depth),
            _ => Err(Refused::malformed("a value of a kind that does not cross")),
        }
    }

    fn integer(&mut self) -> Result<Value, Refused> {
        let number = self.decoder.i64().map_err(|_| Refused::malformed("an integer out of range"))?;
        if number.unsigned_abs() > MAX_EXACT.unsigned_abs() {
            return Err(Refused::malformed("an integer out of range"));
        }
        Ok(Value::Int(number))
    }

    /// The content of a sealed value, within what is left of the budget.
    fn sealed(&mut self, depth: usize) -> Result<Value, Refused> {
        let sealed = self.sealed_ref()?;
        let value = self.unseal.unseal(sealed, Stands { under: self.under, depth })?;
        // U+FFFD takes three bytes where a malformed one took one.
        let weight = value.weight().saturating_mul(if sealed.as_text { 3 } else { 1 });
        self.unsealed = self.unsealed.saturating_add(weight);
        let bytes = self.unsealed.saturating_add(self.decoder.input().len() as u64);
        let left = self.left.checked_sub(value.nodes() - 1);
        let (Some(left), true) = (left, bytes <= self.budget.bytes as u64) else {
            return Err(Refused::new(ReasonCode::TooLarge, "sealed values that are larger than allowed"));
        };
        self.left = left;
        if !value.is_within_depth(self.budget.depth.saturating_sub(depth)) {
            return Err(Refused::new(ReasonCode::TooDeep, "a sealed value that is nested deeper than allowed"));
        }
        match value {
            Value::Bytes(bytes) if sealed.as_text => Ok(Value::Text(String::from_utf8_lossy(bytes).into_owned())),
            Value::Undefined if depth > 0 => Ok(Value::Null),
            value => Ok(value.clone()),
        }
    }

    fn sealed_ref(&mut self) -> Result<SealedRef<'b>, Refused> {
        let other = |_| Refused::malformed("a value of a kind that does not cross");
        if self.decoder.tag().map_err(other)?.as_u64() != SEALED_TAG || self.decoder.array().map_err(other)? != Some(3)
        {
            return Err(Refused::malformed("a value of a kind that does not cross"));
        }
        let number = self.decoder.u32().map_err(other)?;
        let pointer = self.decoder.str().map_err(other)?;
        let as_text = self.decoder.bool().map_err(other)?;
        Ok(SealedRef { number, pointer, as_text })
    }

    fn text(&mut self) -> Result<&'b str, Refused> {
        let limit = self.budget.text;
        let text = self.decoder.str().map_err(|_| Refused::malformed("text that is cut short or not UTF-8"))?;
        if text.len() > limit {
            return Err(Refused::new(ReasonCode::TooLarge, "text longer than allowed"));
        }
        Ok(text)
    }

    fn bytes(&mut self) -> Result<Value, Refused> {
        let bytes = self.decoder.bytes().map_err(|_| Refused::malformed("bytes cut short"))?;
        if bytes.len() > self.budget.text {
            return Err(Refused::new(ReasonCode::TooLarge, "bytes longer than allowed"));
        }
        Ok(Value::Bytes(bytes.to_vec()))
    }

    /// Checks a container's declared length before anything is reserved for it: each element takes at least
    /// `per` bytes of what is left.
    fn declared(&mut self, depth: usize, length: Option<u64>, per: usize) -> Result<usize, Refused> {
        if depth >= self.budget.depth {
            return Err(Refused::new(ReasonCode::TooDeep, "containers nested deeper than allowed"));
        }
        let length = length.ok_or_else(|| Refused::malformed("an indefinite length"))?;
        let length =
            usize::try_from(length).map_err(|_| Refused::new(ReasonCode::TooLarge, "a length out of range"))?;
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        if length.saturating_mul(per) > left {
            return Err(Refused::malformed("a container cut short"));
        }
        if length > self.left {
            return Err(Refused::new(ReasonCode::TooLarge, "more values than allowed"));
        }
        Ok(length)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Refused> {
        let length = self.decoder.array().map_err(broken)?;
        let length = self.declared(depth, length, 1)?;
        let mut items = Vec::with_capacity(length);
        for index in 0..length {
            items.push(self.value(depth + 1).map_err(|refused| refused.under(&index.to_string()))?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, Refused> {
        let length = self.decoder.map().map_err(broken)?;
        let length = self.declared(depth, length, 2)?;
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(length);
        for _ in 0..length {
            if !matches!(self.decoder.datatype(), Ok(Type::String)) {
                return Err(Refused::malformed("a key that is not text"));
            }
            let key = self.text()?;
            if depth == 0 {
                self.under = key;
            }
            let value = self.value(depth + 1).map_err(|refused| refused.under(key))?;
            entries.push((key.to_owned(), value));
        }
        if duplicate(&entries).is_some() {
            return Err(Refused::malformed("a key given twice"));
        }
        Ok(Value::Map(entries))
    }
}

fn broken(_: minicbor::decode::Error) -> Refused {
    Refused::malformed("a value cut short")
}

/// A key that is there twice. Small maps, nearly all, are compared pair by pair; large ones through a sorted index.
pub(crate) fn duplicate(entries: &[(String, Value)]) -> Option<&str> {
    const PAIRWISE: usize = 16;
    if entries.len() <= PAIRWISE {
        let mut keys = entries.iter().enumerate();
        let is_again = |(index, (key, _)): &(usize, &(String, Value))| {
            entries.iter().skip(index + 1).any(|(other, _)| key == other)
        };
        return keys.find(is_again).map(|(_, (key, _))| key.as_str());
    }
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| {
        if let [a, b] = pair
            && a == b
        {
            Some(*a)
        } else {
            None
        }
    })
}

/// Writes `value` in the form that [`decode_value`] and the guest read.
pub fn encode_value<W: Write>(
    value: &Value,
    encoder: &mut Encoder<W>,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    match value {
        Value::Null => encoder.null()?,
        Value::Undefined => encoder.undefined()?,
        Value::Bool(flag) => encoder.bool(*flag)?,
        Value::Int(number) => encoder.i64(*number)?,
        Value::Float(number) => encoder.f64(*number)?,
        Value::Text(text) => encoder.str(text)?,
        Value::Bytes(bytes) => encoder.bytes(bytes)?,
        Value::List(items) => {
            encoder.array(items.len() as u64)?;
            for item in items {
                encode_value(item, encoder)?;
            }
            encoder
        }
        Value::Map(entries) => {
            encoder.map(entries.len() as u64)?;
            for (key, item) in entries {
                encoder.str(key)?;
                encode_value(item, encoder)?;
            }
            encoder
        }
    };
    Ok(())
}
