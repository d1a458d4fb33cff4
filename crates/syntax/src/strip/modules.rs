//! Imports and exports: which of them are only about types is known when the whole text has been walked.

use oxc_ast::ast::*;
use oxc_span::{GetSpan, Span};

use super::statements::is_only_types;
use super::visit::Stripper;
use crate::ImportKind;

impl<'a> Stripper<'a, '_> {
    /// Removes the imports and exports of types, and notes the others.
    pub(super) fn settle_modules(&mut self, program: &Program<'a>) {
        for statement in &program.body {
            self.note_exported_names(statement);
        }
        for statement in &program.body {
            match statement {
                Statement::ImportDeclaration(import) => self.settle_import(import),
                Statement::ExportNamedDeclaration(export) => self.settle_export(export),
                Statement::ExportFromDeclaration(export) => self.settle_export_from(export),
                Statement::ExportAllDeclaration(export) => self.settle_export_all(export),
                Statement::ExportDefaultDeclaration(export) => self.settle_export_default(export),
                Statement::ExportDeclaration(export) => self.settle_export_declaration(export),
                Statement::TSImportEqualsDeclaration(import) => self.settle_import_equals(import, import.span),
                _ => {}
            }
        }
    }

    /// Names that are exported or renamed count as used; names that are imported as types are types.
    fn note_exported_names(&mut self, statement: &Statement<'a>) {
        match statement {
            Statement::ExportNamedDeclaration(export) if !export.export_kind.is_type() => {
                let values = export.specifiers.iter().filter(|specifier| !specifier.export_kind.is_type());
                self.used.extend(values.filter_map(|specifier| match &specifier.local {
                    ModuleExportName::IdentifierReference(name) => Some(name.name.as_str()),
                    _ => None,
                }));
            }
            Statement::ImportDeclaration(import) => {
                for specifier in import.specifiers.iter().flatten() {
                    let is_type = import.import_kind.is_type() || is_type_specifier(specifier);
                    let names = if is_type { &mut self.types } else { &mut self.bound };
                    names.insert(specifier.local().name.as_str());
                }
            }
            Statement::TSImportEqualsDeclaration(import) => self.note_renamed(import),
            Statement::ExportDeclaration(export) => {
                if let Declaration::TSImportEqualsDeclaration(import) = &export.declaration {
                    self.used.insert(import.id.name.as_str());
                    self.note_renamed(import);
                }
            }
            _ => {}
        }
    }

    fn note_renamed(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        if import.import_kind.is_type() {
            self.types.insert(import.id.name.as_str());
            return;
        }
        self.bound.insert(import.id.name.as_str());
        let mut root = match &import.module_reference {
            TSModuleReference::ExternalModuleReference(_) => return,
            TSModuleReference::IdentifierReference(name) => {
                self.used.insert(name.name.as_str());
                return;
            }
            TSModuleReference::QualifiedName(name) => &name.left,
        };
        loop {
            root = match root {
                TSTypeName::QualifiedName(name) => &name.left,
                TSTypeName::IdentifierReference(name) => {
                    self.used.insert(name.name.as_str());
                    return;
                }
                TSTypeName::ThisExpression(_) => return,
            };
        }
    }

    fn settle_import(&mut self, it: &ImportDeclaration<'a>) {
        if it.import_kind.is_type() {
            return self.erase_statement(it.span);
        }
        let specifiers = it.specifiers.as_ref().map_or(&[][..], |specifiers| specifiers.as_slice());
        let unused = |this: &Self, specifier: &ImportDeclarationSpecifier<'a>| {
            is_type_specifier(specifier) || (this.typescript && !this.used.contains(specifier.local().name.as_str()))
        };
        if !specifiers.is_empty() && specifiers.iter().all(|specifier| unused(self, specifier)) {
            return self.erase_statement(it.span);
        }
        self.note_module_statement(it.span);
        self.found_import(&it.source, false, ImportKind::Import);
        if let Some((first, rest)) = specifiers.split_first()
            && !matches!(first, ImportDeclarationSpecifier::ImportSpecifier(_))
            && !rest.is_empty()
            && rest.iter().all(|specifier| unused(self, specifier))
        {
            // `import a, { T } from` becomes `import a from`.
            return self.blank_after_default(first.span().end, rest);
        }
        for specifier in specifiers {
            if unused(self, specifier) {
                self.blank_list_item(specifier.span());
            }
        }
    }

    /// Removes what follows a default import, from its comma to the closing brace.
    fn blank_after_default(&mut self, default_end: u32, rest: &[ImportDeclarationSpecifier<'a>]) {
        let Some(last) = rest.last() else { return };
        let mut end = last.span().end;
        if matches!(last, ImportDeclarationSpecifier::ImportSpecifier(_)) {
            end = self.next_token(end);
            if self.byte(end) == b',' {
                end = self.next_token(end + 1);
            }
            end += 1;
        }
        self.canvas.blank(self.next_token(default_end), end);
    }

    /// Removes one of several things, with the comma after it if there is one.
    fn blank_list_item(&mut self, span: Span) {
        self.canvas.blank(span.start, span.end);
        self.blank_token(span.end, b',');
    }

    fn settle_export(&mut self, it: &ExportNamedDeclaration<'a>) {
        if it.export_kind.is_type() {
            return self.erase_statement(it.span);
        }
        self.note_module_statement(it.span);
        for specifier in &it.specifiers {
            if specifier.export_kind.is_type() || self.is_only_a_type(&specifier.local) {
                self.blank_list_item(specifier.span);
            }
        }
    }

    fn settle_export_from(&mut self, it: &ExportFromDeclaration<'a>) {
        let all_types = !it.specifiers.is_empty() && it.specifiers.iter().all(|one| one.export_kind.is_type());
        if it.export_kind.is_type() || all_types {
            return self.erase_statement(it.span);
        }
        self.note_module_statement(it.span);
        self.found_import(&it.source, false, ImportKind::Import);
        for specifier in it.specifiers.iter().filter(|specifier| specifier.export_kind.is_type()) {
            self.blank_list_item(specifier.span);
        }
    }

    fn settle_export_all(&mut self, it: &ExportAllDeclaration<'a>) {
        if it.export_kind.is_type() {
            return self.erase_statement(it.span);
        }
        self.note_module_statement(it.span);
        self.found_import(&it.source, false, ImportKind::Import);
    }

    fn settle_export_default(&mut self, it: &ExportDefaultDeclaration<'a>) {
        match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => {}
            ExportDefaultDeclarationKind::FunctionDeclaration(function) if function.body.is_none() => {}
            ExportDefaultDeclarationKind::Identifier(name) if self.names_only_a_type(name.name.as_str()) => {
                self.erase_statement(it.span);
            }
            _ => self.note_module_statement(it.span),
        }
    }

    /// `export` before a declaration; those that were types are gone already.
    fn settle_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        match &it.declaration {
            Declaration::TSImportEqualsDeclaration(import) => {
                self.note_module_statement(it.span);
                self.settle_import_equals(import, it.span);
            }
            declaration if is_only_types(declaration) => {}
            _ => self.note_module_statement(it.span),
        }
    }

    /// `import x = require("…")` and `import A = B.C` become `const`, which is shorter than `import`.
    fn settle_import_equals(&mut self, it: &TSImportEqualsDeclaration<'a>, whole: Span) {
        if it.import_kind.is_type() || !self.used.contains(it.id.name.as_str()) {
            return self.erase_statement(whole);
        }
        self.canvas.blank(it.span.start, it.id.span.start);
        self.canvas.overwrite(it.span.start, "const");
        if let TSModuleReference::ExternalModuleReference(module) = &it.module_reference {
            self.signs.common_js = true;
            self.signs.common_js_statement.get_or_insert(it.span.start);
            self.found_import(&module.expression, false, ImportKind::Require);
        }
    }

    fn is_only_a_type(&self, name: &ModuleExportName<'a>) -> bool {
        matches!(name, ModuleExportName::IdentifierReference(name) if self.names_only_a_type(name.name.as_str()))
    }

    fn names_only_a_type(&self, name: &str) -> bool {
        self.types.contains(name) && !self.bound.contains(name)
    }

    fn note_module_statement(&mut self, span: Span) {
        self.signs.esm = true;
        let first = self.signs.module_statement.get_or_insert(span.start);
        *first = (*first).min(span.start);
    }
}

fn is_type_specifier(it: &ImportDeclarationSpecifier<'_>) -> bool {
    matches!(it, ImportDeclarationSpecifier::ImportSpecifier(specifier) if specifier.import_kind.is_type())
}
