//! Expressions to values.

mod call;
mod operator;
mod template;
mod traversal;

use std::collections::BTreeMap;

use wythe_dockerfile::suggest;

pub(crate) use self::operator::equality;
use crate::error::{Fault, Problem};
use crate::source::Span;
use crate::surroundings::Surroundings;
use crate::syntax::expression::{Expression, For, Form, Key};
use crate::value::Value;

/// What names stand for in a whole definition.
pub(crate) trait Names {
    /// The value of a variable, if there is one of this name.
    fn variable(&self, name: &str) -> Result<Option<Value>, Fault>;

    /// Whether a name stands for blocks, as `target` in `target.app.tags`.
    fn is_block(&self, name: &str) -> bool;

    /// An attribute of a block, or all of them.
    fn block(
        &self,
        kind: &str,
        name: &str,
        attribute: Option<&str>,
        span: Span,
    ) -> Result<Value, Fault>;

    /// A function that the definition has itself.
    fn function(&self, name: &str) -> Result<Option<&UserFunction>, Fault>;

    /// All names of variables, and all of functions, for suggestions.
    fn known(&self) -> (Vec<String>, Vec<String>);

    /// The world.
    fn surroundings(&self) -> &dyn Surroundings;
}

/// A function of a definition.
#[derive(Clone, Debug)]
pub(crate) struct UserFunction {
    pub(crate) parameters: Vec<String>,
    pub(crate) variadic: Option<String>,
    pub(crate) result: Expression,
}

/// The deepest calls of functions of a definition: each takes some of the thread's stack.
pub(crate) const MAX_CALLS: usize = 32;

/// The names that an expression sees.
pub(crate) struct Scope<'a> {
    pub(crate) names: &'a dyn Names,
    pub(crate) values: BTreeMap<String, Value>,
    parent: Option<&'a Scope<'a>>,
    /// How many calls of functions of the definition led here.
    calls: usize,
}

impl<'a> Scope<'a> {
    /// What is seen everywhere, and some values.
    pub(crate) fn new(names: &'a dyn Names, values: BTreeMap<String, Value>) -> Self {
        Self { names, values, parent: None, calls: 0 }
    }

    fn child(&'a self, values: BTreeMap<String, Value>) -> Self {
        Self { names: self.names, values, parent: Some(self), calls: self.calls }
    }

    fn local(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.parent?.local(name))
    }

    pub(crate) fn evaluate(&self, expression: &Expression) -> Result<Value, Fault> {
        let span = expression.span;
        match &expression.form {
            Form::Literal(value) => Ok(value.clone()),
            Form::Template(parts) => self.template(parts).map(Value::String),
            Form::Array(items) => {
                let items = items.iter().map(|item| self.evaluate(item));
                Ok(Value::tuple(items.collect::<Result<_, _>>()?))
            }
            Form::Object(items) => self.object(items),
            Form::Variable(name) => self.variable(name, span),
            Form::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.conditional(condition, then, otherwise)
            }
            Form::Call { name, name_span, arguments, is_expanded } => {
                let (name_span, is_expanded) = (*name_span, *is_expanded);
                self.call(call::Written { name, name_span, arguments, is_expanded }, span)
            }
            Form::Traversal(source, steps) => self.traversal(source, steps),
            Form::Unary(operator, operand) => {
                operator::unary(*operator, &self.evaluate(operand)?).map_err(|p| p.at(span))
            }
            Form::Binary(operator, operands) => {
                let [left, right] = &**operands;
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                operator::binary(*operator, &left, &right).map_err(|p| p.at(span))
            }
            Form::For(one) => self.for_expression(one, span),
        }
    }

    /// The value as text.
    pub(crate) fn text(&self, expression: &Expression) -> Result<String, Fault> {
        let value = self.evaluate(expression)?;
        value.to_text().ok_or_else(|| mismatch("a string", &value).at(expression.span))
    }

    fn truth(&self, expression: &Expression) -> Result<bool, Fault> {
        let value = self.evaluate(expression)?;
        value.to_bool().ok_or_else(|| mismatch("a bool", &value).at(expression.span))
    }

    fn variable(&self, name: &str, span: Span) -> Result<Value, Fault> {
        if let Some(value) = self.local(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.names.variable(name).map_err(|fault| fault.or_at(span))? {
            return Ok(value);
        }
        if self.names.is_block(name) {
            let text = format!("{name} is no value: name one, as in {name}.app.tags");
            return Err(Problem::Invalid(text).at(span));
        }
        let (known, _) = self.names.known();
        let similar = suggest::nearest(name, known.iter().map(String::as_str));
        let similar = similar.map(ToOwned::to_owned);
        Err(Problem::UnknownVariable { name: name.to_owned(), similar }.at(span))
    }

    fn object(&self, items: &[(Key, Expression)]) -> Result<Value, Fault> {
        let mut object = BTreeMap::new();
        for (key, value) in items {
            let key = match key {
                Key::Name(name) => name.clone(),
                Key::Computed(expression) => self.text(expression)?,
            };
            object.insert(key, self.evaluate(value)?);
        }
        Ok(Value::object(object))
    }

    fn conditional(
        &self,
        condition: &Expression,
        then: &Expression,
        otherwise: &Expression,
    ) -> Result<Value, Fault> {
        let is_then = self.truth(condition)?;
        let chosen = if is_then { then } else { otherwise };
        let other = if is_then { otherwise } else { then };
        let value = self.evaluate(chosen)?;
        // The branch that is not taken may be impossible, and decides only the type.
        let Ok(other) = self.evaluate(other) else { return Ok(value) };
        operator::unified(value, &other).map_err(|problem| problem.at(then.span.to(otherwise.span)))
    }

    fn for_expression(&self, one: &For, span: Span) -> Result<Value, Fault> {
        let source = self.evaluate(&one.source)?;
        let items = traversal::pairs(&source)
            .ok_or_else(|| mismatch("a list or an object", &source).at(one.source.span))?;
        let mut list = Vec::new();
        let mut object: BTreeMap<String, Value> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, value) in items {
            let mut values = BTreeMap::from([(one.value_name.clone(), value)]);
            values.extend(one.key_name.clone().map(|name| (name, key)));
            let scope = self.child(values);
            if let Some(condition) = &one.condition
                && !scope.truth(condition)?
            {
                continue;
            }
            let value = scope.evaluate(&one.value)?;
            let Some(key) = &one.key else {
                list.push(value);
                continue;
            };
            let key = scope.text(key)?;
            if one.is_grouped {
                groups.entry(key).or_default().push(value);
            } else if object.insert(key.clone(), value).is_some() {
                let text = format!("the key {key:?} comes twice; collect its values with ...");
                return Err(Problem::Invalid(text).at(span));
            }
        }
        Ok(match (&one.key, one.is_grouped) {
            (None, _) => Value::tuple(list),
            (Some(_), false) => Value::object(object),
            (Some(_), true) => Value::object(
                groups.into_iter().map(|(key, items)| (key, Value::tuple(items))).collect(),
            ),
        })
    }
}

/// A value that is not what is needed.
pub(crate) fn mismatch(wanted: &str, found: &Value) -> Problem {
    Problem::Type { wanted: wanted.to_owned(), found: found.described().to_owned() }
}
