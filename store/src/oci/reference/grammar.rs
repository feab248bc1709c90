//! The grammar of the parts of a reference.

use std::net::Ipv6Addr;

use super::ReferenceProblem;

/// The longest tag of the distribution specification.
const MAX_TAG: usize = 128;

/// Whether a first component names a host rather than a user of Docker Hub.
pub(super) fn looks_like_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether this would be taken for the id of an image.
pub(super) fn is_identifier(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn check_host(host: &str) -> Result<(), ReferenceProblem> {
    let fine = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }),
        None => match host.split_once(':') {
            Some((name, port)) => is_host_name(name) && is_port(port),
            None => is_host_name(host),
        },
    };
    if fine { Ok(()) } else { Err(ReferenceProblem::Host { host: host.to_owned() }) }
}

fn is_host_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn is_port(port: &str) -> bool {
    !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

pub(super) fn check_repository(repository: &str) -> Result<(), ReferenceProblem> {
    for component in repository.split('/') {
        if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceProblem::Uppercase);
        }
        if !is_component(component) {
            return Err(ReferenceProblem::Repository { component: component.to_owned() });
        }
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = component.as_bytes();
    loop {
        let word = rest.iter().take_while(|byte| letter(byte)).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|byte| !letter(byte)).count();
        if !is_separator(&rest[..separator]) {
            return false;
        }
        rest = &rest[separator..];
    }
}

fn is_separator(bytes: &[u8]) -> bool {
    matches!(bytes, b"." | b"_" | b"__") || bytes.iter().all(|byte| *byte == b'-')
}

pub(super) fn check_tag(tag: &str) -> Result<(), ReferenceProblem> {
    let fine = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if fine { Ok(()) } else { Err(ReferenceProblem::Tag { tag: tag.to_owned() }) }
}
