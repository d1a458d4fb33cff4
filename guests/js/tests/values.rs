//! Values across the boundary.

mod support;

use serde_json::json;
use support::*;

#[test]
fn n03_a_value_crosses_as_bytes_both_ways() {
    let mut cell = Cell::new();
    let start = Start::new(1, "export default (input) => ({ got: input, kind: typeof input.f, b: input.b })").input(
        json!({"a": [1, -1, 2.5, 9007199254740991i64, "h\u{e9}\u{1f600}", true, null, {}], "f": 1e300, "b": ""}),
    );
    let turn = cell.start(&start);
    assert_eq!(
        turn.done(),
        json!({"got": {"a": [1, -1, 2.5, 9007199254740991i64, "h\u{e9}\u{1f600}", true, null, {}], "f": 1e300, "b": ""},
               "kind": "number", "b": ""})
    );
}
