//! Functions of sets.

use super::{Call, Function, at_least, exactly};
use crate::value::{SequenceKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("sethaselement", 2, |call| Ok(Value::Bool(elements(call, 0)?.contains(call.value(1))))),
    at_least("setintersection", 1, |call| {
        fold(call, |mut so_far, next| {
            so_far.retain(|item| next.contains(item));
            so_far
        })
    }),
    at_least("setproduct", 1, product),
    exactly("setsubtract", 2, |call| {
        let (from, what) = (elements(call, 0)?, elements(call, 1)?);
        Ok(Value::set(from.into_iter().filter(|item| !what.contains(item)).collect()))
    }),
    at_least("setsymmetricdifference", 1, |call| {
        fold(call, |so_far, next| {
            let only_here = so_far.iter().filter(|item| !next.contains(item));
            let only_there = next.iter().filter(|item| !so_far.contains(item));
            only_here.chain(only_there).cloned().collect()
        })
    }),
    at_least("setunion", 1, |call| fold(call, |so_far, next| [so_far, next].concat())),
];

/// The most elements of a product: a definition is for people, and memory is not endless.
const MAX_PRODUCT: usize = 100_000;

/// The elements, brought to one type as those of a set are: strings, if there is one among them.
fn elements(call: &Call<'_>, at: usize) -> Result<Vec<Value>, String> {
    let items = call.items(at)?;
    let is_text = items.iter().any(|item| matches!(item, Value::String(_)));
    let unified = items.iter().map(|item| match item.to_text() {
        Some(text) if is_text => Value::String(text),
        _ => item.clone(),
    });
    Ok(unified.collect())
}

fn fold(
    call: &Call<'_>,
    join: impl Fn(Vec<Value>, Vec<Value>) -> Vec<Value>,
) -> Result<Value, String> {
    let mut so_far = elements(call, 0)?;
    for at in 1..call.len() {
        so_far = join(so_far, elements(call, at)?);
    }
    Ok(Value::set(so_far))
}

fn product(call: &Call<'_>) -> Result<Value, String> {
    if call.len() < 2 {
        return Err("needs at least two arguments".to_owned());
    }
    let (mut rows, mut is_set) = (vec![Vec::new()], true);
    for at in 0..call.len() {
        let (kind, items) = call.sequence(at)?;
        is_set &= kind == SequenceKind::Set;
        if rows.len().saturating_mul(items.len()) > MAX_PRODUCT {
            return Err(format!("would have more than {MAX_PRODUCT} elements"));
        }
        let longer = |row: &Vec<Value>| {
            let row = row.clone();
            items.iter().map(move |item| [row.clone(), vec![item.clone()]].concat())
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    let rows = rows.into_iter().map(Value::tuple).collect();
    Ok(if is_set { Value::set(rows) } else { Value::list(rows) })
}
