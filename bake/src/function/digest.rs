//! Functions of digests and identities.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Call, Function, Run, exactly};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "bcrypt", arity: (1, Some(2)), run: refused_bcrypt },
    exactly("md5", 1, hashed::<Md5> as Run),
    exactly("rsadecrypt", 2, refused_rsadecrypt),
    exactly("sha1", 1, hashed::<Sha1> as Run),
    exactly("sha256", 1, hashed::<Sha256> as Run),
    exactly("sha512", 1, hashed::<Sha512> as Run),
    exactly("uuidv4", 0, |call| Ok(Value::String(uuid(call.surroundings.random(), 4)))),
    exactly("uuidv5", 2, uuid_of_name),
];

/// Its value is another one each time: no result of a build would be found again.
fn refused_bcrypt(_: &Call<'_>) -> Result<Value, String> {
    let text = "is not supported: its value is another one each time, and so every build; \
                hash where the value is used";
    Err(text.to_owned())
}

/// Its key would be in the definition.
fn refused_rsadecrypt(_: &Call<'_>) -> Result<Value, String> {
    let text = "is not supported: the key would be in the definition; give what is decrypted to \
                the build as a secret";
    Err(text.to_owned())
}

fn hashed<D: Digest>(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::String(hex(&D::digest(call.text(0)?))))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Sixteen bytes as an identity of a version.
fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

fn uuid_of_name(call: &Call<'_>) -> Result<Value, String> {
    let space = match call.text(0)?.as_str() {
        "dns" | "0" => "6ba7b8109dad11d180b400c04fd430c8".to_owned(),
        "url" | "1" => "6ba7b8119dad11d180b400c04fd430c8".to_owned(),
        "oid" | "2" => "6ba7b8129dad11d180b400c04fd430c8".to_owned(),
        "x500" | "3" => "6ba7b8149dad11d180b400c04fd430c8".to_owned(),
        other => other.replace('-', ""),
    };
    let wrong = || "the namespace has to be dns, url, oid, x500 or a UUID".to_owned();
    if space.len() != 32 || !space.is_ascii() {
        return Err(wrong());
    }
    let mut hash = Sha1::new();
    for at in (0..space.len()).step_by(2) {
        hash.update([u8::from_str_radix(&space[at..at + 2], 16).map_err(|_| wrong())?]);
    }
    hash.update(call.text(1)?);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Ok(Value::String(uuid(bytes, 5)))
}
