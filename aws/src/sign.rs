//! Signature Version 4: a request, keys and a moment become headers. Pure.
//!
//! A request is brought into a canonical form, of which a digest is signed with a key that is good for one
//! day, one region and one service. See "Signature Version 4 signing process" of AWS's documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use ring::{digest, hmac};

use crate::keys::Keys;

/// What a request does not say about where it goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scope<'a> {
    /// The region, such as `eu-west-1`.
    pub region: &'a str,
    /// The name by which the service signs, such as `ecr`.
    pub service: &'a str,
}

/// A request before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The host, with its port where that is not the scheme's.
    pub host: &'a str,
    /// The path as it is sent.
    pub path: &'a str,
    /// How the path is taken into the signature.
    pub path_form: PathForm,
    /// The parameters, not encoded.
    pub query: &'a [(String, String)],
    /// The headers that are signed beside those that signing adds.
    pub headers: &'a [(String, String)],
    /// What is known of the body.
    pub payload: Payload<'a>,
}

/// How a path is taken into a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathForm {
    /// As it is sent: S3 does so.
    AsSent,
    /// Encoded once more: everybody else does so.
    Encoded,
}

/// What is known of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payload<'a> {
    /// Its SHA-256 in hex digits, which stands in the signature and in `x-amz-content-sha256`: S3 refuses another
    /// body.
    Announced(&'a str),
    /// Its SHA-256 in hex digits, which stands in the signature alone.
    Hashed(&'a str),
    /// Nothing; TLS has to keep it as it is. S3 only.
    Unsigned,
}

/// What stands for the digest of a body that nobody hashed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Payload<'_> {
    fn digest(&self) -> &str {
        match self {
            Self::Announced(digest) | Self::Hashed(digest) => digest,
            Self::Unsigned => UNSIGNED,
        }
    }
}

/// The headers that a request is to have beside its own, the signature among them.
pub fn sign(
    request: &Unsigned<'_>,
    scope: Scope<'_>,
    keys: &Keys,
    now: Timestamp,
) -> Vec<(String, String)> {
    let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &moment[..8];
    let mut added = vec![("x-amz-date".to_owned(), moment.clone())];
    if let Some(token) = &keys.session_token {
        added.push(("x-amz-security-token".to_owned(), token.reveal().to_owned()));
    }
    if !matches!(request.payload, Payload::Hashed(_)) {
        added.push(("x-amz-content-sha256".to_owned(), request.payload.digest().to_owned()));
    }
    let (canonical, signed) = canonical(request, &added);
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("{ALGORITHM}\n{moment}\n{place}\n{}", sha256(canonical.as_bytes()));
    let start = format!("AWS4{}", keys.secret_access_key.reveal());
    let key = [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(start.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex(&mac(&key, text.as_bytes()));
    let id = &keys.access_key_id;
    let value = format!(
        "{ALGORITHM} Credential={id}/{place}, SignedHeaders={signed}, Signature={signature}"
    );
    added.push(("authorization".to_owned(), value));
    added
}

/// The canonical form of a request, and the names of its headers.
fn canonical(request: &Unsigned<'_>, added: &[(String, String)]) -> (String, String) {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    headers.entry("host".to_owned()).or_default().push(request.host.to_owned());
    for (name, value) in request.headers.iter().chain(added) {
        let words = value.split(' ').filter(|word| !word.is_empty());
        let value = words.collect::<Vec<_>>().join(" ");
        headers.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    let path = match request.path_form {
        PathForm::AsSent => request.path.to_owned(),
        PathForm::Encoded => encode(request.path, "/"),
    };
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let mut text = format!("{}\n{path}\n{}\n", request.method, query(request.query));
    for (name, values) in &headers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:{}", values.join(","));
    }
    let digest = request.payload.digest();
    let _ = write!(text, "\n{names}\n{digest}");
    (text, names)
}

/// Parameters in their canonical order and form, which is also the one they are sent in.
pub(crate) fn query(parameters: &[(String, String)]) -> String {
    let encoded = |(name, value): &(String, String)| (encode(name, ""), encode(value, ""));
    let mut parameters: Vec<(String, String)> = parameters.iter().map(encoded).collect();
    parameters.sort();
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// A text with all but the unreserved characters of RFC 3986, and those of `beside`, as `%XX`.
pub(crate) fn encode(text: &str, beside: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || beside.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The SHA-256 of bytes in hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
mod tests;
