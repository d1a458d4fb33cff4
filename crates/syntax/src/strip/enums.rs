//! Enums become objects in place; a helper at the end of the text adds TypeScript's map from value to name.

use std::collections::{HashMap, HashSet};

use oxc_ast::ast::*;
use oxc_ast_visit::Visit;
use oxc_ecmascript::ToInt32;
use oxc_span::GetSpan;
use oxc_syntax::operator::{BinaryOperator, UnaryOperator};

use super::canvas::Canvas;
use super::visit::Stripper;

/// The longest text, in bytes, that is computed for a member from others: each may double the one before.
const MAX_COMPUTED_TEXT_BYTES: usize = 4096;

/// The name of the helper where the text does not use it.
const HELPER: &str = "$enum";

/// What the enums of a text need besides their own place.
#[derive(Default)]
pub(super) struct Enums {
    helper: Option<String>,
}

impl Enums {
    /// The name of the helper, which appears nowhere in `source`.
    fn helper(&mut self, source: &str) -> &str {
        self.helper.get_or_insert_with(|| {
            let mut name = HELPER.to_owned();
            while source.contains(&name) {
                name.push('_');
            }
            name
        })
    }

    /// Writes the helper on a line of its own after the text, if an enum needs it.
    pub(super) fn append_helper(&self, canvas: &mut Canvas<'_>, source: &str) {
        let Some(name) = &self.helper else { return };
        let body = "{for(const k of Object.keys(o)){const v=o[k];if(typeof v===\"number\")o[v]=k}return o}";
        canvas.insert(source.len() as u32, format!("\nfunction {name}(o){body}"));
    }
}

/// A member's value, where it can be told without running the program.
#[derive(Clone, Debug, PartialEq)]
enum Constant {
    Number(f64),
    Text(String),
}

impl<'a> Stripper<'a, '_> {
    /// Makes `enum E { A, B = 2 }` into `let  E =$enum({ A:0, B : 2 });`.
    pub(super) fn strip_enum(&mut self, it: &TSEnumDeclaration<'a>) {
        self.bound.insert(it.id.name.as_str());
        self.canvas.blank(it.span.start, it.id.span.start);
        self.canvas.overwrite(it.span.start, "let");
        let opening = format!("={}(", self.enums.helper(self.source));
        self.canvas.insert(it.body.span.start, opening);
        let members: HashSet<&str> = it.body.members.iter().filter_map(|member| name_of(&member.id)).collect();
        let mut known = Known { of: it.id.name.as_str(), values: HashMap::new() };
        let mut last = Some(Constant::Number(-1.0));
        for member in &it.body.members {
            last = self.strip_enum_member(member, &members, &known, last);
            if let (Some(name), Some(value)) = (name_of(&member.id), &last) {
                known.values.insert(name, value.clone());
            }
        }
        self.canvas.insert(it.body.span.end, ");".to_owned());
    }

    /// Strips one member; returns its value if that is known.
    fn strip_enum_member(
        &mut self,
        it: &TSEnumMember<'a>,
        members: &HashSet<&str>,
        known: &Known<'_>,
        last: Option<Constant>,
    ) -> Option<Constant> {
        if name_of(&it.id) == Some("__proto__") {
            self.refuse(it.span.start, "an enum member named `__proto__`", "give it another name");
        }
        let Some(initializer) = &it.initializer else { return self.number_member(it, last) };
        let mut key_end = self.next_token(it.id.span().end);
        if self.byte(key_end) == b']' {
            key_end = self.next_token(key_end + 1);
        }
        self.canvas.mark(key_end, b':');
        let value = known.evaluate(initializer);
        if !mentions(initializer, members, known.of) {
            self.visit_expression(initializer);
        } else if let Some(value) = &value {
            let span = initializer.span();
            self.canvas.blank(span.start, span.end);
            self.canvas.insert(span.start, value.as_javascript());
        } else {
            self.refuse(
                initializer.span().start,
                "an enum member computed from other members of the enum",
                "write its value, or a constant outside of the enum",
            );
        }
        value
    }

    /// Numbers a member that has no value of its own.
    fn number_member(&mut self, it: &TSEnumMember<'a>, last: Option<Constant>) -> Option<Constant> {
        let Some(Constant::Number(number)) = last else {
            self.refuse(it.span.start, "an enum member without a value after one that is no number", "give it a value");
            return None;
        };
        let value = Constant::Number(number + 1.0);
        self.canvas.insert(it.span.end, format!(":{}", value.as_javascript()));
        Some(value)
    }
}

fn name_of<'e>(it: &'e TSEnumMemberName<'_>) -> Option<&'e str> {
    match it {
        TSEnumMemberName::Identifier(name) => Some(name.name.as_str()),
        TSEnumMemberName::String(literal) | TSEnumMemberName::ComputedString(literal) => Some(literal.value.as_str()),
        TSEnumMemberName::ComputedTemplateString(template) => {
            template.quasis.first().and_then(|quasi| quasi.value.cooked.as_ref()).map(|text| text.as_str())
        }
    }
}

/// Whether an expression names the enum or one of its members, which are no variables when the program runs.
fn mentions(it: &Expression<'_>, members: &HashSet<&str>, of: &str) -> bool {
    let mut search = Mentions { members, of, found: false };
    search.visit_expression(it);
    search.found
}

