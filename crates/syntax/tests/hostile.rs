//! Text made to harm: every input is answered, in bounded space, without a panic.

mod support;

use lockgate_syntax::{MAX_NESTING, MAX_SOURCE_BYTES, Options, prepare};
use proptest::prelude::*;
use support::assert_in_place;

/// Pieces that TypeScript's grammar hangs on.
const PIECES: &[&str] = &[
    "a",
    "b",
    " ",
    "\n",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    "=>",
    ":",
    "?",
    "?.",
    "=",
    ",",
    ";",
    "...",
    "`",
    "${",
    "/",
    "//",
    "/*",
    "*/",
    "'",
    "\"",
    "\\",
    "!",
    "-",
    "+",
    "++",
    "*",
    "**",
    "&&",
    "||",
    "??",
    "|",
    "&",
    "@",
    "#",
    "1",
    "0x",
    "1n",
    ".",
    "é",
    "😀",
    "\u{2028}",
    "\u{FEFF}",
    "\0",
    "let ",
    "const ",
    "var ",
    "function ",
    "class ",
    "extends ",
    "implements ",
    "async ",
    "await ",
    "yield ",
    "new ",
    "typeof ",
    "import ",
    "export ",
    "default ",
    "from 'x'",
    "type ",
    "interface ",
    "enum ",
    "namespace ",
    "declare ",
    "abstract ",
    "readonly ",
    "private ",
    "static ",
    "get ",
    "set ",
    "accessor ",
    "as ",
    "satisfies ",
    "infer ",
    "keyof ",
    "is ",
    "asserts ",
    "if (",
    "else ",
    "for (",
    "of ",
    "in ",
    "return ",
    "super(",
    "this",
    "require('x')",
    "module.exports",
    "constructor(",
    "<T>",
    ": T",
    " as T",
    "!:",
    "?:",
    "T = ",
    "[k: string]: T",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a.ts", "a.js", "a.mts", "a.cts", "a.cjs", "a.mjs", "a", "a.json", "a.tsx"][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn n20_any_text_is_answered(name in name(), source in any::<String>(), script: bool) {
        let _ = prepare(name, &source, Options { script });
    }

    #[test]
    fn n20_any_bytes_are_answered(name in name(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = prepare(name, &String::from_utf8_lossy(&bytes), Options::default());
    }

    #[test]
    fn n20_any_mixture_of_tokens_is_answered(name in name(), source in soup(), script: bool) {
        if let Err(error) = prepare(name, &source, Options { script }) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            let lines = source.split(['\n', '\r', '\u{2028}', '\u{2029}']).count();
            prop_assert!(error.line as usize <= lines);
            prop_assert_ne!(error.code.as_str(), "syntax_internal");
        }
    }

    #[test]
    fn n20_what_parses_stays_in_its_place(source in soup()) {
        if let Ok(prepared) = prepare("a.ts", &source, Options::default())
            && prepared.js.len() == source.len()
        {
            assert_in_place(&source, &prepared.js);
        }
    }

    #[test]
    fn n20_mutated_programs_are_answered(cut in 0usize..4_000, length in 0usize..60, piece in prop::sample::select(PIECES)) {
        let mut source = include_str!("fixtures/ledger.ts").to_owned();
        let from = (0..=cut.min(source.len())).rev().find(|&at| source.is_char_boundary(at)).unwrap_or(0);
        let to = (from + length..).find(|&at| at >= source.len() || source.is_char_boundary(at)).unwrap_or(from);
        source.replace_range(from..to.min(source.len()), piece);
        match prepare("a.ts", &source, Options::default()) {
            Ok(prepared) if prepared.js.len() == source.len() => assert_in_place(&source, &prepared.js),
            Ok(_) => {}
            Err(error) => prop_assert_ne!(error.code.as_str(), "syntax_internal"),
        }
    }
}

#[test]
fn n20_a_hundred_thousand_levels_do_not_overflow() {
    for piece in [
        "(",
        "[",
        "{",
        "a=>",
        "`${",
        "A<",
        "type X = (",
        "f<",
        "a?b:",
        "a?(b):c=>",
        "!",
        "- ",
        "typeof ",
        "new ",
        "await ",
        "if(a)",
        "if(a);else ",
        "a:",
        "a+",
        "a**",
        "a=",
        "a.",
        "a[",
        "a(",
        "()",
        "[]",
        "x|",
        "keyof ",
        "()=>",
        "<T>",
        "(a=a<",
        "([...a:",
        "a<<T>(x=",
        "{[f<(",
        "@(",
        "import(",
        "class extends ",
        "function f(){",
        "async(",
        "(a,(a=",
        "declare ",
        "export ",
        "do ",
        "while(a)",
        "for(;;)",
        "switch(a){case ",
        "try{",
        "namespace a{",
        "enum a{",
        "/",
        "/*",
        "'",
        "\\",
        "${",
        "?.",
        "a!",
        " as a",
        "a extends b?",
        "infer ",
        "...",
        "{get a(){",
        "static{",
        "#a in ",
        "yield ",
        "<a,",
        "a b",
        "\n(",
        "\n`",
        "/[\\]+",
    ] {
        for (name, lead) in [("a.ts", ""), ("a.ts", "x = "), ("a.ts", "type X = "), ("a.js", "x = a")] {
            let source = format!("{lead}{}", piece.repeat(100_000));
            let _ = prepare(name, &source, Options::default());
        }
    }
}

