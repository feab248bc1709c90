//! What the token of a job says of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The bit of a scope's permission that lets it be written.
const WRITE: u32 = 2;

/// Whether a token lets its job write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Permission {
    Write,
    Read,
    /// The token is none of GitHub's, or says nothing of it: the service decides.
    Unknown,
}

#[derive(Deserialize)]
struct Claims {
    /// JSON in a string.
    ac: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scope {
    permission: u32,
}

/// What a token permits, by its claim `ac`. It is not verified: that is the service's.
pub(super) fn permission(token: &str) -> Permission {
    let scopes = || {
        let payload =
            URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        serde_json::from_str::<Vec<Scope>>(&claims.ac?).ok()
    };
    match scopes() {
        None => Permission::Unknown,
        Some(scopes) if scopes.iter().any(|scope| scope.permission & WRITE != 0) => {
            Permission::Write
        }
        Some(_) => Permission::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_job_writes_where_one_of_its_scopes_has_the_bit() {
        let main = r#"{\"Scope\":\"refs/heads/main\",\"Permission\":1}"#;
        let own = r#"{\"Scope\":\"refs/pull/5/merge\",\"Permission\":3}"#;
        assert_eq!(permission(&token(&format!(r#"{{"ac":"[{main},{own}]"}}"#))), Permission::Write);
        assert_eq!(permission(&token(&format!(r#"{{"ac":"[{main}]"}}"#))), Permission::Read);
        assert_eq!(permission(&token(r#"{"ac":"[]"}"#)), Permission::Read);
    }

    #[test]
    fn of_other_tokens_nothing_is_known() {
        for other in ["", "abc", "a.b.c", &token("{}"), &token(r#"{"ac":"?"}"#), &token("[]")] {
            assert_eq!(permission(other), Permission::Unknown, "{other}");
        }
    }
}