struct Mentions<'m> {
    members: &'m HashSet<&'m str>,
    of: &'m str,
    found: bool,
}

impl<'a> Visit<'a> for Mentions<'_> {
    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let name = it.name.as_str();
        self.found |= name == self.of || self.members.contains(name);
    }
}

/// The members before the one being evaluated.
struct Known<'e> {
    of: &'e str,
    values: HashMap<&'e str, Constant>,
}

impl Known<'_> {
    fn evaluate(&self, it: &Expression<'_>) -> Option<Constant> {
        match it {
            Expression::NumericLiteral(literal) => Some(Constant::Number(literal.value)),
            Expression::StringLiteral(literal) if !literal.lone_surrogates => {
                Some(Constant::Text(literal.value.to_string()))
            }
            Expression::TemplateLiteral(template) => self.template(template),
            Expression::ParenthesizedExpression(inner) => self.evaluate(&inner.expression),
            Expression::Identifier(name) => match name.name.as_str() {
                name if self.values.contains_key(name) => self.values.get(name).cloned(),
                "NaN" => Some(Constant::Number(f64::NAN)),
                "Infinity" => Some(Constant::Number(f64::INFINITY)),
                _ => None,
            },
            Expression::StaticMemberExpression(member) if member.object.is_specific_id(self.of) => {
                self.values.get(member.property.name.as_str()).cloned()
            }
            Expression::ComputedMemberExpression(member) if member.object.is_specific_id(self.of) => {
                match &member.expression {
                    Expression::StringLiteral(name) => self.values.get(name.value.as_str()).cloned(),
                    _ => None,
                }
            }
            Expression::UnaryExpression(unary) => match (unary.operator, self.evaluate(&unary.argument)?) {
                (UnaryOperator::UnaryPlus, Constant::Number(n)) => Some(Constant::Number(n)),
                (UnaryOperator::UnaryNegation, Constant::Number(n)) => Some(Constant::Number(-n)),
                (UnaryOperator::BitwiseNot, Constant::Number(n)) => Some(Constant::Number(f64::from(!n.to_int_32()))),
                _ => None,
            },
            Expression::BinaryExpression(binary) => {
                match (self.evaluate(&binary.left)?, self.evaluate(&binary.right)?) {
                    (Constant::Number(left), Constant::Number(right)) => calculate(binary.operator, left, right),
                    (Constant::Text(left), Constant::Text(right)) if binary.operator == BinaryOperator::Addition => {
                        bounded(left + &right)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn template(&self, it: &TemplateLiteral<'_>) -> Option<Constant> {
        let mut text = String::new();
        for (index, quasi) in it.quasis.iter().enumerate() {
            text.push_str(quasi.value.cooked.as_ref().filter(|_| !quasi.lone_surrogates)?);
            match it.expressions.get(index).map(|part| self.evaluate(part)) {
                None => {}
                Some(Some(Constant::Text(part))) if text.len() <= MAX_COMPUTED_TEXT_BYTES => text.push_str(&part),
                Some(_) => return None,
            }
        }
        bounded(text)
    }
}

fn bounded(text: String) -> Option<Constant> {
    (text.len() <= MAX_COMPUTED_TEXT_BYTES).then_some(Constant::Text(text))
}

/// Arithmetic as JavaScript does it.
fn calculate(operator: BinaryOperator, left: f64, right: f64) -> Option<Constant> {
    let (left_bits, shift) = (left.to_int_32(), right.to_int_32() as u32 & 31);
    Some(Constant::Number(match operator {
        BinaryOperator::Addition => left + right,
        BinaryOperator::Subtraction => left - right,
        BinaryOperator::Multiplication => left * right,
        BinaryOperator::Division => left / right,
        BinaryOperator::Remainder => left % right,
        BinaryOperator::Exponential if right.is_nan() || (left.abs() == 1.0 && right.is_infinite()) => f64::NAN,
        BinaryOperator::Exponential => left.powf(right),
        BinaryOperator::ShiftLeft => f64::from(left_bits << shift),
        BinaryOperator::ShiftRight => f64::from(left_bits >> shift),
        BinaryOperator::ShiftRightZeroFill => f64::from(left_bits as u32 >> shift),
        BinaryOperator::BitwiseAnd => f64::from(left_bits & right.to_int_32()),
        BinaryOperator::BitwiseOR => f64::from(left_bits | right.to_int_32()),
        BinaryOperator::BitwiseXOR => f64::from(left_bits ^ right.to_int_32()),
        _ => return None,
    }))
}

impl Constant {
    /// The value as a JavaScript expression.
    fn as_javascript(&self) -> String {
        match self {
            Self::Number(number) if number.is_nan() => "NaN".to_owned(),
            Self::Number(number) if number.is_infinite() => if *number > 0.0 { "1/0" } else { "-1/0" }.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => {
                let escaped: String = text
                    .chars()
                    .map(|c| match c {
                        '"' | '\\' => format!("\\{c}"),
                        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => format!("\\u{{{:x}}}", c as u32),
                        c => c.to_string(),
                    })
                    .collect();
                format!("\"{escaped}\"")
            }
        }
    }
}
