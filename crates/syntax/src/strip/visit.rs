//! The walk over the syntax tree, and what it gathers.

use std::collections::HashSet;

use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};
use oxc_syntax::scope::ScopeFlags;

use super::canvas::Canvas;
use super::enums::Enums;
use super::{FoundImport, Stripped};
use crate::ImportKind;
use crate::error::{Refused, unsupported};
use crate::kind::Kind;
use crate::text::{byte_at, skip_trivia};

/// Removes types while walking, and gathers what decides over imports and the kind of the file.
pub(super) struct Stripper<'a, 's> {
    pub(super) source: &'s str,
    pub(super) typescript: bool,
    pub(super) canvas: Canvas<'s>,
    pub(super) imports: Vec<FoundImport>,
    /// Names used as values anywhere.
    pub(super) used: HashSet<&'a str>,
    /// Names bound to values anywhere, imports not among them.
    pub(super) bound: HashSet<&'a str>,
    /// Names declared as types anywhere.
    pub(super) types: HashSet<&'a str>,
    pub(super) enums: Enums,
    pub(super) signs: Signs,
    function_depth: u32,
    refused: Option<Refused>,
}

/// What in a text tells its kind.
#[derive(Default)]
pub(super) struct Signs {
    /// `import`, `export`, `import.meta` or a top-level `await` that remains.
    pub(super) esm: bool,
    /// The first `import` or `export` that remains.
    pub(super) module_statement: Option<u32>,
    /// `module.exports`, `exports`, `require(…)`, `export =`, `import x = require(…)`, or `with`.
    pub(super) common_js: bool,
    /// The first `export =` or `import x = require(…)`, which an ES module cannot have.
    pub(super) common_js_statement: Option<u32>,
}

impl<'a, 's> Stripper<'a, 's> {
    pub(super) fn new(source: &'s str, typescript: bool) -> Self {
        Self {
            source,
            typescript,
            canvas: Canvas::new(source),
            imports: Vec::new(),
            used: HashSet::new(),
            bound: HashSet::new(),
            types: HashSet::new(),
            enums: Enums::default(),
            signs: Signs::default(),
            function_depth: 0,
            refused: None,
        }
    }

    /// Strips the whole program.
    pub(super) fn run(mut self, program: &Program<'a>, wanted: Option<Kind>) -> Result<Stripped, Refused> {
        self.visit_program(program);
        self.settle_modules(program);
        let kind = self.decide_kind(wanted);
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.enums.append_helper(&mut self.canvas, self.source);
        Ok(Stripped { js: self.canvas.finish()?, kind, imports: self.imports, tools: Vec::new() })
    }

    fn decide_kind(&mut self, wanted: Option<Kind>) -> Kind {
        let kind = wanted.unwrap_or(if self.signs.common_js && !self.signs.esm { Kind::CommonJs } else { Kind::Esm });
        match (kind, self.signs.module_statement, self.signs.common_js_statement) {
            (Kind::CommonJs, Some(offset), _) => self.refuse(
                offset,
                "`import` and `export` in a CommonJS file",
                "name the file `.ts` or `.mts`, or write `import x = require(\"…\")` and `export =`",
            ),
            (Kind::Script, Some(offset), _) => self.refuse(
                offset,
                "`import` and `export` in a classic script",
                "run it as a program, or write `await import(\"…\")` in an async function",
            ),
            (Kind::Esm, _, Some(offset)) => self.refuse(
                offset,
                "`import … = require` and `export =` in an ES module",
                "write `import x from \"…\"` and `export default`, or name the file `.cts`",
            ),
            _ => {}
        }
        kind
    }

    /// Notes that the text cannot be run because of what is at `offset`. The first place in the text wins.
    pub(super) fn refuse(&mut self, offset: u32, message: &str, hint: &'static str) {
        if self.refused.as_ref().is_none_or(|earlier| offset < earlier.offset) {
            self.refused = Some(unsupported(offset, message, hint));
        }
    }

    /// The first token at or after `at`.
    pub(super) fn next_token(&self, at: u32) -> u32 {
        skip_trivia(self.source, at as usize) as u32
    }

    /// The byte at `at`, 0 at the end.
    pub(super) fn byte(&self, at: u32) -> u8 {
        byte_at(self.source, at as usize)
    }

