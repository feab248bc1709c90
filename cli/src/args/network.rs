//! The network of steps, as `--network` has it.

use std::str::FromStr;
use std::sync::Arc;

use wythe_builder::egress::{EgressList, ParseEgressError};

/// The network of steps of a build.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum BuildNetwork {
    /// That of this machine.
    #[default]
    Default,
    /// That of this machine, which needs no entitlement when asked for here.
    Host,
    /// Nothing but a loopback.
    None,
    /// Hosts of a list.
    Allow(Arc<EgressList>),
    /// One of the step's own that leads out by pasta.
    Pasta,
}

/// Why a text names no network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("known are default, host, none, pasta and allow:HOST[:PORT],…")]
    Unknown,
    #[error(transparent)]
    List(#[from] ParseEgressError),
}

impl FromStr for BuildNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text {
            "default" => Ok(Self::Default),
            "host" => Ok(Self::Host),
            "none" => Ok(Self::None),
            "pasta" => Ok(Self::Pasta),
            _ => {
                let list = text.strip_prefix("allow:").ok_or(NetworkError::Unknown)?;
                Ok(Self::Allow(Arc::new(list.parse()?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_network_and_an_unknown_word_is_none() {
        let BuildNetwork::Allow(list) = "allow:a.example,*.b:443".parse().unwrap() else {
            panic!()
        };
        assert_eq!(list.entries().collect::<Vec<_>>(), ["a.example", "*.b:443"]);
        assert_eq!("bridge".parse::<BuildNetwork>(), Err(NetworkError::Unknown));
        assert_eq!("allow".parse::<BuildNetwork>(), Err(NetworkError::Unknown));
        let error = "allow:a/b".parse::<BuildNetwork>().unwrap_err();
        assert!(error.to_string().contains("\"a/b\""), "{error}");
    }
}
