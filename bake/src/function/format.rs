//! `format` and `formatlist`: text with verbs that stand for arguments.

use bigdecimal::num_bigint::BigInt;

use super::{Call, Function, at_least};
use crate::number::Number;
use crate::value::{Value, quoted};

pub(super) const FUNCTIONS: &[Function] = &[
    at_least("format", 1, |call| {
        formatted(&call.text(0)?, &call.arguments[1..]).map(Value::String)
    }),
    at_least("formatlist", 1, format_list),
];

/// The widest field, and the most digits of a fraction.
const MAX_WIDTH: usize = 1024;

fn format_list(call: &Call<'_>) -> Result<Value, String> {
    let arguments = &call.arguments[1..];
    let lengths = arguments.iter().filter_map(|value| match value {
        Value::Sequence(_, items) => Some(items.len()),
        _ => None,
    });
    let lengths: Vec<usize> = lengths.collect();
    let count = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|length| *length != count) {
        return Err("the lists have different lengths".to_owned());
    }
    let mut texts = Vec::new();
    for at in 0..count {
        let row = arguments.iter().map(|value| match value {
            Value::Sequence(_, items) => items[at].clone(),
            value => value.clone(),
        });
        texts.push(formatted(&call.text(0)?, &row.collect::<Vec<_>>())?);
    }
    Ok(Value::strings(texts))
}

/// One verb: `%[2]*-10.3d` and the like.
#[derive(Debug, Default)]
struct Verb {
    /// Of `-+ 0#`.
    flags: String,
    width: usize,
    precision: Option<usize>,
    /// Which argument, from 0, where it says so.
    argument: Option<usize>,
    letter: char,
}

fn formatted(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let (mut rest, mut next, mut used) = (format, 0, 0);
    let mut is_indexed = false;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = Verb::parse(&rest[at + 1..])?;
        rest = after;
        if verb.letter == '%' {
            out.push('%');
            continue;
        }
        is_indexed |= verb.argument.is_some();
        let which = verb.argument.unwrap_or(next);
        let value = arguments.get(which).ok_or_else(|| {
            format!("not enough arguments for %{}: there is no argument {}", verb.letter, which + 1)
        })?;
        next = which + 1;
        used = used.max(next);
        out.push_str(&verb.of(value)?);
    }
    if used < arguments.len() && !is_indexed {
        return Err(format!("too many arguments: only {used} used by the format"));
    }
    out.push_str(rest);
    Ok(out)
}

impl Verb {
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let mut verb = Self::default();
        let mut rest = text;
        let end = rest.find(|c| !"-+ 0#".contains(c)).unwrap_or(rest.len());
        rest[..end].clone_into(&mut verb.flags);
        rest = &rest[end..];
        let (width, after) = digits(rest)?;
        verb.width = width.unwrap_or(0);
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = digits(after)?;
            verb.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = digits(after)?;
            let index = index.and_then(|index| index.checked_sub(1));
            verb.argument = Some(index.ok_or("an argument's number begins with 1")?);
            rest = after.strip_prefix(']').ok_or("a [ is not closed")?;
        }
        verb.letter = rest.chars().next().ok_or("the format ends within a verb")?;
        let after = &rest[verb.letter.len_utf8()..];
        Ok((verb, after))
    }

    fn of(&self, value: &Value) -> Result<String, String> {
        let unsuitable = |wanted: &str| format!("%{} needs {wanted}", self.letter);
        let number = || value.to_number().ok_or_else(|| unsuitable("a number"));
        let text = match self.letter {
            'v' => return Ok(self.padded(&self.any(value))),
            't' => value.to_bool().ok_or_else(|| unsuitable("a bool"))?.to_string(),
            's' => cut(&value.to_text().ok_or_else(|| unsuitable("a string"))?, self.precision),
            'q' => quoted(&value.to_text().ok_or_else(|| unsuitable("a string"))?),
            'b' => return Ok(self.number(&number()?, |n| n.to_big().to_str_radix(2))),
            'd' => return Ok(self.number(&number()?, |n| n.to_big().to_string())),
            'o' => return Ok(self.number(&number()?, |n| n.to_big().to_str_radix(8))),
            'x' => return Ok(self.number(&number()?, |n| n.to_big().to_str_radix(16))),
            'X' => {
                return Ok(self.number(&number()?, |n| n.to_big().to_str_radix(16).to_uppercase()));
            }
            'f' => {
                let digits = self.precision.unwrap_or(6);
                return Ok(self.number(&number()?, |n| fixed(n, digits)));
            }
            'e' | 'E' => {
                let digits = self.precision.unwrap_or(6);
                return Ok(self.number(&number()?, |n| self.cased(scientific(n, digits))));
            }
            'g' | 'G' => return Ok(self.number(&number()?, |n| self.cased(general(n)))),
            letter => return Err(format!("there is no verb %{letter}")),
        };
        Ok(self.padded(&text))
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn is_zero_filled(&self) -> bool {
        self.has('0') && !self.has('-')
    }

    fn cased(&self, text: String) -> String {
        if self.letter.is_ascii_uppercase() { text.to_uppercase() } else { text }
    }

    /// Any value as it reads best.
    fn any(&self, value: &Value) -> String {
        match value {
            _ if self.has('#') => value.to_json(),
            Value::String(text) => text.clone(),
            Value::Number(number) => general(number),
            value => value.to_json(),
        }
    }

    fn number(&self, number: &Number, digits: impl Fn(&Number) -> String) -> String {
        let is_negative = number.sign() < 0;
        let digits = digits(&number.absolute());
        let sign = match (is_negative, self.has('+'), self.has(' ')) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let width = sign.len() + digits.len();
        if self.is_zero_filled() && width < self.width {
            return format!("{sign}{}{digits}", "0".repeat(self.width - width));
        }
        self.padded(&format!("{sign}{digits}"))
    }

    fn padded(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = if self.is_zero_filled() { "0" } else { " " };
        if self.has('-') {
            format!("{text}{}", fill.repeat(missing))
        } else {
            format!("{}{text}", fill.repeat(missing))
        }
    }
}

