//! What is not written down: values of secrets, and who asks in addresses.
//!
//! What steps print has lost the secrets that are mounted already. A build argument is no secret to a build;
//! one whose name says that it is meant to be one is not kept all the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wythe_builder::options::Options;
use wythe_dockerfile::lint::secret::is_secret_name;

/// Values shorter than this are left alone: hiding every `a` would hide the text.
const SHORTEST: usize = 4;

/// What stands in for what is not written down.
const MASK: &str = "***";

/// The values that are not written down.
#[derive(Clone, Default)]
pub(crate) struct Discretion {
    /// The longest first: one may hold another.
    values: Vec<String>,
}

impl std::fmt::Debug for Discretion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Discretion").finish_non_exhaustive()
    }
}

impl Discretion {
    /// What a build with these options is to keep to itself.
    pub(crate) fn of(options: &Options) -> Self {
        let secrets = options.secrets.values();
        let secrets = secrets.map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
        let secrets: Vec<String> = secrets.collect();
        let args = options.build_args.iter().filter(|(name, _)| is_secret_name(name));
        Self::new(secrets.iter().map(String::as_str).chain(args.map(|(_, value)| value.as_str())))
    }

    fn new<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let whole = values.flat_map(|value| value.lines().chain([value])).map(str::trim);
        let mut values: Vec<String> =
            whole.filter(|value| value.len() >= SHORTEST).map(str::to_owned).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// A text as it may be written down.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.values {
            if text.contains(value) {
                text = text.replace(value, MASK).into();
            }
        }
        if text.contains("://") { anonymous(&text).into() } else { text }
    }

    /// As [`Self::text`], kept.
    pub(crate) fn owned(&self, text: &str) -> String {
        self.text(text).into_owned()
    }

    /// Build arguments; those whose names say that they are secret lose their values.
    pub(crate) fn build_args(&self, options: &Options) -> BTreeMap<String, Option<String>> {
        let shown = |(name, value): (&String, &String)| {
            let value = (!is_secret_name(name)).then(|| self.owned(value));
            (name.clone(), value)
        };
        options.build_args.iter().map(shown).collect()
    }
}

/// A text whose addresses have lost user and password.
fn anonymous(text: &str) -> String {
    const SCHEME: &str = "://";
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(SCHEME) {
        let (before, after) = rest.split_at(at + SCHEME.len());
        out.push_str(before);
        let ends = |letter: char| letter.is_whitespace() || "/?#'\"<>`".contains(letter);
        let end = after.find(ends).unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[host..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use wythe_builder::options::Secret;
    use wythe_store::oci::platform::Platform;

    use super::*;

    #[test]
    fn values_of_secrets_and_of_secret_arguments_are_not_written_down() {
        let mut options = Options::new(Platform::linux("amd64"));
        options.secrets.insert("id".to_owned(), Secret::new(b"s3cret-one\nsecond-line\n".to_vec()));
        for (name, value) in [("NPM_TOKEN", "tok-en"), ("VERSION", "1.2.3"), ("API_KEY", "k")] {
            options.build_args.insert(name.to_owned(), value.to_owned());
        }
        let discretion = Discretion::of(&options);
        let text = "use s3cret-one and second-line with tok-en for 1.2.3";
        assert_eq!(discretion.text(text), "use *** and *** with *** for 1.2.3");
        let args = discretion.build_args(&options);
        assert_eq!(args["VERSION"].as_deref(), Some("1.2.3"));
        assert_eq!((&args["NPM_TOKEN"], &args["API_KEY"]), (&None, &None));
        assert!(!format!("{discretion:?}").contains("tok-en"));
    }

    #[test]
    fn addresses_lose_who_asks_wherever_they_stand() {
        let found = Discretion::default();
        let text = "git clone https://me:p@ss@example.org/a@b ssh://git@h/x http://h 'ftp://a@b'";
        let expected = "git clone https://example.org/a@b ssh://h/x http://h 'ftp://b'";
        assert_eq!(found.text(text), expected);
    }
}
