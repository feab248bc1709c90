//! Expressions.

use crate::source::Span;
use crate::value::Value;

/// An expression and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) form: Form,
    pub(crate) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Literal(Value),
    /// Text with `${…}` and `%{…}` in it.
    Template(Vec<Part>),
    Array(Vec<Expression>),
    Object(Vec<(Key, Expression)>),
    Variable(String),
    Conditional(Box<[Expression; 3]>),
    Call {
        name: String,
        name_span: Span,
        arguments: Vec<Expression>,
        is_expanded: bool,
    },
    /// What is done to a value one after the other: `.name`, `[0]`, `[*]`.
    Traversal(Box<Expression>, Vec<Step>),
    Unary(Unary, Box<Expression>),
    Binary(Binary, Box<[Expression; 2]>),
    For(Box<For>),
}

/// The key of an item of an object.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Name(String),
    Computed(Expression),
}

impl Key {
    /// The key, where nothing has to be computed for it.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Computed(Expression { form: Form::Literal(Value::String(text)), .. }) => {
                Some(text)
            }
            Self::Computed(_) => None,
        }
    }
}

/// One step into a value.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    pub(crate) span: Span,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum StepKind {
    Attribute(String),
    Index(Expression),
    /// `.*`: attributes that follow are taken of each element.
    AttributeSplat,
    /// `[*]`: all that follows is done to each element.
    FullSplat,
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unary {
    Negate,
    Not,
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Binary {
    Add,
    And,
    Divide,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Modulo,
    Multiply,
    NotEqual,
    Or,
    Subtract,
}

/// `[for key, value in source : value if condition]`, and the same with braces.
#[derive(Clone, Debug)]
pub(crate) struct For {
    pub(crate) key_name: Option<String>,
    pub(crate) value_name: String,
    pub(crate) source: Expression,
    /// Where an object is made.
    pub(crate) key: Option<Expression>,
    pub(crate) value: Expression,
    /// `value...`: values of one key are collected.
    pub(crate) is_grouped: bool,
    pub(crate) condition: Option<Expression>,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Expression),
    If { condition: Expression, then: Vec<Part>, otherwise: Vec<Part> },
    For { key_name: Option<String>, value_name: String, source: Expression, each: Vec<Part> },
}

impl Expression {
    /// The name that this is, where it is a name alone: a word of HCL, a string of JSON.
    pub(crate) fn keyword(&self) -> Option<&str> {
        match &self.form {
            Form::Variable(name) | Form::Literal(Value::String(name)) => Some(name),
            _ => None,
        }
    }

    /// Calls something with the names of all functions that are called in it.
    pub(crate) fn each_call(&self, found: &mut dyn FnMut(&str)) {
        match &self.form {
            Form::Literal(_) | Form::Variable(_) => {}
            Form::Template(parts) => each_call_of_parts(parts, found),
            Form::Array(items) => items.iter().for_each(|item| item.each_call(found)),
            Form::Object(items) => {
                for (key, value) in items {
                    if let Key::Computed(key) = key {
                        key.each_call(found);
                    }
                    value.each_call(found);
                }
            }
            Form::Conditional(parts) => parts.iter().for_each(|part| part.each_call(found)),
            Form::Call { name, arguments, .. } => {
                found(name);
                for argument in arguments {
                    argument.each_call(found);
                }
            }
            Form::Traversal(source, steps) => {
                source.each_call(found);
                for step in steps {
                    if let StepKind::Index(index) = &step.kind {
                        index.each_call(found);
                    }
                }
            }
            Form::Unary(_, operand) => operand.each_call(found),
            Form::Binary(_, operands) => operands.iter().for_each(|one| one.each_call(found)),
            Form::For(one) => {
                let parts = [Some(&one.source), one.key.as_ref(), Some(&one.value)];
                let parts = parts.into_iter().chain([one.condition.as_ref()]).flatten();
                parts.for_each(|part| part.each_call(found));
            }
        }
    }
}

fn each_call_of_parts(parts: &[Part], found: &mut dyn FnMut(&str)) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Value(value) => value.each_call(found),
            Part::If { condition, then, otherwise } => {
                condition.each_call(found);
                each_call_of_parts(then, found);
                each_call_of_parts(otherwise, found);
            }
            Part::For { source, each, .. } => {
                source.each_call(found);
                each_call_of_parts(each, found);
            }
        }
    }
}
