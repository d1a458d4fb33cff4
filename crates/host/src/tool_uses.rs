//! The tools that a program names, from the worker that parsed it: `[[server, tool, argument, line, column]…]`.

use lockgate_syntax::{Shape, ToolUse};
use minicbor::decode::Error as BadCbor;
use minicbor::encode::Error;
use minicbor::{Decoder, Encoder};
use std::convert::Infallible;

/// Levels of a shape that are read: as many as a parser gives, and one.
const MOST_LEVELS: u32 = 10;

type Written = Result<(), Error<Infallible>>;

pub(crate) fn write(tools: &[ToolUse], e: &mut Encoder<&mut Vec<u8>>) -> Written {
    e.array(tools.len() as u64)?;
    for found in tools {
        e.array(5)?.str(&found.server)?;
        match &found.tool {
            Some(tool) => e.str(tool)?,
            None => e.null()?,
        };
        match &found.argument {
            Some(argument) => write_shape(argument, e)?,
            None => e.null().map(drop)?,
        }
        e.u32(found.line)?.u32(found.column)?;
    }
    Ok(())
}

fn write_shape(shape: &Shape, e: &mut Encoder<&mut Vec<u8>>) -> Written {
    let plain = |number: u8, e: &mut Encoder<&mut Vec<u8>>| e.array(1)?.u8(number).map(drop);
    match shape {
        Shape::Absent => plain(0, e),
        Shape::Unknown => plain(1, e),
        Shape::Null => plain(2, e),
        Shape::Boolean => plain(3, e),
        Shape::Number => plain(4, e),
        Shape::Text(None) => plain(5, e),
        Shape::Text(Some(text)) => e.array(2)?.u8(5)?.str(text).map(drop),
        Shape::List => plain(6, e),
        Shape::Object { keys, open } => {
            e.array(3)?.u8(7)?.bool(*open)?.array(keys.len() as u64)?;
            for (key, shape) in keys {
                e.array(2)?.str(key)?;
                write_shape(shape, e)?;
            }
            Ok(())
        }
    }
}

pub(crate) fn read(d: &mut Decoder<'_>) -> Result<Vec<ToolUse>, BadCbor> {
    let mut tools = Vec::new();
    for _ in 0..count(d)? {
        d.array()?;
        let server = d.str()?.to_owned();
        let tool = if is_null(d)? { None } else { Some(d.str()?.to_owned()) };
        let argument = if is_null(d)? { None } else { Some(read_shape(d, MOST_LEVELS)?) };
        tools.push(ToolUse { server, tool, argument, line: d.u32()?, column: d.u32()? });
    }
    Ok(tools)
}

fn read_shape(d: &mut Decoder<'_>, levels: u32) -> Result<Shape, BadCbor> {
    let levels = levels.checked_sub(1).ok_or_else(|| BadCbor::message("too many levels"))?;
    let parts = count(d)?;
    Ok(match d.u8()? {
        0 => Shape::Absent,
        1 => Shape::Unknown,
        2 => Shape::Null,
        3 => Shape::Boolean,
        4 => Shape::Number,
        5 if parts == 2 => Shape::Text(Some(d.str()?.to_owned())),
        5 => Shape::Text(None),
        6 => Shape::List,
        7 => {
            let open = d.bool()?;
            let mut keys = Vec::new();
            for _ in 0..count(d)? {
                d.array()?;
                keys.push((d.str()?.to_owned(), read_shape(d, levels)?));
            }
            Shape::Object { keys, open }
        }
        _ => return Err(BadCbor::message("no shape")),
    })
}

fn count(d: &mut Decoder<'_>) -> Result<u64, BadCbor> {
    d.array()?.ok_or_else(|| BadCbor::message("a list without a length"))
}

fn is_null(d: &mut Decoder<'_>) -> Result<bool, BadCbor> {
    let null = d.datatype()? == minicbor::data::Type::Null;
    if null {
        d.null()?;
    }
    Ok(null)
}
