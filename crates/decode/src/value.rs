use crate::budget::{Budget, Refused};
use lockgate_authority::{ReasonCode, Value};
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::encode::{Encoder, Write};

/// Longest integer a JavaScript number holds exactly, 2^53 - 1.
const MAX_EXACT: i64 = (1 << 53) - 1;

/// Reads exactly one value from `bytes`, which must hold nothing else.
///
/// Refused: indefinite lengths, tags, big integers, duplicate keys, keys that are not text, invalid UTF-8,
/// trailing bytes, and whatever exceeds `budget`.
pub fn decode_value(bytes: &[u8], budget: &Budget) -> Result<Value, Refused> {
    if bytes.len() > budget.bytes {
        return Err(Refused::new(ReasonCode::TooLarge, "more bytes than allowed"));
    }
    let mut reader = Reader { decoder: Decoder::new(bytes), left: budget.nodes, budget };
    let value = reader.value(0)?;
    if reader.decoder.position() != bytes.len() {
        return Err(Refused::malformed("bytes after the value"));
    }
    Ok(value)
}

struct Reader<'b, 'a> {
    decoder: Decoder<'b>,
    left: usize,
    budget: &'a Budget,
}

impl Reader<'_, '_> {
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
            _ => Err(Refused::malformed("a value of a kind that does not cross")),
        }
    }

    fn integer(&mut self) -> Result<Value, Refused> {
        let number = self.decoder.i64().map_err(|_| Refused::malformed("an integer out of range"))?;
        if number.abs() > MAX_EXACT {
            return Err(Refused::malformed("an integer out of range"));
        }
        Ok(Value::Int(number))
    }

    fn text(&mut self) -> Result<&str, Refused> {
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
            let key = self.text()?.to_owned();
            let value = self.value(depth + 1).map_err(|refused| refused.under(&key))?;
            entries.push((key, value));
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
