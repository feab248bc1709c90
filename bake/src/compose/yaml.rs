//! YAML as a tree with places: aliases and merge keys are resolved, scalars stay as they are written.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::error::{Fault, Problem};
use crate::source::{FileId, Sources, Span};

/// The most nodes of a file once its aliases are resolved: an alias of aliases of aliases multiplies.
const MAX_NODES: usize = 200_000;

/// The deepest nesting: what goes through a tree is recursive.
const MAX_DEPTH: usize = 128;

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) span: Span,
    /// What a tag says of merging.
    pub(super) tag: Option<Merging>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    /// Text, and whether it was written without quotes, so that it may be a number.
    Scalar {
        text: String,
        is_plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

/// What happens to what an earlier file says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Merging {
    /// `!override`: it is replaced.
    Override,
    /// `!reset`: it goes.
    Reset,
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.data {
            Data::Mapping(members) => members,
            _ => &[],
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    pub(super) fn scalar(text: impl Into<String>, span: Span) -> Self {
        let data = Data::Scalar { text: text.into(), is_plain: false };
        Self { data, span, tag: None }
    }

    pub(super) fn mapping(members: Vec<(String, Self)>, span: Span) -> Self {
        Self { data: Data::Mapping(members), span, tag: None }
    }

    /// What it is, in words.
    pub(super) fn described(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Scalar { .. } => "a string",
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a mapping",
        }
    }

    /// A fault of it.
    pub(super) fn wanted(&self, wanted: &str) -> Fault {
        let (wanted, found) = (wanted.to_owned(), self.described().to_owned());
        Problem::Type { wanted, found }.at(self.span)
    }
}

/// A scalar as text.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.data {
        Data::Scalar { text, is_plain: true } => Some(canonical(text)),
        Data::Scalar { text, is_plain: false } => Some(text.clone()),
        Data::Null | Data::Sequence(_) | Data::Mapping(_) => None,
    }
}

/// A list of scalars as texts; nothing is an empty one.
pub(super) fn texts(node: &Node) -> Result<Vec<String>, Fault> {
    match &node.data {
        Data::Sequence(items) => {
            let one = |item: &Node| text(item).ok_or_else(|| item.wanted("a string"));
            items.iter().map(one).collect()
        }
        Data::Null => Ok(Vec::new()),
        _ => Err(node.wanted("a list")),
    }
}

/// The documents of a file.
pub(super) fn parse(sources: &Sources, file: FileId) -> Result<Vec<Node>, Fault> {
    let mut builder = Builder { sources, file, anchors: BTreeMap::new(), count: 0 };
    let mut open: Vec<Open> = Vec::new();
    let mut documents = Vec::new();
    for event in Parser::new_from_str(&sources.file(file).text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col());
            let start = sources.offset(file, line, column);
            Problem::Syntax(error.info().to_owned()).at(Span { file, start, end: start })
        })?;
        let span = builder.span(span);
        let node = match event {
            Event::Alias(id) => Some(builder.alias(id, span)?),
            Event::Scalar(text, style, id, tag) => {
                Some(builder.keep(id, scalar(&text, style, tag.as_deref(), span))?)
            }
            Event::SequenceStart(id, tag) => {
                open.push(Open::new(id, tag.as_deref(), span, Collected::Sequence(Vec::new())));
                None
            }
            Event::MappingStart(id, tag) => {
                open.push(Open::new(
                    id,
                    tag.as_deref(),
                    span,
                    Collected::Mapping(Vec::new(), None),
                ));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(one) => Some(builder.close(one)?),
                None => None,
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => None,
        };
        if open.len() > MAX_DEPTH {
            let text = format!("this is nested more than {MAX_DEPTH} deep");
            return Err(Problem::Syntax(text).at(span));
        }
        if let Some(node) = node {
            match open.last_mut() {
                Some(above) => above.take(node)?,
                None => documents.push(node),
            }
        }
    }
    Ok(documents)
}

/// A collection whose end is not reached.
struct Open {
    anchor: usize,
    tag: Option<Merging>,
    span: Span,
    items: Collected,
}

enum Collected {
    Sequence(Vec<Node>),
    /// Members, and a key whose value is not there yet.
    Mapping(Vec<(String, Node)>, Option<(String, Span)>),
}

impl Open {
    fn new(anchor: usize, tag: Option<&Tag>, span: Span, items: Collected) -> Self {
        Self { anchor, tag: merging(tag), span, items }
    }

    fn take(&mut self, node: Node) -> Result<(), Fault> {
        match &mut self.items {
            Collected::Sequence(items) => items.push(node),
            Collected::Mapping(members, key) => match key.take() {
                None => {
                    let name = match &node.data {
                        Data::Scalar { text, .. } => text.clone(),
                        Data::Null => String::new(),
                        _ => return Err(node.wanted("a string as a key")),
                    };
                    *key = Some((name, node.span));
                }
                Some((name, span)) => {
                    if name != "<<" && members.iter().any(|(other, _)| *other == name) {
                        let text = format!("the key {name:?} is there already");
                        return Err(Problem::Syntax(text).at(span));
                    }
                    members.push((name, node));
                }
            },
        }
        Ok(())
    }
}

