//! Where a server is: `grpc://HOST[:PORT][/INSTANCE]` or `grpcs://…`.

/// Where a server is, and which of its instances is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReapiAddress {
    pub(crate) transport: Transport,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) instance: String,
}

/// Whether what is said can be read on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

/// An address at which there can be no server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReapiAddressError {
    /// It begins with neither.
    #[error("an address begins with grpc:// or grpcs://")]
    Scheme,
    /// There is no host in it, or one with a user.
    #[error("there is no host in it, or more than that")]
    Host,
    /// Its port is no number.
    #[error("its port is no number")]
    Port,
}

impl std::str::FromStr for ReapiAddress {
    type Err = ReapiAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, rest) = match text.split_once("://") {
            Some(("grpc", rest)) => (Transport::Plain, rest),
            Some(("grpcs", rest)) => (Transport::Tls, rest),
            _ => return Err(ReapiAddressError::Scheme),
        };
        let (authority, instance) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains(['@', '?', '#', ' ']) {
            return Err(ReapiAddressError::Host);
        }
        let bracket = authority.rfind(']').unwrap_or_default();
        let (host, port) = match authority.rfind(':').filter(|at| *at > bracket) {
            Some(at) => (&authority[..at], Some(&authority[at + 1..])),
            None => (authority, None),
        };
        if host.is_empty() {
            return Err(ReapiAddressError::Host);
        }
        let usual = if transport == Transport::Tls { 443 } else { 80 };
        let port = port.map_or(Ok(usual), str::parse).map_err(|_| ReapiAddressError::Port)?;
        let (host, instance) = (host.to_owned(), instance.trim_end_matches('/').to_owned());
        Ok(Self { transport, host, port, instance })
    }
}

impl ReapiAddress {
    /// The same server, and another instance.
    #[must_use]
    pub fn with_instance(self, instance: &str) -> Self {
        Self { instance: instance.to_owned(), ..self }
    }

    /// Whether the server is spoken to over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.transport == Transport::Tls
    }

    /// Host and port, as a request names them.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host, as it is looked up.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_port_and_an_instance() {
        let read = |text: &str| {
            let ReapiAddress { transport, host, port, instance } = text.parse().unwrap();
            (transport, host, port, instance)
        };
        let (plain, tls) = (Transport::Plain, Transport::Tls);
        let own = |transport, host: &str, port, instance: &str| {
            (transport, host.to_owned(), port, instance.to_owned())
        };
        assert_eq!(read("grpc://h:8980"), own(plain, "h", 8980, ""));
        assert_eq!(read("grpcs://h.example/a/b/"), own(tls, "h.example", 443, "a/b"));
        assert_eq!(read("grpc://[::1]:9/main"), own(plain, "[::1]", 9, "main"));
    }

    #[test]
    fn what_is_none_is_refused() {
        let refused = |text: &str| text.parse::<ReapiAddress>().unwrap_err();
        assert_eq!(refused("http://h"), ReapiAddressError::Scheme);
        assert_eq!(refused("grpc:///x"), ReapiAddressError::Host);
        assert_eq!(refused("grpc://u:p@h"), ReapiAddressError::Host);
        assert_eq!(refused("grpc://h:x"), ReapiAddressError::Port);
    }
}
