//! Addresses of registries and mirrors, as configurations write them.

use url::Url;
use wythe_store::oci::reference::Reference;

use super::{Connection, Security};
use crate::places::Wanted;

/// Where the names of repositories begin in the path of a request.
const ROOT: &str = "/v2/";

/// Where a registry, or a mirror of one, speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The host, with its port if it has one: what its credentials are kept by.
    pub host: String,
    /// The path that every request begins with; `/v2/` but for a few.
    pub path: String,
    /// What repositories are called there.
    pub rename: Rename,
    /// How it is spoken to.
    pub connection: Connection,
    /// What it is asked for.
    pub serves: Serves,
    /// Whether it is told whose images are wanted.
    pub namespace: Namespace,
}

/// What repositories are called at another place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rename {
    /// What their names begin with here, and not there; empty for nothing.
    pub without: String,
    /// What their names begin with there; empty for nothing.
    pub with: String,
}

/// What a place is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Serves {
    /// Everything.
    #[default]
    All,
    /// What is named by its digest.
    Digests,
    /// What is named by a tag, and what that leads to.
    Tags,
}

/// Whether a mirror is told whose images are wanted, by `?ns=HOST`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Namespace {
    /// It is, as containerd does: one mirror may be that of several registries.
    Told,
    /// It is not.
    #[default]
    Untold,
}

/// What the path of an address of containerd is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ApiPath {
    /// Where the API lies, but for its version.
    #[default]
    Unversioned,
    /// All that requests begin with.
    Whole,
}

/// An address that is none of a registry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not the address of a registry: {why}")]
pub struct PlaceError {
    text: String,
    why: &'static str,
}

impl Place {
    /// Where a host is by its name.
    pub(crate) fn at(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            path: ROOT.to_owned(),
            rename: Rename::default(),
            connection: Connection::default(),
            serves: Serves::default(),
            namespace: Namespace::default(),
        }
    }

    /// What a repository is called there as `host/name`, if that leads there.
    pub(super) fn repository(&self, name: &str) -> Option<String> {
        (self.path == ROOT).then(|| format!("{}/{}", self.host, self.rename.apply(name)))
    }

    /// Reads `[SCHEME://]HOST[:PORT][/PATH]`. The path is what the names of repositories begin with there,
    /// or where there is a `v2` in it, what is behind that; what is before it is where the API lies.
    ///
    /// # Errors
    ///
    /// If it is no such address.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let (place, path) = Self::begin(text)?;
        let path = path.trim_matches('/');
        let whole = format!("/{path}/");
        let (path, with) = match whole.split_once(ROOT) {
            Some((before, behind)) => (format!("{before}{ROOT}"), behind.trim_matches('/')),
            None => (ROOT.to_owned(), path),
        };
        let rename = Rename { without: String::new(), with: with.to_owned() };
        Ok(Self { path, rename, ..place })
    }

    /// Reads an address as containerd does: the path is where the API lies, with `v2` behind it unless
    /// it ends so, or is to be taken as it is.
    ///
    /// # Errors
    ///
    /// If it is no such address.
    pub fn parse_api(text: &str, form: ApiPath) -> Result<Self, PlaceError> {
        let (place, path) = Self::begin(text)?;
        let path = path.trim_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let is_whole = form == ApiPath::Whole;
        if is_whole && !format!("{path}/").contains(ROOT) {
            return Ok(Self { path: format!("{path}/"), ..place });
        }
        let whole = if is_whole || path.ends_with("/v2") { path } else { format!("{path}/v2") };
        let whole = format!("{whole}/");
        let (before, with) = whole.split_once(ROOT).unwrap_or(("", ""));
        let rename = Rename { without: String::new(), with: with.trim_matches('/').to_owned() };
        Ok(Self { path: format!("{before}{ROOT}"), rename, ..place })
    }

    /// The host, how it is spoken to, and the path.
    fn begin(text: &str) -> Result<(Self, String), PlaceError> {
        let fail = |why| PlaceError { text: text.to_owned(), why };
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url: Url = whole.parse().map_err(|_| fail("it is no URL"))?;
        let security = match url.scheme() {
            "https" => None,
            "http" => Some(Security::Plain),
            _ => return Err(fail("it begins with neither http:// nor https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fail("credentials belong to `wythe login`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail("it has a query or a fragment"));
        }
        let host = url.host_str().ok_or_else(|| fail("it has no host"))?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let host = crate::credentials::host_of(&host);
        let connection = Connection { security, ..Connection::default() };
        Ok((Self { connection, ..Self::at(&host) }, url.path().to_owned()))
    }
}

