//! ECR's control plane: tokens for its registries, and repositories in them.

mod repository;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wythe_registry::credentials::{Credential, CredentialError, CredentialSource};

use crate::api::Api;
use crate::chain::{Chain, Origin};
use crate::endpoint::Region;
use crate::error::{AwsError, AwsProblem};
use crate::keys::{Hidden, Keys};
use crate::registry_host::RegistryHost;
use crate::sign::sha256;
use crate::surroundings::Surroundings;
use crate::token_file::{Token, TokenFiles};

pub use self::repository::{Made, RepositoryOptions, Scan, Tags};

/// The user of every token.
const USER: &str = "AWS";
/// A token that ends sooner than this is got anew, and taken as it is only where that fails: a push may take long.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

/// ECR, for whoever the surroundings say that this is.
#[derive(Debug)]
pub struct Ecr {
    around: Arc<Surroundings>,
    files: Option<TokenFiles>,
    /// By region.
    chains: Mutex<BTreeMap<Region, Arc<Chain>>>,
    /// One search at a time: several threads that need the same token ask for it once.
    asking: Mutex<()>,
}

impl Ecr {
    /// ECR; tokens are kept in this folder, if there is one.
    pub fn new(around: Arc<Surroundings>, folder: Option<PathBuf>) -> Self {
        let disabled = around.is_on("AWS_ECR_DISABLE_CACHE");
        let named = around.variable("AWS_ECR_CACHE_DIR").map(PathBuf::from);
        let files = named.or(folder).filter(|_| !disabled).map(TokenFiles);
        Self { around, files, chains: Mutex::default(), asking: Mutex::default() }
    }

    /// A token for a registry: one that is kept, else a new one.
    ///
    /// # Errors
    ///
    /// If there are no keys, or ECR gives them no token. A token that was kept and has not ended is taken then.
    pub fn password(&self, registry: &RegistryHost) -> Result<Hidden, AwsError> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let name = self.file_name(registry);
        let now = self.around.clock.moment();
        let kept = self.files.as_ref().and_then(|files| files.load(&name));
        let kept = kept.filter(|token| now < token.expires);
        if let Some(token) = kept.as_ref().filter(|token| now + MARGIN < token.expires) {
            return Ok(token.password.clone());
        }
        match (self.ask(registry), kept) {
            (Ok(token), _) => {
                if let Some(files) = &self.files {
                    // The next command asks again then.
                    let _ = files.save(&name, &token);
                }
                Ok(token.password)
            }
            (Err(_), Some(token)) => Ok(token.password),
            (Err(error), None) => Err(error),
        }
    }

    fn ask(&self, registry: &RegistryHost) -> Result<Token, AwsError> {
        let (operation, target, body) = match registry {
            RegistryHost::Private { account, .. } => (
                "ecr:GetAuthorizationToken",
                "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
                json!({"registryIds": [account]}),
            ),
            RegistryHost::Public(_) => (
                "ecr-public:GetAuthorizationToken",
                "SpencerFrontendService.GetAuthorizationToken",
                json!({}),
            ),
        };
        let answer = self.call(registry, (operation, target), &body)?;
        let data = &answer["authorizationData"];
        let data = if data.is_array() { &data[0] } else { data };
        let wrong = || AwsError::new(operation, AwsProblem::Answer { what: "token" });
        let pair = data["authorizationToken"].as_str().ok_or_else(wrong)?;
        let pair = STANDARD.decode(pair).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (_, password) =
            pair.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(wrong)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the fraction of a second does not matter"
        )]
        let end = data["expiresAt"].as_f64().map(|seconds| seconds as i64);
        let expires = end.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let expires = expires.ok_or_else(wrong)?;
        Ok(Token { password: Hidden::new(password), expires })
    }

    /// Calls the control plane of a registry.
    fn call(
        &self,
        registry: &RegistryHost,
        target: (&str, &str),
        body: &Value,
    ) -> Result<Value, AwsError> {
        let (region, around) = (registry.region(), &*self.around);
        let url = registry.service().url(&region, registry.flavour(), around);
        let api = Api { around, service: registry.service(), region: &region, url: &url };
        self.chain(&region).with_keys(|keys: &Keys| api.json(Some(keys), target, body))
    }

    fn chain(&self, region: &Region) -> Arc<Chain> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = chains.entry(region.clone()).or_insert_with(|| {
            Arc::new(Chain::new(self.around.clone(), Origin::Search(region.clone())))
        });
        chain.clone()
    }

    /// What the token for a registry is kept under: the registry, and everything that says who this is. Whoever
    /// takes another profile, or other keys, asks for a token of their own.
    fn file_name(&self, registry: &RegistryHost) -> String {
        let mut text = format!("{registry:?}\n");
        for (name, value) in &self.around.variables {
            // The names of regions and the like are no part of who this is, and do no harm.
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}={}", sha256(value.as_bytes()));
        }
        for (variable, name) in
            [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
        {
            let read = |path: PathBuf| -> io::Result<String> { Ok(sha256(&fs::read(path)?)) };
            let digest = self.around.file(variable, name).and_then(|path| read(path).ok());
            let _ = writeln!(text, "{name}:{}", digest.unwrap_or_default());
        }
        sha256(text.as_bytes())[..32].to_owned()
    }
}

impl CredentialSource for Ecr {
    /// The public registry serves everybody, so that nobody is kept from it by the want of keys.
    fn credential(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let Some(registry) = RegistryHost::parse(host) else { return Ok(None) };
        match (self.password(&registry), &registry) {
            (Ok(password), _) => Ok(Some(Credential::new(USER, password.reveal()))),
            (Err(_), RegistryHost::Public(_)) => Ok(None),
            (Err(error), RegistryHost::Private { .. }) => {
                Err(CredentialError::Source { name: "ECR", error: Box::new(error) })
            }
        }
    }
}

#[cfg(test)]
mod tests;
