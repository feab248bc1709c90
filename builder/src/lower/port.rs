//! `EXPOSE`: ports and ranges of ports.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Why a word of `EXPOSE` is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Not an address, where one is written.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// Not a number up to 65535, or a range that ends before it starts.
    #[error("invalid containerPort: {0}")]
    Container(String),
    /// The same, of the host.
    #[error("invalid hostPort: {0}")]
    Host(String),
    /// Nothing where the port should be.
    #[error("no port specified in {0:?}")]
    Missing(String),
    /// Not `tcp`, `udp` or `sctp`.
    #[error("invalid proto: {0}")]
    Protocol(String),
    /// Two ranges of different length.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges {
        /// The ports that are exposed.
        container: String,
        /// The ports of the host.
        host: String,
    },
}

/// The ports of one expanded word, as `80/tcp`. Addresses and host ports are checked and dropped.
///
/// # Errors
///
/// When the port or the protocol is none.
pub fn ports(word: &str) -> Result<Vec<String>, PortError> {
    let (before, last) = word.rsplit_once(':').map_or(("", word), |(before, last)| (before, last));
    let (container, protocol) = last.split_once('/').unwrap_or((last, ""));
    if container.is_empty() {
        return Err(PortError::Missing(word.to_owned()));
    }
    let protocol = match protocol.to_ascii_lowercase() {
        lower if lower.is_empty() => "tcp".to_owned(),
        lower if ["tcp", "udp", "sctp"].contains(&lower.as_str()) => lower,
        _ => return Err(PortError::Protocol(protocol.to_owned())),
    };
    let range = range(container).ok_or_else(|| PortError::Container(container.to_owned()))?;
    let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
    check_address(address)?;
    check_host(host, container, &range)?;
    Ok(range.map(|port| format!("{port}/{protocol}")).collect())
}

fn check_address(text: &str) -> Result<(), PortError> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if text.is_empty() || inner.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(PortError::Address(text.to_owned()))
}

/// Any number of host ports may stand before one container port, as many as there are otherwise.
fn check_host(host: &str, container: &str, ports: &RangeInclusive<u16>) -> Result<(), PortError> {
    if host.is_empty() {
        return Ok(());
    }
    let hosts = range(host).ok_or_else(|| PortError::Host(host.to_owned()))?;
    if ports.len() > 1 && hosts.len() != ports.len() {
        let (container, host) = (container.to_owned(), host.to_owned());
        return Err(PortError::Ranges { container, host });
    }
    Ok(())
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

/// `parse` alone would accept a sign.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: &[&str]) {
        assert_eq!(ports(word).unwrap(), expected, "{word}");
    }

    #[test]
    fn a_port_has_a_protocol_in_lower_case() {
        check("80", &["80/tcp"]);
        check("80/", &["80/tcp"]);
        check("53/UDP", &["53/udp"]);
        check("0", &["0/tcp"]);
    }

    #[test]
    fn ranges_are_expanded_and_host_parts_dropped() {
        check("8000-8002", &["8000/tcp", "8001/tcp", "8002/tcp"]);
        check("127.0.0.1:80:81", &["81/tcp"]);
        check("[::1]:80:81/SCTP", &["81/sctp"]);
        check("127.0.0.1::81", &["81/tcp"]);
        check("1-9:81", &["81/tcp"]);
    }

    #[test]
    fn what_is_dropped_is_checked_all_the_same() {
        let cases = [
            ("a:80", "invalid hostPort: a"),
            ("300.1.1.1:1:2", "invalid IP address: 300.1.1.1"),
            ("1-2:1-3", "invalid ranges specified for container and host Ports: 1-3 and 1-2"),
            ("80:", "no port specified in \"80:\""),
        ];
        for (word, expected) in cases {
            assert_eq!(ports(word).unwrap_err().to_string(), expected, "{word}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["80/foo", "70000", "9-8", "", "+1", "a"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
