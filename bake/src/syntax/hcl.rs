//! HCL: its parser's trees as ours.

use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{
    BinaryOperator, Expression as Hcl, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator,
    UnaryOperator,
};
use hcl_edit::parser;
use hcl_edit::structure::{Block as HclBlock, BlockLabel, Body as HclBody, Structure};

use super::body::{Attribute, Block, Body, Label};
use super::expression::{Binary, Expression, For, Form, Key, Part, Step, StepKind, Unary};
use super::template::Sort;
use crate::error::{Fault, Problem};
use crate::number::Number;
use crate::source::{FileId, Span};
use crate::value::Value;

/// The deepest nesting of brackets that is parsed: the parser is recursive, and a thread's stack is not
/// endless. Real files nest five deep.
const MAX_DEPTH: usize = 128;

/// Parses a file.
pub(crate) fn parse(text: &str, file: FileId) -> Result<Body, Fault> {
    let whole = Span { file, start: 0, end: text.len() };
    refuse_depth(text, whole)?;
    let body = parser::parse_body(text).map_err(|error| {
        let start = error.location().offset();
        Problem::Syntax(error.message().to_owned()).at(Span { file, start, end: start })
    })?;
    Lowering { text, whole, is_exact: true }.body(&body)
}

/// The template that a string of a JSON file is.
pub(crate) fn parse_template(text: &str, place: Span) -> Result<Expression, Fault> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(Expression { form: Form::Literal(Value::string(text)), span: place });
    }
    refuse_depth(text, place)?;
    let template = parser::parse_template(text)
        .map_err(|error| Problem::Syntax(error.message().to_owned()).at(place))?;
    let lowering = Lowering { text, whole: place, is_exact: false };
    let parts = lowering.template(template.iter(), Sort::Quoted)?;
    Ok(Expression { form: template_form(parts), span: place })
}

/// An expression that is written as a string of a JSON file.
pub(crate) fn parse_expression(text: &str, place: Span) -> Result<Expression, Fault> {
    refuse_depth(text, place)?;
    let expression = parser::parse_expr(text)
        .map_err(|error| Problem::Syntax(error.message().to_owned()).at(place))?;
    Lowering { text, whole: place, is_exact: false }.expression(&expression)
}

pub(super) fn refuse_depth(text: &str, span: Span) -> Result<(), Fault> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let text = format!("brackets are nested more than {MAX_DEPTH} deep");
            return Err(Problem::Syntax(text).at(span));
        }
    }
    Ok(())
}

/// A template of one value is that value, whatever its type.
pub(super) fn template_form(parts: Vec<Part>) -> Form {
    match <[Part; 1]>::try_from(parts) {
        Ok([Part::Value(value)]) => value.form,
        Ok([Part::Text(text)]) => Form::Literal(Value::String(text)),
        Ok([part]) => Form::Template(vec![part]),
        Err(parts) if parts.is_empty() => Form::Literal(Value::string("")),
        Err(parts) => Form::Template(parts),
    }
}

/// What is needed to make our trees.
#[derive(Clone, Copy)]
pub(super) struct Lowering<'a> {
    pub(super) text: &'a str,
    pub(super) whole: Span,
    /// Whether offsets are those of the file.
    pub(super) is_exact: bool,
}

