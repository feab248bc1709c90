//! Keys of a session, in the JSON that containers, instances and programs hand them out in.

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::AwsError;
use crate::keys::{Hidden, Keys};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

/// The keys of a document that `place` handed out.
pub(super) fn parse(place: &str, document: &[u8]) -> Result<Keys, AwsError> {
    let wrong = |what| AwsError::keys(place, what);
    let document: Document = serde_json::from_slice(document)
        .map_err(|_| wrong("answered something other than keys"))?;
    let expires = document.expiration.filter(|text| !text.is_empty());
    let expires = expires.map(|text| text.parse::<Timestamp>()).transpose();
    Ok(Keys {
        access_key_id: document.access_key_id,
        secret_access_key: Hidden::new(document.secret_access_key),
        session_token: document.token.filter(|token| !token.is_empty()).map(Hidden::new),
        expires: expires
            .map_err(|_| wrong("answered with an end of the session that is no time"))?,
    })
}
