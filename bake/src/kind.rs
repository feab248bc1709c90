//! Types as variables and `convert` name them, and values brought into them.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Fault, Problem};
use crate::syntax::expression::{Expression, Form, Key};
use crate::value::Value;

/// A type that a value is to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Any,
    Bool,
    Number,
    String,
    List(Box<Kind>),
    Set(Box<Kind>),
    Map(Box<Kind>),
    Tuple(Vec<Kind>),
    Object(BTreeMap<String, Attribute>),
}

/// An attribute of an object type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Attribute {
    kind: Kind,
    is_optional: bool,
}

impl Kind {
    /// What an expression as `list(string)` names.
    pub(crate) fn read(expression: &Expression) -> Result<Self, Fault> {
        let unknown = || {
            let text = "not a type: string, number, bool, any, list(…), set(…), map(…), \
                        tuple([…]) and object({…}) are";
            Problem::Invalid(text.to_owned()).at(expression.span)
        };
        match &expression.form {
            Form::Variable(name) => match name.as_str() {
                "any" => Ok(Self::Any),
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "string" => Ok(Self::String),
                _ => Err(unknown()),
            },
            Form::Call { name, arguments, .. } => {
                let [argument] = arguments.as_slice() else { return Err(unknown()) };
                let inner = || Self::read(argument).map(Box::new);
                match (name.as_str(), &argument.form) {
                    ("list", _) => Ok(Self::List(inner()?)),
                    ("set", _) => Ok(Self::Set(inner()?)),
                    ("map", _) => Ok(Self::Map(inner()?)),
                    ("tuple", Form::Array(items)) => {
                        Ok(Self::Tuple(items.iter().map(Self::read).collect::<Result<_, _>>()?))
                    }
                    ("object", Form::Object(items)) => {
                        let pair = |(key, item): &(Key, Expression)| {
                            let name = key.literal().ok_or_else(unknown)?;
                            Ok((name.to_owned(), Attribute::read(item)?))
                        };
                        Ok(Self::Object(items.iter().map(pair).collect::<Result<_, Fault>>()?))
                    }
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }

    /// The value in this type. None if it cannot be one.
    pub(crate) fn convert(&self, value: &Value) -> Option<Value> {
        if value.is_null() {
            return Some(Value::Null);
        }
        Some(match (self, value) {
            (Self::Any, value) => value.clone(),
            (Self::Bool, value) => Value::Bool(value.to_bool()?),
            (Self::Number, value) => Value::Number(value.to_number()?),
            (Self::String, value) => Value::String(value.to_text()?),
            (Self::List(kind), Value::Sequence(_, items)) => Value::list(kind.each(items)?),
            (Self::Set(kind), Value::Sequence(_, items)) => Value::set(kind.each(items)?),
            (Self::Map(kind), Value::Mapping(_, items)) => {
                let pair = |(key, item): (&String, _)| Some((key.clone(), kind.convert(item)?));
                Value::map(items.iter().map(pair).collect::<Option<_>>()?)
            }
            (Self::Tuple(kinds), Value::Sequence(_, items)) if kinds.len() == items.len() => {
                let pairs = kinds.iter().zip(items);
                Value::tuple(pairs.map(|(kind, item)| kind.convert(item)).collect::<Option<_>>()?)
            }
            (Self::Object(attributes), Value::Mapping(_, items)) => {
                let pair = |(name, attribute): (&String, &Attribute)| {
                    let value = match items.get(name) {
                        Some(item) => attribute.kind.convert(item)?,
                        None if attribute.is_optional => Value::Null,
                        None => return None,
                    };
                    Some((name.clone(), value))
                };
                Value::object(attributes.iter().map(pair).collect::<Option<_>>()?)
            }
            (Self::List(_) | Self::Set(_) | Self::Map(_) | Self::Tuple(_) | Self::Object(_), _) => {
                return None;
            }
        })
    }

    fn each(&self, items: &[Value]) -> Option<Vec<Value>> {
        items.iter().map(|item| self.convert(item)).collect()
    }
}

impl Attribute {
    fn read(expression: &Expression) -> Result<Self, Fault> {
        match &expression.form {
            Form::Call { name, arguments, .. } if name == "optional" && !arguments.is_empty() => {
                Ok(Self { kind: Kind::read(&arguments[0])?, is_optional: true })
            }
            _ => Ok(Self { kind: Kind::read(expression)?, is_optional: false }),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(kind) => write!(f, "list of {kind}"),
            Self::Set(kind) => write!(f, "set of {kind}"),
            Self::Map(kind) => write!(f, "map of {kind}"),
            Self::Tuple(_) => f.write_str("tuple"),
            Self::Object(_) => f.write_str("object"),
        }
    }
}
