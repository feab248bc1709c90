//! Calls of functions.

use std::collections::BTreeMap;

use wythe_dockerfile::suggest;

use super::{MAX_CALLS, Scope, UserFunction, mismatch};
use crate::error::{Fault, Problem};
use crate::function::{self, Call, Function};
use crate::kind::Kind;
use crate::source::Span;
use crate::syntax::expression::Expression;
use crate::value::Value;

/// A call as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) name: &'a str,
    pub(super) name_span: Span,
    pub(super) arguments: &'a [Expression],
    /// Whether the last argument is a list of arguments.
    pub(super) is_expanded: bool,
}

impl Scope<'_> {
    pub(super) fn call(&self, call: Written<'_>, span: Span) -> Result<Value, Fault> {
        if function::UNEVALUATED.contains(&call.name) {
            return self.unevaluated(call, span);
        }
        let found = function::find(call.name);
        let own = if found.is_some() { None } else { self.names.function(call.name)? };
        if found.is_none() && own.is_none() {
            return Err(self.unknown(call));
        }
        let arguments = self.arguments(call)?;
        if let Some(function) = found {
            return self.built_in(function, &arguments, span);
        }
        match own {
            Some(function) => self.own(call, function, &arguments, span),
            None => Err(self.unknown(call)),
        }
    }

    fn unknown(&self, call: Written<'_>) -> Fault {
        let (_, mut known) = self.names.known();
        known.extend(function::all().map(|function| function.name.to_owned()));
        known.extend(function::UNEVALUATED.map(ToOwned::to_owned));
        let similar = suggest::nearest(call.name, known.iter().map(String::as_str));
        let similar = similar.map(ToOwned::to_owned);
        Problem::UnknownFunction { name: call.name.to_owned(), similar }.at(call.name_span)
    }

    fn arguments(&self, call: Written<'_>) -> Result<Vec<Value>, Fault> {
        let values = call.arguments.iter().map(|argument| self.evaluate(argument));
        let mut values: Vec<Value> = values.collect::<Result<_, _>>()?;
        if call.is_expanded
            && let Some(last) = values.pop()
        {
            let Value::Sequence(_, items) = last else {
                return Err(mismatch("a list before ...", &last).at(call.name_span));
            };
            values.extend(items);
        }
        Ok(values)
    }

    fn built_in(
        &self,
        function: &Function,
        arguments: &[Value],
        span: Span,
    ) -> Result<Value, Fault> {
        let (fewest, most) = function.arity;
        check_count(function.name, (fewest, most), arguments.len(), span)?;
        let call = Call { arguments, surroundings: self.names.surroundings() };
        (function.run)(&call)
            .map_err(|why| Problem::Function { function: function.name.to_owned(), why }.at(span))
    }

    fn own(
        &self,
        call: Written<'_>,
        function: &UserFunction,
        arguments: &[Value],
        span: Span,
    ) -> Result<Value, Fault> {
        let count = function.parameters.len();
        let most = if function.variadic.is_some() { None } else { Some(count) };
        check_count(call.name, (count, most), arguments.len(), span)?;
        if self.calls == MAX_CALLS {
            let what = format!("the function {}", call.name);
            return Err(Problem::Cycle { what }.at(call.name_span));
        }
        let (own, rest) = arguments.split_at(count);
        let mut values: BTreeMap<String, Value> =
            function.parameters.iter().cloned().zip(own.iter().cloned()).collect();
        if let Some(name) = &function.variadic {
            values.insert(name.clone(), Value::tuple(rest.to_vec()));
        }
        // A function sees the definition, and nothing of where it is called.
        let scope = Scope { names: self.names, values, parent: None, calls: self.calls + 1 };
        scope.evaluate(&function.result)
    }

    fn unevaluated(&self, call: Written<'_>, span: Span) -> Result<Value, Fault> {
        match (call.name, call.arguments) {
            ("can", [argument]) => Ok(Value::Bool(self.evaluate(argument).is_ok())),
            ("convert", [value, kind]) => {
                let (value, kind) = (self.evaluate(value)?, Kind::read(kind)?);
                let converted = kind.convert(&value);
                converted.ok_or_else(|| mismatch(&kind.to_string(), &value).at(span))
            }
            ("try", [.., last]) => {
                let mut tried = call.arguments.iter().map(|argument| self.evaluate(argument));
                let good = tried.find_map(Result::ok);
                good.map_or_else(|| self.evaluate(last), Ok)
            }
            (name, arguments) => {
                let wanted = if name == "convert" { 2 } else { 1 };
                let most = (name != "try").then_some(wanted);
                check_count(name, (wanted, most), arguments.len(), span)?;
                Ok(Value::Null)
            }
        }
    }
}

fn check_count(
    function: &str,
    (fewest, most): (usize, Option<usize>),
    found: usize,
    span: Span,
) -> Result<(), Fault> {
    if found >= fewest && most.is_none_or(|most| found <= most) {
        return Ok(());
    }
    let wanted = match most {
        Some(most) if most == fewest => fewest.to_string(),
        Some(most) => format!("{fewest} to {most}"),
        None => format!("at least {fewest}"),
    };
    Err(Problem::Arguments { function: function.to_owned(), wanted, found }.at(span))
}
