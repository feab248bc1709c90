//! The functions that every definition has.

mod arithmetic;
mod collection;
mod digest;
mod encode;
mod format;
mod logic;
mod network;
mod pattern;
mod set;
mod text;
mod time;

use std::collections::BTreeMap;

use crate::number::Number;
use crate::surroundings::Surroundings;
use crate::value::{SequenceKind, Value};

/// A function: how many arguments it takes, and what it does.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The fewest and the most arguments.
    pub(crate) arity: (usize, Option<usize>),
    pub(crate) run: Run,
}

/// What a function does. An error says why it cannot.
pub(crate) type Run = fn(&Call<'_>) -> Result<Value, String>;

const fn exactly(name: &'static str, count: usize, run: Run) -> Function {
    Function { name, arity: (count, Some(count)), run }
}

const fn at_least(name: &'static str, count: usize, run: Run) -> Function {
    Function { name, arity: (count, None), run }
}

/// The functions whose arguments are looked at before they have values.
pub(crate) const UNEVALUATED: [&str; 3] = ["can", "convert", "try"];

/// All of them, by topic.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    let tables: [&[Function]; 11] = [
        arithmetic::FUNCTIONS,
        collection::FUNCTIONS,
        digest::FUNCTIONS,
        encode::FUNCTIONS,
        format::FUNCTIONS,
        logic::FUNCTIONS,
        network::FUNCTIONS,
        pattern::FUNCTIONS,
        set::FUNCTIONS,
        text::FUNCTIONS,
        time::FUNCTIONS,
    ];
    tables.into_iter().flatten()
}

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// The arguments of a call.
pub(crate) struct Call<'a> {
    pub(crate) arguments: &'a [Value],
    pub(crate) surroundings: &'a dyn Surroundings,
}

impl Call<'_> {
    fn len(&self) -> usize {
        self.arguments.len()
    }

    fn value(&self, at: usize) -> &Value {
        self.arguments.get(at).unwrap_or(&Value::Null)
    }

    fn text(&self, at: usize) -> Result<String, String> {
        self.value(at).to_text().ok_or_else(|| self.unsuitable(at, "a string"))
    }

    fn number(&self, at: usize) -> Result<Number, String> {
        self.value(at).to_number().ok_or_else(|| self.unsuitable(at, "a number"))
    }

    fn integer(&self, at: usize) -> Result<i64, String> {
        self.number(at)?.to_i64().ok_or_else(|| self.unsuitable(at, "a whole number"))
    }

    fn truth(&self, at: usize) -> Result<bool, String> {
        self.value(at).to_bool().ok_or_else(|| self.unsuitable(at, "a bool"))
    }

    fn sequence(&self, at: usize) -> Result<(SequenceKind, &[Value]), String> {
        match self.value(at) {
            Value::Sequence(kind, items) => Ok((*kind, items)),
            _ => Err(self.unsuitable(at, "a list")),
        }
    }

    fn items(&self, at: usize) -> Result<&[Value], String> {
        self.sequence(at).map(|(_, items)| items)
    }

    /// The elements of a list of strings.
    fn texts(&self, at: usize) -> Result<Vec<String>, String> {
        let items = self.items(at)?.iter().map(Value::to_text);
        items.collect::<Option<_>>().ok_or_else(|| self.unsuitable(at, "a list of strings"))
    }

    fn mapping(&self, at: usize) -> Result<&BTreeMap<String, Value>, String> {
        match self.value(at) {
            Value::Mapping(_, items) => Ok(items),
            _ => Err(self.unsuitable(at, "a map")),
        }
    }

    fn unsuitable(&self, at: usize, wanted: &str) -> String {
        format!("argument {} has to be {wanted}, it is {}", at + 1, self.value(at).described())
    }
}
