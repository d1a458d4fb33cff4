//! Statements: those that are types go, the others must still end where they ended.

use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use super::visit::Stripper;

impl<'a> Stripper<'a, '_> {
    pub(super) fn strip_statement(&mut self, it: &Statement<'a>) {
        match it {
            // Settled at the end, when it is known which names are used.
            Statement::ImportDeclaration(_)
            | Statement::ExportNamedDeclaration(_)
            | Statement::ExportFromDeclaration(_)
            | Statement::ExportAllDeclaration(_)
            | Statement::TSImportEqualsDeclaration(_) => {}
            Statement::ExportDeclaration(export) => self.strip_export(export),
            Statement::ExportDefaultDeclaration(export) => self.strip_export_default(export),
            Statement::TSExportAssignment(export) => self.strip_export_assignment(export),
            Statement::TSNamespaceExportDeclaration(export) => self.erase_statement(export.span),
            _ => match it.as_declaration() {
                Some(declaration) => self.strip_declaration(declaration, it.span()),
                None => walk::walk_statement(self, it),
            },
        }
        self.end_statement(it.span().end);
    }

    /// Removes a declaration that is only a type, and strips any other. `whole` is the statement it stands in.
    pub(super) fn strip_declaration(&mut self, it: &Declaration<'a>, whole: Span) {
        match it {
            Declaration::TSTypeAliasDeclaration(alias) => {
                self.types.insert(alias.id.name.as_str());
                self.erase_statement(whole);
            }
            Declaration::TSInterfaceDeclaration(interface) => {
                self.types.insert(interface.id.name.as_str());
                self.erase_statement(whole);
            }
            Declaration::TSNamespaceDeclaration(namespace) if namespace.declare || !has_values(namespace) => {
                self.types.insert(namespace.id.name.as_str());
                self.erase_statement(whole);
            }
            Declaration::TSNamespaceDeclaration(namespace) => self.refuse(
                namespace.span.start,
                "namespaces with values in them are not run",
                "write a module of its own, or an object",
            ),
            Declaration::TSExternalModuleDeclaration(_) | Declaration::TSGlobalDeclaration(_) => {
                self.erase_statement(whole);
            }
            // Settled at the end.
            Declaration::TSImportEqualsDeclaration(_) => {}
            _ if is_ambient(it) => self.erase_statement(whole),
            _ => walk::walk_declaration(self, it),
        }
    }

    /// Removes a statement, leaving the `;` that keeps its neighbours apart.
    pub(super) fn erase_statement(&mut self, span: Span) {
        self.canvas.blank(span.start, span.end);
        self.canvas.mark(span.start, b';');
    }

    /// Ends a statement (or class member) whose last part was removed and that has no `;` of its own: what follows could
    /// else be read as part of it, as in `x as T` before a line with `(…)`, or a member `get: T` before another.
    pub(super) fn end_statement(&mut self, end: u32) {
        if let Some(start) = self.canvas.blank_ending_at(end) {
            self.canvas.mark(start, b';');
        }
    }
}

/// Whether nothing of a declaration exists when the program runs.
pub(super) fn is_only_types(it: &Declaration<'_>) -> bool {
    match it {
        Declaration::TSTypeAliasDeclaration(_)
        | Declaration::TSInterfaceDeclaration(_)
        | Declaration::TSExternalModuleDeclaration(_)
        | Declaration::TSGlobalDeclaration(_) => true,
        Declaration::TSNamespaceDeclaration(namespace) => namespace.declare || !has_values(namespace),
        _ => is_ambient(it),
    }
}

/// Whether a declaration says only that something exists elsewhere.
fn is_ambient(it: &Declaration<'_>) -> bool {
    match it {
        Declaration::VariableDeclaration(variables) => variables.declare,
        Declaration::FunctionDeclaration(function) => function.declare || function.body.is_none(),
        Declaration::ClassDeclaration(class) => class.declare,
        Declaration::TSEnumDeclaration(declared) => declared.declare,
        _ => false,
    }
}

/// Whether a namespace exists when the program runs. Recursive over nested namespaces.
fn has_values(namespace: &TSNamespaceDeclaration<'_>) -> bool {
    let block = match &namespace.body {
        TSNamespaceDeclarationBody::TSNamespaceDeclaration(inner) => return has_values(inner),
        TSNamespaceDeclarationBody::TSModuleBlock(block) => block,
    };
    block.body.iter().any(|statement| match statement {
        Statement::EmptyStatement(_) => false,
        Statement::ExportDeclaration(export) => !is_only_types(&export.declaration),
        other => !other.as_declaration().is_some_and(is_only_types),
    })
}

impl<'a> Stripper<'a, '_> {
    fn strip_export(&mut self, it: &ExportDeclaration<'a>) {
        self.strip_declaration(&it.declaration, it.span);
    }

    fn strip_export_default(&mut self, it: &ExportDefaultDeclaration<'a>) {
        match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(interface) => {
                self.types.insert(interface.id.name.as_str());
                self.erase_statement(it.span);
            }
            ExportDefaultDeclarationKind::FunctionDeclaration(function) if function.body.is_none() => {
                self.erase_statement(it.span);
            }
            other => {
                if let Some(expression) = other.as_expression() {
                    self.check_statement_start(expression);
                }
                self.visit_export_default_declaration_kind(other);
            }
        }
    }

    fn strip_export_assignment(&mut self, it: &TSExportAssignment<'a>) {
        self.signs.common_js = true;
        self.signs.common_js_statement.get_or_insert(it.span.start);
        let value = it.expression.span().start;
        self.canvas.blank(it.span.start, value);
        self.canvas.insert(value, "module.exports=".to_owned());
        self.visit_expression(&it.expression);
    }
}
