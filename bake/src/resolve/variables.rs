//! The variables of files, and the values that they are given from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Resolver, State, everywhere};
use crate::csv;
use crate::definition::Variable;
use crate::error::{Fault, Problem};
use crate::evaluate::mismatch;
use crate::kind::Kind;
use crate::number::Number;
use crate::source::Span;
use crate::surroundings::Surroundings;
use crate::syntax::body::{Block, Body};
use crate::syntax::expression::{Expression, Form};
use crate::syntax::hcl;
use crate::target::entry;
use crate::value::Value;

/// The names that definitions find defined.
const BUILT_IN: [&str; 2] = ["BAKE_CMD_CONTEXT", "BAKE_LOCAL_PLATFORM"];

/// All variables.
pub(super) struct Variables<'a> {
    surroundings: &'a dyn Surroundings,
    defined: BTreeMap<String, Defined<'a>>,
    /// `NAME = value` outside of blocks.
    attributes: BTreeMap<String, &'a Expression>,
    values: RefCell<BTreeMap<String, State>>,
}

/// `variable "NAME" { … }`
struct Defined<'a> {
    block: &'a Block,
    span: Span,
    kind: Option<Kind>,
}

impl<'a> Variables<'a> {
    pub(super) fn of(
        bodies: &'a [Body],
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, Fault> {
        let mut defined = BTreeMap::new();
        for block in bodies.iter().flat_map(|body| &body.blocks) {
            if block.kind != "variable" {
                refuse_unknown(block)?;
                continue;
            }
            let [label] = block.labels.as_slice() else {
                let text = "a variable has one name: variable \"NAME\" { … }";
                return Err(Problem::Invalid(text.to_owned()).at(block.span));
            };
            if !is_reserved(&label.text) {
                let kind = kind(block)?;
                defined.insert(label.text.clone(), Defined { block, span: label.span, kind });
            }
        }
        let mut attributes = BTreeMap::new();
        for attribute in bodies.iter().flat_map(|body| &body.attributes) {
            if !is_reserved(&attribute.name) {
                // Where two files say it, the first counts.
                attributes.entry(attribute.name.clone()).or_insert(&attribute.value);
            }
        }
        Ok(Self { surroundings, defined, attributes, values: RefCell::default() })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.defined.keys().chain(self.attributes.keys()).cloned().collect()
    }

    /// The value of a name, if it is one of a variable.
    pub(super) fn value(&self, name: &str, all: &Resolver<'_>) -> Result<Option<Value>, Fault> {
        match self.values.borrow().get(name) {
            Some(State::Known(value)) => return Ok(Some(value.clone())),
            Some(State::Begun) => {
                let what = format!("the variable {name}");
                return Err(Problem::Cycle { what }.into());
            }
            None => {}
        }
        if name == BUILT_IN[0] {
            return Ok(Some(Value::String(self.surroundings.command_context())));
        }
        if name == BUILT_IN[1] {
            return Ok(Some(Value::String(self.surroundings.platform())));
        }
        if !self.defined.contains_key(name) && !self.attributes.contains_key(name) {
            return Ok(None);
        }
        self.values.borrow_mut().insert(name.to_owned(), State::Begun);
        let value = self.value_anew(name, all);
        let mut values = self.values.borrow_mut();
        match &value {
            Ok(value) => values.insert(name.to_owned(), State::Known(value.clone())),
            Err(_) => values.remove(name),
        };
        value.map(Some)
    }

    fn value_anew(&self, name: &str, all: &Resolver<'_>) -> Result<Value, Fault> {
        let defined = self.defined.get(name);
        let default = match (self.attributes.get(name), defined) {
            (Some(value), _) => Some(*value),
            (None, Some(one)) => one.block.body.attribute("default").map(|one| &one.value),
            (None, None) => None,
        };
        let value = default.map(|default| everywhere(all).evaluate(default)).transpose()?;
        let Some(Defined { kind, span, .. }) = defined else {
            return Ok(value.unwrap_or(Value::Null));
        };
        let value = match (value, kind) {
            (Some(value), Some(kind)) => kind.convert(&value).ok_or_else(|| {
                mismatch(&kind.to_string(), &value).at(default.map_or(*span, |one| one.span))
            })?,
            (Some(value), None) => value,
            (None, Some(_)) => Value::Null,
            (None, None) => Value::string(""),
        };
        let given = self.given(name, kind.as_ref());
        let given = given.map(|given| given.value(name, kind.as_ref(), &value)).transpose();
        Ok(given.map_err(|problem| problem.at(*span))?.unwrap_or(value))
    }

    /// What the world says of a variable: its name, or its name with `_JSON` for what has a type.
    fn given(&self, name: &str, kind: Option<&Kind>) -> Option<Given> {
        let plain = self.surroundings.variable(name).map(Given::Plain);
        let json_name = format!("{name}_JSON");
        let is_other = self.defined.contains_key(&json_name);
        let json = if is_other { None } else { self.surroundings.variable(&json_name) };
        let json = json.filter(|_| kind.is_some()).map(Given::Json);
        match kind {
            Some(Kind::Bool | Kind::Number | Kind::String) | None => plain.or(json),
            Some(_) => json.or(plain),
        }
    }

    /// All variables of blocks, with what they are.
    pub(super) fn all(&self, all: &Resolver<'_>) -> Result<Vec<Variable>, Fault> {
        let mut variables = Vec::new();
        for (name, defined) in &self.defined {
            let value = self.value(name, all).map_err(|fault| fault.or_at(defined.span))?;
            let description = defined.block.body.attribute("description");
            let description =
                description.map(|one| everywhere(all).text(&one.value)).transpose()?;
            variables.push(Variable {
                name: name.clone(),
                kind: defined.kind.as_ref().map(ToString::to_string),
                description,
                value: value.and_then(|value| shown(&value)),
            });
        }
        Ok(variables)
    }

    /// Whether all values are as their variables want them.
    pub(super) fn validate(&self, all: &Resolver<'_>) -> Result<(), Fault> {
        for (name, defined) in &self.defined {
            let rules = defined.block.body.blocks.iter().filter(|one| one.kind == "validation");
            for rule in rules {
                let part = |part: &str| {
                    rule.body.attribute(part).map(|one| &one.value).ok_or_else(|| {
                        Problem::Invalid(format!("a validation needs {part}")).at(rule.span)
                    })
                };
                let (condition, message) = (part("condition")?, part("error_message")?);
                let value = everywhere(all).evaluate(condition)?;
                let is_valid = value.to_bool();
                if !is_valid.ok_or_else(|| mismatch("a bool", &value).at(condition.span))? {
                    let message = everywhere(all).text(message)?;
                    let variable = name.clone();
                    return Err(Problem::Validation { variable, message }.at(condition.span));
                }
            }
        }
        Ok(())
    }

    /// Attributes outside of blocks that nothing asked for may still be wrong.
    pub(super) fn evaluate_attributes(&self, all: &Resolver<'_>) -> Result<(), Fault> {
        for (name, expression) in &self.attributes {
            self.value(name, all).map_err(|fault| fault.or_at(expression.span))?;
        }
        Ok(())
    }
}

fn is_reserved(name: &str) -> bool {
    BUILT_IN.contains(&name) || name == "target" || name == "group"
}

fn refuse_unknown(block: &Block) -> Result<(), Fault> {
    if ["function", "group", "target"].contains(&block.kind.as_str()) {
        return Ok(());
    }
    let text =
        format!("there are no blocks {}, only function, group, target and variable", block.kind);
    Err(Problem::Invalid(text).at(block.span))
}

fn kind(block: &Block) -> Result<Option<Kind>, Fault> {
    let Some(attribute) = block.body.attribute("type") else { return Ok(None) };
    if let Form::Literal(Value::String(text)) = &attribute.value.form {
        return Kind::read(&hcl::parse_expression(text, attribute.value.span)?).map(Some);
    }
    Kind::read(&attribute.value).map(Some)
}

/// As `--list=variables` shows it.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        value => Some(value.to_text().unwrap_or_else(|| value.to_json())),
    }
}

