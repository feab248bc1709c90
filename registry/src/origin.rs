//! Which server a registry's name means, and which servers are the same one.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use crate::hosts::{Connection, Security};
use crate::settings::Settings;

/// Where the registry `host` is spoken to over TLS.
pub(crate) fn base_url(host: &str) -> Result<Url, url::ParseError> {
    let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
    Url::parse(&format!("https://{server}/v2/"))
}

/// The same place without TLS.
pub(crate) fn without_tls(host: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("http://{host}/v2/"))
}

/// What the registry has to show: what is said of it, else anything where it is on this machine. What the
/// caller lists for this once comes before all.
pub(crate) fn security(
    host: &str,
    base: &Url,
    connection: &Connection,
    settings: &Settings,
) -> Security {
    let anything = is_loopback(base) && connection.authorities.is_empty();
    match connection.security {
        Some(Security::Plain) => Security::Plain,
        _ if settings.insecure.contains(host) => Security::AnyOrPlain,
        Some(said) => said,
        None if anything => Security::AnyOrPlain,
        None => Security::Verified,
    }
}

/// The server of an address, as `host[:port]`.
pub(crate) fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether both are on one machine, as far as their names tell.
pub(crate) fn same_host(one: &Url, other: &Url) -> bool {
    one.host() == other.host() || (is_loopback(one) && is_loopback(other))
}

/// Whether a credential for one may be sent to the other: scheme, host and port are equal.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the address is one that only a machine inside can reach.
///
/// A server outside that points there wants this program to reach it in its place.
pub(crate) fn is_private(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => address.to_canonical(),
        Some(Host::Domain(_)) | None => return is_loopback(url),
    };
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || is_never_public(address)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

fn is_never_public(address: Ipv4Addr) -> bool {
    address.is_link_local() || address.is_unspecified() || address.is_broadcast()
}

/// Link-local addresses serve the credentials of cloud machines and are nobody's registry.
pub(crate) fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_unicast_link_local(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Why a request that went to `from` may not be led on to `to`; `None` if it may.
pub(crate) fn objection(from: &Url, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "http" | "https") {
        Some("it is neither http nor https")
    } else if from.scheme() == "https" && to.scheme() == "http" {
        Some("it leaves https")
    } else if is_private(to) && !is_private(from) {
        Some("it leads to a private address")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn lenience_is_for_loopback_and_listed_hosts_only() {
        let mut settings = Settings::default();
        settings.insecure.insert("plain.example:80".to_owned());
        let security = |host: &str, connection: &Connection| {
            security(host, &base_url(host).unwrap(), connection, &settings)
        };
        let nothing = Connection::default();
        for host in ["localhost:5000", "127.0.0.1:1", "[::1]:5000", "plain.example:80"] {
            assert_eq!(security(host, &nothing), Security::AnyOrPlain, "{host}");
        }
        for host in ["plain.example", "10.0.0.1:5000", "localhost.evil.com", "docker.io"] {
            assert_eq!(security(host, &nothing), Security::Verified, "{host}");
        }
        let named = Connection { authorities: vec!["ca.pem".into()], ..Connection::default() };
        assert_eq!(security("localhost:5000", &named), Security::Verified);
        let said = Some(Security::AnyCertificate);
        let said = Connection { security: said, ..Connection::default() };
        assert_eq!(security("r.example", &said), Security::AnyCertificate);
        assert_eq!(base_url("docker.io").unwrap().host_str(), Some("registry-1.docker.io"));
    }

    #[test]
    fn leaving_https_or_the_public_network_is_objected_to() {
        let registry = url("https://r.example/v2/");
        for bad in
            ["http://r.example/", "https://169.254.169.254/", "https://[::1]/", "file:///etc"]
        {
            assert!(objection(&registry, &url(bad)).is_some(), "{bad}");
        }
        for bad in ["https://10.1.2.3/", "https://[::ffff:10.0.0.1]/", "https://localhost/"] {
            assert!(objection(&registry, &url(bad)).is_some(), "{bad}");
        }
        assert_eq!(objection(&registry, &url("https://storage.example/x")), None);
        assert_eq!(objection(&url("http://127.0.0.1:1/"), &url("http://127.0.0.1:2/")), None);
    }
}