struct Builder<'a> {
    sources: &'a Sources,
    file: FileId,
    anchors: BTreeMap<usize, Node>,
    count: usize,
}

impl Builder<'_> {
    fn span(&self, span: saphyr_parser::Span) -> Span {
        let at = |one: saphyr_parser::Marker| self.sources.offset(self.file, one.line(), one.col());
        Span { file: self.file, start: at(span.start), end: at(span.end) }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.count += nodes;
        if self.count > MAX_NODES {
            let text = format!("the file has more than {MAX_NODES} values, aliases resolved");
            return Err(Problem::Syntax(text).at(span));
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, node: Node) -> Result<Node, Fault> {
        self.count(1, node.span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Fault> {
        let node = self.anchors.get(&id).cloned().ok_or_else(|| {
            Problem::Syntax("this alias is a part of what it stands for".to_owned()).at(span)
        })?;
        self.count(size(&node), span)?;
        Ok(node)
    }

    fn close(&mut self, open: Open) -> Result<Node, Fault> {
        let data = match open.items {
            Collected::Sequence(items) => Data::Sequence(items),
            Collected::Mapping(members, _) => Data::Mapping(with_merge_keys(members)?),
        };
        self.keep(open.anchor, Node { data, span: open.span, tag: open.tag })
    }
}

fn size(node: &Node) -> usize {
    match &node.data {
        Data::Null | Data::Scalar { .. } => 1,
        Data::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Data::Mapping(members) => 1 + members.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}

/// `<<: *base` adds the members that are not there.
fn with_merge_keys(members: Vec<(String, Node)>) -> Result<Vec<(String, Node)>, Fault> {
    let (merged, mut own): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| name == "<<");
    for (_, node) in merged {
        let bases = match node.data {
            Data::Sequence(items) => items,
            _ => vec![node],
        };
        for base in bases {
            let Data::Mapping(members) = base.data else {
                return Err(base.wanted("a mapping after <<"));
            };
            for (name, node) in members {
                if !own.iter().any(|(other, _)| *other == name) {
                    own.push((name, node));
                }
            }
        }
    }
    Ok(own)
}

fn merging(tag: Option<&Tag>) -> Option<Merging> {
    match tag?.suffix.as_str() {
        "override" => Some(Merging::Override),
        "reset" => Some(Merging::Reset),
        _ => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    let is_plain = style == ScalarStyle::Plain && !is_text;
    let is_null = is_plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let data = if is_null { Data::Null } else { Data::Scalar { text: text.to_owned(), is_plain } };
    Node { data, span, tag: merging(tag) }
}

/// A plain scalar as the text of what it stands for: `3.10` is a number, and is written 3.1.
pub(super) fn canonical(text: &str) -> String {
    let digits = text.trim_start_matches(['-', '+']);
    let sign = if text.starts_with('-') { "-" } else { "" };
    if digits.is_empty() || text.len() > digits.len() + 1 {
        return text.to_owned();
    }
    let whole = digits.replace('_', "");
    let radix = match whole.as_bytes() {
        [b'0', b'x' | b'X', ..] => Some((16, 2)),
        [b'0', b'o' | b'O', ..] => Some((8, 2)),
        [b'0', b'b' | b'B', ..] => Some((2, 2)),
        [b'0', b'0'..=b'7', ..] => Some((8, 1)),
        _ => None,
    };
    if let Some((radix, skip)) = radix
        && let Ok(number) = u64::from_str_radix(&whole[skip..], radix)
    {
        return format!("{sign}{number}");
    }
    if whole.bytes().all(|byte| byte.is_ascii_digit()) {
        let trimmed = whole.trim_start_matches('0');
        let trimmed = if trimmed.is_empty() { "0" } else { trimmed };
        return if whole.len() < 20 { format!("{sign}{trimmed}") } else { text.to_owned() };
    }
    let is_float = whole.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && whole.bytes().any(|byte| byte.is_ascii_digit())
        && whole.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    match whole.parse::<f64>() {
        Ok(number) if is_float && number.is_finite() => format!("{sign}{}", shortest(number)),
        _ => text.to_owned(),
    }
}

/// As others print a float: with an exponent where it is very large or small.
fn shortest(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..21).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_others_write_them() {
        for (text, written) in [
            ("3.10", "3.1"),
            ("010", "8"),
            ("0x1F", "31"),
            ("1e3", "1000"),
            ("1.0", "1"),
            ("-5", "-5"),
            ("1.2.3", "1.2.3"),
            ("v1", "v1"),
            ("1-2", "1-2"),
            ("08", "8"),
            ("1e30", "1e+30"),
            ("yes", "yes"),
            ("-", "-"),
        ] {
            assert_eq!(canonical(text), written, "{text}");
        }
    }
}
