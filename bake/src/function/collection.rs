//! Functions of lists and maps.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Call, Function, at_least, exactly};
use crate::evaluate::equality;
use crate::number::Number;
use crate::value::{MappingKind, SequenceKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("chunklist", 2, chunk_list),
    at_least("coalesce", 1, |call| {
        let known = call.arguments.iter().find(|value| !value.is_null());
        known.cloned().ok_or_else(|| "all arguments are null".to_owned())
    }),
    at_least("coalescelist", 1, |call| {
        for at in 0..call.len() {
            if !call.value(at).is_null() && !call.items(at)?.is_empty() {
                return Ok(call.value(at).clone());
            }
        }
        Err("all arguments are empty".to_owned())
    }),
    exactly("compact", 1, |call| {
        let texts = call.items(0)?.iter().filter_map(Value::to_text);
        Ok(Value::strings(texts.filter(|text| !text.is_empty())))
    }),
    at_least("concat", 1, concat),
    exactly("contains", 2, |call| {
        Ok(Value::Bool(call.items(0)?.iter().any(|item| equality(item, call.value(1)))))
    }),
    exactly("distinct", 1, distinct),
    exactly("element", 2, element),
    exactly("flatten", 1, |call| {
        let mut flat = Vec::new();
        flatten(call.items(0)?, &mut flat);
        Ok(Value::tuple(flat))
    }),
    exactly("hasindex", 2, |call| Ok(Value::Bool(indexed(call).is_some()))),
    exactly("index", 2, |call| indexed(call).ok_or_else(|| "there is no such element".to_owned())),
    exactly("indexof", 2, |call| {
        let found = call.items(0)?.iter().position(|item| equality(item, call.value(1)));
        found.map(|at| Value::Number(Number::from(at))).ok_or_else(|| "item not found".to_owned())
    }),
    exactly("keys", 1, |call| Ok(Value::strings(call.mapping(0)?.keys().cloned()))),
    exactly("length", 1, |call| {
        let length = match call.value(0) {
            Value::Sequence(_, items) => items.len(),
            Value::Mapping(_, items) => items.len(),
            _ => return Err(call.unsuitable(0, "a list or map")),
        };
        Ok(Value::Number(Number::from(length)))
    }),
    exactly("lookup", 3, |call| {
        let found = call.mapping(0)?.get(&call.text(1)?);
        Ok(found.unwrap_or(call.value(2)).clone())
    }),
    at_least("merge", 0, merge),
    at_least("range", 1, range),
    exactly("reverselist", 1, |call| {
        let (kind, items) = call.sequence(0)?;
        Ok(sequence(kind, items.iter().rev().cloned().collect()))
    }),
    exactly("slice", 3, slice),
    exactly("sort", 1, |call| {
        let mut texts = call.texts(0)?;
        texts.sort();
        Ok(Value::strings(texts))
    }),
    exactly("values", 1, |call| {
        let items = call.mapping(0)?.values().cloned().collect();
        let is_map = matches!(call.value(0), Value::Mapping(MappingKind::Map, _));
        Ok(if is_map { Value::list(items) } else { Value::tuple(items) })
    }),
    exactly("zipmap", 2, zip_map),
];

/// The most numbers of a range, as others have it.
const MAX_RANGE: usize = 1024;

/// A list where there was one, or a set; a tuple where there was a tuple.
fn sequence(kind: SequenceKind, items: Vec<Value>) -> Value {
    if kind == SequenceKind::Tuple { Value::tuple(items) } else { Value::list(items) }
}

fn chunk_list(call: &Call<'_>) -> Result<Value, String> {
    let (items, size) = (call.items(0)?, call.integer(1)?);
    let size = usize::try_from(size).map_err(|_| "the size has to be positive".to_owned())?;
    // A size of zero is one chunk.
    let size = if size == 0 { items.len().max(1) } else { size };
    Ok(Value::list(items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect()))
}

