//! TypeScript's forms, one by one: what is removed, what remains, and that it remains where it was.

mod support;

use support::{prepared, refused, squeezed, stripped};

/// Checks each `(TypeScript, JavaScript)`, not counting spaces.
fn cases(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(squeezed(&stripped(source).js), squeezed(expected), "{source}");
    }
}

#[test]
fn n20_annotations_are_removed() {
    cases(&[
        ("let a: number = 1;", "let a = 1;"),
        ("let a!: string, b: any = 2;", "let a , b = 2;"),
        ("function f(this: Foo, a?: string, ...r: any[]): void {}", "function f( a , ...r ) {}"),
        ("function f(this: Foo) {}", "function f( ) {}"),
        ("function f(this: Foo,) {}", "function f( ) {}"),
        ("function f(a: string = 'x'): a is string { return a }", "function f(a = 'x') { return a }"),
        ("function f(a: any): asserts a is string {}", "function f(a ) {}"),
        ("const { a, b: [c] }: T = x, [d]: U = y;", "const { a, b: [c] } = x, [d] = y;"),
        ("try {} catch (e: unknown) {}", "try {} catch (e ) {}"),
        ("for (const x of y as any[]) {}", "for (const x of y ) {}"),
        ("const f = (a: A, b?: B): C => a;", "const f = (a , b ) => a;"),
        ("const f = async (a): Promise<void> => {};", "const f = async (a) => {};"),
        (
            "const o = { m<T>(this: X, a: T): T { return a }, get x(): number { return 1 } };",
            "const o = { m ( a ) { return a }, get x() { return 1 } };",
        ),
        ("let f: new (a: string) => void, g: (a: { b: c }) => asserts a is d;", "let f , g ;"),
        ("let a: `x${string}`, b: typeof import('x'), c: unique symbol;", "let a , b , c ;"),
        ("let a: { readonly [K in keyof T as `a${K}`]?: T[K] extends infer U ? U : never };", "let a ;"),
    ]);
}

#[test]
fn n20_generics_are_removed() {
    cases(&[
        ("function f<T extends { a: 1 } = any, const U>(a: T) {}", "function f (a ) {}"),
        ("f<string>(1); new Map<string, Array<number>>(); f<T>`x`; a?.<T>(b);", "f (1); new Map (); f `x`; a?. (b);"),
        ("const g = f<string>; const h = new Foo<T>;", "const g = f ; const h = new Foo ;"),
        ("class A<in out T> extends B<T> implements C<T>, D.E {}", "class A extends B {}"),
        ("const A = class<T> implements C {};", "const A = class {};"),
        ("const A = class implements C {};", "const A = class {};"),
        ("const f = <T,>(a: T) => a, g = async <T>(a: T) => a;", "const f = (a ) => a, g = async (a ) => a;"),
        ("a < b; c > d; a < (b >> c);", "a < b; c > d; a < (b >> c);"),
    ]);
}

#[test]
fn n20_assertions_are_removed() {
    cases(&[
        ("a as T; (a as T).b = 1; a = b as unknown as T;", "a ; (a ).b = 1; a = b ;"),
        ("a satisfies T; x = [1] as const;", "a ; x = [1] ;"),
        ("a!.b![0]!(); a! += 1; a?.b!.c;", "a .b [0] (); a += 1; a?.b .c;"),
        ("x = <T>a; x = <T><U>a; f(<any>{}); (<any>a).b = 1;", "x = a; x = a; f( {}); ( a).b = 1;"),
        (
            "(a as any)++; [a as any] = b; ({ a: b as T } = c); for ((a as any) of b);",
            "(a )++; [a ] = b; ({ a: b } = c); for ((a ) of b);",
        ),
        ("x = a as T ? b : c; x = a + b as T;", "x = a ? b : c; x = a + b ;"),
        ("<any>a.b(); () => <T>(a);", " a.b(); () => (a);"),
    ]);
}

#[test]
fn n20_declarations_of_types_are_removed() {
    cases(&[
        ("interface A<T> extends B { c: T }", ";"),
        ("type A<T> = T | { b: 'c' };", ";"),
        (
            "declare const a: string; declare let b; declare function c(): void; declare class D { e: string }",
            "; ; ; ;",
        ),
        (
            "declare enum A { B } declare namespace C { const d: 1 } declare module 'e' { } declare global { var f: 1 }",
            "; ; ; ;",
        ),
        ("namespace A { export type B = 1; namespace C { interface D {} } } namespace E.F {}", "; ;"),
        (
            "function f(a: string): void;\nfunction f(a: number): void;\nfunction f(a: any) {}",
            ";\n;\nfunction f(a ) {}",
        ),
        ("export interface A {} export type B = 1; export declare const c: 1;", "; ; ;"),
        ("export default interface A {}", ";"),
        (
            "export default function f(a: string): void;\nexport default function f(a: any) {}",
            ";\nexport default function f(a ) {}",
        ),
        ("export as namespace Foo;", ";"),
    ]);
}