fn digits(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let number = text[..end].parse().ok().filter(|number| *number <= MAX_WIDTH);
    Ok((Some(number.ok_or_else(|| format!("{} is too much", &text[..end]))?), &text[end..]))
}

fn cut(text: &str, precision: Option<usize>) -> String {
    text.chars().take(precision.unwrap_or(usize::MAX)).collect()
}

/// With exactly so many digits of a fraction, rounded.
fn fixed(number: &Number, digits: usize) -> String {
    let scale = Number::from_big(BigInt::from(10u8).pow(u32::try_from(digits).unwrap_or(0)));
    let half = Number::parse("0.5").unwrap_or_else(|| Number::from(0_i64));
    let scaled = number.multiply(&scale).add(&half).floor().to_string();
    if digits == 0 {
        return scaled;
    }
    let padded = format!("{scaled:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    format!("{whole}.{fraction}")
}

/// The digits of a number without its point, and its exponent.
fn significant(number: &Number) -> (String, i64) {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    if digits.is_empty() {
        return ("0".to_owned(), 0);
    }
    let leading = all.len() - digits.len();
    let exponent =
        i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(leading).unwrap_or(0) - 1;
    let trimmed = digits.trim_end_matches('0');
    (trimmed.to_owned(), exponent)
}

fn with_exponent(digits: &str, exponent: i64) -> String {
    let (first, more) = digits.split_at(1);
    let point = if more.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{more}e{sign}{:02}", exponent.abs())
}

fn scientific(number: &Number, digits: usize) -> String {
    let (all, exponent) = significant(number);
    let wanted = digits + 1;
    let mut exponent = exponent;
    let rounded = if all.len() > wanted {
        let as_number = Number::parse(&format!("{}.{}", &all[..wanted], &all[wanted..]));
        let rounded = as_number.map_or_else(|| all.clone(), |number| fixed(&number, 0));
        exponent += i64::from(rounded.len() > wanted);
        rounded[..wanted].to_owned()
    } else {
        format!("{all:0<wanted$}")
    };
    with_exponent(&rounded, exponent)
}

/// The power of ten from which on the shortest form has an exponent.
const SCIENTIFIC_FROM: i64 = 6;

/// The shortest form: with an exponent where the number is very large or small.
fn general(number: &Number) -> String {
    let sign = if number.sign() < 0 { "-" } else { "" };
    let number = number.absolute();
    let (digits, exponent) = significant(&number);
    if (-4..SCIENTIFIC_FROM).contains(&exponent) {
        format!("{sign}{number}")
    } else {
        format!("{sign}{}", with_exponent(&digits, exponent))
    }
}
