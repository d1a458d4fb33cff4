//! Which tools a program names, as far as its text says so.
//!
//! Found are chains of names that begin at `lockgate.tools`, or at a `const` that stands for a part of such a chain and whose
//! name is declared once in the whole text. Names that are computed, and parts handed to functions, are not followed: what is
//! told is true, and not all there is.

use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use std::collections::HashMap;

/// Most places that are told of.
const MOST: usize = 4096;
/// Levels of an argument that are looked at.
const MOST_LEVELS: u32 = 8;
/// Names in a chain, a few more than `lockgate.tools.server.tool` has: what is longer is no use, and costs nothing to leave.
const MOST_CHAIN: u32 = 6;
/// Longest text of an argument that is kept, in bytes.
const MOST_TEXT: usize = 256;

/// One place where a program names a tool server or a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolUse {
    /// The server.
    pub server: String,
    /// The tool; none where the server is named alone.
    pub tool: Option<String>,
    /// The argument where it is called: [`Shape::Absent`] without one; none where it is not called.
    pub argument: Option<Shape>,
    /// Line of the name that comes last, from 1.
    pub line: u32,
    /// Column of it in UTF-16 code units, from 1.
    pub column: u32,
}

/// What the text says of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// There is none.
    Absent,
    /// Nothing that is certain.
    Unknown,
    /// `null`.
    Null,
    /// A truth value.
    Boolean,
    /// A number.
    Number,
    /// A text, and which one where it is short and written out.
    Text(Option<String>),
    /// A list.
    List,
    /// An object with these keys; `open` where it has others, from a spread or a computed name.
    Object {
        /// The keys that are written out.
        keys: Vec<(String, Shape)>,
        /// Whether there can be more.
        open: bool,
    },
}

/// A place before it is a line and column.
pub(crate) struct FoundUse {
    pub server: String,
    pub tool: Option<String>,
    pub argument: Option<Shape>,
    pub offset: u32,
}

/// Finds the uses in a program, in no particular order. Recursive: run it with [`crate::stack`].
pub(crate) fn find(source: &str, program: &Program<'_>) -> Vec<FoundUse> {
    if !source.contains("tools") {
        return Vec::new();
    }
    let mut names = Names::default();
    names.visit_program(program);
    let mut aliases = Aliases { names: &names.declared, known: HashMap::new(), grew: true };
    // A name can stand for a part of another's; in the order of the text one round is enough, in any other a few.
    for _ in 0..4 {
        if !std::mem::take(&mut aliases.grew) {
            break;
        }
        aliases.visit_program(program);
    }
    let mut finder = Finder { known: &aliases.known, declared: &names.declared, found: Vec::new(), in_chain: false };
    finder.visit_program(program);
    finder.found
}

/// How often each name is declared, in whatever scope.
#[derive(Default)]
struct Names<'a> {
    declared: HashMap<&'a str, u32>,
}

impl<'a> Visit<'a> for Names<'a> {
    fn visit_binding_identifier(&mut self, identifier: &BindingIdentifier<'a>) {
        *self.declared.entry(identifier.name.as_str()).or_default() += 1;
    }
}

/// A chain of names from `lockgate` on.
type Chain = Vec<String>;

struct Aliases<'a, 'n> {
    names: &'n HashMap<&'a str, u32>,
    known: HashMap<&'a str, Chain>,
    grew: bool,
}

impl<'a> Aliases<'a, '_> {
    fn learn(&mut self, pattern: &BindingPattern<'a>, chain: Chain) {
        match pattern {
            BindingPattern::BindingIdentifier(identifier) => {
                let name = identifier.name.as_str();
                if self.names.get(name) == Some(&1) && chain.len() <= 3 && !self.known.contains_key(name) {
                    self.known.insert(name, chain);
                    self.grew = true;
                }
            }
            BindingPattern::ObjectPattern(object) => {
                for property in object.properties.iter().filter(|property| !property.computed) {
                    let Some(key) = property.key.static_name() else { continue };
                    let mut chain = chain.clone();
                    chain.push(key.into_owned());
                    self.learn(&property.value, chain);
                }
            }
            BindingPattern::ArrayPattern(_) | BindingPattern::AssignmentPattern(_) => {}
        }
    }
}

impl<'a> Visit<'a> for Aliases<'a, '_> {
    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        if declaration.kind == VariableDeclarationKind::Const {
            for declarator in &declaration.declarations {
                let chain = declarator.init.as_ref().and_then(|init| chain_of(init, &self.known, self.names));
                if let Some((chain, _)) = chain {
                    self.learn(&declarator.id, chain);
                }
            }
        }
        walk::walk_variable_declaration(self, declaration);
    }
}

/// The names that an expression is made of, from `lockgate` on, and where the last stands.
fn chain_of(
    expression: &Expression<'_>,
    known: &HashMap<&str, Chain>,
    declared: &HashMap<&str, u32>,
) -> Option<(Chain, u32)> {
    chain_within(expression, known, declared, MOST_CHAIN)
}

