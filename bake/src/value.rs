//! The values that expressions have.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::number::Number;

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Sequence(SequenceKind, Vec<Value>),
    Mapping(MappingKind, BTreeMap<String, Value>),
}

/// What tells sequences apart: a list and a tuple of the same elements are not equal.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum SequenceKind {
    /// Elements of any types, as it is written.
    Tuple,
    /// Elements of one type, as functions give it.
    List,
    /// Elements of one type, each once, in order.
    Set,
}

/// What tells mappings apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum MappingKind {
    /// Values of any types, as it is written.
    Object,
    /// Values of one type.
    Map,
}

impl Value {
    pub(crate) fn tuple(items: Vec<Self>) -> Self {
        Self::Sequence(SequenceKind::Tuple, items)
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::Sequence(SequenceKind::List, items)
    }

    /// The elements in order, each once.
    pub(crate) fn set(mut items: Vec<Self>) -> Self {
        items.sort_by(Self::order);
        items.dedup();
        Self::Sequence(SequenceKind::Set, items)
    }

    pub(crate) fn object(items: BTreeMap<String, Self>) -> Self {
        Self::Mapping(MappingKind::Object, items)
    }

    pub(crate) fn map(items: BTreeMap<String, Self>) -> Self {
        Self::Mapping(MappingKind::Map, items)
    }

    pub(crate) fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    pub(crate) fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::list(items.into_iter().map(Self::string).collect())
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is, in words.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Sequence(SequenceKind::Tuple | SequenceKind::List, _) => "a list",
            Self::Sequence(SequenceKind::Set, _) => "a set",
            Self::Mapping(..) => "an object",
        }
    }

    /// A string, or what becomes one: numbers and bools. None for null and for collections.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::String(text) => Some(text.clone()),
            Self::Null | Self::Sequence(..) | Self::Mapping(..) => None,
        }
    }

    /// A number, or a string that spells one.
    pub(crate) fn to_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number.clone()),
            Self::String(text) => Number::parse(text),
            Self::Null | Self::Bool(_) | Self::Sequence(..) | Self::Mapping(..) => None,
        }
    }

    /// A bool, or a string that spells one: `true`, `false`, `1`, `0`.
    pub(crate) fn to_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::String(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Self::Null | Self::Number(_) | Self::Sequence(..) | Self::Mapping(..) => None,
        }
    }

    /// An order of all values, for sets.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.compare(other),
            (Self::String(one), Self::String(other)) => one.cmp(other),
            (Self::Sequence(_, one), Self::Sequence(_, other)) => {
                let pairs = one.iter().zip(other).map(|(one, other)| one.order(other));
                pairs.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
            }
            (Self::Mapping(_, one), Self::Mapping(_, other)) => {
                let keys = one.keys().cmp(other.keys());
                let pairs = one.values().zip(other.values());
                keys.then(pairs.fold(Ordering::Equal, |so_far, (a, b)| so_far.then(a.order(b))))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
            Self::Sequence(..) => 4,
            Self::Mapping(..) => 5,
        }
    }

    /// As JSON writes it, on one line.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::String(text) => out.push_str(&quoted(text)),
            Self::Sequence(_, items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Mapping(_, items) => {
                out.push('{');
                for (position, (key, item)) in items.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    out.push_str(&quoted(key));
                    out.push(':');
                    item.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// What a JSON document says.
    pub(crate) fn from_json(json: &serde_json::Value) -> Option<Self> {
        Some(match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(Number::parse(&number.to_string())?),
            serde_json::Value::String(text) => Self::String(text.clone()),
            serde_json::Value::Array(items) => {
                Self::tuple(items.iter().map(Self::from_json).collect::<Option<_>>()?)
            }
            serde_json::Value::Object(items) => {
                let pair = |(key, item): (&String, _)| Some((key.clone(), Self::from_json(item)?));
                Self::object(items.iter().map(pair).collect::<Option<_>>()?)
            }
        })
    }
}

/// Text as JSON quotes it; `<`, `>` and `&` are escaped, as others do.
pub(crate) fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_each_element_once_in_order() {
        let set = Value::set(["b", "a", "b"].map(Value::string).to_vec());
        assert_eq!(set.to_json(), r#"["a","b"]"#);
    }

    #[test]
    fn json_goes_both_ways() {
        let text = r#"{"a":[1.5,null,true,"\u003cx"],"b":{}}"#;
        let value = Value::from_json(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(value.to_json(), text);
    }

    #[test]
    fn what_spells_a_number_or_a_bool_is_one() {
        assert_eq!(Value::string("1.50").to_number(), Number::parse("1.5"));
        assert_eq!(Value::string("0").to_bool(), Some(false));
        assert_eq!(Value::string("yes").to_bool(), None);
        assert_eq!(Value::Null.to_text(), None);
    }
}
