//! What a worker says, at its edges.

use lockgate_authority::Value;
use lockgate_decode::{Budget, decode_value};

/// Every head of an integer in CBOR, with each of some arguments.
#[test]
fn n05_no_integer_of_a_worker_ends_the_gate() {
    let arguments =
        [0, 1, (1 << 53) - 2, (1 << 53) - 1, 1 << 53, i64::MAX as u64 - 1, i64::MAX as u64, 1 << 63, u64::MAX];
    for head in [0x1b_u8, 0x3b] {
        for argument in arguments {
            let bytes: Vec<u8> = [head].into_iter().chain(argument.to_be_bytes()).collect();
            let number = if head == 0x1b { i128::from(argument) } else { -1 - i128::from(argument) };
            let is_exact = number.unsigned_abs() < 1 << 53;
            match decode_value(&bytes, &Budget::ARGUMENT) {
                Ok(Value::Int(read)) => assert!(is_exact && i128::from(read) == number, "{number}"),
                other => assert!(!is_exact && other.is_err(), "{number}: {other:?}"),
            }
        }
    }
}
