//! User names, passwords and identity tokens, from Docker's configuration and its helpers.

mod config;
mod program;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use config::DockerConfig;
pub use config::part_of;
pub use program::{Helper, prepare, prepare_helpers};

/// The user name with which helpers hand out identity tokens.
const TOKEN_USER: &str = "<token>";

/// Text that is never printed.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Secret(String);

/// What a registry may be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// User name and password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token of the registry's token service.
    IdentityToken(Secret),
}

/// Where credentials are looked up: explicit ones first, then Docker configurations in order, and where none
/// of them knows the registry, other sources.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    explicit: BTreeMap<String, Credential>,
    configs: Vec<DockerConfig>,
    sources: Vec<Arc<dyn CredentialSource>>,
}

/// What can get credentials for some registries without anybody having logged in, as clouds can for theirs.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credentials for a registry; `None` if it is none of those it knows.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Source`] if it is one, and there are none to be had.
    fn credential(&self, host: &str) -> Result<Option<Credential>, CredentialError>;
}

/// Credentials that are there and could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A configuration is not the JSON it should be. Its text may hold secrets and is not shown.
    #[error("the credential configuration is not valid: line {line}, column {column}")]
    Config {
        /// The line of the error.
        line: usize,
        /// The column of the error.
        column: usize,
    },
    /// The `auth` field of a host is not `user:password` in base64.
    #[error("the credentials of {host} are not a base64 pair of user and password")]
    Encoding {
        /// The key of the entry.
        host: String,
    },
    /// A helper has a name that is not one.
    #[error("{name:?} is not the name of a credential helper")]
    HelperName {
        /// What the configuration says.
        name: String,
    },
    /// A helper could not be run.
    #[error("credential helper {program}: {error}")]
    HelperRun {
        /// The program.
        program: String,
        /// What failed.
        #[source]
        error: io::Error,
    },
    /// A helper failed, took too long or answered nonsense. Its output may hold a secret.
    #[error("credential helper {program} {problem}")]
    Helper {
        /// The program.
        program: String,
        /// What it did.
        problem: &'static str,
    },
    /// A [`CredentialSource`] knows the registry, and has no credentials for it.
    #[error("{name}: {error}")]
    Source {
        /// What the source is called.
        name: &'static str,
        /// Why it has none.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
}

impl Credentials {
    /// Adds credentials for a host.
    #[must_use]
    pub fn with(mut self, host: &str, credential: Credential) -> Self {
        self.explicit.insert(host_of(host), credential);
        self
    }

    /// Adds the text of a Docker `config.json`.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Config`] if it is not one.
    pub fn with_docker_config(mut self, text: &str) -> Result<Self, CredentialError> {
        let config = serde_json::from_str(text).map_err(|error| CredentialError::Config {
            line: error.line(),
            column: error.column(),
        })?;
        self.configs.push(config);
        Ok(self)
    }

