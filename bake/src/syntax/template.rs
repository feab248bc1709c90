//! Templates: text with values and directives in it, and the white space that `~` and `<<-` take away.

use std::collections::VecDeque;

use hcl_edit::Span as _;
use hcl_edit::template::{Directive, Element, ForDirective, IfDirective, Strip};

use super::expression::Part;
use super::hcl::Lowering;
use crate::error::Fault;

/// How a template is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    /// Within quotes, or a string of JSON: its text is one piece between two values.
    Quoted,
    /// `<<EOT`: its text comes by lines.
    Heredoc,
    /// `<<-EOT`: the same, without the indentation that all lines have.
    Flush,
}

/// What a template consists of, one after the other, its directives opened up.
enum Token {
    Text(String),
    /// `${…}` or `%{…}`, and the white space that it takes before and after it.
    Marker {
        before: bool,
        after: bool,
    },
}

/// The text between markers, white space taken away, in the order in which it is needed.
type Texts = VecDeque<String>;

impl Lowering<'_> {
    pub(super) fn template<'a>(
        &self,
        elements: impl Iterator<Item = &'a Element>,
        sort: Sort,
    ) -> Result<Vec<Part>, Fault> {
        let elements: Vec<&Element> = elements.collect();
        let mut tokens = Vec::new();
        self.tokens(&elements, sort, &mut tokens);
        strip(&mut tokens);
        if sort == Sort::Flush {
            flush(&mut tokens);
        }
        let text = |token| match token {
            Token::Text(text) => Some(text),
            Token::Marker { .. } => None,
        };
        let mut texts: Texts = tokens.into_iter().filter_map(text).collect();
        self.parts(&elements, sort, &mut texts)
    }

    /// The lines of a literal, or it as a whole.
    fn pieces(&self, element: &Element, sort: Sort) -> Vec<String> {
        let Element::Literal(text) = element else { return Vec::new() };
        if sort == Sort::Quoted || !self.is_exact {
            return vec![text.as_str().to_owned()];
        }
        // As it is written: the parser takes indentation away by rules of its own.
        let written = text.span().and_then(|range| self.text.get(range));
        let written = written.unwrap_or(text.as_str()).replace("$${", "${").replace("%%{", "%{");
        written.split_inclusive('\n').map(ToOwned::to_owned).collect()
    }

    fn tokens(&self, elements: &[&Element], sort: Sort, into: &mut Vec<Token>) {
        let marker =
            |strip: Strip| Token::Marker { before: strip.strip_start(), after: strip.strip_end() };
        for element in elements {
            match element {
                Element::Literal(_) => {
                    into.extend(self.pieces(element, sort).into_iter().map(Token::Text));
                }
                Element::Interpolation(value) => into.push(marker(value.strip)),
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(one) => {
                        into.push(marker(one.if_expr.strip));
                        self.tokens(&all(one.if_expr.template.iter()), sort, into);
                        if let Some(part) = &one.else_expr {
                            into.push(marker(part.strip));
                            self.tokens(&all(part.template.iter()), sort, into);
                        }
                        into.push(marker(one.endif_expr.strip));
                    }
                    Directive::For(one) => {
                        into.push(marker(one.for_expr.strip));
                        self.tokens(&all(one.for_expr.template.iter()), sort, into);
                        into.push(marker(one.endfor_expr.strip));
                    }
                },
            }
        }
    }

    fn parts(
        &self,
        elements: &[&Element],
        sort: Sort,
        texts: &mut Texts,
    ) -> Result<Vec<Part>, Fault> {
        let mut parts = Vec::new();
        for element in elements {
            match element {
                Element::Literal(_) => {
                    let count = self.pieces(element, sort).len();
                    let text: String = texts.drain(..count.min(texts.len())).collect();
                    if !text.is_empty() {
                        parts.push(Part::Text(text));
                    }
                }
                Element::Interpolation(value) => {
                    parts.push(Part::Value(self.expression(&value.expr)?));
                }
                Element::Directive(directive) => parts.push(match directive.as_ref() {
                    Directive::If(one) => self.if_directive(one, sort, texts)?,
                    Directive::For(one) => self.for_directive(one, sort, texts)?,
                }),
            }
        }
        Ok(parts)
    }

    fn if_directive(
        &self,
        one: &IfDirective,
        sort: Sort,
        texts: &mut Texts,
    ) -> Result<Part, Fault> {
        let condition = self.expression(&one.if_expr.cond_expr)?;
        let then = self.parts(&all(one.if_expr.template.iter()), sort, texts)?;
        let otherwise = match &one.else_expr {
            Some(part) => self.parts(&all(part.template.iter()), sort, texts)?,
            None => Vec::new(),
        };
        Ok(Part::If { condition, then, otherwise })
    }

    fn for_directive(
        &self,
        one: &ForDirective,
        sort: Sort,
        texts: &mut Texts,
    ) -> Result<Part, Fault> {
        Ok(Part::For {
            key_name: one.for_expr.key_var.as_ref().map(|name| name.value().to_string()),
            value_name: one.for_expr.value_var.value().to_string(),
            source: self.expression(&one.for_expr.collection_expr)?,
            each: self.parts(&all(one.for_expr.template.iter()), sort, texts)?,
        })
    }
}

fn all<'a>(elements: impl Iterator<Item = &'a Element>) -> Vec<&'a Element> {
    elements.collect()
}

/// Takes away what `~` asks for: white space of the text next to it, of its own line in heredocs.
fn strip(tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        let Token::Marker { before, after } = tokens[at] else { continue };
        if before && let Some(Token::Text(text)) = at.checked_sub(1).map(|at| &mut tokens[at]) {
            text.truncate(text.trim_end().len());
        }
        if after && let Some(Token::Text(text)) = tokens.get_mut(at + 1) {
            *text = text.trim_start().to_owned();
        }
    }
}

/// Takes away the indentation that all lines have. A line whose start `~` took is none.
fn flush(tokens: &mut [Token]) {
    let mut fewest: Option<usize> = None;
    let mut starts = Vec::new();
    let mut is_start = true;
    for (at, token) in tokens.iter().enumerate() {
        let text = match token {
            Token::Text(text) => Some(text),
            Token::Marker { .. } => None,
        };
        if is_start {
            let trimmed = text.map(|text| text.trim_start());
            let spaces = text.map_or(0, |text| {
                text.chars().count() - trimmed.unwrap_or_default().chars().count()
            });
            let is_blank =
                trimmed.is_some_and(str::is_empty) && text.is_some_and(|text| text.ends_with('\n'));
            if !is_blank {
                fewest = Some(fewest.map_or(spaces, |fewest| fewest.min(spaces)));
                starts.extend(text.map(|_| at));
            }
        }
        is_start = text.is_some_and(|text| text.ends_with('\n'));
    }
    for at in starts {
        if let Token::Text(text) = &mut tokens[at] {
            *text = text.chars().skip(fewest.unwrap_or(0)).collect();
        }
    }
}