fn chain_within(
    expression: &Expression<'_>,
    known: &HashMap<&str, Chain>,
    declared: &HashMap<&str, u32>,
    levels: u32,
) -> Option<(Chain, u32)> {
    let levels = levels.checked_sub(1)?;
    match expression.get_inner_expression() {
        Expression::Identifier(identifier) => {
            let name = identifier.name.as_str();
            let offset = identifier.span.start;
            if let Some(chain) = known.get(name) {
                return Some((chain.clone(), offset));
            }
            (name == "lockgate" && !declared.contains_key(name)).then(|| (Vec::new(), offset))
        }
        Expression::StaticMemberExpression(member) if !member.optional => {
            let (mut chain, _) = chain_within(&member.object, known, declared, levels)?;
            chain.push(member.property.name.to_string());
            Some((chain, member.property.span.start))
        }
        Expression::ComputedMemberExpression(member) if !member.optional => {
            let (mut chain, _) = chain_within(&member.object, known, declared, levels)?;
            let Expression::StringLiteral(name) = member.expression.get_inner_expression() else { return None };
            chain.push(name.value.to_string());
            Some((chain, name.span.start))
        }
        _ => None,
    }
}

struct Finder<'a, 'n> {
    known: &'n HashMap<&'a str, Chain>,
    declared: &'n HashMap<&'a str, u32>,
    found: Vec<FoundUse>,
    /// Whether what is looked at is part of a chain with `?.`, which asks whether something is there.
    in_chain: bool,
}

impl<'a> Finder<'a, '_> {
    /// Adds what an expression names; true where it names anything from `lockgate.tools` on.
    fn add(&mut self, expression: &Expression<'a>, argument: Option<Shape>) -> bool {
        let Some((chain, offset)) = chain_of(expression, self.known, self.declared) else { return false };
        let mut chain = chain.into_iter();
        let (Some(tools), Some(server)) = (chain.next(), chain.next()) else { return false };
        let tool = chain.next();
        if self.in_chain || tools != "tools" || chain.next().is_some() || self.found.len() == MOST {
            return false;
        }
        // A server is no function: what is called is not what is named here.
        let argument = argument.filter(|_| tool.is_some());
        self.found.push(FoundUse { server, tool, argument, offset });
        true
    }
}

impl<'a> Visit<'a> for Finder<'a, '_> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let argument = match call.arguments.first() {
            None => Shape::Absent,
            Some(Argument::SpreadElement(_)) => Shape::Unknown,
            Some(argument) => argument.as_expression().map_or(Shape::Unknown, |found| shape_of(found, MOST_LEVELS)),
        };
        let is_use = !call.optional && self.add(&call.callee, Some(argument));
        if !is_use {
            self.visit_expression(&call.callee);
        }
        self.visit_arguments(&call.arguments);
    }

    fn visit_chain_expression(&mut self, chain: &ChainExpression<'a>) {
        let before = std::mem::replace(&mut self.in_chain, true);
        walk::walk_chain_expression(self, chain);
        self.in_chain = before;
    }

    fn visit_expression(&mut self, expression: &Expression<'a>) {
        let is_member =
            matches!(expression, Expression::StaticMemberExpression(_) | Expression::ComputedMemberExpression(_));
        if !(is_member && self.add(expression, None)) {
            walk::walk_expression(self, expression);
        }
    }
}

fn shape_of(expression: &Expression<'_>, levels: u32) -> Shape {
    if levels == 0 {
        return Shape::Unknown;
    }
    match expression.get_inner_expression() {
        Expression::NullLiteral(_) => Shape::Null,
        Expression::BooleanLiteral(_) => Shape::Boolean,
        Expression::NumericLiteral(_) => Shape::Number,
        Expression::UnaryExpression(unary)
            if matches!(unary.operator, UnaryOperator::UnaryNegation | UnaryOperator::UnaryPlus)
                && matches!(unary.argument, Expression::NumericLiteral(_)) =>
        {
            Shape::Number
        }
        Expression::StringLiteral(text) => Shape::Text((text.value.len() <= MOST_TEXT).then(|| text.value.to_string())),
        Expression::TemplateLiteral(_) => Shape::Text(None),
        Expression::ArrayExpression(_) => Shape::List,
        Expression::ObjectExpression(object) => object_shape(object, levels),
        _ => Shape::Unknown,
    }
}

fn object_shape(object: &ObjectExpression<'_>, levels: u32) -> Shape {
    let (mut keys, mut open) = (Vec::new(), false);
    for property in &object.properties {
        match property {
            ObjectPropertyKind::ObjectProperty(property) if !property.computed => match property.key.static_name() {
                Some(name) => keys.push((name.into_owned(), shape_of(&property.value, levels - 1))),
                None => open = true,
            },
            _ => open = true,
        }
    }
    Shape::Object { keys, open }
}
