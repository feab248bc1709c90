//! What requests are signed with.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// Keys that end sooner than this are got anew: a request must not outlive them.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// Text that is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Hidden(String);

/// An access key, and the session it belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// The name of the key, which is no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Hidden,
    /// What shows that the key belongs to a session; keys of users have none.
    pub session_token: Option<Hidden>,
    /// When the session ends; `None` where nobody said so.
    pub expires: Option<Timestamp>,
}

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place it belongs in.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hidden(..)")
    }
}

impl Keys {
    /// Keys without a session.
    pub fn new(access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: Hidden::new(secret_access_key),
            session_token: None,
            expires: None,
        }
    }

    /// The same keys as those of a session, if there is a token of one.
    #[must_use]
    pub fn with_session(self, token: Option<&str>) -> Self {
        let token = token.filter(|token| !token.is_empty());
        Self { session_token: token.map(Hidden::new), ..self }
    }

    /// Whether they last through a request that begins now.
    pub(crate) fn are_fresh(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now + MARGIN < expires)
    }

    /// Whether they may still be shown.
    pub(crate) fn are_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fresh_until_shortly_before_their_end() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let keys = Keys { expires: Some(at(1000)), ..Keys::new("A", "s") };
        assert!(keys.are_fresh(at(699)) && !keys.are_fresh(at(700)));
        assert!(keys.are_valid(at(999)) && !keys.are_valid(at(1000)));
        assert!(Keys::new("A", "s").are_fresh(at(1 << 33)));
    }

    #[test]
    fn no_secret_is_shown() {
        let keys = Keys::new("AKID", "hush").with_session(Some("tok"));
        let shown = format!("{keys:?}");
        assert!(shown.contains("AKID") && !shown.contains("hush") && !shown.contains("tok\""));
        assert_eq!(Keys::new("A", "s").with_session(Some("")).session_token, None);
    }
}
