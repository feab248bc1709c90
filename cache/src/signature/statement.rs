//! What is signed: the one place that decides which bytes a record stands for.
//!
//! ```text
//! wythe cache record            20 bytes: 18 letters, a zero, the version of this form (1)
//! the key of the record         32 bytes
//! the record                    canonical JSON without the member `signature`
//! ```
//!
//! Canonical JSON has no white space; members are in the order of their names' bytes; numbers are whole and
//! decimal; texts are escaped only where JSON demands it, with the short forms `\b \f \n \r \t` and else `\u00xx`.
//! A record with other numbers has no such form.

use serde_json::{Map, Value};
use wythe_store::id::CacheKey;

/// The member of a record that is not part of what it says.
pub(super) const SIGNATURE: &str = "signature";

/// Keeps these signatures apart from all others that a key may make, and versions of the form from each other.
const DOMAIN: &[u8; 20] = b"wythe cache record\0\x01";

/// The bytes that a signature of a record under a key is over.
pub(super) fn statement(key: &CacheKey, record: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut out = DOMAIN.to_vec();
    out.extend_from_slice(key.as_bytes());
    let said = record.iter().filter(|(name, _)| *name != SIGNATURE);
    object(said, &mut out)?;
    Some(out)
}

fn object<'v>(
    members: impl Iterator<Item = (&'v String, &'v Value)>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut members: Vec<_> = members.collect();
    members.sort_by_key(|(name, _)| name.as_bytes());
    out.push(b'{');
    for (at, (name, value)) in members.into_iter().enumerate() {
        comma(at, out);
        text(name, out)?;
        out.push(b':');
        write(value, out)?;
    }
    out.push(b'}');
    Some(())
}

fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(_) => return None,
        Value::String(said) => text(said, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                comma(at, out);
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => object(members.iter(), out)?,
    }
    Some(())
}

fn comma(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, text).ok()
}
