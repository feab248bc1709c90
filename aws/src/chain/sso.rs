//! Keys for who has signed in with `aws sso login`: the token that this left behind, shown to SSO's portal.

use std::fs;

use jiff::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::Deserialize;
use wythe_registry::exchange::ServiceBody;

use super::profile::Profile;
use crate::api::{self, Api, ApiCall, PATIENCE};
use crate::endpoint::{Flavour, Region, Service};
use crate::error::{AwsError, AwsProblem};
use crate::keys::{Hidden, Keys};
use crate::sign::{Payload, hex};
use crate::surroundings::Surroundings;

/// What IAM calls the request.
const OPERATION: &str = "sso:GetRoleCredentials";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    access_token: String,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    role_credentials: RoleKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// In milliseconds.
    expiration: i64,
}

/// The keys of the account and role that a profile names, for who has signed in to its session or its start page.
pub(super) fn keys(
    around: &Surroundings,
    (place, profile): (&str, &Profile),
    session: Option<(&str, &Profile)>,
) -> Result<Keys, AwsError> {
    let of = |name: &str| {
        let shared = session.and_then(|(_, session)| session.get(name));
        let missing = || AwsError::keys(place, format!("lacks {name}"));
        profile.get(name).or(shared).ok_or_else(missing)
    };
    let region: Region =
        of("sso_region")?.parse().map_err(|error: crate::endpoint::ParseRegionError| {
            AwsError::keys(place, error.to_string())
        })?;
    let name = match session {
        Some((name, _)) => name,
        None => of("sso_start_url")?,
    };
    let token = login(around, place, name)?;
    let url = Service::Sso.url(&region, Flavour::default(), around);
    let api = Api { around, service: Service::Sso, region: &region, url: &url };
    let query = [("account_id", "sso_account_id"), ("role_name", "sso_role_name")];
    let query = query.map(|(parameter, name)| Ok((parameter.to_owned(), of(name)?.to_owned())));
    let query = query.into_iter().collect::<Result<Vec<_>, AwsError>>()?;
    let headers = [("x-amz-sso_bearer_token".to_owned(), token)];
    let call = ApiCall {
        operation: OPERATION,
        method: "GET",
        path: "/federation/credentials",
        query: &query,
        headers: &headers,
        body: ServiceBody::Empty,
        payload: Payload::Unsigned,
        patience: Some(PATIENCE),
    };
    let answer = api::attempts(&*around.timing, || api::read(OPERATION, api.send(None, &call)?))?;
    let wrong = || AwsError::new(OPERATION, AwsProblem::Answer { what: "keys" });
    let Answer { role_credentials: found } =
        serde_json::from_slice(&answer).map_err(|_| wrong())?;
    let expires = Timestamp::from_millisecond(found.expiration).map_err(|_| wrong())?;
    Ok(Keys {
        access_key_id: found.access_key_id,
        secret_access_key: Hidden::new(found.secret_access_key),
        session_token: Some(Hidden::new(found.session_token)),
        expires: Some(expires),
    })
}

/// The token of a login that has not ended. Its file is named after the session, or the start page.
fn login(around: &Surroundings, place: &str, name: &str) -> Result<String, AwsError> {
    let again = |what: &str| {
        let command = place.strip_prefix("profile ").unwrap_or(place);
        AwsError::keys(place, format!("{what}: `aws sso login --profile {command}` signs in"))
    };
    let home = around.home.as_ref().ok_or_else(|| again("nobody has signed in"))?;
    let file = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes()).as_ref());
    let path = home.join(".aws/sso/cache").join(format!("{file}.json"));
    let text = fs::read_to_string(path).map_err(|_| again("nobody has signed in"))?;
    let login: Login =
        serde_json::from_str(&text).map_err(|_| again("the login cannot be read"))?;
    // Older versions of the command wrote `UTC` for `Z`.
    let end = login.expires_at.replace("UTC", "Z").parse::<Timestamp>();
    if end.is_ok_and(|end| around.clock.moment() < end) {
        Ok(login.access_token)
    } else {
        Err(again("the login has ended"))
    }
}