#[test]
fn n20_nesting_is_refused_at_its_place() {
    let error = prepare("a.js", &format!("\n{}", "(".repeat(100_000)), Options::default()).expect_err("it is too deep");
    assert_eq!((error.code.as_str(), error.line, error.column), ("source_too_deep", 2, MAX_NESTING + 1));
    for (open, close) in [("(", ")"), ("[", "]"), ("(a=>", ")"), ("`${", "}`")] {
        let nested = |depth: usize| format!("x = {}1{}", open.repeat(depth), close.repeat(depth));
        let levels = if matches!(open, "(a=>" | "`${") { 2 } else { 1 };
        let deepest = MAX_NESTING as usize / levels;
        assert!(prepare("a.js", &nested(deepest), Options::default()).is_ok(), "{open}");
        assert!(prepare("a.js", &nested(deepest + 1), Options::default()).is_err(), "{open}");
    }
    let doubled = "x = ".to_owned() + &"a<(b = ".repeat(40);
    let error = prepare("a.ts", &doubled, Options::default()).expect_err("it would be read 2^40 times");
    assert_eq!(error.code.as_str(), "source_too_deep");
}

#[test]
fn n20_long_flat_text_is_no_nesting() {
    for line in [
        "const a = x < 1 ? y : z\n",
        "const f = (a) => a\n",
        "x = a + b / c / d; // it's\n",
        "if (a) /(/.test(b)\n",
        "x = a < b || c < d;",
        "s += '(((' + \"[[[\" + `{{{ ${a} (((`\n",
        "/* (((( */ // ((((\n",
        "x = { a: [1, 2, { b: (c) }] }\n",
        "} {",
        "f(a => b, c => d),\n",
        "a = b! / c; d = !/(/.test(e);\n",
        "x = 1 << 2, y = 3 << 4,\n",
    ] {
        let body = line.repeat(2_000);
        let source = if line == "} {" { format!("{{{body}}}") } else { format!("{body}0") };
        prepare("a.ts", &source, Options::default()).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let chain = format!("x = 1{}; y = a{}", " + 1".repeat(50_000), ".b()".repeat(50_000));
    assert!(prepare("a.ts", &chain, Options::default()).is_ok());
}

/// Work that is repeated for each level or each part must not multiply.
#[test]
fn n20_many_levels_with_many_parts_are_answered() {
    let parts = "f(a as T, b!, <C>d);".repeat(20_000);
    for source in [
        format!("{}{{ {parts} }}", "if (a) ".repeat(50_000)),
        format!("{} {}x", "label: ".repeat(50_000), "<T>".repeat(50_000)),
        format!("class A {{ {} }}", "readonly a?: T\n".repeat(50_000)),
        format!("import {{ {} }} from 'a'; {parts}", "type A, b, ".repeat(20_000)),
        format!("enum A {{ {} }}", (0..20_000).map(|n| format!("A{n},")).collect::<String>()),
        format!("x = {}", "a /* b */ ! // c\n".repeat(50_000)),
    ] {
        let _ = prepare("a.ts", &source, Options::default());
    }
}

#[test]
fn n20_size_is_bounded() {
    let largest = " ".repeat(MAX_SOURCE_BYTES);
    assert!(prepare("a.ts", &largest, Options::default()).is_ok());
    let error = prepare("a.json", &format!("{largest} "), Options::default()).expect_err("it is too large");
    assert_eq!(error.code.as_str(), "source_too_large");
}

#[test]
fn n20_enum_text_does_not_grow_without_bound() {
    let members: String = (0..60).map(|n| format!("A{} = A{n} + A{n},", n + 1)).collect();
    let error = prepare("a.ts", &format!("enum E {{ A0 = 'xxxxxxxx', {members} }}"), Options::default());
    assert!(error.is_err_and(|error| error.code.as_str() == "unsupported_syntax"));
}
