//! Functions of regular expressions.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};

use super::{Call, Function, exactly};
use crate::value::Value;

/// The largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("regex", 2, |call| {
        let (pattern, text) = (compiled(call, 0)?, call.text(1)?);
        let found = pattern.captures(&text).ok_or("pattern did not match any part of the text")?;
        found_value(&pattern, &found)
    }),
    exactly("regex_replace", 3, |call| {
        let (pattern, text, by) = (compiled(call, 1)?, call.text(0)?, call.text(2)?);
        Ok(Value::string(pattern.replace_all(&text, by.as_str())))
    }),
    exactly("regexall", 2, |call| {
        let (pattern, text) = (compiled(call, 0)?, call.text(1)?);
        let all = pattern.captures_iter(&text).map(|found| found_value(&pattern, &found));
        Ok(Value::list(all.collect::<Result<_, _>>()?))
    }),
];

fn compiled(call: &Call<'_>, at: usize) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(&call.text(at)?);
    builder.size_limit(MAX_PATTERN).build().map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or("not a regular expression").trim().to_owned()
    })
}

/// The whole match, or its groups: a list of them, or an object where they have names.
fn found_value(pattern: &Regex, found: &Captures<'_>) -> Result<Value, String> {
    let group = |at: usize| found.get(at).map_or(Value::Null, |one| Value::string(one.as_str()));
    let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
    if names.is_empty() {
        return Ok(group(0));
    }
    let named: Vec<&str> = names.iter().copied().flatten().collect();
    if named.is_empty() {
        return Ok(Value::tuple((1..=names.len()).map(group).collect()));
    }
    if named.len() < names.len() {
        return Err("either all groups have names or none".to_owned());
    }
    let items: BTreeMap<String, Value> =
        named.iter().enumerate().map(|(at, name)| ((*name).to_owned(), group(at + 1))).collect();
    Ok(Value::object(items))
}
