//! Which kind a file is, what it imports and where.

mod support;

use lockgate_syntax::{ImportKind, Kind, Options, prepare};
use support::{refused, squeezed, stripped};

fn kind(name: &str, source: &str) -> Kind {
    prepare(name, source, Options::default()).unwrap_or_else(|error| panic!("{error}")).kind
}

#[test]
fn n20_the_text_says_which_kind_of_module_it_is() {
    for (source, expected) in [
        ("import 'a'", Kind::Esm),
        ("export {}", Kind::Esm),
        ("console.log(import.meta.url)", Kind::Esm),
        ("await f()", Kind::Esm),
        ("for await (const a of b) {}", Kind::Esm),
        ("const a = require('a'); await a()", Kind::Esm),
        ("const a = require('a'); export default a", Kind::Esm),
        ("1 + 1", Kind::Esm),
        ("", Kind::Esm),
        ("async () => { await 1 }", Kind::Esm),
        ("module.exports = 1", Kind::CommonJs),
        ("module['exports'] = 1", Kind::CommonJs),
        ("exports.a = 1", Kind::CommonJs),
        ("Object.defineProperty(exports, 'a', {})", Kind::CommonJs),
        ("const a = require('a')", Kind::CommonJs),
        ("(async () => { await require(a) })()", Kind::CommonJs),
        ("const a = import('a'); module.exports = a", Kind::CommonJs),
        ("return 1", Kind::CommonJs),
        ("with (a) b()", Kind::CommonJs),
    ] {
        assert_eq!(kind("a.js", source), expected, "{source}");
        assert_eq!(kind("dir.mjs/a", source), expected, "{source}");
    }
    for (source, expected) in [
        ("import type { A } from 'a'; module.exports = 1", Kind::CommonJs),
        ("import { A } from 'a'; let a: A; module.exports = a", Kind::CommonJs),
        ("import a = require('a'); a()", Kind::CommonJs),
        ("export = 1", Kind::CommonJs),
        ("export type A = 1", Kind::Esm),
    ] {
        assert_eq!(kind("a.ts", source), expected, "{source}");
    }
}

#[test]
fn n20_the_extension_decides_where_it_says() {
    for (name, expected) in [
        ("a.mjs", Kind::Esm),
        ("a.MTS", Kind::Esm),
        ("x/y.cjs", Kind::CommonJs),
        ("a.b.cts", Kind::CommonJs),
        ("a.json", Kind::Json),
    ] {
        assert_eq!(kind(name, "1"), expected, "{name}");
    }
    let script = prepare("a.mjs", "var a = 1; with (a) b()", Options { script: true });
    assert_eq!(script.map(|prepared| prepared.kind), Ok(Kind::Script));
    assert!(prepare("a.js", "import 'a'", Options { script: true }).is_err());
    assert!(prepare("a.cts", "import a from 'a'; a()", Options::default()).is_err());
    assert!(prepare("a.cjs", "export default 1", Options::default()).is_err());
    for name in ["a.tsx", "a.jsx"] {
        let error = prepare(name, "1", Options::default()).expect_err("JSX is refused");
        assert_eq!(error.code.as_str(), "unsupported_syntax");
        assert!(error.hint.is_some());
    }
}

#[test]
fn n20_a_name_without_extension_is_javascript_or_else_typescript() {
    let text = |source: &str| prepare("-", source, Options::default()).map(|prepared| prepared.js);
    assert_eq!(text("f<a>(b)"), Ok("f<a>(b)".to_owned()));
    assert_eq!(text("let a: b = 1"), Ok("let a    = 1".to_owned()));
    assert!(text("let a: = 1").is_err());
}

#[test]
fn n20_json_is_passed_on() {
    let source = " {\"a\": [1, 2]}\n";
    let prepared = prepare("a.json", source, Options::default()).expect("it is not looked at");
    assert_eq!((prepared.js.as_str(), prepared.imports.len()), (source, 0));
}

#[test]
fn n20_imports_are_found_with_their_places() {
    let source = "import a from 'a';\nexport * from \"b\"; export { c } from 'c';\nimport 'd'\n\
        /* 😀 */ const e = await import('\\u0065'), f = require('f'), g = import(a);\nimport(`h`); a.require('i');";
    let prepared = prepare("a.mjs", source, Options::default()).expect("it parses");
    let found: Vec<_> =
        prepared.imports.iter().map(|i| (i.specifier.as_str(), i.line, i.column, i.dynamic, i.kind)).collect();
    assert_eq!(
        found,
        [
            ("a", 1, 15, false, ImportKind::Import),
            ("b", 2, 15, false, ImportKind::Import),
            ("c", 2, 38, false, ImportKind::Import),
            ("d", 3, 8, false, ImportKind::Import),
            ("e", 4, 33, true, ImportKind::Import),
            ("f", 4, 56, false, ImportKind::Require),
        ]
    );
    assert_eq!(prepared.js, source);
}

