use lockgate_syntax::{ErrorCode, Kind, Options, Prepared, SyntaxError, prepare};

use super::assert_shown;

/// A source is refused at a place in it, or becomes JavaScript whose lines are those of the source and in which no types are
/// left: preparing it again changes nothing.
pub fn source(name: &str, script: bool, text: &str) {
    match prepare(name, text, Options { script }) {
        Ok(prepared) => {
            assert_eq!(lines(&prepared.js), lines(text), "lines stay where they are");
            assert_eq!(prepared.kind == Kind::Script, script);
            assert_places(&prepared, text);
            assert_only_types_were_removed(&prepared, text);
            assert_is_javascript(&prepared);
        }
        Err(error) => assert_refused(&error, text),
    }
}

/// Lines as an engine counts them.
fn lines(text: &str) -> usize {
    let text = text.replace("\r\n", "\n");
    1 + text.chars().filter(|c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')).count()
}

fn assert_places(prepared: &Prepared, text: &str) {
    for import in &prepared.imports {
        assert!((1..=lines(text)).contains(&(import.line as usize)) && import.column >= 1, "{import:?}");
    }
}

/// Where nothing was written but blanks, each byte is as it was, a blank, or one of the three characters that keep
/// statements apart.
fn assert_only_types_were_removed(prepared: &Prepared, text: &str) {
    let rewritten = ["enum", "constructor", "import", "export", "\\u"].iter().any(|word| text.contains(word));
    if rewritten {
        return;
    }
    assert_eq!(prepared.js.len(), text.len(), "{:?}", prepared.js);
    for (at, (now, then)) in prepared.js.chars().zip(text.chars()).enumerate() {
        if prepared.js.chars().count() != text.chars().count() {
            break;
        }
        assert!(now == then || now.is_whitespace() || matches!(now, ';' | '(' | ')'), "{now:?} for {then:?} at {at}");
    }
}

fn assert_is_javascript(prepared: &Prepared) {
    let (name, script) = match prepared.kind {
        Kind::Esm => ("again.mjs", false),
        Kind::CommonJs => ("again.cjs", false),
        Kind::Script => ("again.js", true),
        Kind::Json => return,
    };
    match prepare(name, &prepared.js, Options { script }) {
        Ok(again) => assert_eq!((&again.js, &again.imports), (&prepared.js, &prepared.imports)),
        Err(error) => panic!("{error}\nin\n{}", prepared.js),
    }
}

fn assert_refused(error: &SyntaxError, text: &str) {
    assert!(error.code != ErrorCode::Internal, "{error}");
    assert_shown(&error.message);
    assert!(!error.message.contains('\n'));
    assert!((1..=lines(text)).contains(&(error.line as usize)) && error.column >= 1, "{error}");
}