    pub(super) fn text(&self, start: u32, end: u32) -> &'s str {
        self.source.get(start as usize..end as usize).unwrap_or("")
    }

    /// Removes the token `token`, if that is what comes next after `at`.
    pub(super) fn blank_token(&mut self, at: u32, token: u8) {
        let start = self.next_token(at);
        if self.byte(start) == token {
            self.canvas.blank(start, start + 1);
        }
    }

    pub(super) fn in_function(&mut self, walk: impl FnOnce(&mut Self)) {
        self.function_depth += 1;
        walk(self);
        self.function_depth -= 1;
    }

    fn note_await(&mut self) {
        if self.function_depth == 0 {
            self.signs.esm = true;
        }
    }

    pub(super) fn found_import(&mut self, literal: &StringLiteral<'a>, dynamic: bool, kind: ImportKind) {
        self.imports.push(FoundImport {
            specifier: literal.value.to_string(),
            offset: literal.span.start,
            dynamic,
            kind,
        });
    }
}

impl<'a> Visit<'a> for Stripper<'a, '_> {
    // Types.

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.canvas.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.canvas.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.canvas.blank(it.span.start, it.span.end);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.canvas.blank(it.span.start, it.span.end);
        self.blank_token(it.span.end, b',');
    }

    // Assertions.

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.visit_expression(&it.expression);
        self.canvas.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.visit_expression(&it.expression);
        self.canvas.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.canvas.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        self.visit_expression(&it.expression);
        self.canvas.blank(it.span.start, it.expression.span().start);
    }

    fn visit_binary_expression(&mut self, it: &BinaryExpression<'a>) {
        self.check_binary(it);
        walk::walk_binary_expression(self, it);
    }

    fn visit_expression_statement(&mut self, it: &ExpressionStatement<'a>) {
        self.check_statement_start(&it.expression);
        walk::walk_expression_statement(self, it);
    }

    fn visit_return_statement(&mut self, it: &ReturnStatement<'a>) {
        self.check_same_line(it.argument.as_ref());
        walk::walk_return_statement(self, it);
    }

    fn visit_throw_statement(&mut self, it: &ThrowStatement<'a>) {
        self.check_same_line(Some(&it.argument));
        walk::walk_throw_statement(self, it);
    }

    fn visit_yield_expression(&mut self, it: &YieldExpression<'a>) {
        self.check_same_line(it.argument.as_ref());
        walk::walk_yield_expression(self, it);
    }

    // Statements and declarations.

    fn visit_statement(&mut self, it: &Statement<'a>) {
        self.strip_statement(it);
    }

    fn visit_with_statement(&mut self, it: &WithStatement<'a>) {
        self.signs.common_js = true;
        walk::walk_with_statement(self, it);
    }

    fn visit_variable_declaration(&mut self, it: &VariableDeclaration<'a>) {
        if it.kind == VariableDeclarationKind::AwaitUsing {
            self.note_await();
        }
        walk::walk_variable_declaration(self, it);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.blank_token(it.id.span().end, b'!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        self.strip_enum(it);
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.refuse(it.span.start, "decorators are not run", "call the decorating function on the class or member");
    }

    // Functions and classes.

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.in_function(|this| walk::walk_function(this, it, flags));
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        self.strip_arrow(it);
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        self.strip_parameter(it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        self.strip_class(it);
    }

    // What tells modules and kinds.

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let name = it.name.as_str();
        self.used.insert(name);
        self.signs.common_js |= name == "exports";
    }

    fn visit_binding_identifier(&mut self, it: &BindingIdentifier<'a>) {
        self.bound.insert(it.name.as_str());
    }

    fn visit_member_expression(&mut self, it: &MemberExpression<'a>) {
        self.signs.common_js |=
            it.object().is_specific_id("module") && it.static_property_name().is_some_and(|name| name == "exports");
        walk::walk_member_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if it.callee.is_specific_id("require") {
            self.signs.common_js = true;
            if let [Argument::StringLiteral(literal)] = it.arguments.as_slice() {
                self.found_import(literal, false, ImportKind::Require);
            }
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        if let Expression::StringLiteral(literal) = &it.source {
            self.found_import(literal, true, ImportKind::Import);
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_import_meta(&mut self, _: &ImportMeta) {
        self.signs.esm = true;
    }

    fn visit_await_expression(&mut self, it: &AwaitExpression<'a>) {
        self.note_await();
        walk::walk_await_expression(self, it);
    }

    fn visit_for_of_statement(&mut self, it: &ForOfStatement<'a>) {
        if it.r#await {
            self.note_await();
        }
        walk::walk_for_of_statement(self, it);
    }

    fn visit_span(&mut self, _: &Span) {}
}
