//! Repositories of ECR, which have to exist before anything is pushed to them.

use serde_json::json;

use super::Ecr;
use crate::error::{AwsError, AwsProblem};
use crate::registry_host::RegistryHost;

/// How a repository is made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RepositoryOptions {
    /// Whether images are scanned when they are pushed.
    pub scan: Scan,
    /// Whether tags can be moved.
    pub tags: Tags,
}

/// Whether images are scanned when they are pushed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scan {
    /// They are.
    OnPush,
    /// As the registry has it.
    #[default]
    Unsaid,
}

/// Whether tags can be moved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tags {
    /// A tag is for one image, for ever.
    Immutable,
    /// They can.
    #[default]
    Mutable,
}

/// What came of making a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// It was made.
    Now,
    /// It was there, and is as it was.
    Before,
}

/// The prefixes of operations and of their targets.
fn names(registry: &RegistryHost) -> (&'static str, &'static str) {
    match registry {
        RegistryHost::Private { .. } => ("ecr", "AmazonEC2ContainerRegistry_V20150921"),
        RegistryHost::Public(_) => ("ecr-public", "SpencerFrontendService"),
    }
}

impl Ecr {
    /// Makes a repository unless it is there, by this caller or by another at the same moment.
    ///
    /// The public registry has neither scans nor tags that stay: the options are for private ones.
    ///
    /// # Errors
    ///
    /// If there are no keys, or ECR refuses. Who may not make repositories is refused only where there is none.
    pub fn create_repository(
        &self,
        registry: &RegistryHost,
        name: &str,
        options: RepositoryOptions,
    ) -> Result<Made, AwsError> {
        // In the public registry the first part of a name is that of its owner.
        let name = match registry {
            RegistryHost::Private { .. } => name,
            RegistryHost::Public(_) => name.split_once('/').map_or(name, |(_, name)| name),
        };
        let mut body = json!({"repositoryName": name});
        if let RegistryHost::Private { account, .. } = registry {
            body["registryId"] = json!(account);
            if options.scan == Scan::OnPush {
                body["imageScanningConfiguration"] = json!({"scanOnPush": true});
            }
            if options.tags == Tags::Immutable {
                body["imageTagMutability"] = json!("IMMUTABLE");
            }
        }
        let (service, target) = names(registry);
        let operation = format!("{service}:CreateRepository");
        match self.call(registry, (&operation, &format!("{target}.CreateRepository")), &body) {
            Ok(_) => Ok(Made::Now),
            Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => {
                Ok(Made::Before)
            }
            Err(error)
                if matches!(error.problem, AwsProblem::Denied { .. })
                    && self.is_there(registry, name) =>
            {
                Ok(Made::Before)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a repository is there, as far as this caller may know.
    fn is_there(&self, registry: &RegistryHost, name: &str) -> bool {
        let (service, target) = names(registry);
        let operation = format!("{service}:DescribeRepositories");
        let mut body = json!({"repositoryNames": [name]});
        if let RegistryHost::Private { account, .. } = registry {
            body["registryId"] = json!(account);
        }
        self.call(registry, (&operation, &format!("{target}.DescribeRepositories")), &body).is_ok()
    }
}