#[test]
fn n20_imports_of_types_are_no_imports() {
    for (source, expected, imports) in [
        ("import type A from 'a'; import type { B } from 'b'; import type * as C from 'c';", "; ; ;", 0),
        ("import { type A, B } from 'a'; B()", "import { B } from 'a'; B()", 1),
        ("import { B, type A } from 'a'; B()", "import { B, } from 'a'; B()", 1),
        ("import { type A } from 'a';", ";", 0),
        ("import { A, b } from 'a'; let x: A = b;", "import { b } from 'a'; let x = b;", 1),
        ("import { A } from 'a'; let x: A;", "; let x ;", 0),
        ("import a, { B } from 'a'; let x: B = a;", "import a from 'a'; let x = a;", 1),
        ("import a, { B, } from 'a'; let x: B = a;", "import a from 'a'; let x = a;", 1),
        ("import a, * as B from 'a'; let x: B.C = a;", "import a from 'a'; let x = a;", 1),
        ("import A, { b } from 'a'; let x: A = b;", "import { b } from 'a'; let x = b;", 1),
        ("import 'a'; import {} from 'b';", "import 'a'; import {} from 'b';", 2),
        ("import { a } from 'a'; export { a };", "import { a } from 'a'; export { a };", 1),
        ("import { a } from 'a'; x = { a };", "import { a } from 'a'; x = { a };", 1),
        ("import { a } from 'a'; class B extends a<C> {}", "import { a } from 'a'; class B extends a {}", 1),
        ("import { a } from 'a'; let x: typeof a;", "; let x ;", 0),
        ("export type { A } from 'a'; export { type B } from 'b'; export type * from 'c';", "; ; ;", 0),
        ("export { type A, b } from 'a';", "export { b } from 'a';", 1),
        ("type A = 1; const b = 1; export { A, b };", "; const b = 1; export { b };", 0),
        ("interface A {} export default A;", "; ;", 0),
        ("interface A {} const A = 1; export { A };", "; const A = 1; export { A };", 0),
        ("import type { A } from 'a'; export { A };", "; export { };", 0),
        ("import type A = require('a'); import B = C.D; let x: B;", "; ; let x ;", 0),
    ] {
        let prepared = stripped(source);
        assert_eq!(squeezed(&prepared.js), squeezed(expected), "{source}");
        assert_eq!(prepared.imports.len(), imports, "{source}");
    }
}

#[test]
fn n20_javascript_imports_are_left_alone() {
    let source = "import { unused } from 'a';";
    let prepared = prepare("a.js", source, Options::default()).expect("it parses");
    assert_eq!((prepared.js.as_str(), prepared.imports.len()), (source, 1));
}

#[test]
fn n20_common_js_typescript_is_kept() {
    let prepared = support::prepared("import a = require('x');\nimport B = a.B;\nexport = { a, B };");
    assert_eq!(squeezed(&prepared.js), "const a = require('x'); const B = a.B; module.exports={ a, B };");
    assert_eq!(prepared.kind, Kind::CommonJs);
    assert_eq!(prepared.imports.len(), 1);
    assert_eq!(prepared.imports[0].kind, ImportKind::Require);
}

#[test]
fn n20_syntax_errors_point_at_the_users_line() {
    let error = refused("let a: number = 1;\n/* 😀 */ let b = = 2;\n");
    assert_eq!((error.file.as_str(), error.line, error.column), ("main.ts", 2, 18));
    assert_eq!(error.code.as_str(), "syntax");
    assert_eq!(error.to_string(), format!("main.ts:2:18: {}", error.message));
    for source in [
        "(",
        "let a b",
        "'a",
        "`${",
        "/* a",
        "class {",
        "a => {",
        "import {a from 'b'",
        "let a: A<",
        "\u{0}",
        "return =",
    ] {
        let error = refused(source);
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{error}");
        assert!(!error.message.starts_with(|c: char| c.is_uppercase()), "{error}");
        assert!(error.line >= 1 && error.column >= 1);
        assert!(!error.message.contains('\n') && !error.message.contains("Span"), "{error}");
    }
    let long = format!("let {0} = 1; let {0} = 2; (", "a".repeat(100_000));
    assert!(refused(&long).message.len() < 1_000);
}
