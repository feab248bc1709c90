//! Where steps may go on the network, where that is a list of hosts, and where they went.
//!
//! Such a step has a network of its own with nothing in it but a proxy of this program. It is given by the usual
//! variables; a program that does not heed them reaches nothing. The proxy takes HTTP requests and `CONNECT`, looks
//! the names up itself, and goes where the list says.

mod address;
mod gate;
mod list;
mod record;
mod relay;
mod request;

use std::fmt;
use std::net::IpAddr;

pub(crate) use gate::{Gate, Told};
pub use list::{EgressList, ParseEgressError};
pub(crate) use record::{contacts_of, forget_contacts, note_contacts, subject};

/// A host that a step asked for, and what came of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Contact {
    /// The name in lower case, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a wish to reach a host.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// It was connected to.
    Reached,
    /// It was allowed, and did not answer.
    Unreachable,
    /// It was not allowed.
    Refused(Refusal),
}

impl Verdict {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unreachable => "unreachable",
            Self::Refused(_) => "refused",
        }
    }
}

/// Why a host was not allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum Refusal {
    /// No entry of the list is about it.
    #[error("it is not on the list of --network=allow")]
    Unlisted,
    /// Its name leads to a place that is no part of the internet.
    #[error("{0} is no address of the internet, and not on the list of --network=allow")]
    Inner(IpAddr),
    /// It would be one too many to remember.
    #[error("the step has asked for {MAX_CONTACTS} hosts already")]
    TooMany,
}

/// So many hosts are remembered of a step, and no more allowed: more than any build fetches from, and
/// little enough to keep.
const MAX_CONTACTS: usize = 1024;

impl fmt::Display for Contact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// The variables by which programs find the proxy, in both spellings.
pub(crate) fn variables() -> Vec<(Vec<u8>, Vec<u8>)> {
    let proxy = format!("http://127.0.0.1:{}", gate::PORT);
    let own = "localhost,127.0.0.1,::1".to_owned();
    let pairs = [
        ("HTTP_PROXY", &proxy),
        ("HTTPS_PROXY", &proxy),
        ("ALL_PROXY", &proxy),
        ("NO_PROXY", &own),
    ];
    let both = pairs.into_iter().flat_map(|(name, value)| {
        [name.to_owned(), name.to_ascii_lowercase()]
            .map(|name| (name.into_bytes(), value.clone().into_bytes()))
    });
    both.collect()
}

#[cfg(test)]
mod tests;
