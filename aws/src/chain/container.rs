//! Keys of the role of a task or pod: the endpoint that ECS and EKS Pod Identity name in variables.

use std::fs;
use std::time::Duration;

use wythe_registry::exchange::{Route, ServiceBody, ServiceRequest};

use super::{Search, session_keys};
use crate::api;
use crate::error::AwsError;
use crate::keys::Keys;

/// The endpoint of ECS.
const ECS: &str = "http://169.254.170.2";
/// Where an endpoint may be without TLS: ECS, EKS in both versions of IP, and this machine.
const PLAIN: [&str; 6] =
    ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "127.0.0.1", "[::1]"];
/// It is on this machine or its hypervisor.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it is called in errors.
const PLACE: &str = "the endpoint of the container";

impl Search<'_> {
    /// The keys of the endpoint that variables name; `None` where they name none.
    pub(super) fn of_container(&self) -> Result<Option<Keys>, AwsError> {
        let of = |name| self.around.variable(name);
        let url = match of("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("{ECS}{path}"),
            None => match of("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                Some(url) => checked(url)?,
                None => return Ok(None),
            },
        };
        let token = match of("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            // It is written anew before it ends, so that it is read each time.
            Some(path) => Some(fs::read_to_string(path).map_err(|error| {
                AwsError::keys("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", format!("{path}: {error}"))
            })?),
            None => of("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
        };
        let token = token.map(|token| ("authorization".to_owned(), token.trim().to_owned()));
        let headers: Vec<(String, String)> = token.into_iter().collect();
        let request = ServiceRequest {
            method: "GET",
            url: &url,
            headers: &headers,
            body: ServiceBody::Empty,
            route: Route::Direct,
            patience: Some(PATIENCE),
        };
        api::attempts(&*self.around.timing, || {
            let answer = self.around.client.exchange(&request);
            let answer = answer.map_err(|error| AwsError::new(PLACE, error))?;
            match answer.status {
                200 => session_keys::parse(PLACE, &api::read(PLACE, answer)?),
                status => Err(AwsError::keys(PLACE, format!("answered with status {status}"))),
            }
        })
        .map(Some)
    }
}

/// An address that may be shown the token: over TLS, or one of this machine's neighbourhood.
fn checked(url: &str) -> Result<String, AwsError> {
    let refused = || {
        let detail =
            "names an address without TLS that is neither ECS's, nor EKS's, nor this machine's";
        AwsError::keys("AWS_CONTAINER_CREDENTIALS_FULL_URI", detail)
    };
    if let Some(rest) = url.strip_prefix("http://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            _ => host,
        };
        return if PLAIN.contains(&bare) { Ok(url.to_owned()) } else { Err(refused()) };
    }
    if url.starts_with("https://") { Ok(url.to_owned()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_no_stranger_in_the_clear() {
        for url in [
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://127.0.0.1:8080/x",
            "https://keys.example/x",
        ] {
            assert!(checked(url).is_ok(), "{url}");
        }
        for url in [
            "http://keys.example/x",
            "http://127.0.0.1@keys.example/x",
            "http://127.0.0.1.keys.example/x",
            "http://127.0.0.1:80@keys.example/",
            "ftp://127.0.0.1/",
            "/v1",
        ] {
            assert!(checked(url).is_err(), "{url}");
        }
    }
}