impl Lowering<'_> {
    pub(super) fn span(&self, range: Option<Range<usize>>) -> Span {
        match range {
            Some(range) if self.is_exact => {
                Span { file: self.whole.file, start: range.start, end: range.end }
            }
            _ => self.whole,
        }
    }

    fn body(&self, body: &HclBody) -> Result<Body, Fault> {
        let mut out = Body::default();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => out.attributes.push(Attribute {
                    name: attribute.key.to_string(),
                    span: self.span(attribute.key.span()),
                    value: self.expression(&attribute.value)?,
                }),
                Structure::Block(block) => out.blocks.push(self.block(block)?),
            }
        }
        Ok(out)
    }

    fn block(&self, block: &HclBlock) -> Result<Block, Fault> {
        let label = |label: &BlockLabel| match label {
            BlockLabel::Ident(name) => {
                Label { text: name.to_string(), span: self.span(name.span()) }
            }
            BlockLabel::String(text) => {
                Label { text: text.as_str().to_owned(), span: self.span(text.span()) }
            }
        };
        Ok(Block {
            kind: block.ident.to_string(),
            labels: block.labels.iter().map(label).collect(),
            span: self.span(block.ident.span()),
            body: self.body(&block.body)?,
        })
    }

    pub(super) fn expression(&self, expression: &Hcl) -> Result<Expression, Fault> {
        let span = self.span(expression.span());
        let form = match expression {
            Hcl::Null(_) => Form::Literal(Value::Null),
            Hcl::Bool(value) => Form::Literal(Value::Bool(*value.value())),
            Hcl::Number(number) => self.number(number.span(), &number.value().to_string(), span)?,
            Hcl::String(text) => Form::Literal(Value::string(text.as_str())),
            Hcl::Array(items) => Form::Array(self.each(items.iter())?),
            Hcl::Object(items) => {
                let pair = |(key, value): (&ObjectKey, &hcl_edit::expr::ObjectValue)| {
                    Ok((self.key(key)?, self.expression(value.expr())?))
                };
                Form::Object(items.iter().map(pair).collect::<Result<_, Fault>>()?)
            }
            Hcl::StringTemplate(template) => {
                template_form(self.template(template.iter(), Sort::Quoted)?)
            }
            Hcl::HeredocTemplate(heredoc) => {
                let written = heredoc.span().and_then(|range| self.text.get(range));
                let is_flush = written.is_some_and(|text| text.trim_start().starts_with("<<-"));
                let sort = if is_flush { Sort::Flush } else { Sort::Heredoc };
                template_form(self.template(heredoc.template.iter(), sort)?)
            }
            Hcl::Parenthesis(inner) => return self.expression(inner.inner()),
            Hcl::Variable(name) => Form::Variable(name.to_string()),
            Hcl::Conditional(one) => Form::Conditional(Box::new([
                self.expression(&one.cond_expr)?,
                self.expression(&one.true_expr)?,
                self.expression(&one.false_expr)?,
            ])),
            Hcl::FuncCall(call) => self.call(call)?,
            Hcl::Traversal(traversal) => self.traversal(traversal)?,
            Hcl::UnaryOp(one) => {
                let operator = match one.operator.value() {
                    UnaryOperator::Neg => Unary::Negate,
                    UnaryOperator::Not => Unary::Not,
                };
                Form::Unary(operator, Box::new(self.expression(&one.expr)?))
            }
            Hcl::BinaryOp(one) => {
                let operands = [self.expression(&one.lhs_expr)?, self.expression(&one.rhs_expr)?];
                Form::Binary(binary(*one.operator.value()), Box::new(operands))
            }
            Hcl::ForExpr(one) => self.for_expression(one)?,
        };
        Ok(Expression { form, span })
    }

    fn each<'a>(&self, items: impl Iterator<Item = &'a Hcl>) -> Result<Vec<Expression>, Fault> {
        items.map(|item| self.expression(item)).collect()
    }

    /// A number as it is written: the parser's own would lose digits.
    fn number(&self, at: Option<Range<usize>>, text: &str, span: Span) -> Result<Form, Fault> {
        let written = at.and_then(|range| self.text.get(range)).unwrap_or(text);
        let number = Number::parse(written.trim()).ok_or_else(|| {
            Problem::Syntax(format!("{written} is too large for a number")).at(span)
        })?;
        Ok(Form::Literal(Value::Number(number)))
    }

    fn key(&self, key: &ObjectKey) -> Result<Key, Fault> {
        Ok(match key {
            ObjectKey::Ident(name) | ObjectKey::Expression(Hcl::Variable(name)) => {
                Key::Name(name.to_string())
            }
            ObjectKey::Expression(expression) => Key::Computed(self.expression(expression)?),
        })
    }

    fn call(&self, call: &FuncCall) -> Result<Form, Fault> {
        let mut parts: Vec<&str> = call.name.namespace.iter().map(|part| part.as_str()).collect();
        parts.push(call.name.name.as_str());
        Ok(Form::Call {
            name: parts.join("::"),
            name_span: self.span(call.name.name.span()),
            arguments: self.each(call.args.iter())?,
            is_expanded: call.args.expand_final(),
        })
    }

    fn traversal(&self, traversal: &Traversal) -> Result<Form, Fault> {
        let mut steps = Vec::new();
        for operator in &traversal.operators {
            let kind = match operator.value() {
                TraversalOperator::AttrSplat(_) => StepKind::AttributeSplat,
                TraversalOperator::FullSplat(_) => StepKind::FullSplat,
                TraversalOperator::GetAttr(name) => StepKind::Attribute(name.to_string()),
                TraversalOperator::Index(index) => StepKind::Index(self.expression(index)?),
                TraversalOperator::LegacyIndex(index) => {
                    let index = i64::try_from(*index.value()).unwrap_or(i64::MAX);
                    let form = Form::Literal(Value::Number(Number::from(index)));
                    StepKind::Index(Expression { form, span: self.span(operator.span()) })
                }
            };
            steps.push(Step { kind, span: self.span(operator.span()) });
        }
        Ok(Form::Traversal(Box::new(self.expression(&traversal.expr)?), steps))
    }

    fn for_expression(&self, one: &ForExpr) -> Result<Form, Fault> {
        let optional =
            |expression: Option<&Hcl>| expression.map(|one| self.expression(one)).transpose();
        Ok(Form::For(Box::new(For {
            key_name: one.intro.key_var.as_ref().map(ToString::to_string),
            value_name: one.intro.value_var.to_string(),
            source: self.expression(&one.intro.collection_expr)?,
            key: optional(one.key_expr.as_ref())?,
            value: self.expression(&one.value_expr)?,
            is_grouped: one.grouping,
            condition: optional(one.cond.as_ref().map(|condition| &condition.expr))?,
        })))
    }
}

fn binary(operator: BinaryOperator) -> Binary {
    match operator {
        BinaryOperator::Eq => Binary::Equal,
        BinaryOperator::NotEq => Binary::NotEqual,
        BinaryOperator::LessEq => Binary::LessOrEqual,
        BinaryOperator::GreaterEq => Binary::GreaterOrEqual,
        BinaryOperator::Less => Binary::Less,
        BinaryOperator::Greater => Binary::Greater,
        BinaryOperator::Plus => Binary::Add,
        BinaryOperator::Minus => Binary::Subtract,
        BinaryOperator::Mul => Binary::Multiply,
        BinaryOperator::Div => Binary::Divide,
        BinaryOperator::Mod => Binary::Modulo,
        BinaryOperator::And => Binary::And,
        BinaryOperator::Or => Binary::Or,
    }
}