    /// Adds a source that is asked where nothing else is known.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn CredentialSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// The credentials for a repository of a registry; `None` where there are none.
    ///
    /// Those for the smallest part of the registry that holds the repository are taken, wherever
    /// they are; where two places know the same part, the first.
    ///
    /// # Errors
    ///
    /// If an entry or a helper is there and fails: trying the next place could send one registry's
    /// password to another.
    pub fn find(
        &self,
        host: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let whole = format!("{}/{repository}", host_of(host));
        let whole = whole.trim_end_matches('/');
        let ends = whole.rmatch_indices('/').map(|(end, _)| end);
        for end in std::iter::once(whole.len()).chain(ends) {
            let part = &whole[..end];
            if let Some(found) = self.explicit.get(part) {
                return Ok(Some(found.clone()));
            }
            for config in &self.configs {
                if let Some(found) = config.find(part)? {
                    return Ok(Some(found));
                }
            }
        }
        for source in &self.sources {
            if let Some(found) = source.credential(&host_of(host))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Credential {
    /// What a user name and a secret stand for, by Docker's conventions.
    pub fn new(username: &str, secret: &str) -> Self {
        let secret = Secret::new(secret);
        if username == TOKEN_USER {
            return Self::IdentityToken(secret);
        }
        Self::Password { username: username.to_owned(), password: secret }
    }

    /// User name and secret, by Docker's conventions.
    pub(crate) fn pair(&self) -> (&str, &Secret) {
        match self {
            Self::Password { username, password } => (username, password),
            Self::IdentityToken(token) => (TOKEN_USER, token),
        }
    }

    /// Whose they are, for messages.
    pub(crate) fn account(&self) -> String {
        match self {
            Self::Password { username, .. } => username.clone(),
            Self::IdentityToken(_) => "the owner of the identity token".to_owned(),
        }
    }
}

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the header it belongs in.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// The key under which configurations and helpers keep the credentials of a registry as a whole.
pub fn key_of(host: &str) -> &str {
    if host == "docker.io" { "https://index.docker.io/v1/" } else { host }
}

/// The registry that a person or a configuration names, with or without scheme and path.
pub fn host_of(key: &str) -> String {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Credentials {
        Credentials::default().with_docker_config(text).unwrap()
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "expectations are written at the call")]
    fn check(text: &str, host: &str, expected: Option<Credential>) {
        let (host, repository) = host.split_once('/').unwrap_or((host, ""));
        assert_eq!(config(text).find(host, repository).unwrap(), expected);
    }

    #[test]
    fn pairs_are_read_with_and_without_padding() {
        let expected = Some(Credential::new("u", "p:w"));
        check(r#"{"auths":{"r.io":{"auth":"dTpwOnc="}}}"#, "r.io", expected.clone());
        check(r#"{"auths":{"https://r.io/v1/":{"auth":"dTpwOnc"}}}"#, "r.io", expected.clone());
        check(r#"{"auths":{"r.io":{"username":"u","password":"p:w"}}}"#, "r.io", expected);
    }

    #[test]
    fn a_pair_may_be_wrapped_and_end_with_a_newline() {
        let expected = Some(Credential::new("u", "p:w"));
        check("{\"auths\":{\"r.io\":{\"auth\":\"dTpw\\r\\nOnc=\\n\"}}}", "r.io", expected);
    }

    #[test]
    fn the_longest_part_of_the_registry_that_holds_the_repository_wins() {
        let text = r#"{"auths":{
            "r.io":{"auth":"aG9zdDpw"}, "r.io/org":{"auth":"b3JnOnA="},
            "r.io/org/app":{"auth":"YXBwOnA="}, "s.io/org":{"auth":"b3JnOnA="}
        }}"#;
        let of = |user| Some(Credential::new(user, "p"));
        for (name, user) in [
            ("r.io", "host"),
            ("r.io/other/app", "host"),
            ("r.io/organisation", "host"),
            ("r.io/org/lib", "org"),
            ("r.io/org/app", "app"),
            ("r.io/org/app/deep", "app"),
            ("s.io/org/x", "org"),
        ] {
            check(text, name, of(user));
        }
        check(text, "s.io", None);
        check(text, "s.io/x", None);
    }

    #[test]
    fn the_longest_part_wins_across_places_and_the_first_place_among_equals() {
        let both = config(r#"{"auths":{"r.io":{"auth":"Zmlyc3Q6cA=="}}}"#)
            .with_docker_config(
                r#"{"auths":{"r.io":{"auth":"aG9zdDpw"},"r.io/org":{"auth":"b3JnOnA="}}}"#,
            )
            .unwrap();
        assert_eq!(both.find("r.io", "app").unwrap(), Some(Credential::new("first", "p")));
        assert_eq!(both.find("r.io", "org/app").unwrap(), Some(Credential::new("org", "p")));
    }

    #[test]
    fn the_path_of_an_address_is_none_of_the_registry() {
        for key in ["https://r.io/v2/", "http://r.io/org", "r.io/v1/", "r.io/v2/", "r.io/"] {
            let text = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
            check(&text, "r.io/app", Some(Credential::new("u", "p")));
        }
    }

    #[test]
    fn a_helper_without_a_name_is_none() {
        let text =
            r#"{"credsStore":"","credHelpers":{"r.io":""},"auths":{"r.io":{"auth":"dTpw"}}}"#;
        check(text, "r.io/app", Some(Credential::new("u", "p")));
    }

    #[test]
    fn null_says_nothing() {
        let text = r#"{"auths":{"s.io":null,"r.io":{"auth":"dTpw","identitytoken":null}},
            "credHelpers":{"r.io":null},"credsStore":null}"#;
        check(text, "r.io", Some(Credential::new("u", "p")));
        check(text, "s.io", None);
        check(r#"{"auths":null,"credHelpers":null}"#, "r.io", None);
    }

    #[test]
    fn docker_hub_has_many_names() {
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#;
        for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            check(text, host, Some(Credential::new("u", "p")));
        }
    }

    #[test]
    fn hosts_match_exactly_or_not_at_all() {
        let text = r#"{"auths":{"r.io":{"auth":"dTpw"},"*.r.io":{"auth":"dTpw"},"r.io:5000":{}}}"#;
        for host in ["evil-r.io", "r.io.evil.com", "a.r.io", "r.io:5000", "r.io:443", "docker.io"] {
            check(text, host, None);
        }
    }

    #[test]
    fn an_identity_token_is_no_password() {
        let expected = Some(Credential::IdentityToken(Secret::new("t")));
        check(r#"{"auths":{"r.io":{"auth":"dTpw","identitytoken":"t"}}}"#, "r.io", expected);
    }

    #[test]
    fn explicit_credentials_come_first() {
        let own = Credential::new("me", "x");
        let all = config(r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#).with("r.io", own.clone());
        assert_eq!(all.find("r.io", "app").unwrap(), Some(own));
    }

    #[derive(Debug)]
    struct Cloud;

    impl CredentialSource for Cloud {
        fn credential(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
            Ok(host.ends_with("r.io").then(|| Credential::new("cloud", "p")))
        }
    }

    #[test]
    fn a_source_is_asked_where_nothing_else_is_known() {
        let all = config(r#"{"auths":{"r.io/org":{"auth":"dTpw"}}}"#).with_source(Arc::new(Cloud));
        let found = |host, name| all.find(host, name).unwrap();
        assert_eq!(found("r.io", "org/app"), Some(Credential::new("u", "p")));
        assert_eq!(found("r.io", "app"), Some(Credential::new("cloud", "p")));
        assert_eq!(found("s.io", "app"), None);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_without_the_secret() {
        let bad =
            config(r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#).find("r.io", "app").unwrap_err();
        assert!(!bad.to_string().contains("c2VjcmV0"), "{bad}");
        assert!(Credentials::default().with_docker_config(r#"{"auths":"secret"}"#).is_err());
        assert!(config(r#"{"credsStore":"../evil"}"#).find("r.io", "app").is_err());
        let shown = format!("{:?}", config(r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#));
        assert!(!shown.contains("dTpw"), "{shown}");
    }
}
