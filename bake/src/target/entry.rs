//! The entries of lists that are more than text: caches, outputs, attestations, secrets, agents.
//!
//! Each is written as `key=value,…` or as an object; [`fmt::Display`] gives the first form back, as
//! flags take it.

use std::collections::BTreeMap;
use std::fmt;

use crate::csv;

/// A cache: `type=registry,ref=user/app:cache`, or a name alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheEntry {
    /// `registry`, `local`, `gha`, `s3`, `inline` …
    pub kind: String,
    /// The rest of it.
    pub attributes: BTreeMap<String, String>,
}

/// An output: `type=image,push=true`, or a directory alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// `image`, `registry`, `docker`, `oci`, `local`, `tar`, `cacheonly`.
    pub kind: String,
    /// The path it goes to, empty if it goes to none.
    pub destination: String,
    /// The rest of it.
    pub attributes: BTreeMap<String, String>,
}

/// An attestation: `type=provenance,mode=max`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attestation {
    /// `provenance` or `sbom`.
    pub kind: String,
    /// Whether it is not wanted.
    pub is_disabled: bool,
    /// The rest of it.
    pub attributes: BTreeMap<String, String>,
}

/// A secret: `id=token,src=token.txt` or `id=token,env=TOKEN`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Secret {
    /// What steps know it by.
    pub id: String,
    /// The file it is in, empty if it is in none.
    pub source: String,
    /// The variable it is in, empty if it is in none.
    pub variable: String,
}

/// An SSH agent or keys: `default`, or `name=socket-or-key,…`.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ssh {
    /// What steps know it by.
    pub id: String,
    /// The agent's socket, or keys.
    pub paths: Vec<String>,
}

/// `key=value` fields of text.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("{field:?} is not KEY=VALUE")),
    };
    csv::fields(text)?.into_iter().map(pair).collect()
}

impl CacheEntry {
    /// The caches that text stands for: names alone are separated by commas.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if !text.contains('=') {
            let named = |name| Self {
                kind: "registry".to_owned(),
                attributes: BTreeMap::from([("ref".to_owned(), name)]),
            };
            return Ok(csv::fields(text)?.into_iter().map(named).collect());
        }
        let pairs = pairs(text)?.into_iter().map(|(key, value)| (key.to_lowercase(), value));
        Self::from_attributes(pairs.collect()).map(|entry| vec![entry])
    }

    pub(crate) fn from_attributes(mut items: BTreeMap<String, String>) -> Result<Self, String> {
        let kind = items.remove("type").unwrap_or_default();
        if kind.is_empty() {
            return Err("a cache needs its type, as in type=registry,ref=…".to_owned());
        }
        Ok(Self { kind, attributes: items })
    }
}

impl Output {
    /// None for empty text.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let fields = csv::fields(text)?;
        if fields.len() == 1 && fields[0] == text && !text.starts_with("type=") {
            let kind = if text == "-" { "tar" } else { "local" }.to_owned();
            let destination = text.to_owned();
            return Ok(Some(Self { kind, destination, attributes: BTreeMap::new() }));
        }
        let pairs = pairs(text)?.into_iter();
        let items = pairs.map(|(key, value)| (key.to_lowercase().trim().to_owned(), value));
        Self::from_attributes(items.collect()).map(Some)
    }

    pub(crate) fn from_attributes(mut items: BTreeMap<String, String>) -> Result<Self, String> {
        let kind = items.remove("type").unwrap_or_default();
        if kind.is_empty() {
            return Err("an output needs its type, as in type=image".to_owned());
        }
        let destination = items.remove("dest").unwrap_or_default();
        Ok(Self { kind, destination, attributes: items })
    }
}

impl Attestation {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let pairs = pairs(text)?.into_iter().map(|(key, value)| {
            let lower = key.to_lowercase().trim().to_owned();
            (if lower == "type" || lower == "disabled" { lower } else { key }, value)
        });
        Self::from_attributes(pairs.collect())
    }

    pub(crate) fn from_attributes(mut items: BTreeMap<String, String>) -> Result<Self, String> {
        let kind = items.remove("type").unwrap_or_default();
        if kind.is_empty() {
            return Err("an attestation needs its type, as in type=sbom".to_owned());
        }
        let is_disabled = match items.remove("disabled") {
            Some(text) => truth(&text).ok_or_else(|| format!("disabled={text} is no bool"))?,
            None => false,
        };
        Ok(Self { kind, is_disabled, attributes: items })
    }
}

