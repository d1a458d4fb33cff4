//! Parameters and arrow functions.

use oxc_ast::ast::*;
use oxc_ast_visit::Visit;
use oxc_span::GetSpan;

use super::visit::Stripper;
use crate::text::has_line_terminator;

impl<'a> Stripper<'a, '_> {
    pub(super) fn strip_parameter(&mut self, it: &FormalParameter<'a>) {
        self.visit_decorators(&it.decorators);
        if it.accessibility.is_some() || it.readonly || it.r#override {
            self.blank_modifiers(it.span.start, it.pattern.span().start);
        }
        self.visit_binding_pattern(&it.pattern);
        if it.optional {
            self.blank_token(it.pattern.span().end, b'?');
        }
        if let Some(annotation) = &it.type_annotation {
            self.visit_ts_type_annotation(annotation);
        }
        if let Some(initializer) = &it.initializer {
            self.visit_expression(initializer);
        }
    }

    /// Strips an arrow function, whose parameters must begin on the line of what is before them and whose `=>` must stand
    /// on the line of the `)`. Where a removed type spans lines, its first or last character becomes the parenthesis.
    pub(super) fn strip_arrow(&mut self, it: &ArrowFunctionExpression<'a>) {
        if let Some(parameters) = &it.type_parameters {
            let (start, open) = (parameters.span.start, it.params.span.start);
            self.canvas.blank(start, parameters.span.end);
            if has_line_terminator(self.text(start, open)) {
                self.canvas.mark(start, b'(');
                self.canvas.mark(open, b' ');
            }
        }
        self.in_function(|this| {
            this.visit_formal_parameters(&it.params);
            if let Some(result) = &it.return_type {
                let (close, end) = (it.params.span.end - 1, result.span.end);
                this.canvas.blank(result.span.start, end);
                if has_line_terminator(this.text(close, end)) {
                    this.canvas.mark(close, b' ');
                    let last_line =
                        this.text(close, end).rsplit(['\n', '\r', '\u{2028}', '\u{2029}']).next().unwrap_or("");
                    let from_end = last_line.bytes().rev().position(|byte| byte.is_ascii()).unwrap_or(0);
                    this.canvas.mark(end - 1 - from_end as u32, b')');
                }
            }
            if let Some(expression) = it.body.as_expression() {
                this.check_arrow_body(expression);
            }
            this.visit_arrow_function_body(&it.body);
        });
    }
}
