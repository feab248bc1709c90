//! Steps into values.

use wythe_dockerfile::suggest;

use super::{Scope, mismatch};
use crate::error::{Fault, Problem};
use crate::number::Number;
use crate::source::Span;
use crate::syntax::expression::{Expression, Form, Step, StepKind};
use crate::value::Value;

impl Scope<'_> {
    pub(super) fn traversal(&self, source: &Expression, steps: &[Step]) -> Result<Value, Fault> {
        if let Form::Variable(kind) = &source.form
            && self.local(kind).is_none()
            && self.names.is_block(kind)
        {
            return self.block(kind, source.span, steps);
        }
        self.steps(self.evaluate(source)?, steps)
    }

    /// `target.app.tags[0]`: no more of the block than is needed.
    fn block(&self, kind: &str, span: Span, steps: &[Step]) -> Result<Value, Fault> {
        let [Step { kind: StepKind::Attribute(name), span: at }, rest @ ..] = steps else {
            let text = format!("{kind} is followed by a name, as in {kind}.app.tags");
            return Err(Problem::Invalid(text).at(span));
        };
        let at = span.to(*at);
        match rest {
            [Step { kind: StepKind::Attribute(attribute), span }, rest @ ..] => {
                let value = self.names.block(kind, name, Some(attribute), at.to(*span))?;
                self.steps(value, rest)
            }
            rest => self.steps(self.names.block(kind, name, None, at)?, rest),
        }
    }

    fn steps(&self, mut value: Value, steps: &[Step]) -> Result<Value, Fault> {
        let mut rest = steps;
        while let Some((step, after)) = rest.split_first() {
            rest = after;
            value = match &step.kind {
                StepKind::Attribute(name) => attribute(value, name, step.span)?,
                StepKind::Index(index) => index_into(value, &self.evaluate(index)?, step.span)?,
                StepKind::FullSplat => {
                    let all = rest;
                    rest = &[];
                    self.each(value, all)?
                }
                StepKind::AttributeSplat => {
                    let is_attribute = |step: &&Step| matches!(step.kind, StepKind::Attribute(_));
                    let count = rest.iter().take_while(is_attribute).count();
                    let (attributes, after) = rest.split_at(count);
                    rest = after;
                    self.each(value, attributes)?
                }
            };
        }
        Ok(value)
    }

    /// The steps done to each element; what is no list is one of itself, and null an empty one.
    fn each(&self, value: Value, steps: &[Step]) -> Result<Value, Fault> {
        let items = match value {
            Value::Null => Vec::new(),
            Value::Sequence(_, items) => items,
            single => vec![single],
        };
        let items = items.into_iter().map(|item| self.steps(item, steps));
        Ok(Value::tuple(items.collect::<Result<_, _>>()?))
    }
}

fn attribute(value: Value, name: &str, span: Span) -> Result<Value, Fault> {
    let Value::Mapping(_, mut items) = value else {
        return Err(mismatch("an object", &value).at(span));
    };
    items.remove(name).ok_or_else(|| {
        let similar = suggest::nearest(name, items.keys().map(String::as_str));
        let similar = similar.map(ToOwned::to_owned);
        Problem::UnknownAttribute { name: name.to_owned(), similar }.at(span)
    })
}

fn index_into(value: Value, index: &Value, span: Span) -> Result<Value, Fault> {
    let missing = || Problem::Invalid("there is no such element".to_owned()).at(span);
    match value {
        Value::Sequence(_, mut items) => {
            let number = index.to_number().ok_or_else(|| mismatch("a number", index).at(span))?;
            let at = number.to_index().filter(|at| *at < items.len()).ok_or_else(missing)?;
            Ok(items.swap_remove(at))
        }
        Value::Mapping(_, mut items) => {
            let key = index.to_text().ok_or_else(|| mismatch("a string", index).at(span))?;
            items.remove(&key).ok_or_else(missing)
        }
        value => Err(mismatch("a list or an object", &value).at(span)),
    }
}

/// Keys and values of what can be gone through.
pub(super) fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::Sequence(crate::value::SequenceKind::Set, items) => {
            Some(items.iter().map(|item| (item.clone(), item.clone())).collect())
        }
        Value::Sequence(_, items) => {
            let numbered = items.iter().enumerate();
            let pair =
                |(at, item): (usize, &Value)| (Value::Number(Number::from(at)), item.clone());
            Some(numbered.map(pair).collect())
        }
        Value::Mapping(_, items) => {
            let pair = |(key, item): (&String, &Value)| (Value::string(key.as_str()), item.clone());
            Some(items.iter().map(pair).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
