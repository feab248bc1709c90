//! The functions of templates: those of Go that have a use in one line, and docker's.

use std::cmp::Ordering;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::TemplateError;

/// Calls a function by its name.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let result = match (name, arguments) {
        ("and", all) => all.iter().find(|one| !is_true(one)).or(all.last()).cloned(),
        ("or", all) => all.iter().find(|one| is_true(one)).or(all.last()).cloned(),
        ("not", [one]) => Some(Value::Bool(!is_true(one))),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            Some(rest.iter().any(|other| equal(first, other)).into())
        }
        ("ne", [one, other]) => Some((!equal(one, other)).into()),
        ("lt", [one, other]) => order(one, other).map(|found| (found == Ordering::Less).into()),
        ("le", [one, other]) => order(one, other).map(|found| (found != Ordering::Greater).into()),
        ("gt", [one, other]) => order(one, other).map(|found| (found == Ordering::Greater).into()),
        ("ge", [one, other]) => order(one, other).map(|found| (found != Ordering::Less).into()),
        ("index", [of, keys @ ..]) => keys.iter().try_fold(of.clone(), |of, key| index(&of, key)),
        ("json", [one]) => Some(one.to_string().into()),
        ("len", [one]) => length(one),
        ("lower", [Value::String(text)]) => Some(text.to_lowercase().into()),
        ("upper", [Value::String(text)]) => Some(text.to_uppercase().into()),
        ("title", [Value::String(text)]) => Some(title(text).into()),
        ("join", [Value::Array(list), Value::String(between)]) => {
            let words: Vec<String> = list.iter().map(text).collect();
            Some(words.join(between).into())
        }
        ("join", [Value::Null, Value::String(_)]) => Some("".into()),
        ("split", [Value::String(text), Value::String(at)]) => {
            Some(text.split(at.as_str()).collect::<Vec<_>>().into())
        }
        ("slice", [of, bounds @ ..]) => slice(of, bounds),
        ("truncate", [Value::String(text), length]) => {
            let length = count(length).ok_or(TemplateError::Arguments("truncate"))?;
            Some(text.chars().take(length).collect::<String>().into())
        }
        ("pad", [Value::String(text), before, after]) => {
            count(before).zip(count(after)).map(|(before, after)| {
                format!(
                    "{}{text}{}",
                    " ".repeat(before.min(MAX_PAD)),
                    " ".repeat(after.min(MAX_PAD))
                )
                .into()
            })
        }
        ("print", all) => Some(printed(all).into()),
        ("println", all) => {
            let words: Vec<String> = all.iter().map(text).collect();
            Some(format!("{}\n", words.join(" ")).into())
        }
        ("printf", [Value::String(form), rest @ ..]) => formatted(form, rest).map(Value::from),
        _ => None,
    };
    result.ok_or_else(|| match KNOWN.iter().find(|known| **known == name) {
        Some(known) => TemplateError::Arguments(known),
        None => TemplateError::Function(name.to_owned()),
    })
}

const KNOWN: [&str; 23] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// As many blanks as a line of a terminal may need, and no more.
const MAX_PAD: usize = 1000;

/// A value as Go prints it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(text).collect();
            format!("[{}]", words.join(" "))
        }
        Value::Bool(value) => value.to_string(),
        Value::Null => "<no value>".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Object(map) => {
            let words: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
            format!("map[{}]", words.join(" "))
        }
        Value::String(text) => text.clone(),
    }
}

/// What Go takes for true: what is neither empty nor zero.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Bool(value) => *value,
        Value::Null => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (one, other) => Some(one.as_f64()?.total_cmp(&other.as_f64()?)),
    }
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn index(of: &Value, key: &Value) -> Option<Value> {
    match (of, key) {
        (Value::Array(list), key) => list.get(count(key)?).cloned(),
        (Value::Object(map), Value::String(key)) => Some(map.get(key).cloned().unwrap_or_default()),
        (Value::Null, Value::String(_)) => Some(Value::Null),
        _ => None,
    }
}

fn length(of: &Value) -> Option<Value> {
    match of {
        Value::Array(list) => Some(list.len().into()),
        Value::Null => Some(0.into()),
        Value::Object(map) => Some(map.len().into()),
        Value::String(text) => Some(text.len().into()),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

fn slice(of: &Value, bounds: &[Value]) -> Option<Value> {
    let from = bounds.first().map_or(Some(0), count)?;
    match of {
        Value::Array(list) => {
            let to = bounds.get(1).map_or(Some(list.len()), count)?;
            list.get(from..to).map(|part| part.to_vec().into())
        }
        Value::String(text) => {
            let to = bounds.get(1).map_or(Some(text.len()), count)?;
            text.get(from..to).map(Value::from)
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => None,
    }
}

fn title(text: &str) -> String {
    let mut begins = true;
    let capital = |letter: char| {
        let first = std::mem::replace(&mut begins, letter.is_whitespace());
        if first { letter.to_uppercase().collect::<String>() } else { letter.to_string() }
    };
    text.chars().map(capital).collect()
}

/// With blanks between two that are both no strings, as Go has it.
fn printed(all: &[Value]) -> String {
    let mut out = String::new();
    let mut last: Option<&Value> = None;
    for value in all {
        if last.is_some_and(|last| !last.is_string() && !value.is_string()) {
            out.push(' ');
        }
        out.push_str(&text(value));
        last = Some(value);
    }
    out
}

/// The verbs `%s`, `%v`, `%d`, `%q`, `%t` and `%%`, with a width.
fn formatted(form: &str, values: &[Value]) -> Option<String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = form.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let to_the_left = letters.next_if_eq(&'-').is_some();
        let mut width = 0_usize;
        while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
            width = (width * 10 + usize::try_from(digit).ok()?).min(MAX_PAD);
            letters.next();
        }
        let word = match letters.next()? {
            '%' => "%".to_owned(),
            's' | 'v' | 'd' | 't' => text(values.next()?),
            'q' => Value::from(text(values.next()?)).to_string(),
            _ => return None,
        };
        let blanks = " ".repeat(width.saturating_sub(word.width()));
        out.push_str(&if to_the_left { word + &blanks } else { blanks + &word });
    }
    values.next().is_none().then_some(out)
}
