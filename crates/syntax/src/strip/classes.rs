//! Classes and their members.

use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use super::visit::Stripper;
use crate::text::word_at;

/// Words that TypeScript allows before a member, a parameter or `class`.
const MODIFIERS: &[&str] = &["public", "private", "protected", "readonly", "override", "abstract", "declare"];

impl<'a> Stripper<'a, '_> {
    pub(super) fn strip_class(&mut self, it: &Class<'a>) {
        self.visit_decorators(&it.decorators);
        if it.r#abstract {
            self.blank_modifiers(it.span.start, it.body.span.start);
        }
        let mut head_end = None;
        if let Some(id) = &it.id {
            self.visit_binding_identifier(id);
            head_end = Some(id.span.end);
        }
        if let Some(parameters) = &it.type_parameters {
            self.visit_ts_type_parameter_declaration(parameters);
            head_end = Some(parameters.span.end);
        }
        if let Some(heritage) = &it.heritage {
            self.visit_class_heritage(heritage);
            let arguments = heritage.type_arguments.as_ref().map(|arguments| arguments.span.end);
            head_end = Some(arguments.unwrap_or(heritage.expression.span().end));
        }
        if let Some(last) = it.implements.last() {
            // Without a name or anything else before it, `implements` follows `class`.
            let class_end = it.span.start + u32::try_from("class".len()).unwrap_or(0);
            let start = self.next_token(head_end.unwrap_or(class_end));
            self.canvas.blank(start, last.span.end);
        }
        for element in &it.body.body {
            self.strip_member(it, element);
        }
    }

    fn strip_member(&mut self, class: &Class<'a>, it: &ClassElement<'a>) {
        match it {
            ClassElement::StaticBlock(block) => self.in_function(|this| walk::walk_static_block(this, block)),
            ClassElement::TSIndexSignature(signature) => self.erase_statement(signature.span),
            ClassElement::MethodDefinition(method) => self.strip_method(class, method),
            ClassElement::PropertyDefinition(property) => self.strip_property(property),
            ClassElement::AccessorProperty(accessor) => {
                if accessor.r#type == AccessorPropertyType::TSAbstractAccessorProperty {
                    self.erase_statement(accessor.span);
                } else {
                    self.refuse(
                        accessor.span.start,
                        "`accessor` fields are not run",
                        "write a getter and a setter, or a plain field",
                    );
                }
            }
        }
        self.end_statement(it.span().end);
    }

    fn strip_method(&mut self, class: &Class<'a>, it: &MethodDefinition<'a>) {
        self.visit_decorators(&it.decorators);
        let Some(body) = &it.value.body else { return self.erase_statement(it.span) };
        self.strip_modifiers(it.span, it.key.span().start);
        self.visit_property_key(&it.key);
        if it.optional {
            self.blank_after_key(it.key.span().end, b'?');
        }
        self.visit_function(&it.value, oxc_syntax::scope::ScopeFlags::Function);
        if it.kind == MethodDefinitionKind::Constructor {
            self.assign_parameter_properties(class, &it.value.params, body);
        }
    }

    fn strip_property(&mut self, it: &PropertyDefinition<'a>) {
        self.visit_decorators(&it.decorators);
        if it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition {
            return self.erase_statement(it.span);
        }
        self.strip_modifiers(it.span, it.key.span().start);
        self.visit_property_key(&it.key);
        if it.optional {
            self.blank_after_key(it.key.span().end, b'?');
        }
        if it.definite {
            self.blank_after_key(it.key.span().end, b'!');
        }
        if let Some(annotation) = &it.type_annotation {
            self.visit_ts_type_annotation(annotation);
        }
        if let Some(value) = &it.value {
            self.in_function(|this| this.visit_expression(value));
        }
    }

    /// Removes the modifiers of a member. A `;` in the place of a first one keeps `[` and `*` from continuing the member
    /// before.
    fn strip_modifiers(&mut self, member: Span, key: u32) {
        if self.blank_modifiers(member.start, key) == Some(member.start) {
            self.canvas.mark(member.start, b';');
        }
    }

    /// Removes the modifier words between `start` and `end`; returns where the first of them was.
    pub(super) fn blank_modifiers(&mut self, start: u32, end: u32) -> Option<u32> {
        let mut first = None;
        let mut at = self.next_token(start);
        while at < end {
            let word = word_at(self.source, at as usize);
            if word.is_empty() {
                break;
            }
            let word_end = at + word.len() as u32;
            if MODIFIERS.contains(&word) {
                self.canvas.blank(at, word_end);
                first = first.or(Some(at));
            }
            at = self.next_token(word_end);
        }
        first
    }

    /// Removes `token` after a member's name, which may end with a `]`.
    fn blank_after_key(&mut self, key_end: u32, token: u8) {
        let mut at = self.next_token(key_end);
        if self.byte(at) == b']' {
            at += 1;
        }
        self.blank_token(at, token);
    }

    /// Makes the fields that a constructor declares in its parameters.
    fn assign_parameter_properties(&mut self, class: &Class<'a>, it: &FormalParameters<'a>, body: &FunctionBody<'a>) {
        let mut assignments = String::new();
        for parameter in &it.items {
            if parameter.accessibility.is_none() && !parameter.readonly && !parameter.r#override {
                continue;
            }
            let BindingPattern::BindingIdentifier(name) = &parameter.pattern else {
                let start = parameter.span.start;
                return self.refuse(start, "a parameter property must have a name", "declare the fields in the class");
            };
            let name = self.text(name.span.start, name.span.end);
            assignments.push_str(&format!("this.{name}={name};"));
        }
        if assignments.is_empty() {
            return;
        }
        if class.heritage.is_none() {
            return self.canvas.insert(body.span.start + 1, assignments);
        }
        match body.statements.iter().find(|statement| is_super_call(statement)) {
            Some(call) => self.canvas.insert(call.span().end, format!(";{assignments}")),
            None => self.refuse(
                it.span.start,
                "parameter properties in a constructor that calls `super` other than as a statement of its own",
                "declare the fields in the class, and assign them in the constructor",
            ),
        }
    }
}

fn is_super_call(it: &Statement<'_>) -> bool {
    let Statement::ExpressionStatement(statement) = it else { return false };
    matches!(&statement.expression, Expression::CallExpression(call) if matches!(call.callee, Expression::Super(_)))
}