/// A value from outside.
enum Given {
    Plain(String),
    Json(String),
}

impl Given {
    fn value(self, name: &str, kind: Option<&Kind>, default: &Value) -> Result<Value, Problem> {
        let wrong =
            |wanted: &str| Problem::Variable { name: name.to_owned(), wanted: wanted.to_owned() };
        match (self, kind) {
            (Self::Json(text), kind) => {
                let json = serde_json::from_str(&text).map_err(|_| wrong("JSON"))?;
                let value = Value::from_json(&json).ok_or_else(|| wrong("JSON"))?;
                let kind = kind.unwrap_or(&Kind::Any);
                kind.convert(&value).ok_or_else(|| wrong(&kind.to_string()))
            }
            (Self::Plain(text), Some(kind)) => {
                kind.of_text(&text).ok_or_else(|| wrong(&format!("a {kind}")))
            }
            (Self::Plain(text), None) => match default {
                Value::Bool(_) => {
                    entry::truth(&text).map(Value::Bool).ok_or_else(|| wrong("a bool"))
                }
                Value::Number(_) => {
                    Number::parse(&text).map(Value::Number).ok_or_else(|| wrong("a number"))
                }
                Value::Null | Value::String(_) => Ok(Value::String(text)),
                Value::Sequence(..) | Value::Mapping(..) => Err(Problem::Invalid(format!(
                    "{name} is a list or an object, and can be given from outside only with a \
                     type, as in type = list(string)"
                ))),
            },
        }
    }
}

impl Kind {
    /// What text from outside stands for: comma-separated values, `key:value` in maps.
    fn of_text(&self, text: &str) -> Option<Value> {
        match self {
            Self::Any | Self::String => Some(Value::string(text)),
            Self::Bool => entry::truth(text).map(Value::Bool),
            Self::Number => Number::parse(text).map(Value::Number),
            Self::List(kind) | Self::Set(kind) => {
                let fields = csv::fields(text).ok().filter(|fields| !fields.is_empty())?;
                let items = fields.iter().map(|field| kind.of_field(field));
                self.convert(&Value::list(items.collect::<Option<_>>()?))
            }
            Self::Map(kind) => {
                let fields = csv::fields(text).ok().filter(|fields| !fields.is_empty())?;
                let pairs = fields.iter().map(|field| {
                    let (key, value) = field.split_once(':')?;
                    Some((key.to_owned(), kind.of_field(value)?))
                });
                Some(Value::map(pairs.collect::<Option<_>>()?))
            }
            Self::Tuple(kinds) => {
                let fields = csv::fields(text).ok()?;
                let pairs = kinds.iter().zip(&fields);
                let items = pairs.map(|(kind, field)| kind.of_field(field));
                let is_whole = kinds.len() == fields.len();
                if is_whole { Some(Value::tuple(items.collect::<Option<_>>()?)) } else { None }
            }
            Self::Object(_) => None,
        }
    }

    /// A field of a list: nothing that is itself a list.
    fn of_field(&self, text: &str) -> Option<Value> {
        match self {
            Self::Any | Self::Bool | Self::Number | Self::String => self.of_text(text),
            Self::List(_) | Self::Set(_) | Self::Map(_) | Self::Tuple(_) | Self::Object(_) => None,
        }
    }
}
