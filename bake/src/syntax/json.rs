//! JSON files: the same blocks and attributes, spelt as objects.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::body::{Attribute, Block, Body, Label};
use super::expression::{Expression, Form, Key};
use super::hcl::{parse_template, refuse_depth};
use crate::error::{Fault, Problem};
use crate::number::Number;
use crate::source::{FileId, Span};
use crate::value::Value;

/// The blocks of a file, each with one label.
const BLOCKS: [&str; 4] = ["function", "group", "target", "variable"];

/// Parses a file.
pub(crate) fn parse(text: &str, file: FileId) -> Result<Body, Fault> {
    let reader = Reader { text, file };
    refuse_depth(text, Span { file, start: 0, end: 0 })?;
    // Serde's own errors carry line and column; what follows is known to be JSON.
    let root: &RawValue = serde_json::from_str(text).map_err(|error| reader.syntax(&error))?;
    let mut body = Body::default();
    for (name, value) in reader.members(root)? {
        if BLOCKS.contains(&name.as_str()) {
            reader.blocks(&name, value, &mut body)?;
        } else {
            body.attributes.push(reader.attribute(name, value)?);
        }
    }
    Ok(body)
}

struct Reader<'a> {
    text: &'a str,
    file: FileId,
}

impl<'a> Reader<'a> {
    /// Where a value lies: it is a part of the text.
    fn span(&self, value: &RawValue) -> Span {
        let start = value.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        Span { file: self.file, start, end: start + value.get().len() }
    }

    fn syntax(&self, error: &serde_json::Error) -> Fault {
        let mut lines = self.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(error.line().saturating_sub(1)).map(str::len).sum();
        let start = (before + error.column().saturating_sub(1)).min(self.text.len());
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default().to_owned();
        Problem::Syntax(text).at(Span { file: self.file, start, end: start })
    }

    fn members(&self, value: &'a RawValue) -> Result<Vec<(String, &'a RawValue)>, Fault> {
        let Members(members) = serde_json::from_str(value.get()).map_err(|_| {
            Problem::Type { wanted: "an object".to_owned(), found: sort(value).to_owned() }
                .at(self.span(value))
        })?;
        Ok(members)
    }

    fn items(&self, value: &'a RawValue) -> Result<Vec<&'a RawValue>, Fault> {
        serde_json::from_str(value.get()).map_err(|_| {
            Problem::Type { wanted: "an array".to_owned(), found: sort(value).to_owned() }
                .at(self.span(value))
        })
    }

    /// An object of one or more, an array of such.
    fn several(&self, value: &'a RawValue) -> Result<Vec<&'a RawValue>, Fault> {
        if value.get().starts_with('[') { self.items(value) } else { Ok(vec![value]) }
    }

    fn blocks(&self, kind: &str, value: &'a RawValue, out: &mut Body) -> Result<(), Fault> {
        for labelled in self.several(value)? {
            for (label, bodies) in self.members(labelled)? {
                for body in self.several(bodies)? {
                    let span = self.span(body);
                    out.blocks.push(Block {
                        kind: kind.to_owned(),
                        labels: vec![Label { text: label.clone(), span }],
                        span,
                        body: self.body(body)?,
                    });
                }
            }
        }
        Ok(())
    }

    fn body(&self, value: &'a RawValue) -> Result<Body, Fault> {
        let mut body = Body::default();
        for (name, value) in self.members(value)? {
            if name == "validation" {
                for one in self.several(value)? {
                    let (span, labels) = (self.span(one), Vec::new());
                    let kind = name.clone();
                    body.blocks.push(Block { kind, labels, span, body: self.body(one)? });
                }
            } else {
                body.attributes.push(self.attribute(name, value)?);
            }
        }
        Ok(body)
    }

    fn attribute(&self, name: String, value: &'a RawValue) -> Result<Attribute, Fault> {
        Ok(Attribute { name, span: self.span(value), value: self.expression(value)? })
    }

    fn expression(&self, value: &'a RawValue) -> Result<Expression, Fault> {
        let span = self.span(value);
        let text = value.get();
        let form = match text.as_bytes().first() {
            Some(b'{') => {
                let pair = |(key, value): (String, _)| {
                    let key = parse_template(&key, span)?;
                    Ok((Key::Computed(key), self.expression(value)?))
                };
                let members = self.members(value)?.into_iter();
                Form::Object(members.map(pair).collect::<Result<_, Fault>>()?)
            }
            Some(b'[') => {
                let items = self.items(value)?.into_iter();
                Form::Array(items.map(|item| self.expression(item)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => {
                let text: String =
                    serde_json::from_str(text).map_err(|error| self.syntax(&error))?;
                return parse_template(&text, span);
            }
            Some(b't') => Form::Literal(Value::Bool(true)),
            Some(b'f') => Form::Literal(Value::Bool(false)),
            Some(b'n') => Form::Literal(Value::Null),
            _ => Form::Literal(Value::Number(Number::parse(text).ok_or_else(|| {
                Problem::Syntax(format!("{text} is too large for a number")).at(span)
            })?)),
        };
        Ok(Expression { form, span })
    }
}

/// What JSON calls a value.
fn sort(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a bool",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The members of an object in its order, repeated names and all.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
