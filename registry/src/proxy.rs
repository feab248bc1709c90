//! Which requests go through a proxy, by the rules of the variables that everybody sets for it.

use std::net::IpAddr;

use url::{Host, Url};

use crate::error::RegistryProblem;
use crate::origin;
use crate::transport::chain;

/// The proxies of each scheme, and what is reached without one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    /// The proxy for `http`, as in `HTTP_PROXY`.
    pub http: Option<String>,
    /// The proxy for `https`, as in `HTTPS_PROXY`.
    pub https: Option<String>,
    /// What is reached without one, as in `NO_PROXY`: hosts, domains, addresses and networks,
    /// separated by commas, each with a port if it is about that port only; or `*`.
    pub except: String,
}

impl Proxies {
    /// The proxy that a request goes through. This machine is never reached through one.
    pub(crate) fn of(&self, url: &Url) -> Option<&str> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_deref().filter(|proxy| !proxy.is_empty())?;
        let mut exceptions = self.except.split(',').map(str::trim);
        let direct = origin::is_loopback(url) || exceptions.any(|text| excepts(text, url));
        (!direct).then_some(proxy)
    }
}

/// What proxies may speak. The HTTP library passes over others without a word.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// A proxy for the HTTP library.
pub(crate) fn client(address: &str) -> Result<reqwest::Proxy, RegistryProblem> {
    let fail = |detail: String| RegistryProblem::Proxy { proxy: shown(address), detail };
    let url: Url = address.parse().map_err(|error: url::ParseError| fail(error.to_string()))?;
    if !SCHEMES.contains(&url.scheme()) || url.host().is_none() {
        return Err(fail(format!("it is none of {}", SCHEMES.join(", "))));
    }
    reqwest::Proxy::all(url).map_err(|error| fail(chain(&error.without_url())))
}

/// A proxy without the password that may be in it.
pub(crate) fn shown(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => address.to_owned(),
    }
}

/// Whether an entry of `NO_PROXY` is about an address.
fn excepts(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, port) = split_port(entry);
    if port.is_some_and(|port| url.port_or_known_default() != Some(port)) || name.is_empty() {
        return false;
    }
    match url.host() {
        Some(Host::Domain(host)) => {
            is_within(&host.to_ascii_lowercase(), &name.to_ascii_lowercase())
        }
        Some(Host::Ipv4(host)) => is_in_network(IpAddr::V4(host), name),
        Some(Host::Ipv6(host)) => is_in_network(IpAddr::V6(host), name),
        None => false,
    }
}

/// `host`, `host:port`, `address` of either version, `[address]:port`; what is no port belongs to
/// the name.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let bare = |name: &'_ str| name.len() - name.trim_matches(['[', ']']).len() == 2;
    match entry.rsplit_once(':') {
        Some((name, port)) if bare(name) || !name.contains(':') => match port.parse() {
            Ok(port) => (name.trim_matches(['[', ']']), Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry.trim_matches(['[', ']']), None),
    }
}

/// `example.com` is about itself and what is below it, `.example.com` about what is below it.
fn is_within(host: &str, name: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    let (domain, itself) = match name.strip_prefix('.') {
        Some(domain) => (domain, false),
        None => (name, true),
    };
    match host.strip_suffix(domain) {
        Some("") => itself,
        Some(rest) => rest.ends_with('.'),
        None => false,
    }
}

fn is_in_network(host: IpAddr, network: &str) -> bool {
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, length.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let (Ok(address), Some(length)) = (address.parse::<IpAddr>(), length) else { return false };
    let bits = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let ((width, host), (other, network)) = (bits(host), bits(address));
    let rest = width - length.min(width);
    width == other && host.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_proxied(except: &str, url: &str) -> bool {
        let proxies = Proxies {
            http: Some("http://plain".to_owned()),
            https: Some("http://secure".to_owned()),
            except: except.to_owned(),
        };
        proxies.of(&url.parse().unwrap()).is_some()
    }

    #[track_caller]
    fn direct(except: &str, url: &str) {
        assert!(!is_proxied(except, url), "{except:?} {url}");
    }

    #[track_caller]
    fn proxied(except: &str, url: &str) {
        assert!(is_proxied(except, url), "{except:?} {url}");
    }

    #[test]
    fn each_scheme_has_its_own_proxy() {
        let only = Proxies { http: Some("http://p".to_owned()), ..Proxies::default() };
        assert_eq!(only.of(&"http://r.io".parse().unwrap()), Some("http://p"));
        assert_eq!(only.of(&"https://r.io".parse().unwrap()), None);
        let empty = Proxies { https: Some(String::new()), ..Proxies::default() };
        assert_eq!(empty.of(&"https://r.io".parse().unwrap()), None);
    }

    #[test]
    fn a_proxy_that_cannot_be_one_is_an_error_without_its_password() {
        for good in ["http://u:p@p.example:3128", "socks5h://p.example:1080", "https://p.example"] {
            client(good).unwrap();
        }
        for bad in ["ftp://u:secret@p.example", "http://u:secret@[", "socks5:u:secret@p"] {
            let text = client(bad).unwrap_err().to_string();
            assert!(!text.contains("secret") && text.contains("proxy"), "{text}");
        }
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        for host in ["localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "LOCALHOST"] {
            direct("", &format!("http://{host}/v2/"));
            direct("", &format!("https://{host}/v2/"));
        }
        proxied("", "http://localhost.example/");
    }

    #[test]
    fn an_exception_may_be_about_a_port() {
        direct("r.io:5000", "https://r.io:5000/");
        proxied("r.io:5000", "https://r.io/");
        direct("r.io:443", "https://r.io/");
        direct("r.io:80, 10.0.0.1:8080 ,[fd00::1]:5000", "http://r.io/");
        direct("r.io:80,10.0.0.1:8080,[fd00::1]:5000", "http://10.0.0.1:8080/");
        proxied("r.io:80,10.0.0.1:8080,[fd00::1]:5000", "http://10.0.0.1/");
        direct("r.io:80,10.0.0.1:8080,[fd00::1]:5000", "http://[fd00::1]:5000/");
        proxied("r.io:80,10.0.0.1:8080,[fd00::1]:5000", "http://[fd00::1]/");
    }

    #[test]
    fn a_star_is_everything_and_a_domain_what_is_below_it() {
        direct("*", "https://r.io/");
        direct("a, *", "https://10.0.0.1/");
        direct("example.com", "https://example.com/");
        direct("Example.COM", "https://a.b.example.com/");
        proxied("example.com", "https://badexample.com/");
        for below in [".example.com", "*.example.com"] {
            direct(below, "https://a.example.com/");
            proxied(below, "https://example.com/");
        }
        proxied(",", "https://r.io/");
        proxied("", "https://r.io/");
    }

    #[test]
    fn networks_hold_addresses_and_no_names() {
        direct("10.0.0.0/8", "https://10.200.1.1/");
        proxied("10.0.0.0/8", "https://11.0.0.1/");
        direct("10.1.2.3", "https://10.1.2.3/");
        proxied("10.1.2.3", "https://10.1.2.4/");
        direct("fd00::/8", "https://[fdff::1]/");
        direct("fd00::1", "https://[fd00::1]:5000/");
        proxied("fd00::/8", "https://[fe00::1]/");
        proxied("0.0.0.0/0", "https://[fd00::1]/");
        direct("0.0.0.0/0", "https://8.8.8.8/");
        proxied("10.0.0.0/8", "https://r.io/");
        proxied("10.0.0.0/x", "https://10.0.0.0/");
    }
}
