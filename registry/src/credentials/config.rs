//! The part of Docker's `config.json`, and of `auth.json`, that is about credentials.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use serde::{Deserialize, Deserializer};

use super::{Credential, CredentialError, Helper, Secret, host_of, key_of};

/// What such a file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    #[serde(default, deserialize_with = "absent")]
    auths: BTreeMap<String, Option<AuthEntry>>,
    #[serde(default, deserialize_with = "absent")]
    cred_helpers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// `null` says nothing, as to the programs that these files are written for.
fn absent<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[derive(Clone, Default, Deserialize)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    /// The credentials for exactly this part of a registry; helpers know whole registries only.
    pub(super) fn find(&self, part: &str) -> Result<Option<Credential>, CredentialError> {
        let whole = !part.contains('/');
        let key = key_of(part);
        if whole && let Some(helper) = self.helper(part) {
            return Helper::new(helper)?.get(key);
        }
        for (name, entry) in self.auths.iter().filter(|(name, _)| part_of(name) == part) {
            if let Some(found) = entry.as_ref().map_or(Ok(None), |entry| entry.read(name))? {
                return Ok(Some(found));
            }
        }
        let store = self.creds_store.as_deref().filter(|store| whole && !store.is_empty());
        store.map_or(Ok(None), |store| Helper::new(store)?.get(key))
    }

    /// The helper of this registry alone.
    fn helper(&self, host: &str) -> Option<&str> {
        let (_, helper) = self.cred_helpers.iter().find(|(name, _)| host_of(name) == host)?;
        helper.as_deref().filter(|helper| !helper.is_empty())
    }
}

impl AuthEntry {
    /// An entry may be empty: Docker leaves one behind for a host that a helper serves.
    fn read(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(mut auth) = given(&self.auth) {
            // `base64` wraps its lines and ends them.
            auth.retain(|char| !char.is_ascii_whitespace());
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

impl fmt::Debug for AuthEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AuthEntry(..)")
    }
}

/// The part of a registry that a key is about, as `host` or `host/path`.
///
/// Keys that are addresses, with a scheme or the version of the protocol at the end, are about the
/// whole registry. Hosts match exactly or not at all.
pub fn part_of(key: &str) -> String {
    let address = key.contains("://") || key.ends_with("/v1/") || key.ends_with("/v2/");
    let host = host_of(key);
    match key.trim_end_matches('/').split_once('/') {
        Some((_, path)) if !address => format!("{host}/{path}"),
        _ => host,
    }
}
