//! Which token service may be asked for a registry, and whether it may see the credentials.

use url::Url;

use crate::error::{RegistryError, RegistryProblem, without_query};
use crate::origin;
use crate::places::Reach;
use crate::tls::Trust;

/// Why a token service does not see credentials.
const UNTRUSTED: &str =
    "it would see the credentials, and neither is it the registry's host nor was it named over TLS";
const UNLISTED: &str = "it would see the credentials, and is none of the registry's auth-hosts";

/// A token service as a registry names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Realm<'a> {
    /// How the registry is believed.
    pub(crate) reach: &'a Reach,
    /// Where the registry is.
    pub(crate) base: &'a Url,
    /// The name, which some registries write relative to their own.
    pub(crate) name: &'a str,
}

impl Realm<'_> {
    /// The address of the service.
    ///
    /// # Errors
    ///
    /// If it is one that nobody outside may have this program ask.
    pub(crate) fn address(self) -> Result<Url, RegistryError> {
        let realm = self.base.join(self.name);
        let realm = realm.map_err(|error| RegistryError::new("GET", self.base, error))?;
        match origin::objection(self.base, &realm) {
            None => Ok(realm),
            Some(reason) => Err(self.refusal(&realm, reason)),
        }
    }

    /// Why the service at `realm` may not see the registry's credentials; `None` if it may.
    ///
    /// A registry could ask for the password itself, so the service it names is as good as it is,
    /// provided that nobody in between can have put in another name, and nobody can listen: both are
    /// reached over TLS, or on this machine. Of a registry whose word may have been changed only a
    /// service on its own host is believed, or one that the user named. Where the user names some, the word of no
    /// registry is enough for another.
    pub(crate) fn distrust(self, realm: &Url) -> Option<&'static str> {
        let verified = self.reach.tls.trust == Trust::Authorities;
        let believed =
            origin::is_loopback(self.base) || (self.base.scheme() == "https" && verified);
        let private = origin::is_loopback(realm) || realm.scheme() == "https";
        if origin::same_host(realm, self.base) || self.is_listed(realm) {
            None
        } else if !self.reach.auth_hosts.is_empty() {
            Some(UNLISTED)
        } else if believed && private {
            None
        } else {
            Some(UNTRUSTED)
        }
    }

    /// The error of a service that may not be asked.
    pub(crate) fn refusal(self, realm: &Url, reason: &'static str) -> RegistryError {
        let problem = RegistryProblem::Realm { realm: without_query(realm), reason };
        RegistryError::new("GET", self.base, problem)
    }

    fn is_listed(self, realm: &Url) -> bool {
        self.reach.auth_hosts.contains(&origin::name_of(realm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Verdict {
        Refused,
        Anonymous,
        Entrusted,
    }

    #[track_caller]
    fn check(base: &str, name: &str, expected: Verdict) {
        let base: Url = base.parse().unwrap();
        let mut reach = Reach::default();
        let host = base.host_str().unwrap();
        if host.starts_with("insecure") {
            reach.tls.trust = Trust::Anybody;
        }
        if host.ends_with("listing.example") {
            reach.auth_hosts.insert("listed.example:5002".to_owned());
        }
        let realm = Realm { reach: &reach, base: &base, name };
        let found = match realm.address() {
            Err(_) => Verdict::Refused,
            Ok(address) if realm.distrust(&address).is_none() => Verdict::Entrusted,
            Ok(_) => Verdict::Anonymous,
        };
        assert_eq!(found, expected, "{base} {name}");
    }

    #[test]
    fn what_a_registry_names_over_tls_is_entrusted_with_its_credentials() {
        let registry = "https://gitlab.example:5099/v2/";
        for name in ["https://gitlab.example/jwt/auth", "https://auth.other.example/t", "/token"] {
            check(registry, name, Verdict::Entrusted);
        }
        check(
            "https://registry-1.docker.io/v2/",
            "https://auth.docker.io/token",
            Verdict::Entrusted,
        );
        check("https://10.0.0.1/v2/", "https://10.0.0.2/token", Verdict::Entrusted);
    }

    #[test]
    fn nothing_goes_from_tls_to_plain_http_or_to_addresses_inside() {
        let registry = "https://r.example/v2/";
        for name in
            ["http://r.example/t", "http://127.0.0.1/t", "https://10.1.2.3/t", "file:///etc"]
        {
            check(registry, name, Verdict::Refused);
        }
        check("http://127.0.0.1:5000/v2/", "http://169.254.169.254/t", Verdict::Refused);
    }

    #[test]
    fn of_a_registry_on_this_machine_services_on_it_and_behind_tls_are_believed() {
        let registry = "http://localhost:5000/v2/";
        for name in ["http://127.0.0.1:5001/auth", "https://sso.example/auth"] {
            check(registry, name, Verdict::Entrusted);
        }
        check(registry, "http://sso.example/auth", Verdict::Anonymous);
    }

    #[test]
    fn of_a_registry_whose_word_may_have_been_changed_only_its_own_host_is_believed() {
        for scheme in ["http", "https"] {
            let registry = format!("{scheme}://insecure.example/v2/");
            check(&registry, &format!("{scheme}://insecure.example:5001/t"), Verdict::Entrusted);
            check(&registry, "https://sso.example/auth", Verdict::Anonymous);
            let registry = format!("{scheme}://insecure.listing.example/v2/");
            check(&registry, "https://listed.example:5002/auth", Verdict::Entrusted);
        }
    }

    #[test]
    fn who_lists_services_lets_no_registry_name_another() {
        let registry = "https://listing.example/v2/";
        for name in ["https://listed.example:5002/t", "https://listing.example:5001/t", "/token"] {
            check(registry, name, Verdict::Entrusted);
        }
        for name in ["https://listed.example/t", "https://sso.example/t"] {
            check(registry, name, Verdict::Anonymous);
        }
        check(registry, "http://listed.example:5002/t", Verdict::Refused);
    }
}
