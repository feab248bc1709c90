//! Errors of AWS, and of the registries it runs, as failures.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new in a library has the common class until somebody thinks about it"
)]

use wythe_aws::error::{AwsError, AwsProblem, Permission};
use wythe_aws::registry_host::RegistryHost;
use wythe_registry::error::{RegistryError, RegistryProblem};

use super::{Class, Failure};

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self::of(class(&error), &error).advised(remedy(&error))
    }
}

/// What kind of failure it is: keys are this machine's matter, everything else is AWS's.
pub(super) fn class(error: &AwsError) -> Class {
    match error.problem {
        AwsProblem::Address { .. } | AwsProblem::Keys { .. } | AwsProblem::NoKeys { .. } => {
            Class::Environment
        }
        _ => Class::Network,
    }
}

/// What to do about a call that failed.
pub(super) fn remedy(error: &AwsError) -> Option<String> {
    match &error.problem {
        AwsProblem::NoKeys { .. } => Some(
            "`aws configure` or `aws sso login` gives keys; so does `wythe login` for a registry, and a role to \
             what runs in AWS"
                .to_owned(),
        ),
        AwsProblem::Keys { place, .. } => Some(format!(
            "`aws sts get-caller-identity` shows whether others can use what {place} names"
        )),
        AwsProblem::Denied { missing, .. } => {
            let of_role = of_denied_role(missing, &error.operation);
            Some(of_role.unwrap_or_else(|| permission(missing, &error.operation)))
        }
        AwsProblem::Refused { code, .. } => {
            let of_token = Some(code).filter(|_| error.operation == BY_TOKEN);
            let told = of_token.and_then(|code| of_token_code(code)).or_else(|| of_code(code));
            told.map(str::to_owned)
        }
        AwsProblem::Request(request) if request.is_broken() => Some(
            "check the network, and whether this machine may reach AWS: a proxy, or an endpoint of its VPC"
                .to_owned(),
        ),
        _ => None,
    }
}

/// To become a role by the token of a cluster or a CI.
const BY_TOKEN: &str = "sts:AssumeRoleWithWebIdentity";
/// To become a role by other keys.
const BY_KEYS: &str = "sts:AssumeRole";

/// Who may become a role is said by the role itself: a policy of the caller alone does not help.
fn of_denied_role(missing: &Permission, operation: &str) -> Option<String> {
    match operation {
        BY_TOKEN => Some(format!(
            "the trust policy of the role has to allow {BY_TOKEN} to the issuer of the token, with the audience and \
             the subject that the token has"
        )),
        BY_KEYS => {
            let who = missing.who.as_deref().unwrap_or("the caller");
            let role = missing.resource.as_deref().unwrap_or("the role");
            Some(format!(
                "the trust policy of {role} and an IAM policy have to allow {who} {BY_KEYS}"
            ))
        }
        _ => None,
    }
}

/// What is wrong with a token that is shown for a role.
fn of_token_code(code: &str) -> Option<&'static str> {
    match code {
        "ExpiredToken" | "ExpiredTokenException" => {
            Some("the token has ended: whoever writes its file has to renew it")
        }
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => Some(
            "the account of the role needs an identity provider in IAM for the issuer of the token, with its audience",
        ),
        "IDPRejectedClaim" | "IDPRejectedClaimException" => {
            Some("the issuer of the token does not stand for it: it may have been revoked")
        }
        "IDPCommunicationError" | "IDPCommunicationErrorException" => Some(
            "AWS does not reach the issuer of the token: try again, and look whether it is public",
        ),
        _ => None,
    }
}

fn of_code(code: &str) -> Option<&'static str> {
    match code {
        "ExpiredToken" | "ExpiredTokenException" => {
            Some("the session of these keys has ended: sign in again")
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => Some(
            "AWS knows no such key: look at AWS_ACCESS_KEY_ID, and at the partition of the region",
        ),
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            Some("the secret of the key is another, or the clock of this machine is wrong")
        }
        "RequestTimeTooSkewed" => Some("set the clock of this machine"),
        "OptInRequired" | "RegionDisabledException" | "SubscriptionRequiredException" => {
            Some("turn the service or the region on for this account")
        }
        _ => None,
    }
}

/// Who is to be allowed what.
fn permission(missing: &Permission, operation: &str) -> String {
    let who = missing.who.as_deref().unwrap_or("the caller");
    let action = missing.action.as_deref().unwrap_or(operation);
    let on = missing.resource.as_ref().map(|resource| format!(" on {resource}"));
    format!("an IAM policy has to allow {who} {action}{}", on.unwrap_or_default())
}

/// What to do about a request that a registry of ECR refused; `None` for other registries, and where there is nothing
/// special about it.
pub(super) fn remedy_at_registry(error: &RegistryError) -> Option<String> {
    let (host, path) = error.url.strip_prefix("https://")?.split_once('/')?;
    let registry = RegistryHost::parse(host)?;
    match &error.problem {
        RegistryProblem::Denied { body, .. } if body.contains("not authorized to perform") => {
            Some(permission(&Permission::missing_in(body), "to push or pull"))
        }
        RegistryProblem::Denied { body, .. } if body.contains("expired") => Some(format!(
            "the token of a login has ended: `wythe logout {host}` leaves it to wythe to get one"
        )),
        RegistryProblem::Denied { asker, .. } if asker.who.is_none() => {
            Some("keys of AWS are needed: `aws configure` or `aws sso login` gives some".to_owned())
        }
        RegistryProblem::Status { status: 404, body, .. } if body.contains("NAME_UNKNOWN") => {
            Some(missing_repository(&registry, path, &error.method))
        }
        _ => None,
    }
}

