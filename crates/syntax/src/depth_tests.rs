//! Every form that nests, on half the stack it is given: an overflow would end the test process.

use crate::kind::Language;
use crate::stack::tests::with_half_the_room_for;
use crate::strip::strip;

/// What is before, what is repeated, what is in the middle, what closes.
const FORMS: &[(&str, &str, &str, &str)] = &[
    ("x = ", "(", "1", ")"),
    ("x = ", "[", "1", "]"),
    (";", "{", "", "}"),
    ("x=", "{a:", "1", "}"),
    ("x = ", "a=>", "1", ""),
    ("x=", "`${", "1", "}`"),
    ("type X = ", "A<", "A", ">"),
    ("type X = ", "(", "A", ")"),
    ("type X = ", "[", "A", "]"),
    ("type X = ", "{a:", "A", "}"),
    ("x=", "!", "1", ""),
    ("x=", "typeof ", "1", ""),
    ("x=", "- ", "1", ""),
    ("x=", "new ", "A", ""),
    ("x= ", "await ", "1", ""),
    ("x = ", "a?b:", "1", ""),
    ("x = ", "a?", "1", ":1"),
    ("", "if(a)", "b", ""),
    ("", "if(a)b;else ", "c", ""),
    ("", "for(;;)", "b", ""),
    ("", "while(a)", "b", ""),
    ("", "a:", "b", ""),
    ("x = ", "a+", "1", ""),
    ("x = ", "a**", "1", ""),
    ("x = ", "a&&b||", "1", ""),
    ("", "a=", "1", ""),
    ("a", ".a", "", ""),
    ("a", "?.a", "", ""),
    ("a", "()", "", ""),
    ("a", "[0]", "", ""),
    ("a", "``", "", ""),
    (";", "function f(){", "", "}"),
    ("x = ", "class extends ", "A", "{}"),
    ("x=", "class{a=", "1", "}"),
    ("x=", "class{static{", ";", "}}"),
    ("x=", "class{[", "1", "]=1}"),
    ("type X = ", "A extends B?C:", "D", ""),
    ("type X = ", "keyof ", "D", ""),
    ("type X = D", "[]", "", ""),
    ("type X = ", "()=>", "D", ""),
    ("type X = D", "|A", "", ""),
    ("type X = D", ".A", "", ""),
    ("x = ", "<T>", "a", ""),
    ("x = a", " as T", "", ""),
    ("x = a", "!", "", ""),
    ("x = ", "f<", "a", ""),
    ("x = ", "f<[", "a", "]"),
    ("x = ", "f<T>(", "a", ")"),
    ("x = ", "(a)=>", "1", ""),
    ("x = ", "(a):b=>", "1", ""),
    ("x = ", "a?(b):c=>", "1", ""),
    ("x = ", "async(", "1", ")"),
    ("x = ", "async a=>", "1", ""),
    ("var ", "[", "a", "]=1"),
    ("", "[", "a", "]=1"),
    ("x=", "(a=", "1", ")=>1"),
    ("x=", "({a=", "1", "})=>1"),
    ("x = ", "(a:", "T", ")=>1"),
    ("type X = ", "(a:", "T", ")=>A"),
    ("x=", "<T>(a)=>", "1", ""),
    ("type X = ", "import('a').B<", "A", ">"),
    ("type X=", "`${", "A", "}`"),
    ("type X=", "{[k in ", "A", "]:1}"),
    ("x=", "[...", "a", "]"),
    ("", "declare ", "var a", ""),
    ("", "@a(", "b", ") class A{}"),
    ("", "namespace A{", "", "}"),
    ("", "namespace A.", "B{}", ""),
    ("", "do ", "a;", " while(1)"),
    ("x=", "a?.(", "b", ")"),
    ("x=", "a[", "b", "]"),
    ("x = ", "import(", "a", ")"),
    ("x=", "{set a(b=", "1", "){}}"),
    ("", "try{", "", "}finally{}"),
    ("", "switch(a){default:", "", "}"),
    ("enum A{B=", "(", "1", ")}"),
    ("enum A{B=1,C=B", "+B", "", "}"),
    ("enum A{B=", "-", "1", "}"),
    ("x = ", "a=>({b:", "1", "})"),
    ("import A = b", ".c", "; A()", ""),
];

#[test]
fn n20_half_the_stack_is_enough_for_every_form() {
    const LEVELS: usize = 700;
    for (before, repeated, middle, close) in FORMS {
        let open = format!("{before}{}{middle}", repeated.repeat(LEVELS));
        let closed = format!("{open}{}", close.repeat(LEVELS));
        for source in [open, closed] {
            for language in [Language::TypeScript(None), Language::JavaScript(None)] {
                let _ = with_half_the_room_for(&source, || strip(&source, language, false).is_ok());
            }
        }
    }
}

#[test]
fn n20_forms_that_nest_are_understood_and_not_merely_refused() {
    let understood = FORMS
        .iter()
        .filter(|(before, repeated, middle, close)| {
            let source = format!("{before}{}{middle}{}", repeated.repeat(300), close.repeat(300));
            with_half_the_room_for(&source, || strip(&source, Language::TypeScript(None), false).is_ok())
        })
        .count();
    assert!(
        understood * 4 > FORMS.len() * 3,
        "only {understood} of {} forms parse: the depth test is empty",
        FORMS.len()
    );
}
