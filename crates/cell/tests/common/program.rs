//! Starts and turns of the JavaScript guest.
#![allow(dead_code)]

use lockgate_cell::JS_STACK_BYTES;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Encodes a start for a classic script: its value is that of its last expression, awaited.
pub fn script(source: &str) -> Vec<u8> {
    encode(0, "main.js", source, 2, &[])
}

/// Encodes a start for an ES module: its value is that of its default export, awaited.
pub fn module(source: &str) -> Vec<u8> {
    encode(1, "main.mjs", source, 1, &[])
}

/// A script with the handles `(number, kind, name)`.
pub fn script_with(source: &str, handles: &[(u32, &str, &str)]) -> Vec<u8> {
    encode(0, "main.js", source, 2, handles)
}

fn encode(mode: u8, name: &str, source: &str, kind: u8, handles: &[(u32, &str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes), mode, name, source, kind, handles).expect("a vector takes all");
    bytes
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write(
    e: &mut Encoder<&mut Vec<u8>>,
    mode: u8,
    name: &str,
    source: &str,
    kind: u8,
    handles: &[(u32, &str, &str)],
) -> Written {
    e.array(8)?.u8(mode)?.f64(1_700_000_000_000.0)?.bytes(&[7; 32])?.str(name)?;
    e.array(1)?.array(4)?.str(name)?.str(source)?.u8(kind)?.array(0)?;
    e.undefined()?;
    e.array(handles.len() as u64)?;
    for (handle, kind, name) in handles {
        e.array(4)?.u32(*handle)?.str(kind)?.str(name)?.null()?;
    }
    e.u32(JS_STACK_BYTES)?;
    Ok(())
}

/// Answers with one value for request `id`.
pub fn answer(id: u32, value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut e = Encoder::new(&mut bytes);
    let written: Written = (|| {
        e.array(2)?.f64(1_700_000_000_001.0)?.array(1)?.array(3)?.u32(id)?.bool(true)?.i64(value)?;
        Ok(())
    })();
    written.expect("a vector takes all");
    bytes
}

/// What a turn says, as text: `waiting`, a done value (only the simple ones) or a failure's name.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Waiting,
    Done(String),
    Failed { name: String, message: String },
}

/// Reads a turn of a guest that behaves.
pub fn said(turn: &[u8]) -> Said {
    read(&mut Decoder::new(turn)).unwrap_or_else(|error| panic!("no turn: {error}: {turn:02x?}"))
}

fn read(d: &mut Decoder<'_>) -> Result<Said, minicbor::decode::Error> {
    assert_eq!(d.array()?, Some(3));
    match d.u8()? {
        0 => Ok(Said::Waiting),
        1 => Ok(Said::Done(value(d)?)),
        2 => {
            assert_eq!(d.array()?, Some(6));
            Ok(Said::Failed { name: d.str()?.to_string(), message: d.str()?.to_string() })
        }
        status => panic!("status {status}"),
    }
}

fn value(d: &mut Decoder<'_>) -> Result<String, minicbor::decode::Error> {
    Ok(match d.datatype()? {
        Type::Bool => d.bool()?.to_string(),
        Type::Null => "null".to_string(),
        Type::Undefined => "undefined".to_string(),
        Type::String => d.str()?.to_string(),
        Type::F64 => d.f64()?.to_string(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            d.i64()?.to_string()
        }
        other => format!("{other:?}"),
    })
}
