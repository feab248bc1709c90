//! Functions of truth and order.

use std::cmp::Ordering;

use super::{Call, Function, exactly};
use crate::evaluate::equality;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("and", 2, |call| Ok(Value::Bool(call.truth(0)? & call.truth(1)?))),
    exactly("equal", 2, |call| Ok(Value::Bool(equality(call.value(0), call.value(1))))),
    exactly("greaterthan", 2, |call| compare(call, |order| order == Ordering::Greater)),
    exactly("greaterthanorequalto", 2, |call| compare(call, |order| order != Ordering::Less)),
    exactly("lessthan", 2, |call| compare(call, |order| order == Ordering::Less)),
    exactly("lessthanorequalto", 2, |call| compare(call, |order| order != Ordering::Greater)),
    exactly("not", 1, |call| Ok(Value::Bool(!call.truth(0)?))),
    exactly("notequal", 2, |call| Ok(Value::Bool(!equality(call.value(0), call.value(1))))),
    exactly("or", 2, |call| Ok(Value::Bool(call.truth(0)? | call.truth(1)?))),
];

fn compare(call: &Call<'_>, is_wanted: fn(Ordering) -> bool) -> Result<Value, String> {
    Ok(Value::Bool(is_wanted(call.number(0)?.compare(&call.number(1)?))))
}
