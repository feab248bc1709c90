//! Functions that write text in another way, and read it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Function, exactly};
use crate::csv;
use crate::value::{SequenceKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("base64decode", 1, |call| {
        let bytes = STANDARD.decode(call.text(0)?.trim()).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "what it decodes to is no text")?;
        Ok(Value::String(text))
    }),
    exactly("base64encode", 1, |call| Ok(Value::String(STANDARD.encode(call.text(0)?)))),
    exactly("csvdecode", 1, csv_decode),
    exactly("jsondecode", 1, |call| {
        let json = serde_json::from_str(&call.text(0)?).map_err(|error| error.to_string())?;
        Value::from_json(&json).ok_or_else(|| "a number is too large".to_owned())
    }),
    exactly("jsonencode", 1, |call| Ok(Value::String(call.value(0).to_json()))),
    exactly("urlencode", 1, |call| Ok(Value::String(url_encode(&call.text(0)?)))),
];

/// A list of objects: the first row names the attributes.
fn csv_decode(call: &Call<'_>) -> Result<Value, String> {
    let rows = csv::records(&call.text(0)?)?;
    let mut rows = rows.into_iter();
    let names = rows.next().ok_or("the header row is missing")?;
    let mut objects = Vec::new();
    for row in rows {
        if row.len() != names.len() {
            return Err(format!("a row has {} fields, the header {}", row.len(), names.len()));
        }
        let items: BTreeMap<String, Value> =
            names.iter().cloned().zip(row.into_iter().map(Value::String)).collect();
        objects.push(Value::object(items));
    }
    Ok(Value::Sequence(SequenceKind::List, objects))
}

/// As a query of a URL has it: a space is a plus.
fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push_str(&super::digest::hex(&[byte]).to_uppercase());
            }
        }
    }
    out
}
