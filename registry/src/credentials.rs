//! User names, passwords and identity tokens, from Docker's configuration and its helpers.

mod program;

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use serde::Deserialize;

/// The key under which Docker keeps the credentials of Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
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

/// Where credentials are looked up: explicit ones first, then Docker configurations in order.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    explicit: BTreeMap<String, Credential>,
    configs: Vec<DockerConfig>,
}

/// The part of Docker's `config.json` that is about credentials.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
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

    /// The credentials for a registry host; `None` where there are none.
    ///
    /// # Errors
    ///
    /// If an entry or a helper is there and fails: trying the next place could send one registry's
    /// password to another.
    pub fn find(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let host = host_of(host);
        if let Some(found) = self.explicit.get(&host) {
            return Ok(Some(found.clone()));
        }
        for config in &self.configs {
            if let Some(found) = config.find(&host)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl DockerConfig {
    fn find(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let of_host = |key: &&String| host_of(key) == *host;
        let key = if host == "docker.io" { HUB_KEY } else { host };
        if let Some(name) = self.cred_helpers.keys().find(of_host) {
            return program::get(&self.cred_helpers[name], key);
        }
        if let Some(name) = self.auths.keys().find(of_host)
            && let Some(found) = self.auths[name].read(name)?
        {
            return Ok(Some(found));
        }
        match &self.creds_store {
            Some(program) => program::get(program, key),
            None => Ok(None),
        }
    }
}

impl AuthEntry {
    /// An entry may be empty: Docker leaves one behind for a host that a helper serves.
    fn read(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(auth) = given(&self.auth) {
            let wrong = || CredentialError::Encoding { host: host.to_owned() };
            let bytes = STANDARD_PAD_INDIFFERENT.decode(auth).map_err(|_| wrong())?;
            let text = String::from_utf8(bytes).map_err(|_| wrong())?;
            let (username, password) = text.split_once(':').ok_or_else(wrong)?;
            let password = password.trim_end_matches('\0');
            return Ok(Some(Credential::new(username, password)));
        }
        let (username, password) = (given(&self.username), given(&self.password));
        Ok(username.zip(password).map(|(name, word)| Credential::new(&name, &word)))
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

impl fmt::Debug for AuthEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AuthEntry(..)")
    }
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
        assert_eq!(config(text).find(host).unwrap(), expected);
    }

    #[test]
    fn pairs_are_read_with_and_without_padding() {
        let expected = Some(Credential::new("u", "p:w"));
        check(r#"{"auths":{"r.io":{"auth":"dTpwOnc="}}}"#, "r.io", expected.clone());
        check(r#"{"auths":{"https://r.io/v1/":{"auth":"dTpwOnc"}}}"#, "r.io", expected.clone());
        check(r#"{"auths":{"r.io":{"username":"u","password":"p:w"}}}"#, "r.io", expected);
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
        assert_eq!(all.find("r.io").unwrap(), Some(own));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_without_the_secret() {
        let bad = config(r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#).find("r.io").unwrap_err();
        assert!(!bad.to_string().contains("c2VjcmV0"), "{bad}");
        assert!(Credentials::default().with_docker_config(r#"{"auths":"secret"}"#).is_err());
        assert!(config(r#"{"credsStore":"../evil"}"#).find("r.io").is_err());
        let shown = format!("{:?}", config(r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#));
        assert!(!shown.contains("dTpw"), "{shown}");
    }
}
