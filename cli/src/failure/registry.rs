//! Errors of registries as failures.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new in a library has the common class until somebody thinks about it"
)]

use std::error::Error;
use std::io;

use wythe_aws::error::AwsError;
use wythe_registry::credentials::CredentialError;
use wythe_registry::error::{Asker, PushError, RegistryError, RegistryProblem};
use wythe_registry::profile::{self, Repositories};

use super::{Class, Failure, aws};

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::of(class(&error), &error).advised(remedy(&error))
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let failure = |class| Self::of(class, &error);
        match &error {
            PushError::Content(_) => failure(Class::Damage),
            PushError::Request { error, .. } | PushError::Subject { error, .. } => {
                failure(class(error)).advised(remedy(error))
            }
            _ => failure(Class::Network),
        }
    }
}

fn class(error: &RegistryError) -> Class {
    match &error.problem {
        RegistryProblem::Digest { .. } | RegistryProblem::TooLong { .. } => Class::Damage,
        RegistryProblem::Credentials(CredentialError::Source { error, .. }) => {
            error.downcast_ref::<AwsError>().map_or(Class::Environment, aws::class)
        }
        RegistryProblem::Authorities { .. }
        | RegistryProblem::Blocked { .. }
        | RegistryProblem::Credentials(_)
        | RegistryProblem::Identity { .. }
        | RegistryProblem::Proxy { .. }
        | RegistryProblem::Tls(_) => Class::Environment,
        _ => Class::Network,
    }
}

/// Whether an error is that of a request that was not answered, or with a refusal.
pub(super) fn is_of_network(error: &(dyn Error + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(
            RegistryProblem::Answer { .. }
                | RegistryProblem::Certificate(_)
                | RegistryProblem::Denied { .. }
                | RegistryProblem::PlainHttp
                | RegistryProblem::Status { .. }
                | RegistryProblem::TagTaken { .. }
                | RegistryProblem::Transport { .. }
                | RegistryProblem::Unchallenged { .. }
        )
    )
}

