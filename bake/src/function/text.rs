//! Functions of text.

use unicode_segmentation::UnicodeSegmentation;

use super::{Call, Function, at_least, exactly};
use crate::number::Number;
use crate::path;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("basename", 1, |call| Ok(Value::string(path::base(&call.text(0)?)))),
    exactly("byteslen", 1, |call| Ok(Value::Number(Number::from(call.text(0)?.len())))),
    exactly("bytesslice", 3, bytes_slice),
    exactly("chomp", 1, |call| Ok(Value::string(call.text(0)?.trim_end_matches(['\r', '\n'])))),
    exactly("dirname", 1, |call| Ok(Value::string(path::directory(&call.text(0)?)))),
    exactly("homedir", 0, |call| Ok(Value::string(call.surroundings.home()))),
    exactly("indent", 2, |call| {
        let width = call.number(0)?.to_index().filter(|width| *width <= MAX_INDENT);
        let width = width.ok_or_else(|| format!("the width has to be 0 to {MAX_INDENT}"))?;
        Ok(Value::string(call.text(1)?.replace('\n', &format!("\n{}", " ".repeat(width)))))
    }),
    at_least("join", 2, |call| {
        let mut texts = Vec::new();
        for at in 1..call.len() {
            texts.extend(call.texts(at)?);
        }
        Ok(Value::string(texts.join(&call.text(0)?)))
    }),
    exactly("lower", 1, |call| Ok(Value::String(call.text(0)?.chars().map(lower).collect()))),
    exactly("replace", 3, |call| {
        Ok(Value::string(call.text(0)?.replace(&call.text(1)?, &call.text(2)?)))
    }),
    exactly("reverse", 1, |call| Ok(Value::String(call.text(0)?.graphemes(true).rev().collect()))),
    exactly("sanitize", 1, |call| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let clean = call.text(0)?.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        Ok(Value::String(clean))
    }),
    exactly("split", 2, |call| {
        let (separator, text) = (call.text(0)?, call.text(1)?);
        if separator.is_empty() {
            return Ok(Value::strings(text.chars()));
        }
        Ok(Value::strings(text.split(&separator)))
    }),
    exactly("strlen", 1, |call| {
        Ok(Value::Number(Number::from(call.text(0)?.graphemes(true).count())))
    }),
    exactly("substr", 3, substring),
    exactly("title", 1, |call| Ok(Value::String(title(&call.text(0)?)))),
    exactly("trim", 2, |call| {
        let set = call.text(1)?;
        Ok(Value::string(call.text(0)?.trim_matches(|c| set.contains(c))))
    }),
    exactly("trimprefix", 2, |call| {
        let (text, prefix) = (call.text(0)?, call.text(1)?);
        Ok(Value::string(text.strip_prefix(&prefix).unwrap_or(&text)))
    }),
    exactly("trimspace", 1, |call| Ok(Value::string(call.text(0)?.trim()))),
    exactly("trimsuffix", 2, |call| {
        let (text, suffix) = (call.text(0)?, call.text(1)?);
        Ok(Value::string(text.strip_suffix(&suffix).unwrap_or(&text)))
    }),
    exactly("upper", 1, |call| Ok(Value::String(call.text(0)?.chars().map(upper).collect()))),
];

/// The widest indentation: what is wider is a mistake, times every line.
const MAX_INDENT: usize = 1024;

/// A letter in upper case, where that is one letter.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(c) } else { c }
}

/// A letter in lower case, where that is one letter.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    if lower.len() == 1 { lower.next().unwrap_or(c) } else { c }
}

/// A part by bytes; what is cut within a character is refused.
fn bytes_slice(call: &Call<'_>) -> Result<Value, String> {
    let (text, offset, length) = (call.text(0)?, call.integer(1)?, call.integer(2)?);
    let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    let part = range.and_then(|(offset, length)| text.get(offset..offset.checked_add(length)?));
    part.map(Value::string).ok_or_else(|| format!("there are no {length} bytes at {offset}"))
}

/// A part by characters as people see them; an offset below zero counts from the end, a length below
/// zero is all the rest.
fn substring(call: &Call<'_>) -> Result<Value, String> {
    let (text, offset, length) = (call.text(0)?, call.integer(1)?, call.integer(2)?);
    let all: Vec<&str> = text.graphemes(true).collect();
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { start.saturating_add(length).min(count) };
    let index = |at: i64| usize::try_from(at).unwrap_or_default();
    Ok(Value::String(all[index(start)..index(end)].concat()))
}

/// The first letter of each word in upper case; a word begins after what is neither letter nor digit.
fn title(text: &str) -> String {
    let mut out = String::new();
    let mut is_within = false;
    for c in text.chars() {
        if is_within {
            out.push(c);
        } else {
            out.push(upper(c));
        }
        is_within = c.is_alphanumeric() || c == '_';
    }
    out
}
