//! The list of hosts, as `--network=allow:…` has it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{Range, is_outer};
use super::{Contact, Refusal, Verdict, request};

/// Hosts that steps may reach.
///
/// An entry is a name, `*.` and a name for all below it, `*` for all, an address, or a range of addresses
/// (`10.0.0.0/8`), each perhaps with a port behind a colon; `:*` means every port, and none means 80 and 443. An address
/// of IPv6 with a port stands in brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EgressList {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    hosts: Hosts,
    ports: Ports,
    text: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    All,
    Name(String),
    /// With a dot before it.
    Below(String),
    Range(Range),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ports {
    Web,
    One(u16),
    All,
}

/// Why a list cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseEgressError {
    /// There is nothing in it.
    #[error("the list of hosts is empty")]
    Empty,
    /// An entry is none.
    #[error("{entry:?} is no host, such as deb.debian.org, *.example.org:443 or 10.0.0.0/8")]
    Entry {
        /// Which.
        entry: String,
    },
    /// An entry has a port that is none.
    #[error("{entry:?} has no port from 1 to 65535, and no *")]
    Port {
        /// Which.
        entry: String,
    },
}

impl EgressList {
    /// The entries as they were written.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.text)
    }

    /// Whether a host, a name in lower case or an address, is one of those.
    pub(super) fn admits(&self, host: &str, port: u16) -> Result<(), Refusal> {
        let address = host.parse().ok();
        let is_meant = |entry: &Entry| entry.ports.has(port) && entry.hosts.has(host, address);
        if self.entries.iter().any(is_meant) { Ok(()) } else { Err(Refusal::Unlisted) }
    }

    /// Whether all that a step reached is on this list, as it was perhaps on another one.
    pub(crate) fn admits_all(&self, contacts: &[Contact]) -> bool {
        let reached = contacts.iter().filter(|contact| contact.verdict == Verdict::Reached);
        reached.into_iter().all(|contact| self.admits(&contact.host, contact.port).is_ok())
    }

    /// Whether what a name of the list stands for may be connected to: an address of the internet, or one
    /// that is on the list itself.
    pub(super) fn admits_address(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let is_listed = self.entries.iter().any(|entry| match &entry.hosts {
            Hosts::Range(range) => entry.ports.has(port) && range.has(address),
            Hosts::All | Hosts::Name(_) | Hosts::Below(_) => false,
        });
        if is_listed || is_outer(address) { Ok(()) } else { Err(Refusal::Inner(address)) }
    }
}

impl Hosts {
    fn has(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => name == host,
            Self::Below(end) => {
                address.is_none() && host.len() > end.len() && host.ends_with(&**end)
            }
            Self::Range(range) => address.is_some_and(|address| range.has(address)),
        }
    }
}

impl Ports {
    fn has(self, port: u16) -> bool {
        match self {
            Self::Web => matches!(port, 80 | 443),
            Self::One(one) => one == port,
            Self::All => true,
        }
    }
}

impl fmt::Display for EgressList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<&str> = self.entries().collect();
        out.write_str(&entries.join(","))
    }
}

impl FromStr for EgressList {
    type Err = ParseEgressError;

    fn from_str(text: &str) -> Result<Self, ParseEgressError> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let entries: Vec<Entry> = words.map(str::parse).collect::<Result<_, _>>()?;
        if entries.is_empty() { Err(ParseEgressError::Empty) } else { Ok(Self { entries }) }
    }
}

impl FromStr for Entry {
    type Err = ParseEgressError;

    fn from_str(text: &str) -> Result<Self, ParseEgressError> {
        let (host, port) = split(text);
        let entry = || text.to_owned();
        let hosts = hosts(host).ok_or_else(|| ParseEgressError::Entry { entry: entry() })?;
        let ports = match port {
            None => Some(Ports::Web),
            Some("*") => Some(Ports::All),
            Some(port) => port.parse().ok().filter(|port| *port > 0).map(Ports::One),
        };
        let ports = ports.ok_or_else(|| ParseEgressError::Port { entry: entry() })?;
        Ok(Self { hosts, ports, text: entry() })
    }
}

/// A host and what stands behind it as its port.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, port)) = rest.split_once(']')
    {
        return (host, port.strip_prefix(':').or((!port.is_empty()).then_some(port)));
    }
    match text.split_once(':') {
        // Several colons are an address of IPv6.
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn hosts(text: &str) -> Option<Hosts> {
    if let Some(range) = Range::parse(text) {
        return Some(Hosts::Range(range));
    }
    if text == "*" {
        return Some(Hosts::All);
    }
    let (name, is_above) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
    let name = request::host_name(name)?;
    Some(if is_above { Hosts::Below(format!(".{name}")) } else { Hosts::Name(name) })
}
