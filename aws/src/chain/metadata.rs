//! Keys of the role of an instance: version 2 of its metadata service, which wants a token first.

use std::time::Duration;

use wythe_registry::exchange::{Route, ServiceBody, ServiceRequest};

use super::{Search, session_keys};
use crate::api;
use crate::error::AwsError;
use crate::keys::Keys;

/// The service is on the hypervisor. On a machine that is no instance nobody answers, and every search without keys
/// waits this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a token is good for, in seconds: for this search.
const TOKEN_LIFE: &str = "60";
/// Where roles are.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// What it is called in errors.
const PLACE: &str = "the metadata of the instance";

const OFF: &str = "AWS_EC2_METADATA_DISABLED is set";
const SILENT: &str =
    "no metadata of an instance answers (in a container on one, its hop limit has to be 2)";
const ROLELESS: &str = "this instance has no role";

impl Search<'_> {
    /// The keys of the role of this instance, or why there are none.
    pub(super) fn of_instance(&self) -> Result<Result<Keys, &'static str>, AwsError> {
        if self.around.is_on("AWS_EC2_METADATA_DISABLED") {
            return Ok(Err(OFF));
        }
        let life = ("x-aws-ec2-metadata-token-ttl-seconds".to_owned(), TOKEN_LIFE.to_owned());
        let Some(token) = self.question("PUT", "/latest/api/token", life)? else {
            return Ok(Err(SILENT));
        };
        let shown = ("x-aws-ec2-metadata-token".to_owned(), token);
        let Some(roles) = self.question("GET", ROLES, shown.clone())? else {
            return Ok(Err(ROLELESS));
        };
        let Some(role) = roles.lines().map(str::trim).find(|role| !role.is_empty()) else {
            return Ok(Err(ROLELESS));
        };
        match self.question("GET", &format!("{ROLES}{role}"), shown)? {
            Some(document) => session_keys::parse(PLACE, document.as_bytes()).map(Ok),
            None => Ok(Err(ROLELESS)),
        }
    }

    /// What the service answers; `None` where it does not, or has no such thing.
    fn question(
        &self,
        method: &str,
        path: &str,
        header: (String, String),
    ) -> Result<Option<String>, AwsError> {
        let url = format!("{}{path}", self.metadata_url());
        let (headers, body) = ([header], ServiceBody::Empty);
        let (route, patience) = (Route::Direct, Some(PATIENCE));
        let request =
            ServiceRequest { method, url: &url, headers: &headers, body, route, patience };
        let Ok(answer) = self.around.client.exchange(&request) else { return Ok(None) };
        match answer.status {
            200 => {
                let text = String::from_utf8(api::read(PLACE, answer)?);
                text.map(Some).map_err(|_| AwsError::keys(PLACE, "answered no text"))
            }
            400..=499 => Ok(None),
            status => Err(AwsError::keys(PLACE, format!("answered with status {status}"))),
        }
    }

    fn metadata_url(&self) -> String {
        if let Some(url) = self.around.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            return url.trim_end_matches('/').to_owned();
        }
        let mode = self.around.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
        let v6 = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        if v6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" }.to_owned()
    }
}
