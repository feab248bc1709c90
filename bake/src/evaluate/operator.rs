//! Operators, and what two branches have in common.

use std::cmp::Ordering;

use super::mismatch;
use crate::error::Problem;
use crate::number::Number;
use crate::syntax::expression::{Binary, Unary};
use crate::value::Value;

/// Whether two values are equal: those of different types are not.
pub(crate) fn equality(left: &Value, right: &Value) -> bool {
    left == right
}

pub(super) fn unary(operator: Unary, operand: &Value) -> Result<Value, Problem> {
    match operator {
        Unary::Negate => Ok(Value::Number(number(operand)?.negated())),
        Unary::Not => Ok(Value::Bool(!truth(operand)?)),
    }
}

pub(super) fn binary(operator: Binary, left: &Value, right: &Value) -> Result<Value, Problem> {
    let truths = || Ok((truth(left)?, truth(right)?));
    let ordered = |is_wanted: fn(Ordering) -> bool| {
        Ok(Value::Bool(is_wanted(number(left)?.compare(&number(right)?))))
    };
    let computed = |compute: fn(&Number, &Number) -> Option<Number>| {
        let result = compute(&number(left)?, &number(right)?);
        result.map(Value::Number).ok_or_else(|| Problem::Invalid("divided by zero".to_owned()))
    };
    match operator {
        Binary::Equal => Ok(Value::Bool(equality(left, right))),
        Binary::NotEqual => Ok(Value::Bool(!equality(left, right))),
        Binary::And => truths().map(|(left, right)| Value::Bool(left && right)),
        Binary::Or => truths().map(|(left, right)| Value::Bool(left || right)),
        Binary::Less => ordered(|order| order == Ordering::Less),
        Binary::LessOrEqual => ordered(|order| order != Ordering::Greater),
        Binary::Greater => ordered(|order| order == Ordering::Greater),
        Binary::GreaterOrEqual => ordered(|order| order != Ordering::Less),
        Binary::Add => computed(|left, right| Some(left.add(right))),
        Binary::Subtract => computed(|left, right| Some(left.subtract(right))),
        Binary::Multiply => computed(|left, right| Some(left.multiply(right))),
        Binary::Divide => computed(Number::divide),
        Binary::Modulo => computed(Number::modulo),
    }
}

fn number(value: &Value) -> Result<Number, Problem> {
    value.to_number().ok_or_else(|| mismatch("a number", value))
}

fn truth(value: &Value) -> Result<bool, Problem> {
    value.to_bool().ok_or_else(|| mismatch("a bool", value))
}

/// The value in the type that it has in common with that of the other branch: text, where one is text.
pub(super) fn unified(value: Value, other: &Value) -> Result<Value, Problem> {
    let is_primitive =
        |value: &Value| matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_));
    match (&value, other) {
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Sequence(..), Value::Sequence(..))
        | (Value::Mapping(..), Value::Mapping(..))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_)) => Ok(value),
        (one, other) if is_primitive(one) && is_primitive(other) => {
            Ok(one.to_text().map_or(Value::Null, Value::String))
        }
        (one, other) => Err(Problem::Invalid(format!(
            "both branches have to be of one type: one is {}, the other {}",
            one.described(),
            other.described()
        ))),
    }
}