impl Rename {
    /// What a repository is called there.
    pub fn apply(&self, name: &str) -> String {
        let rest = name.strip_prefix(&*self.without).unwrap_or(name).trim_start_matches('/');
        let parts = [self.with.as_str(), rest].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("/")
    }
}

impl Serves {
    /// Whether it is asked for what a name stands for. Blobs have no other names than digests.
    pub(crate) fn answers(self, reference: &Reference, wanted: Wanted) -> bool {
        let by_digest = reference.digest().is_some();
        match self {
            Self::All => true,
            Self::Digests => by_digest || wanted == Wanted::Blob,
            Self::Tags => !by_digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(place: &Place) -> (&str, &str, &str) {
        (&place.host, &place.path, &place.rename.with)
    }

    #[test]
    fn a_path_is_what_names_begin_with_unless_it_says_where_the_api_is() {
        for (text, expected) in [
            ("mirror.example", ("mirror.example", "/v2/", "")),
            ("https://Mirror.Example:5000/", ("mirror.example:5000", "/v2/", "")),
            ("harbor.example/hub/proxy", ("harbor.example", "/v2/", "hub/proxy")),
            ("https://harbor.example/v2/hub", ("harbor.example", "/v2/", "hub")),
            ("https://a.example/api/docker/v2", ("a.example", "/api/docker/v2/", "")),
            ("https://registry-1.docker.io", ("docker.io", "/v2/", "")),
            ("http://[::1]:5000", ("[::1]:5000", "/v2/", "")),
        ] {
            assert_eq!(parts(&Place::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_repository_is_called_by_what_its_names_begin_with_there() {
        let check = |place: &str, expected: Option<&str>| {
            let found = Place::parse(place).unwrap().repository("library/app");
            assert_eq!(found.as_deref(), expected, "{place}");
        };
        check("mirror.example:5000", Some("mirror.example:5000/library/app"));
        check("harbor.example/hub", Some("harbor.example/hub/library/app"));
        // No name leads there.
        check("https://a.example/api/docker/v2", None);
    }

    #[test]
    fn a_path_of_containerd_is_where_the_api_is() {
        for (text, form, expected) in [
            ("https://m.example", ApiPath::Unversioned, ("m.example", "/v2/", "")),
            ("https://m.example/api", ApiPath::Unversioned, ("m.example", "/api/v2/", "")),
            ("https://m.example/api/v2", ApiPath::Unversioned, ("m.example", "/api/v2/", "")),
            ("https://m.example/v2/hub", ApiPath::Whole, ("m.example", "/v2/", "hub")),
            ("https://m.example/own", ApiPath::Whole, ("m.example", "/own/", "")),
        ] {
            assert_eq!(parts(&Place::parse_api(text, form).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_registry_is_refused() {
        for bad in ["", "ftp://m.example", "https://u:p@m.example", "https://m.example/?a", "a b"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_spoken_where_the_address_says_so() {
        let security = |text| Place::parse(text).unwrap().connection.security;
        assert_eq!((security("http://m"), security("https://m")), (Some(Security::Plain), None));
    }

    #[test]
    fn names_lose_what_they_began_with_and_get_what_they_begin_with_there() {
        let rename = |without: &str, with: &str| Rename {
            without: without.to_owned(),
            with: with.to_owned(),
        };
        assert_eq!(rename("", "").apply("library/app"), "library/app");
        assert_eq!(rename("", "hub").apply("library/app"), "hub/library/app");
        assert_eq!(rename("foo", "bar/baz").apply("foo/app"), "bar/baz/app");
        assert_eq!(rename("foo/app", "bar").apply("foo/app"), "bar");
    }
}
