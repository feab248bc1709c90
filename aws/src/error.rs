//! Failures of calls to AWS: which one, and why.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "questions about one kind of problem, which a new kind is not"
)]

use wythe_registry::error::RegistryError;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {problem}")]
pub struct AwsError {
    /// What was wanted, such as `ecr:CreateRepository` or `credentials of AWS`.
    pub operation: String,
    /// Why it could not be had.
    #[source]
    pub problem: AwsProblem,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsProblem {
    /// Nothing names any keys.
    #[error(
        "there are none: AWS_ACCESS_KEY_ID and AWS_PROFILE are not set, ~/.aws has nothing for the profile \
         `default`, nothing names a web identity or the endpoint of a container, and {metadata}"
    )]
    NoKeys {
        /// What the metadata of the instance came to.
        metadata: &'static str,
    },
    /// Something names keys, and they are not to be had.
    #[error("{place}: {detail}")]
    Keys {
        /// What names them: `profile dev`, `AWS_WEB_IDENTITY_TOKEN_FILE`.
        place: String,
        /// Why not. Without any secret.
        detail: String,
    },
    /// Who asks lacks a permission.
    #[error("{message}")]
    Denied {
        /// Which, as far as the answer says.
        missing: Permission,
        /// What AWS said.
        message: String,
    },
    /// The service said no.
    #[error("{code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Refused {
        /// The status.
        status: u16,
        /// The code of the error.
        code: String,
        /// What AWS said, on one line.
        message: String,
    },
    /// The request got no answer.
    #[error(transparent)]
    Request(#[from] Box<RegistryError>),
    /// What is to be sent could not be read.
    #[error("reading what is to be sent: {0}")]
    Content(#[source] std::io::Error),
    /// What the surroundings name as the address of a service is none.
    #[error("{url:?} is no address of a service: it begins with http:// or https://")]
    Address {
        /// What they name.
        url: String,
    },
    /// The answer lacks something, or has it in a form nobody can use.
    #[error("the answer has no usable {what}")]
    Answer {
        /// What.
        what: &'static str,
    },
}

/// What somebody may not do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permission {
    /// Who, as an ARN.
    pub who: Option<String>,
    /// What, such as `ecr:InitiateLayerUpload`.
    pub action: Option<String>,
    /// With what, as an ARN.
    pub resource: Option<String>,
}

/// The codes with which services say that a permission is missing.
const DENIALS: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "NotAuthorized",
    "AuthorizationError",
];
/// The codes of keys whose session has ended.
const EXPIRED: [&str; 4] =
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
/// The codes of services that have had enough, or that failed for a reason that passes.
const TRANSIENT: [&str; 15] = [
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "InternalError",
    "InternalFailure",
    "OperationAborted",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];
/// More than any sentence of AWS; what goes on longer than this shows what was signed.
const MAX_MESSAGE: usize = 600;

impl AwsError {
    /// A failure of an operation.
    pub(crate) fn new(operation: impl Into<String>, problem: impl Into<AwsProblem>) -> Self {
        Self { operation: operation.into(), problem: problem.into() }
    }

    /// Keys that a place names and that are not to be had.
    pub(crate) fn keys(place: impl Into<String>, detail: impl Into<String>) -> Self {
        let (place, detail) = (place.into(), detail.into());
        Self::new(CREDENTIALS, AwsProblem::Keys { place, detail })
    }

    /// The code with which the service refused.
    pub fn code(&self) -> Option<&str> {
        match &self.problem {
            AwsProblem::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The status with which the service refused.
    pub fn status(&self) -> Option<u16> {
        match self.problem {
            AwsProblem::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether the keys are of a session that has ended.
    pub(crate) fn is_of_old_keys(&self) -> bool {
        self.code().is_some_and(|code| EXPIRED.contains(&code))
    }

    /// Whether the service asks for fewer requests.
    pub fn is_throttling(&self) -> bool {
        self.status() == Some(429)
            || self.code().is_some_and(|code| {
                code == "SlowDown" || code.contains("Throttl") || code.ends_with("LimitExceeded")
            })
    }

    /// Whether trying again may help.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.problem {
            AwsProblem::Refused { status, code, .. } => {
                matches!(status, 429 | 500 | 502 | 503 | 504) || TRANSIENT.contains(&&**code)
            }
            AwsProblem::Request(error) => error.is_broken(),
            _ => false,
        }
    }
}

/// What the search for keys is called in errors.
pub(crate) const CREDENTIALS: &str = "credentials of AWS";

impl AwsProblem {
    /// What an answer with an error comes to.
    pub(crate) fn refused(status: u16, code: &str, message: &str) -> Self {
        // A signature that is wrong is explained with all that was signed, tokens among it.
        let line = message.lines().next().unwrap_or_default().trim();
        let message: String = line.chars().take(MAX_MESSAGE).collect();
        if DENIALS.contains(&code) {
            return Self::Denied { missing: Permission::missing_in(&message), message };
        }
        Self::Refused { status, code: code.to_owned(), message }
    }
}

impl From<RegistryError> for AwsProblem {
    fn from(error: RegistryError) -> Self {
        Self::Request(Box::new(error))
    }
}

impl Permission {
    /// What AWS says that somebody lacks, in the sentence it says it in:
    /// `User: ARN is not authorized to perform: ACTION on resource: ARN because …`.
    pub fn missing_in(message: &str) -> Self {
        let word = |start: &str| {
            let (_, rest) = message.split_once(start)?;
            let word = rest.split_whitespace().next()?.trim_matches(['"', '\'', ',']);
            Some(word.trim_end_matches('.').to_owned()).filter(|word| !word.is_empty())
        };
        Self {
            who: word("User: ").or_else(|| word("Principal: ")),
            action: word("to perform: "),
            resource: word("on resource: "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_read_out_of_the_sentence_that_tells_of_it() {
        let message = "User: arn:aws:sts::123456789012:assumed-role/ci/x is not authorized to perform: \
            ecr:CreateRepository on resource: arn:aws:ecr:eu-west-1:123456789012:repository/app because no \
            identity-based policy allows the ecr:CreateRepository action";
        let found = Permission::missing_in(message);
        assert_eq!(found.who.as_deref(), Some("arn:aws:sts::123456789012:assumed-role/ci/x"));
        assert_eq!(found.action.as_deref(), Some("ecr:CreateRepository"));
        let resource = "arn:aws:ecr:eu-west-1:123456789012:repository/app";
        assert_eq!(found.resource.as_deref(), Some(resource));
        assert_eq!(Permission::missing_in("Access Denied"), Permission::default());
    }

    #[test]
    fn what_was_signed_is_not_shown() {
        let message = "The request signature we calculated does not match.\n\nThe Canonical String for this \
            request should have been\n'POST\n/\n\nx-amz-security-token:hush\n'";
        let error = AwsProblem::refused(403, "SignatureDoesNotMatch", message).to_string();
        assert!(error.contains("does not match") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let of = |status, code| AwsError::new("x", AwsProblem::refused(status, code, ""));
        for (status, code) in [(503, "SlowDown"), (400, "ThrottlingException"), (500, "")] {
            assert!(of(status, code).is_transient(), "{code}");
        }
        assert!(of(503, "SlowDown").is_throttling() && !of(500, "").is_throttling());
        for (status, code) in [(400, "ValidationError"), (403, "AccessDenied"), (412, "")] {
            assert!(!of(status, code).is_transient(), "{code}");
        }
        assert!(of(400, "ExpiredToken").is_of_old_keys());
    }
}
