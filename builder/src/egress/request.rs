//! The head of a request to the proxy, and of an answer to one.

use std::io::{self, Read};

/// What a client of the proxy wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A connection (`CONNECT`).
    Tunnel,
    /// An answer.
    Forward {
        /// What is sent on before the body.
        head: Vec<u8>,
        body: Body,
    },
}

/// How much of what a client sends is the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// So many bytes.
    Bytes(u64),
    /// It says itself where it ends.
    Chunked,
}

/// Why a request is none that a proxy answers.
pub(super) type Wrong = &'static str;

/// The most that the head of a request or an answer may have: servers take 8 to 64 KiB.
const MAX_HEAD: usize = 64 << 10;

/// Servers take about a hundred fields.
const MAX_FIELDS: usize = 128;

/// The longest name of a host.
const MAX_NAME: usize = 253;

/// Reads a head with the empty line that ends it, of which some was `read` before. Returns it, and what was
/// read beyond it.
pub(super) fn read_head(from: &mut impl Read, mut read: Vec<u8>) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut seen, mut buffer) = (0, [0; 4096]);
    loop {
        if let Some(at) = read[seen..].windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(seen + at + 4);
            return Ok((read, rest));
        }
        seen = read.len().saturating_sub(3);
        let n_read = from.read(&mut buffer)?;
        read.extend_from_slice(&buffer[..n_read]);
        if n_read == 0 || read.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The name of a host in lower case, without a dot at its end; `None` where it is none.
pub(super) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(known)
    };
    (name.len() <= MAX_NAME && name.split('.').all(is_label)).then_some(name)
}

/// Reads what a client wants.
pub(super) fn parse(bytes: &[u8]) -> Result<Request, Wrong> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    if !parsed.parse(bytes).is_ok_and(|status| status.is_complete()) {
        return Err("this is no request of HTTP/1");
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    if method == "CONNECT" {
        let (host, port) = authority(target, None)?;
        return Ok(Request { host, port, kind: Kind::Tunnel });
    }
    let (scheme, rest) = target.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("a proxy takes CONNECT, and addresses that begin with http://");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    // Who it is for is told in a field of its own.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = authority(place, Some(80))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let line = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {place}\r\n");
    let body = body(parsed.headers)?;
    let head = head(line, parsed.headers, &OF_HOP_AND_HOST);
    Ok(Request { host, port, kind: Kind::Forward { head, body } })
}

/// The head of an answer as it is passed on, and whether it is the last one.
pub(super) fn answer(bytes: &[u8]) -> Option<(Vec<u8>, IsFinal)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let is_complete = parsed.parse(bytes).is_ok_and(|status| status.is_complete());
    let code = parsed.code.filter(|_| is_complete)?;
    if (100..200).contains(&code) {
        return Some((bytes.to_vec(), IsFinal::No));
    }
    let line = format!("HTTP/1.1 {code} {}\r\n", parsed.reason.unwrap_or_default());
    Some((head(line, parsed.headers, &OF_HOP), IsFinal::Yes))
}

/// Whether another head follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IsFinal {
    Yes,
    No,
}

/// A head with the fields that are not about one connection, which ends after it.
fn head(line: String, fields: &[httparse::Header<'_>], left_out: &[&str]) -> Vec<u8> {
    let mut head = line.into_bytes();
    let named: Vec<String> = values(fields, "connection").flat_map(words).collect();
    for field in fields {
        let is = |name: &&str| name.eq_ignore_ascii_case(field.name);
        let is_named = named.iter().any(|name| name.eq_ignore_ascii_case(field.name));
        let is_kept = !is_named || FRAMING.iter().any(is);
        if is_kept && !left_out.iter().any(is) {
            head.extend_from_slice(field.name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(field.value);
            head.extend_from_slice(b"\r\n");
        }
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    head
}

fn body(fields: &[httparse::Header<'_>]) -> Result<Body, Wrong> {
    let lengths: Vec<&[u8]> = values(fields, "content-length").collect();
    if values(fields, "transfer-encoding").next().is_some() {
        return if lengths.is_empty() {
            Ok(Body::Chunked)
        } else {
            Err("the body has two lengths")
        };
    }
    let Some((first, others)) = lengths.split_first() else { return Ok(Body::Bytes(0)) };
    let digits = std::str::from_utf8(first).unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let length = digits.parse().ok().filter(|_| is_number && others.iter().all(|one| one == first));
    length.map(Body::Bytes).ok_or("the length of the body is no number")
}

fn values<'a>(fields: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

fn words(value: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(value).split(',').map(|word| word.trim().to_owned()).collect()
}

/// A host and a port.
fn authority(text: &str, usual: Option<u16>) -> Result<(String, u16), Wrong> {
    const NO_HOST: Wrong = "there is no host in the request";
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => {
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| NO_HOST)?;
            let four = address.to_ipv4_mapped().map(|four| four.to_string());
            (Some(four.unwrap_or_else(|| address.to_string())), port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host_name(host), Some(port)),
            None => (host_name(text), None),
        },
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => port.parse().ok(),
        None => usual,
    };
    Ok((
        host.ok_or(NO_HOST)?,
        port.filter(|port| *port > 0).ok_or("there is no port in the request")?,
    ))
}

/// Fields about one connection.
const OF_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "upgrade",
];

/// And the one that is made anew.
const OF_HOP_AND_HOST: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "upgrade",
    "host",
];

/// Fields without which a body has no end, whoever says that they are about one connection.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];