/// What to do about a request that is among the causes of an error.
pub(super) fn remedy_within(error: &(dyn Error + 'static)) -> Option<String> {
    remedy(request_within(error)?)
}

/// The class of a request that is among the causes of an error, if it failed for want of credentials that nobody
/// has to log in for: some are this machine's matter, some are not.
pub(super) fn class_within(error: &(dyn Error + 'static)) -> Option<Class> {
    let request = request_within(error)?;
    let is_of_source =
        matches!(request.problem, RegistryProblem::Credentials(CredentialError::Source { .. }));
    is_of_source.then(|| class(request))
}

fn request_within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a RegistryError> {
    let mut next = Some(error);
    while let Some(error) = next {
        // What an I/O error holds is no source of it.
        let held =
            error.downcast_ref::<io::Error>().and_then(|error| error.get_ref()?.downcast_ref());
        if let Some(request) = held.or(error.downcast_ref::<RegistryError>()) {
            return Some(request);
        }
        next = error.source();
    }
    None
}

/// What to do about a request that failed.
fn remedy(error: &RegistryError) -> Option<String> {
    let remedy = aws::remedy_at_registry(error).or_else(|| remedy_of_certificate(error));
    remedy.or_else(|| remedy_anywhere(error))
}

/// As [`remedy`], whatever the registry is.
fn remedy_anywhere(error: &RegistryError) -> Option<String> {
    match &error.problem {
        RegistryProblem::TagTaken { .. } => {
            Some("give the image another tag, or let the repository move this one".to_owned())
        }
        RegistryProblem::Credentials(CredentialError::Source { error, .. }) => {
            error.downcast_ref().and_then(aws::remedy)
        }
        RegistryProblem::Denied { asker, .. } => Some(permission(asker)),
        RegistryProblem::PlainHttp => {
            Some(format!("if that is meant to be, give --insecure-registry {}", host(error)))
        }
        RegistryProblem::Unchallenged { .. } => {
            Some("the registry, or a proxy in front of it, has to send WWW-Authenticate".to_owned())
        }
        RegistryProblem::Transport { detail } if detail.starts_with("through the proxy") => {
            Some("check the proxy, and whether NO_PROXY has to name the registry".to_owned())
        }
        RegistryProblem::Transport { .. } => {
            Some("check the name of the registry and the network".to_owned())
        }
        RegistryProblem::Proxy { .. } => Some(
            "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name proxies as SCHEME://HOST:PORT".to_owned(),
        ),
        RegistryProblem::Answer { .. } => {
            Some("what answers there may be no registry: check its name and port".to_owned())
        }
        RegistryProblem::Redirect { .. } => {
            Some("name the registry as the redirect does, if it is there".to_owned())
        }
        RegistryProblem::Credentials(
            CredentialError::HelperRun { program, .. } | CredentialError::Helper { program, .. },
        ) => Some(format!("`echo {} | {program} get` shows what is wrong", host(error))),
        RegistryProblem::Status { status, body, .. } => remedy_of_status(error, *status, body),
        _ => None,
    }
}

/// What to do where one of the two is not who the other takes it for.
fn remedy_of_certificate(error: &RegistryError) -> Option<String> {
    match &error.problem {
        problem if problem.is_of_another_name() => Some(format!(
            "name the registry as its certificate does, or believe anybody with \
             --insecure-registry {}",
            host(error)
        )),
        problem if problem.is_of_another_time() => Some(format!(
            "look at the clock of this machine; the registry may need a new certificate; \
             --insecure-registry {} believes anybody",
            host(error)
        )),
        RegistryProblem::Certificate(_) => Some(format!(
            "name the authority that signed it with SSL_CERT_FILE=FILE.pem, or with ca in the table \
             [registry.{0:?}] of the configuration file, or believe anybody with \
             --insecure-registry {0}",
            host(error)
        )),
        RegistryProblem::Authorities { .. } => {
            Some("SSL_CERT_FILE, SSL_CERT_DIR and ca have to lead to certificates".to_owned())
        }
        RegistryProblem::Identity { .. } => Some(
            "client-cert and client-key name PEM files, the certificate first and readable to you"
                .to_owned(),
        ),
        RegistryProblem::Transport { detail } if detail.contains("CertificateRequired") => Some(
            "the registry wants a certificate of yours: name it with client-cert and client-key"
                .to_owned(),
        ),
        _ => None,
    }
}

/// What to do about an answer that is none of the protocol's.
fn remedy_of_status(error: &RegistryError, status: u16, body: &str) -> Option<String> {
    match status {
        404 if body.contains("NAME_UNKNOWN") && error.method != "GET" => {
            match profile::of(host(error), None).repositories {
                Repositories::Made(how) => Some(how.to_owned()),
                Repositories::Pushed => None,
            }
        }
        413 => Some(
            "the registry, or a proxy in front of it, takes no blobs of this size: raise its limit"
                .to_owned(),
        ),
        429 => Some(
            "the registry limits how often it is asked: wait, or `wythe login` for a higher limit"
                .to_owned(),
        ),
        500.. => {
            Some("the registry, or a proxy in front of it, has failed: try again later".to_owned())
        }
        _ => None,
    }
}

/// What to do where the registry has said no.
fn permission(asker: &Asker) -> String {
    match &asker.who {
        _ if asker.wish.starts_with("log in") => {
            let advice = crate::command::login::advice(&asker.host);
            advice.map_or_else(
                || {
                    "check the user name and the password, or the token that takes its place"
                        .to_owned()
                },
                str::to_owned,
            )
        }
        Some(who) => format!(
            "let {who} {} at the registry, or `wythe login {}` with the name and password of \
             somebody who may",
            asker.wish, asker.host
        ),
        None => format!("`wythe login {}` stores credentials", asker.host),
    }
}

/// The server that was asked, as flags take it.
fn host(error: &RegistryError) -> &str {
    let rest = error.url.split_once("://").map_or(&*error.url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