#[test]
fn n20_class_members_lose_their_types_only() {
    cases(&[
        (
            "abstract class A { private static readonly a?: string = 'b'; declare c: number; abstract d(): void; e!: F; [key: string]: any }",
            "class A { ; static a = 'b'; ; ; e ; ; }",
        ),
        (
            "class A { public constructor(a: string); constructor(a: any) {} protected get b(): C { return 1 } }",
            "class A { ; constructor(a ) {} ; get b() { return 1 } }",
        ),
        (
            "class A { m(): void; m(a?: any): void {} override async *g<T>(): any {} n?(): void {} }",
            "class A { ; m(a ) {} ; async *g () {} n () {} }",
        ),
        (
            "class A { static { const a: B = 1 } #p: string = ''; static #q?: number }",
            "class A { static { const a = 1 } #p = ''; static #q ; }",
        ),
        (
            "export abstract class A {} export default abstract class B {}",
            "export class A {} export default class B {}",
        ),
        (
            "class A { readonly = 1; declare; abstract() {} private: string }",
            "class A { readonly = 1; declare; abstract() {} private; }",
        ),
    ]);
}

#[test]
fn n20_statements_stay_apart_without_semicolons() {
    cases(&[
        ("let x = y as T\n(f)()", "let x = y ; (f)()"),
        ("let x = y satisfies T\n[a].b()", "let x = y ; [a].b()"),
        ("a\ntype T = 1\n(f)()", "a ; (f)()"),
        ("a\ninterface T {}\n`b`", "a ; `b`"),
        ("type T = 1\n'use strict'", "; 'use strict'"),
        ("class A { a = 1\n readonly ['b'] = 2\n public *c() {} }", "class A { a = 1 ; ['b'] = 2 ; *c() {} }"),
        (
            "class A { get: T\n a() {}\n static: T\n b() {} set!: T\n c(d) {} }",
            "class A { get; a() {} static; b() {} set ; c(d) {} }",
        ),
        ("class A { a = b as T\n ['c'] = 1 }", "class A { a = b ; ['c'] = 1 }"),
        ("if (a) b as T\nelse c", "if (a) b ; else c"),
        ("do a as T\nwhile (b)", "do a ; while (b)"),
        ("const f = () => a as T\n(g)", "const f = () => a ; (g)"),
        ("let x: T\n(f)()", "let x; (f)()"),
        ("a = b!\n(c)", "a = b (c)"),
    ]);
}

#[test]
fn n20_arrow_functions_keep_their_parentheses_on_their_line() {
    cases(&[
        ("const f = (a): {\n b: string\n} => a", "const f = (a ) => a"),
        ("const f = async <\nT\n>(a: T) => a", "const f = async ( a ) => a"),
        ("const f = () => { return <\nT\n>(a: T) => a }", "const f = () => { return ( a ) => a }"),
        ("const f = (\n a: T\n): T => a", "const f = ( a ) => a"),
        ("const f = (a): // c\n T => a", "const f = (a ) => a"),
    ]);
    // The parentheses must be where JavaScript wants them, not only in the right order.
    assert_eq!(stripped("async <\nT>(a) => a").js, "async (\n   a) => a");
    assert_eq!(stripped("(a): {\n} => a").js, "(a    \n) => a");
}

#[test]
fn n20_places_hold_in_bytes_and_utf16_whatever_the_text() {
    stripped(
        "type Ü = '😀' | \"漢字\" /* ñ */\r\nlet x: Ü<'é'> = '😀' as Ü, y = 1\u{2028}let z: {\u{2029} a: 'ß' } = x!",
    );
    let source = "let héé: Wörld<'😀漢'> = f<'ñ'>(1), after = 2";
    let js = stripped(source).js;
    assert_eq!(source.find("after"), js.find("after"));
    stripped("const f = (a): {\n b: 'é' } | 漢 => a");
}

