//! Where a result was made, and from which source: what people are told of a record, and no key is made of.
//!
//! The record may be anybody's, and what it says goes to terminals: so a text that could not be an address or
//! a name of git counts as not there.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// The longest address, in bytes. Those of runs in nested folders of Jenkins and in a console of AWS have some 300.
pub const MAX_ADDRESS: usize = 512;
/// The longest name of a commit: a SHA-256 in hexadecimal digits.
pub const MAX_REVISION: usize = 64;
/// The longest name of a branch or tag: git keeps them as files, whose names have 255 bytes.
pub const MAX_REFERENCE: usize = 255;

/// Where and from what; each part as far as it is known.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct RecordOrigin {
    /// The address of the run of CI: what SLSA calls the invocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
    /// The repository, as `org.opencontainers.image.source` has it, without who may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The commit, as in `org.opencontainers.image.revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The branch or tag.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl RecordOrigin {
    /// What of it can be shown; `None` where nothing can.
    #[must_use]
    pub fn shown(self) -> Option<Self> {
        let shown = Self {
            invocation: self.invocation.filter(|text| is_word(text, MAX_ADDRESS)),
            source: self.source.filter(|text| is_word(text, MAX_ADDRESS)),
            revision: self.revision.filter(|text| is_word(text, MAX_REVISION)),
            reference: self.reference.filter(|text| is_word(text, MAX_REFERENCE)),
        };
        (shown != Self::default()).then_some(shown)
    }

    /// As JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are texts.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("all keys are texts")
    }

    /// Reads what [`encode`](Self::encode) wrote, as far as it can be shown.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(bytes).ok()?)
    }

    /// Reads what a record says. What makes no sense is left out, so that it costs nobody the rest of the record.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let members: &Map<String, Value> = value.as_object()?;
        let text = |name: &str| Some(members.get(name)?.as_str()?.to_owned());
        let [invocation, source] = [text("invocation"), text("source")];
        Self { invocation, source, revision: text("revision"), reference: text("ref") }.shown()
    }
}

impl fmt::Display for RecordOrigin {
    /// `by RUN from REPOSITORY@COMMIT (BRANCH)`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invocation, source, revision, reference } = self;
        let mut parts = Vec::new();
        parts.extend(invocation.as_ref().map(|run| format!("by {run}")));
        parts.extend(match (source, revision) {
            (Some(source), Some(revision)) => Some(format!("from {source}@{revision}")),
            (Some(one), None) | (None, Some(one)) => Some(format!("from {one}")),
            (None, None) => None,
        });
        parts.extend(reference.as_ref().map(|name| format!("({name})")));
        out.write_str(&parts.join(" "))
    }
}

/// The address of a run of CI, without who may see it; `None` for what is no page.
pub fn invocation_address(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once("://")?;
    scheme.starts_with("http").then(|| without_credentials(url))
}

/// The address of a repository, without who may read it; `None` for one that is a directory: that says nothing to
/// others, and tells them of this machine.
pub fn repository_address(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some(("file", _)) => None,
        Some(_) => Some(without_credentials(url)),
        None => {
            // As scp has it: HOST:PATH.
            let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            Some(format!("ssh://{}/{}", without_user(host), path.trim_start_matches('/')))
        }
    }
}

/// An address without user and password.
pub fn without_credentials(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", without_user(rest)),
        None => address.to_owned(),
    }
}

/// What follows the scheme of an address, without what stands before the host.
fn without_user(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..])
}

/// Whether a text is one word that a terminal shows as it is.
fn is_word(text: &str, longest: usize) -> bool {
    let is_odd = |letter: char| letter.is_control() || letter.is_whitespace() || is_format(letter);
    !text.is_empty() && text.len() <= longest && !text.contains(is_odd)
}

/// Letters that are not seen, and change the order or the look of others.
fn is_format(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> RecordOrigin {
        let [invocation, source, revision, reference] =
            ["https://ci.example/7", "example.org/a/b", "c0ffee", "refs/heads/für"]
                .map(|text| Some(text.to_owned()));
        RecordOrigin { invocation, source, revision, reference }
    }

    #[test]
    fn it_is_told_in_words_as_far_as_it_is_known() {
        let told = "by https://ci.example/7 from example.org/a/b@c0ffee (refs/heads/für)";
        assert_eq!(whole().to_string(), told);
        let run = RecordOrigin { source: None, revision: None, reference: None, ..whole() };
        assert_eq!(run.to_string(), "by https://ci.example/7");
        let source = RecordOrigin { invocation: None, revision: None, reference: None, ..whole() };
        assert_eq!(source.to_string(), "from example.org/a/b");
    }

    #[test]
    fn addresses_name_neither_who_may_read_them_nor_directories_of_a_machine() {
        for (url, told) in [
            ("https://me:pass@word@example.org/a@b", Some("https://example.org/a@b")),
            ("https://example.org/a.git?token=x#main", Some("https://example.org/a.git")),
            ("git@example.org:a/b.git", Some("ssh://example.org/a/b.git")),
            ("ssh://git@example.org:22/a", Some("ssh://example.org:22/a")),
            ("file:///home/me/a", None),
            ("/home/me/a:b", None),
            ("../a", None),
            ("", None),
        ] {
            assert_eq!(repository_address(url).as_deref(), told, "{url}");
        }
        let run = "https://me:x@ci.example?region=a#/builds/7@2";
        let told = Some("https://ci.example?region=a#/builds/7@2");
        assert_eq!(invocation_address(run).as_deref(), told);
        assert_eq!(invocation_address("javascript:alert(1)"), None);
    }

    #[test]
    fn what_was_written_reads_back_and_what_is_new_in_it_is_skipped() {
        let mut value = serde_json::to_value(whole()).unwrap();
        value["host"] = json!("later versions know more");
        assert_eq!(RecordOrigin::of(&value), Some(whole()));
        assert_eq!(RecordOrigin::decode(&whole().encode()), Some(whole()));
    }

    #[test]
    fn what_is_too_long_or_would_act_on_a_terminal_counts_as_not_there() {
        let long = "x".repeat(MAX_ADDRESS + 1);
        for odd in ["", "\x1b[2J", "a\nb", "a b", "a\u{9b}1m", "a\u{202e}b", "a\u{200b}", &long] {
            let value = json!({"invocation": odd, "source": odd, "revision": odd, "ref": odd});
            assert_eq!(RecordOrigin::of(&value), None, "{odd:?}");
            let source = RecordOrigin { invocation: None, ..whole() };
            let spoilt = RecordOrigin { invocation: Some(odd.to_owned()), ..whole() };
            assert_eq!(spoilt.shown(), Some(source), "{odd:?}");
        }
        for (name, longest) in
            [("source", MAX_ADDRESS), ("revision", MAX_REVISION), ("ref", MAX_REFERENCE)]
        {
            let is_taken = |length| RecordOrigin::of(&json!({name: "x".repeat(length)})).is_some();
            assert!(is_taken(longest) && !is_taken(longest + 1), "{name}");
        }
        for odd in [json!(null), json!("x"), json!([]), json!({"ref": 5})] {
            assert_eq!(RecordOrigin::of(&odd), None, "{odd}");
        }
    }
}
