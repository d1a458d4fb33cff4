use super::Numbers;
use crate::budget::Refused;
use lockgate_authority::{ReasonCode, Value};

/// Largest integer that a double holds together with both its neighbours, 2^53 - 1.
const MAX_EXACT: i64 = (1 << 53) - 1;
/// Digits that tell any two doubles apart. What is written with more means more than a double says.
const MOST_DIGITS: usize = 17;

/// Digits that are below 2^53 whatever they are.
const FEW_DIGITS: usize = 15;
/// Bytes of a number without an exponent that is in a double's range whatever they are.
const IN_RANGE: usize = 300;
/// Exact doubles: dividing an exact one by one of these rounds once, as reading the number does.
const POWERS: [f64; FEW_DIGITS] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/// A number of few digits.
#[derive(Clone, Copy)]
pub(super) enum Short {
    Integer(i64),
    Fraction(f64),
}

impl From<Short> for Value {
    fn from(number: Short) -> Value {
        match number {
            Short::Integer(number) => Value::Int(number),
            Short::Fraction(number) => Value::Float(number),
        }
    }
}

/// The number at `start`, which is `-` or a digit, and its length, where it has at most 15 digits and no exponent: nearly all have.
/// Everything else, and what is no number, is for [`read`].
#[inline(always)]
pub(super) fn short(bytes: &[u8], start: usize) -> Option<(Short, usize)> {
    let is_negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(is_negative);
    let (whole, mut number) = digits(bytes, first, 0);
    let mut at = first + whole;
    if whole == 0 || whole > FEW_DIGITS || (whole > 1 && bytes.get(first) == Some(&b'0')) {
        return None;
    }
    let mut short = Short::Integer(if is_negative { -number } else { number });
    match bytes.get(at) {
        Some(b'.') => {
            let fraction;
            (fraction, number) = digits(bytes, at + 1, number);
            at += 1 + fraction;
            if fraction == 0 || whole + fraction > FEW_DIGITS || matches!(bytes.get(at), Some(b'e' | b'E')) {
                return None;
            }
            let double = number as f64 / POWERS.get(fraction)?;
            short = Short::Fraction(if is_negative { -double } else { double });
        }
        Some(b'e' | b'E') => return None,
        // No integer is `-0`.
        _ if is_negative && number == 0 => return None,
        _ => {}
    }
    Some((short, at - start))
}

/// How many digits follow, and `number` with them at its end; where there are more than few, that is anything.
#[inline(always)]
fn digits(bytes: &[u8], from: usize, mut number: i64) -> (usize, i64) {
    let mut count = 0;
    for byte in bytes.get(from..).unwrap_or_default() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        count += 1;
    }
    (count, number)
}

/// The number at the start of `rest`, which begins with `-` or a digit, and its length.
///
/// Numbers without fraction and exponent are integers, all others doubles: `1.0` is a double.
pub(super) fn read(rest: &str, numbers: Numbers) -> Result<(Value, usize), Refused> {
    let parts = Parts::of(rest.as_bytes())?;
    let written = rest.get(..parts.length).unwrap_or_default();
    let value = if parts.is_integer { integer(written, numbers)? } else { double(written, &parts)? };
    Ok((value, parts.length))
}

/// The length of what [`read`] reads, and its refusals.
pub(super) fn length(rest: &str, numbers: Numbers) -> Result<usize, Refused> {
    let parts = Parts::of(rest.as_bytes())?;
    let is_in_range = !parts.has_exponent && parts.length <= IN_RANGE;
    if !parts.is_integer && parts.digits <= MOST_DIGITS && is_in_range {
        return Ok(parts.length);
    }
    read(rest, numbers).map(|(_, length)| length)
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
    has_exponent: bool,
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
        let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if has_exponent {
            is_integer = false;
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            if run(bytes, &mut at, &mut Significant::default()) == 0 {
                return Err(no_number(bytes, at));
            }
        }
        Ok(Parts { length: at, is_integer, has_exponent, digits: significant.digits })
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