#[test]
fn n20_enums_become_objects_with_reverse_names() {
    let cases = [
        ("enum A { B, C, D = 5, E }", "let A =$enum({ B:0, C:1, D : 5, E:6 });"),
        (
            "const enum A { B = 'x', C = `y`, 'd e' = 1, ['f'] = 2 }",
            "let A =$enum({ B : 'x', C : `y`, 'd e' : 1, ['f'] : 2 });",
        ),
        (
            "enum A { B = 1 << 2, C = B | A.B, D = A['C'] ** 2, E = -C, F = ~B >>> 1 }",
            "let A =$enum({ B : 1 << 2, C : 4 , D : 16 , E : -4 , F : 2147483645 });",
        ),
        ("enum A { B = 'x', C = B + 'y', D = `${C}\"z` }", "let A =$enum({ B : 'x', C : \"xy\" , D : \"xy\\\"z\" });"),
        ("enum A { B = f<T>(1 as any), C = 3 }", "let A =$enum({ B : f (1 ), C : 3 });"),
        ("export enum A {}", "export let A =$enum({});"),
    ];
    for (source, expected) in cases {
        let js = prepared(source).js;
        let (first, helper) = js.split_once('\n').expect("the helper has a line of its own");
        assert_eq!(squeezed(first), expected);
        assert!(helper.starts_with("function $enum(o)"), "{helper}");
    }
    assert!(prepared("enum A { B }\nlet $enum, $enum_").js.contains("=$enum__("));
    assert_eq!(refused("enum A { B = f(), C }").column, 19);
    assert_eq!(refused("enum A { B = 'b', C }").column, 19);
    assert_eq!(refused("enum A { B = 1, C = f(B) }").column, 21);
    assert_eq!(refused("enum A { __proto__ = 1 }").column, 10);
}

#[test]
fn n20_enum_members_on_their_lines_keep_their_columns() {
    let source = "enum A {\n  B = 1,\n  C = two(),\n}\nconst after = 1";
    let js = prepared(source).js;
    for line in [1, 2, 4] {
        let (was, now) = (source.lines().nth(line), js.lines().nth(line));
        assert_eq!(was.map(|text| text.replace('=', ":")), now.map(|text| text.replace('=', ":")));
    }
}

#[test]
fn n20_parameter_properties_are_assigned() {
    let cases = [
        (
            "class A { constructor(private a: string, b, public readonly c = 1) { b() } }",
            "class A { constructor( a , b, c = 1) {this.a=a;this.c=c; b() } }",
        ),
        (
            "class A extends B { constructor(readonly a) { f(); super(a)\n a() } }",
            "class A extends B { constructor( a) { f(); super(a);this.a=a; a() } }",
        ),
        ("class A { constructor(private ünï?: string) {} }", "class A { constructor( ünï ) {this.ünï=ünï;} }"),
    ];
    for (source, expected) in cases {
        assert_eq!(squeezed(&prepared(source).js), expected);
    }
    assert_eq!(refused("class A extends B { constructor(private a) { if (a) super() } }").column, 32);
}

#[test]
fn n20_what_cannot_be_removed_is_refused_with_place_and_hint() {
    let cases = [
        ("a;\nnamespace A { export const b = 1 }", 2, 1),
        ("module A { f() }", 1, 1),
        ("@dec class A {}", 1, 1),
        ("class A { @dec b() {} }", 1, 11),
        ("class A { m(@dec a) {} }", 1, 13),
        ("class A { accessor a = 1 }", 1, 11),
        ("x = -a as T ** 2", 1, 5),
        ("x = a ** b as T ** c", 1, 5),
        ("function f() { return <T>\n a }", 1, 23),
        ("<any>{}.x()", 1, 1),
        ("<any>function () {}", 1, 1),
        ("x = () => <T>{}", 1, 11),
        ("import a = require('a'); export const b = a;", 1, 1),
        ("export const b = 1; export = b;", 1, 21),
    ];
    for (source, line, column) in cases {
        let error = refused(source);
        assert_eq!((error.line, error.column), (line, column), "{source}: {error}");
        assert_eq!(error.code.as_str(), "unsupported_syntax", "{error}");
        assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{source}");
    }
}

#[test]
fn n20_an_assertion_never_changes_the_order_of_evaluation() {
    for source in ["x = a + b as T * c", "x = a < b as T + c", "x = a - b satisfies T / c", "x = await a as T ** 2"] {
        refused(source);
    }
    cases(&[
        ("x = a * b as T + c; x = (a + b as T) * c;", "x = a * b + c; x = (a + b ) * c;"),
        ("x = a as T * b; x = a + (b as T) * c; x = a as T | U;", "x = a * b; x = a + (b ) * c; x = a ;"),
    ]);
}

#[test]
fn n20_a_program_of_every_form_stays_in_its_place() {
    let source = include_str!("fixtures/ledger.ts");
    let js = stripped(source).js;
    for gone in [
        "interface ",
        "satisfies",
        "implements",
        "abstract ",
        "readonly ",
        "override ",
        "as Cents",
        ": string",
        "Entry<",
    ] {
        assert!(source.contains(gone) && !js.contains(gone), "{gone:?} remains:\n{js}");
    }
}
