//! Errors of registries as failures.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new in a library has the common class until somebody thinks about it"
)]

use wythe_registry::error::{PushError, RegistryError, RegistryProblem};

use super::{Class, Failure};

pub(super) const LOGIN: &str = "`wythe login` stores credentials for a registry";

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let class = match &error.problem {
            RegistryProblem::Digest { .. } | RegistryProblem::TooLong { .. } => Class::Damage,
            RegistryProblem::Credentials(_) | RegistryProblem::Tls(_) => Class::Environment,
            _ => Class::Network,
        };
        let refused = matches!(error.status(), Some(401 | 403));
        Self::of(class, &error).advised(refused.then_some(LOGIN))
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let failure = |class| Self::of(class, &error);
        match &error {
            PushError::Content(_) => failure(Class::Damage),
            PushError::Request { error, .. } if matches!(error.status(), Some(401 | 403)) => {
                failure(Class::Network).remedy(LOGIN)
            }
            _ => failure(Class::Network),
        }
    }
}
