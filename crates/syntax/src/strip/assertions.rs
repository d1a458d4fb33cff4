//! Places where a type assertion does more than say a type: it groups, or it keeps a statement from beginning otherwise.

use oxc_ast::ast::*;
use oxc_span::GetSpan;
use oxc_syntax::precedence::{GetPrecedence, Precedence};

use super::visit::Stripper;
use crate::text::{has_line_terminator, word_at};

impl<'a> Stripper<'a, '_> {
    /// Refuses `a + b as T * c`, which means `(a + b) * c` with the assertion and `a + b * c` without.
    pub(super) fn check_binary(&mut self, it: &BinaryExpression<'a>) {
        let asserted = match &it.left {
            Expression::TSAsExpression(_) | Expression::TSSatisfiesExpression(_) => innermost(&it.left),
            _ => return,
        };
        let inner = match asserted {
            Expression::BinaryExpression(binary) => binary.operator.precedence(),
            Expression::PrivateInExpression(_) => Precedence::Compare,
            Expression::UnaryExpression(_) | Expression::AwaitExpression(_) | Expression::TSTypeAssertion(_) => {
                Precedence::Prefix
            }
            _ => return,
        };
        let outer = it.operator.precedence();
        // `**` alone groups from the right, and takes no unary operator on its left.
        if inner < outer || it.operator == BinaryOperator::Exponential {
            self.refuse(
                it.span.start,
                "the type assertion on the left of this operator groups its operands",
                "put the assertion in parentheses",
            );
        }
    }

    /// Refuses `<T>{…}` and the like at the start of a statement, which would begin a block or a declaration.
    pub(super) fn check_statement_start(&mut self, it: &Expression<'a>) {
        let Some(value) = leading_assertion(it) else { return };
        let begins_otherwise = matches!(word_at(self.source, value as usize), "function" | "class" | "async" | "let");
        if self.byte(value) == b'{' || begins_otherwise {
            self.refuse(it.span().start, "a statement that begins with `<T>`", "write `value as T` in parentheses");
        }
    }

    /// Refuses `=> <T>{…}`, which would be a function body.
    pub(super) fn check_arrow_body(&mut self, it: &Expression<'a>) {
        if leading_assertion(it).is_some_and(|value| self.byte(value) == b'{') {
            self.refuse(it.span().start, "a result that begins with `<T>`", "write `value as T` in parentheses");
        }
    }

    /// Refuses `return <T>` with its value on a later line: without the assertion, the statement ends with the line.
    pub(super) fn check_same_line(&mut self, it: Option<&Expression<'a>>) {
        let Some(it) = it else { return };
        let start = it.span().start;
        if leading_assertion(it).is_some_and(|value| has_line_terminator(self.text(start, value))) {
            self.refuse(start, "a value on another line than its `<T>`", "write `value as T`");
        }
    }
}

/// What `as` and `satisfies` are applied to.
fn innermost<'e, 'a>(mut it: &'e Expression<'a>) -> &'e Expression<'a> {
    loop {
        it = match it {
            Expression::TSAsExpression(inner) => &inner.expression,
            Expression::TSSatisfiesExpression(inner) => &inner.expression,
            _ => return it,
        }
    }
}

/// If the first token of `it` is the `<` of a type assertion: where the value begins.
fn leading_assertion(mut it: &Expression<'_>) -> Option<u32> {
    let mut found = None;
    loop {
        it = match it {
            Expression::TSTypeAssertion(inner) => {
                found = Some(inner.expression.span().start);
                &inner.expression
            }
            Expression::TSAsExpression(inner) => &inner.expression,
            Expression::TSSatisfiesExpression(inner) => &inner.expression,
            Expression::TSNonNullExpression(inner) => &inner.expression,
            Expression::TSInstantiationExpression(inner) => &inner.expression,
            Expression::BinaryExpression(inner) => &inner.left,
            Expression::LogicalExpression(inner) => &inner.left,
            Expression::ConditionalExpression(inner) => &inner.test,
            Expression::SequenceExpression(inner) => inner.expressions.first()?,
            Expression::CallExpression(inner) => &inner.callee,
            Expression::TaggedTemplateExpression(inner) => &inner.tag,
            Expression::StaticMemberExpression(inner) => &inner.object,
            Expression::ComputedMemberExpression(inner) => &inner.object,
            Expression::PrivateFieldExpression(inner) => &inner.object,
            Expression::AssignmentExpression(inner) => return found.or_else(|| leading_target(&inner.left)),
            Expression::UpdateExpression(inner) if !inner.prefix => return found,
            _ => return found,
        }
    }
}

/// The same of what is assigned to.
fn leading_target(it: &AssignmentTarget<'_>) -> Option<u32> {
    match it {
        AssignmentTarget::TSTypeAssertion(inner) => {
            Some(leading_assertion(&inner.expression).unwrap_or(inner.expression.span().start))
        }
        _ => it.as_member_expression().and_then(|member| leading_assertion(member.object())),
    }
}
