//! What every removal of types must hold, checked beside each case.
#![allow(dead_code)]

use lockgate_syntax::{Options, Prepared, SyntaxError, prepare};

/// Prepares `source` as `main.ts` and checks that what remains is where it was and is JavaScript.
pub fn stripped(source: &str) -> Prepared {
    let prepared = prepared(source);
    assert_in_place(source, &prepared.js);
    prepared
}

/// The same without the check of places, for the forms that move columns. Lines are checked.
pub fn prepared(source: &str) -> Prepared {
    let prepared = prepare("main.ts", source, Options::default()).unwrap_or_else(|error| panic!("{error}\n{source}"));
    assert_javascript(&prepared);
    assert!(prepared.js.lines().count() >= source.lines().count(), "a line is lost:\n{}", prepared.js);
    prepared
}

pub fn refused(source: &str) -> SyntaxError {
    match prepare("main.ts", source, Options::default()) {
        Ok(prepared) => panic!("not refused:\n{source}\n{}", prepared.js),
        Err(error) => error,
    }
}

/// Each byte of `js` is that of `source` in the same place, or white space, or a mark that keeps statements apart.
pub fn assert_in_place(source: &str, js: &str) {
    assert_eq!(source.len(), js.len(), "the length in bytes changed:\n{source}\n{js}");
    assert_eq!(source.encode_utf16().count(), js.encode_utf16().count(), "the length in UTF-16 changed");
    for (at, now) in js.char_indices() {
        let same = source.get(at..).is_some_and(|rest| rest.starts_with(now));
        let blank = now.is_whitespace() && !matches!(now, '\n' | '\r' | '\u{2028}' | '\u{2029}');
        assert!(same || blank || matches!(now, ';' | '(' | ')'), "{now:?} at byte {at} was not there:\n{source}\n{js}");
    }
    let line_ends =
        |text: &str| text.match_indices(['\n', '\r', '\u{2028}', '\u{2029}']).map(|m| m.0).collect::<Vec<_>>();
    assert_eq!(line_ends(source), line_ends(js), "a line end moved");
}

/// What came out is JavaScript that names the same modules in the same places and is of the same kind.
pub fn assert_javascript(prepared: &Prepared) {
    let again = prepare("main.js", &prepared.js, Options::default())
        .unwrap_or_else(|error| panic!("no JavaScript: {error}\n{}", prepared.js));
    assert_eq!(again.js, prepared.js);
    assert_eq!(again.kind, prepared.kind, "{}", prepared.js);
    assert_eq!(again.imports, prepared.imports, "{}", prepared.js);
}

/// `text` with each run of white space made one space, and none before a `;`, for comparing without counting spaces.
pub fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ;", ";")
}
