//! Functions of numbers.

use bigdecimal::num_bigint::BigInt;

use super::{Call, Function, at_least, exactly};
use crate::number::Number;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("absolute", 1, |call| Ok(Value::Number(call.number(0)?.absolute()))),
    exactly("add", 2, |call| Ok(Value::Number(call.number(0)?.add(&call.number(1)?)))),
    exactly("ceil", 1, |call| Ok(Value::Number(call.number(0)?.ceil()))),
    exactly("divide", 2, |call| {
        quotient(call.number(0)?.divide(&call.number(1)?), "divided by zero")
    }),
    exactly("floor", 1, |call| Ok(Value::Number(call.number(0)?.floor()))),
    exactly("int", 1, |call| Ok(Value::Number(call.number(0)?.truncated()))),
    exactly("log", 2, |call| {
        let (number, base) = (call.number(0)?.to_f64(), call.number(1)?.to_f64());
        quotient(Number::from_f64(number.ln() / base.ln()), "has no finite result")
    }),
    at_least("max", 1, |call| extreme(call, |one, other| one > other)),
    at_least("min", 1, |call| extreme(call, |one, other| one < other)),
    exactly("modulo", 2, |call| {
        quotient(call.number(0)?.modulo(&call.number(1)?), "divided by zero")
    }),
    exactly("multiply", 2, |call| Ok(Value::Number(call.number(0)?.multiply(&call.number(1)?)))),
    exactly("negate", 1, |call| Ok(Value::Number(call.number(0)?.negated()))),
    exactly("parseint", 2, parse_int),
    exactly("pow", 2, |call| {
        let power = call.number(0)?.to_f64().powf(call.number(1)?.to_f64());
        quotient(Number::from_f64(power), "has no finite result")
    }),
    exactly("signum", 1, |call| Ok(Value::Number(Number::from(call.number(0)?.sign())))),
    exactly("subtract", 2, |call| Ok(Value::Number(call.number(0)?.subtract(&call.number(1)?)))),
];

fn quotient(number: Option<Number>, problem: &str) -> Result<Value, String> {
    number.map(Value::Number).ok_or_else(|| problem.to_owned())
}

fn extreme(call: &Call<'_>, is_better: fn(&Number, &Number) -> bool) -> Result<Value, String> {
    let mut best = call.number(0)?;
    for at in 1..call.len() {
        let number = call.number(at)?;
        if is_better(&number, &best) {
            best = number;
        }
    }
    Ok(Value::Number(best))
}

fn parse_int(call: &Call<'_>) -> Result<Value, String> {
    let (text, base) = (call.text(0)?, call.integer(1)?);
    let radix = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let radix = radix.ok_or("the base has to be from 2 to 36")?;
    let number = BigInt::parse_bytes(text.as_bytes(), radix)
        .ok_or_else(|| format!("{text:?} is no number of base {base}"))?;
    Ok(Value::Number(Number::from_big(number)))
}
