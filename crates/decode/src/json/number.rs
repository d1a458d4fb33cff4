use super::Numbers;
use crate::budget::Refused;
use lockgate_authority::{ReasonCode, Value};

/// Largest integer that a double holds together with both its neighbours, 2^53 - 1.
const MAX_EXACT: i64 = (1 << 53) - 1;
/// Digits that tell any two doubles apart. What is written with more means more than a double says.
const MOST_DIGITS: usize = 17;

/// The number at the start of `rest`, which begins with `-` or a digit, and its length.
///
/// Numbers without fraction and exponent are integers, all others doubles: `1.0` is a double.
pub(super) fn read(rest: &str, numbers: Numbers) -> Result<(Value, usize), Refused> {
    let parts = Parts::of(rest.as_bytes())?;
    let written = rest.get(..parts.length).unwrap_or_default();
    let value = if parts.is_integer { integer(written, numbers)? } else { double(written, &parts)? };
    Ok((value, parts.length))
}

fn inexact(found: &'static str) -> Refused {
    Refused::new(ReasonCode::NumberNotExact, found)
}

fn integer(written: &str, numbers: Numbers) -> Result<Value, Refused> {
    if written == "-0" {
        return Ok(Value::Float(-0.0));
    }
    let number = written.parse::<i128>().map_err(|_| inexact(BEYOND))?;
    if number.unsigned_abs() <= u128::from(MAX_EXACT.unsigned_abs()) {
        return i64::try_from(number).map(Value::Int).map_err(|_| inexact(BEYOND));
    }
    let double = number as f64;
    let is_taken = match numbers {
        Numbers::Agreed => false,
        Numbers::Exact => is_exact(number, double),
        Numbers::Bits64 => is_exact(number, double) || (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number),
    };
    if is_taken { Ok(Value::Float(double)) } else { Err(inexact(BEYOND)) }
}

const BEYOND: &str = "an integer that a double does not hold";

/// Whether a double is this integer. Beyond 2^100 nothing is: no writer means it.
pub(super) fn is_exact(number: i128, double: f64) -> bool {
    number.unsigned_abs() < 1 << 100 && double as i128 == number
}

fn double(written: &str, parts: &Parts) -> Result<Value, Refused> {
    if parts.digits > MOST_DIGITS {
        return Err(inexact("a number with more digits than a double holds"));
    }
    match written.parse::<f64>() {
        Ok(number) if !number.is_finite() => Err(inexact("a number that is not finite")),
        Ok(0.0) if parts.digits > 0 => Err(inexact("a number that a double takes for zero")),
        Ok(number) => Ok(Value::Float(number)),
        Err(_) => Err(Refused::malformed("something that is no number")),
    }
}

/// A number taken apart.
struct Parts {
    length: usize,
    is_integer: bool,
    /// Significant ones: without zeros in front and at the end.
    digits: usize,
}

impl Parts {
    fn of(bytes: &[u8]) -> Result<Parts, Refused> {
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let mut significant = Significant::default();
        let whole = run(bytes, &mut at, &mut significant);
        let has_zero_in_front = whole > 1 && bytes.get(at - whole) == Some(&b'0');
        if whole == 0 || has_zero_in_front {
            return Err(no_number(bytes, at));
        }
        let mut is_integer = true;
        if bytes.get(at) == Some(&b'.') {
            is_integer = false;
            at += 1;
            if run(bytes, &mut at, &mut significant) == 0 {
                return Err(no_number(bytes, at));
            }
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            is_integer = false;
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            if run(bytes, &mut at, &mut Significant::default()) == 0 {
                return Err(no_number(bytes, at));
            }
        }
        Ok(Parts { length: at, is_integer, digits: significant.digits })
    }
}

fn no_number(bytes: &[u8], at: usize) -> Refused {
    match bytes.get(at) {
        None => Refused::malformed(super::CUT),
        // `-Infinity`
        Some(b'I' | b'N') => inexact("a number that is not finite"),
        Some(_) => Refused::malformed("something that is no number"),
    }
}

#[derive(Default)]
struct Significant {
    digits: usize,
    zeros: usize,
}

/// Advances over digits and says how many there were.
fn run(bytes: &[u8], at: &mut usize, significant: &mut Significant) -> usize {
    let from = *at;
    while let Some(digit @ b'0'..=b'9') = bytes.get(*at) {
        if *digit != b'0' {
            significant.digits += significant.zeros + 1;
            significant.zeros = 0;
        } else if significant.digits > 0 {
            significant.zeros += 1;
        }
        *at += 1;
    }
    *at - from
}