fn concat(call: &Call<'_>) -> Result<Value, String> {
    let (mut all, mut is_list) = (Vec::new(), true);
    for at in 0..call.len() {
        let (kind, items) = call.sequence(at)?;
        is_list &= kind != SequenceKind::Tuple;
        all.extend_from_slice(items);
    }
    Ok(if is_list { Value::list(all) } else { Value::tuple(all) })
}

fn distinct(call: &Call<'_>) -> Result<Value, String> {
    let mut seen: Vec<Value> = Vec::new();
    for item in call.items(0)? {
        if !seen.contains(item) {
            seen.push(item.clone());
        }
    }
    Ok(Value::list(seen))
}

fn element(call: &Call<'_>) -> Result<Value, String> {
    let (items, index) = (call.items(0)?, call.integer(1)?);
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Err("an empty list has no elements".to_owned());
    }
    let index = usize::try_from(index.rem_euclid(count)).unwrap_or_default();
    Ok(items[index].clone())
}

fn flatten(items: &[Value], flat: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::Sequence(_, items) => flatten(items, flat),
            item => flat.push(item.clone()),
        }
    }
}

fn indexed(call: &Call<'_>) -> Option<Value> {
    match call.value(0) {
        Value::Sequence(_, items) => items.get(call.number(1).ok()?.to_index()?).cloned(),
        Value::Mapping(_, items) => items.get(&call.text(1).ok()?).cloned(),
        _ => None,
    }
}

fn merge(call: &Call<'_>) -> Result<Value, String> {
    let (mut all, mut is_map) = (BTreeMap::new(), call.len() > 0);
    for at in 0..call.len() {
        match call.value(at) {
            Value::Null => {}
            Value::Mapping(kind, items) => {
                is_map &= *kind == MappingKind::Map;
                all.extend(items.clone());
            }
            _ => return Err(call.unsuitable(at, "a map")),
        }
    }
    Ok(if is_map { Value::map(all) } else { Value::object(all) })
}

/// Numbers up to a limit, or from a start, in steps.
fn range(call: &Call<'_>) -> Result<Value, String> {
    let (zero, one) = (Number::from(0_i64), Number::from(1_i64));
    let (start, end) = match call.len() {
        1 => (zero.clone(), call.number(0)?),
        2 | 3 => (call.number(0)?, call.number(1)?),
        _ => return Err("takes one, two, or three arguments".to_owned()),
    };
    let is_down = end < start;
    let step = match call.len() {
        3 => call.number(2)?,
        _ if is_down => one.negated(),
        _ => one,
    };
    if step == zero || (step < zero) != is_down && start != end {
        return Err("the step leads away from the end".to_owned());
    }
    let beyond = if is_down { Ordering::Less } else { Ordering::Greater };
    let (mut numbers, mut next) = (Vec::new(), start);
    while next.compare(&end) == beyond.reverse() {
        if numbers.len() == MAX_RANGE {
            return Err(format!("would have more than {MAX_RANGE} elements"));
        }
        numbers.push(Value::Number(next.clone()));
        next = next.add(&step);
    }
    Ok(Value::list(numbers))
}

fn slice(call: &Call<'_>) -> Result<Value, String> {
    let (kind, items) = call.sequence(0)?;
    let (start, end) = (call.integer(1)?, call.integer(2)?);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(start, end)| items.get(start..end));
    let part = part.ok_or_else(|| format!("there are no elements {start} to {end}"))?;
    Ok(sequence(kind, part.to_vec()))
}

fn zip_map(call: &Call<'_>) -> Result<Value, String> {
    let (keys, (kind, values)) = (call.texts(0)?, call.sequence(1)?);
    if keys.len() != values.len() {
        return Err(format!("{} keys and {} values", keys.len(), values.len()));
    }
    let items = keys.into_iter().zip(values.iter().cloned()).collect();
    let is_object = kind == SequenceKind::Tuple;
    Ok(if is_object { Value::object(items) } else { Value::map(items) })
}
