//! Keys of roles, which STS hands out to whoever may assume them.

use std::fs;

use super::Search;
use crate::api::Api;
use crate::endpoint::{Flavour, Region, Service};
use crate::error::{AwsError, AwsProblem};
use crate::keys::{Hidden, Keys};
use crate::sign::encode;
use crate::surroundings::Surroundings;
use crate::xml;

/// What sessions are called where nobody names them.
const SESSION: &str = "wythe";
const VERSION: &str = "2011-06-15";

/// A role that is assumed with other keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssumedRole<'a> {
    pub(super) role: &'a str,
    pub(super) session: Option<&'a str>,
    pub(super) external_id: Option<&'a str>,
    pub(super) seconds: Option<&'a str>,
}

/// A role that is assumed with a token of somebody else: of a cluster, or of a CI.
#[derive(Clone, Debug)]
pub(super) struct WebIdentity {
    /// What names it, for errors.
    pub(super) place: String,
    pub(super) file: String,
    pub(super) role: String,
    pub(super) session: Option<String>,
}

impl WebIdentity {
    /// That which the variables name.
    pub(super) fn of_variables(around: &Surroundings) -> Option<Self> {
        let of = |name| around.variable(name).map(str::to_owned);
        Some(Self {
            place: "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(),
            file: of("AWS_WEB_IDENTITY_TOKEN_FILE")?,
            role: of("AWS_ROLE_ARN")?,
            session: of("AWS_ROLE_SESSION_NAME"),
        })
    }
}

impl Search<'_> {
    /// The keys of a role that a token may assume. The request is not signed: the token is what is shown.
    pub(super) fn with_web_identity(&self, identity: &WebIdentity) -> Result<Keys, AwsError> {
        let token = fs::read_to_string(&identity.file).map_err(|error| {
            AwsError::keys(&*identity.place, format!("{}: {error}", identity.file))
        })?;
        let region = self.role_region(None)?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", VERSION),
            ("RoleArn", &identity.role),
            ("RoleSessionName", identity.session.as_deref().unwrap_or(SESSION)),
            ("WebIdentityToken", token.trim()),
        ];
        self.ask(None, &region, ("sts:AssumeRoleWithWebIdentity", &form))
    }

    /// The keys of a role that other keys may assume.
    pub(super) fn assume(
        &self,
        keys: &Keys,
        region: &Region,
        assumed: &AssumedRole<'_>,
    ) -> Result<Keys, AwsError> {
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", VERSION),
            ("RoleArn", assumed.role),
            ("RoleSessionName", assumed.session.unwrap_or(SESSION)),
        ];
        form.extend(assumed.external_id.map(|id| ("ExternalId", id)));
        form.extend(assumed.seconds.map(|seconds| ("DurationSeconds", seconds)));
        self.ask(Some(keys), region, ("sts:AssumeRole", &form))
    }

    fn ask(
        &self,
        keys: Option<&Keys>,
        region: &Region,
        (operation, form): (&str, &[(&str, &str)]),
    ) -> Result<Keys, AwsError> {
        let url = Service::Sts.url(region, Flavour::of(self.around), self.around);
        let api = Api { around: self.around, service: Service::Sts, region, url: &url };
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", encode(value, "")));
        let body = pairs.collect::<Vec<_>>().join("&");
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let headers = [("content-type".to_owned(), kind.to_owned())];
        let answer = api.post(keys, (operation, &headers), body.as_bytes())?;
        parse(&String::from_utf8_lossy(&answer))
            .ok_or_else(|| AwsError::new(operation, AwsProblem::Answer { what: "keys" }))
    }
}

fn parse(answer: &str) -> Option<Keys> {
    let of = |name| xml::text_of(answer, name);
    Some(Keys {
        access_key_id: of("AccessKeyId")?,
        secret_access_key: Hidden::new(of("SecretAccessKey")?),
        session_token: Some(Hidden::new(of("SessionToken")?)),
        expires: Some(of("Expiration")?.parse().ok()?),
    })
}
