//! The functions that files define.

use std::collections::BTreeMap;

use crate::error::{Fault, Problem};
use crate::evaluate::UserFunction;
use crate::source::Span;
use crate::syntax::body::{Block, Body};
use crate::syntax::expression::{Expression, Form};

/// Functions by name.
pub(super) struct Functions(BTreeMap<String, UserFunction>);

impl Functions {
    /// Those of files; of two with one name the last counts. None may call itself.
    pub(super) fn of(bodies: &[Body]) -> Result<Self, Fault> {
        let mut functions = BTreeMap::new();
        let mut spans: BTreeMap<String, Span> = BTreeMap::new();
        let blocks = bodies.iter().flat_map(|body| &body.blocks);
        for block in blocks.filter(|block| block.kind == "function") {
            let [label] = block.labels.as_slice() else {
                let text = "a function has one name: function \"name\" { … }";
                return Err(Problem::Invalid(text.to_owned()).at(block.span));
            };
            functions.insert(label.text.clone(), read(block, &label.text)?);
            spans.insert(label.text.clone(), label.span);
        }
        let functions = Self(functions);
        for (name, span) in spans {
            if functions.reaches(&name, &name, &mut Vec::new()) {
                return Err(Problem::Cycle { what: format!("the function {name}") }.at(span));
            }
        }
        Ok(functions)
    }

    pub(super) fn get(&self, name: &str) -> Option<&UserFunction> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Whether a function calls another, itself or by others.
    fn reaches(&self, from: &str, to: &str, seen: &mut Vec<String>) -> bool {
        let Some(function) = self.0.get(from) else { return false };
        let mut called = Vec::new();
        function.result.each_call(&mut |name| called.push(name.to_owned()));
        called.into_iter().any(|name| {
            if name == to {
                return true;
            }
            if seen.contains(&name) {
                return false;
            }
            seen.push(name.clone());
            self.reaches(&name, to, seen)
        })
    }
}

fn read(block: &Block, name: &str) -> Result<UserFunction, Fault> {
    let missing =
        |what: &str| Problem::Invalid(format!("the function {name} lacks {what}")).at(block.span);
    let parameters = block.body.attribute("params").ok_or_else(|| missing("params"))?;
    let result = block.body.attribute("result").ok_or_else(|| missing("result"))?;
    let Form::Array(items) = &parameters.value.form else {
        let text = "params is a list of names, as in [a, b]";
        return Err(Problem::Invalid(text.to_owned()).at(parameters.value.span));
    };
    let variadic = block.body.attribute("variadic_params");
    Ok(UserFunction {
        parameters: items.iter().map(parameter).collect::<Result<_, _>>()?,
        variadic: variadic.map(|attribute| parameter(&attribute.value)).transpose()?,
        result: result.value.clone(),
    })
}

fn parameter(expression: &Expression) -> Result<String, Fault> {
    expression
        .keyword()
        .map(ToOwned::to_owned)
        .ok_or_else(|| Problem::Invalid("a parameter is a name".to_owned()).at(expression.span))
}