fn missing_repository(registry: &RegistryHost, path: &str, method: &str) -> String {
    let name = path.strip_prefix("v2/").unwrap_or(path);
    let ends = ["/blobs/", "/manifests/"];
    let end = ends.iter().filter_map(|mark| name.find(mark)).min().unwrap_or(name.len());
    let (name, region) = (&name[..end], registry.region());
    if matches!(method, "GET" | "HEAD") {
        return format!(
            "look at the name, the account and the region: in {region} there is no repository {name}"
        );
    }
    let service = match registry {
        RegistryHost::Private { .. } => "ecr",
        RegistryHost::Public(_) => "ecr-public",
    };
    format!(
        "--create-repo makes it, as `aws {service} create-repository --region {region} --repository-name {name}` does; \
         a repository creation template for CREATE_ON_PUSH makes all that are missing"
    )
}

#[cfg(test)]
mod tests {
    use wythe_registry::error::Asker;

    use super::*;

    const URL: &str =
        "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/team/app/blobs/uploads/";

    fn at(method: &str, problem: RegistryProblem) -> Option<String> {
        let (method, url) = (method.to_owned(), URL.to_owned());
        remedy_at_registry(&RegistryError { method, url, problem })
    }

    fn denied(body: &str) -> RegistryProblem {
        let (who, host) = (Some("AWS".to_owned()), String::new());
        let asker = Asker { who, wish: "push to x".to_owned(), host };
        RegistryProblem::Denied { asker, status: 403, body: body.to_owned() }
    }

    #[test]
    fn a_missing_repository_is_told_with_what_makes_it() {
        let problem = || {
            let body =
                "NAME_UNKNOWN: The repository with name 'team/app' does not exist".to_owned();
            RegistryProblem::Status { status: 404, body, retry_after: None, challenge: None }
        };
        let told = at("POST", problem()).unwrap();
        assert!(told.contains("--create-repo") && told.contains("CREATE_ON_PUSH"), "{told}");
        assert!(told.contains("--region eu-west-1 --repository-name team/app`"), "{told}");
        assert!(!at("GET", problem()).unwrap().contains("--create-repo"));
    }

    #[test]
    fn a_missing_permission_is_told_with_who_lacks_it() {
        let told = at(
            "POST",
            denied(
                "DENIED: User: arn:aws:iam::1:user/ci is not authorized to perform: ecr:InitiateLayerUpload on \
                 resource: arn:aws:ecr:eu-west-1:1:repository/team/app because no policy allows it",
            ),
        );
        let expected = "an IAM policy has to allow arn:aws:iam::1:user/ci ecr:InitiateLayerUpload on \
            arn:aws:ecr:eu-west-1:1:repository/team/app";
        assert_eq!(told.as_deref(), Some(expected));
        let told = at("POST", denied("DENIED: Your authorization token has expired.")).unwrap();
        assert!(told.contains("wythe logout 123456789012.dkr.ecr"), "{told}");
    }

    #[test]
    fn keys_are_this_machines_matter_and_refusals_are_not() {
        let no_keys = AwsProblem::NoKeys { metadata: "none" };
        let of = |problem| AwsError { operation: "x".to_owned(), problem };
        assert_eq!(Failure::from(of(no_keys)).class, Class::Environment);
        let (missing, message) = (Permission::default(), "no".to_owned());
        let failure = Failure::from(of(AwsProblem::Denied { missing, message }));
        assert_eq!(failure.class, Class::Network);
        assert!(failure.lines().join("\n").contains("has to allow the caller x"));
    }

    #[test]
    fn each_reason_why_there_are_no_keys_of_a_role_has_its_own_remedy() {
        let told = |operation: &str, problem| {
            remedy(&AwsError { operation: operation.to_owned(), problem }).unwrap_or_default()
        };
        let refused = |code: &str| {
            let (code, message) = (code.to_owned(), String::new());
            AwsProblem::Refused { status: 400, code, message }
        };
        let denied = || {
            let (missing, message) = (Permission::default(), String::new());
            AwsProblem::Denied { missing, message }
        };
        let check = |operation, problem, expected: &str| {
            let told = told(operation, problem);
            assert!(told.contains(expected), "{operation}: {told}");
        };
        check(BY_TOKEN, denied(), "trust policy of the role has to allow sts:AssumeRoleWithWeb");
        check(BY_KEYS, denied(), "trust policy of the role and an IAM policy");
        check("ecr:GetAuthorizationToken", denied(), "allow the caller ecr:GetAuthorizationToken");
        check(BY_TOKEN, refused("ExpiredTokenException"), "renew");
        check(BY_KEYS, refused("ExpiredTokenException"), "sign in again");
        check(BY_TOKEN, refused("InvalidIdentityToken"), "identity provider");
        check(BY_TOKEN, refused("RegionDisabledException"), "turn the service or the region on");
        let (place, detail) = ("profile dev".to_owned(), "no source_profile".to_owned());
        check("credentials of AWS", AwsProblem::Keys { place, detail }, "profile dev names");
    }
}
