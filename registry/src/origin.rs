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
    match address_of(url) {
        Some(IpAddr::V4(address)) => {
            address.is_private() || address.is_loopback() || is_never_public(address)
        }
        Some(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        None => is_loopback(url),
    }
}

fn is_never_public(address: Ipv4Addr) -> bool {
    // Those of RFC 6598 are shared by the customers of a provider, or of a cluster.
    let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
    is_shared || address.is_link_local() || address.is_unspecified() || address.is_broadcast()
}

/// Whether machines of a cloud get their credentials there: at addresses that no network routes, or AWS's for IPv6.
/// That is nobody's registry, and nothing that a registry has is there.
pub(crate) fn serves_credentials(url: &Url) -> bool {
    match address_of(url) {
        Some(IpAddr::V4(address)) => address.is_link_local(),
        Some(IpAddr::V6(address)) => {
            address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2]
        }
        None => false,
    }
}

/// The address that a host is written as, by its version of IP.
fn address_of(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(address.to_canonical()),
        Host::Domain(_) => None,
    }
}

/// Why a request that went to `from` may not be led on to `to`; `None` if it may.
pub(crate) fn objection(from: &Url, to: &Url) -> Option<&'static str> {
    if from.scheme() == "https" && to.scheme() == "http" {
        Some("it leaves https")
    } else {
        objection_to_host(from, to)
    }
}

/// Why somebody who is at `from` may not have this program ask `to`, were it over plain HTTP; `None` if it may.
pub(crate) fn objection_to_host(from: &Url, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "http" | "https") {
        Some("it is neither http nor https")
    } else if serves_credentials(to) && !serves_credentials(from) {
        Some("it is an address where clouds serve credentials")
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

    #[test]
    fn a_credential_is_for_one_scheme_host_and_port() {
        let registry = url("https://r.example/v2/");
        for same in ["https://r.example/", "https://R.EXAMPLE:443/v2/a", "https://u:p@r.example/"] {
            assert!(same_origin(&registry, &url(same)), "{same}");
        }
        for other in [
            "http://r.example/",
            "https://r.example:444/",
            "https://a.r.example/",
            "https://r.example.evil.example/",
            "https://r.example@evil.example/",
            "https://r.example./",
            "https://example/",
        ] {
            assert!(!same_origin(&registry, &url(other)), "{other}");
        }
    }

    #[test]
    fn where_clouds_serve_credentials_nobody_is_led() {
        for registry in ["http://10.0.0.1:5000/", "http://localhost/", "https://r.example/"] {
            for to in ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.170.2]"]
            {
                let scheme = url(registry).scheme().to_owned();
                let to = url(&format!("{scheme}://{to}/latest/"));
                assert!(objection(&url(registry), &to).is_some(), "{registry} {to}");
            }
        }
        assert_eq!(objection(&url("http://10.0.0.1/"), &url("http://100.64.0.1/")), None);
        assert!(objection(&url("http://8.8.8.8/"), &url("http://100.64.0.1/")).is_some());
        assert_eq!(objection(&url("http://8.8.8.8/"), &url("http://100.128.0.1/")), None);
    }
}