impl Secret {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut secret, mut is_variable) = (Self::default(), false);
        for (key, value) in pairs(text)? {
            match key.to_lowercase().as_str() {
                "type" if value == "env" => is_variable = true,
                "type" if value == "file" => {}
                "type" => return Err(format!("there is no secret of type {value}")),
                "id" => secret.id = value,
                "source" | "src" => secret.source = value,
                "env" => secret.variable = value,
                _ => return Err(format!("a secret has no {key}, only id, src, env and type")),
            }
        }
        if is_variable && secret.variable.is_empty() {
            secret.variable = std::mem::take(&mut secret.source);
        }
        Ok(secret)
    }
}

impl Ssh {
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((id, paths)) => {
                let paths = paths.split(',').map(ToOwned::to_owned).collect();
                Self { id: id.to_owned(), paths }
            }
            None => Self { id: text.to_owned(), paths: Vec::new() },
        }
    }
}

/// A bool as flags spell it.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn written<'a>(
    first: impl IntoIterator<Item = (&'a str, &'a str)>,
    rest: &'a BTreeMap<String, String>,
) -> String {
    let first = first.into_iter().filter(|(_, value)| !value.is_empty());
    csv::joined(first.chain(rest.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
}

impl fmt::Display for CacheEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written([("type", self.kind.as_str())], &self.attributes))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = [("type", self.kind.as_str()), ("dest", self.destination.as_str())];
        f.write_str(&written(first, &self.attributes))
    }
}

impl fmt::Display for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disabled = if self.is_disabled { "true" } else { "" };
        let first = [("type", self.kind.as_str()), ("disabled", disabled)];
        f.write_str(&written(first, &self.attributes))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("id", self.id.as_str()),
            ("src", self.source.as_str()),
            ("env", self.variable.as_str()),
        ];
        f.write_str(&csv::joined(all.into_iter().filter(|(_, value)| !value.is_empty())))
    }
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.paths.is_empty() { Ok(()) } else { write!(f, "={}", self.paths.join(",")) }
    }
}

/// Each entry once. The order is that which others leave: from the back, what comes again is taken out
/// by putting the last entry into its place.
pub(crate) fn without_repeats<T: PartialEq>(mut entries: Vec<T>) -> Vec<T> {
    for at in (0..entries.len().saturating_sub(1)).rev() {
        let again = (at + 1..entries.len()).find(|later| entries[*later] == entries[at]);
        if let Some(again) = again {
            entries.swap_remove(again);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_written_as_they_are_read() {
        for text in ["type=local,src=x", "type=registry,ref=a", "type=s3,\"name=a,b\""] {
            assert_eq!(CacheEntry::parse(text).unwrap()[0].to_string(), text);
        }
        let named = CacheEntry::parse("a:1,b:2").unwrap();
        assert_eq!(named[1].to_string(), "type=registry,ref=b:2");
        let output = Output::parse("out").unwrap().unwrap();
        assert_eq!(output.to_string(), "type=local,dest=out");
        let secret = Secret::parse("type=env,id=a,src=B").unwrap();
        assert_eq!(secret.to_string(), "id=a,env=B");
        assert_eq!(Ssh::parse("k=p1,p2").to_string(), "k=p1,p2");
    }

    #[test]
    fn what_comes_again_is_kept_where_it_was_first() {
        assert_eq!(without_repeats(vec![1, 2, 1, 3]), [1, 2, 3]);
        assert_eq!(without_repeats(vec![1, 2, 3, 1, 4, 5]), [1, 2, 3, 5, 4]);
        assert_eq!(without_repeats(Vec::<u8>::new()), Vec::<u8>::new());
    }

    #[test]
    fn what_lacks_its_type_is_refused() {
        assert!(CacheEntry::parse("ref=a").is_err());
        assert!(Output::parse("name=a,push=true").is_err());
        assert!(Attestation::parse("mode=max").is_err());
        assert!(Secret::parse("id=a,bogus=b").is_err());
    }
}
