//! `EXPOSE`: ports and ranges of ports.

use std::ops::RangeInclusive;

/// Why a word of `EXPOSE` is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Not a number up to 65535, or a range that ends before it starts.
    #[error("invalid containerPort: {0}")]
    Port(String),
    /// Not `tcp`, `udp` or `sctp`.
    #[error("invalid proto: {0}")]
    Protocol(String),
}

/// The ports of one expanded word, as `80/tcp`. Addresses and host ports are dropped.
///
/// # Errors
///
/// When the port or the protocol is none.
pub fn ports(word: &str) -> Result<Vec<String>, PortError> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, ""));
    let protocol = match protocol.to_ascii_lowercase() {
        lower if lower.is_empty() => "tcp".to_owned(),
        lower if ["tcp", "udp", "sctp"].contains(&lower.as_str()) => lower,
        _ => return Err(PortError::Protocol(protocol.to_owned())),
    };
    let container = ports.rsplit(':').next().unwrap_or(ports);
    let range = range(container).ok_or_else(|| PortError::Port(container.to_owned()))?;
    Ok(range.map(|port| format!("{port}/{protocol}")).collect())
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
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["80/foo", "70000", "9-8", "", "+1", "a"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
