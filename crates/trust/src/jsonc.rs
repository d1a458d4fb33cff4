//! JSON with comments and commas before a closing bracket, as editors keep their settings.

/// The same bytes with spaces in the place of comments and of such commas, so that what is found keeps its place. What is no JSON
/// is none afterwards either.
pub(crate) fn without_comments(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    let mut comma = None;
    while let Some(&byte) = out.get(at) {
        match (byte, out.get(at + 1)) {
            (b'"', _) => {
                comma = None;
                at = after_text(&out, at);
                continue;
            }
            (b'/', Some(b'/')) => {
                let end = out[at..].iter().position(|byte| *byte == b'\n').map_or(out.len(), |length| at + length);
                blank(&mut out[at..end]);
                at = end;
                continue;
            }
            (b'/', Some(b'*')) => {
                let Some(length) = out[at + 2..].windows(2).position(|end| end == b"*/") else { return out };
                let end = at + 2 + length + 2;
                blank(&mut out[at..end]);
                at = end;
                continue;
            }
            (b',', _) => comma = Some(at),
            (b'}' | b']', _) => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
            }
            (space, _) if space.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    out
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// Where a text that begins at `start` has ended.
fn after_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn m04_comments_are_left_out_and_texts_are_not() {
        let read = |text: &str| -> Option<serde_json::Value> {
            serde_json::from_slice(&without_comments(text.as_bytes())).ok()
        };
        let expected = Some(serde_json::json!({"a": "// no /* comment */ \" ,}", "b": [1, 2]}));
        assert_eq!(
            read("{\"a\": \"// no /* comment */ \\\" ,}\", // one\n /* two\n */ \"b\": [1, 2, /* , */ ], }"),
            expected
        );
        for broken in ["{,}x", "{\"a\": 1 /* }", "{\"a\" 1}", "[1,,]", "{\"a", "/"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    proptest! {
        /// What is JSON is left as it is, whatever is in its texts.
        #[test]
        fn m04_json_is_left_as_it_is(texts in proptest::collection::vec(".{0,20}", 0..5)) {
            let json = serde_json::json!({"a": texts}).to_string();
            prop_assert_eq!(without_comments(json.as_bytes()), json.as_bytes());
        }

        #[test]
        fn m04_any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert_eq!(without_comments(&bytes).len(), bytes.len());
        }
    }
}
