//! References: what people write to name an image.
//!
//! The grammar and the defaults are Docker's, since every Dockerfile relies on them: `alpine` is
//! `docker.io/library/alpine`, and a first component is a host only if it looks like one.

mod grammar;

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, ParseDigestError};

/// Docker Hub, where a name without a host lives.
pub const DEFAULT_HOST: &str = "docker.io";
/// The tag of a name that has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

/// The specification leaves the length open; Docker and every registry stop here.
const MAX_NAME: usize = 255;

/// A normalised image reference: host, repository, and optionally a tag and a digest.
///
/// [`Display`](fmt::Display) writes the familiar form, [`canonical`](Self::canonical) the full one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A string that is not a [`Reference`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid image reference {text:?}: {problem}")]
pub struct ParseReferenceError {
    /// What was given.
    pub text: String,
    /// Why it was refused.
    #[source]
    pub problem: ReferenceProblem,
}

/// Why a string is not a [`Reference`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceProblem {
    /// Nothing before the tag or digest.
    #[error("the name is empty")]
    Empty,
    /// The host is not a host name, an address in brackets, or either with a port.
    #[error("{host:?} is not a host name with an optional port")]
    Host {
        /// What stands there.
        host: String,
    },
    /// Upper-case letters in the repository.
    #[error("repository name must be lowercase")]
    Uppercase,
    /// The repository breaks the grammar.
    #[error("{component:?} is not a path component of a repository")]
    Repository {
        /// The first part that does.
        component: String,
    },
    /// The tag breaks the grammar.
    #[error("{tag:?} is not a tag")]
    Tag {
        /// What stands there.
        tag: String,
    },
    /// The digest is not one.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
    /// Host and repository are longer than any registry takes.
    #[error("the name is longer than {MAX_NAME} characters")]
    TooLong,
    /// 64 hex digits name an image by its id elsewhere, and would be confused with one; so would a
    /// digest alone.
    #[error("an id or a digest is not the name of an image; NAME@DIGEST is one")]
    Identifier,
}

impl Reference {
    /// Whether a text says which host it is a name of: `localhost/app`, and not `team/app`.
    pub fn names_host(text: &str) -> bool {
        text.split_once('/').is_some_and(|(first, _)| grammar::looks_like_host(first))
    }

    /// The host, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository on the host.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The tag to ask for: the given one, else `latest`.
    pub fn tag_or_latest(&self) -> &str {
        self.tag().unwrap_or(DEFAULT_TAG)
    }

    /// Host and repository: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The name as people write it: `alpine`.
    pub fn familiar_name(&self) -> String {
        if self.host != DEFAULT_HOST {
            return self.name();
        }
        match self.repository.strip_prefix("library/") {
            Some(official) if !official.contains('/') => official.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// Everything spelled out: `docker.io/library/alpine:latest`.
    ///
    /// A reference by digest gets no default tag.
    pub fn canonical(&self) -> String {
        self.clone().with_default_tag().spell(&self.name())
    }

    /// The same reference with `latest` where it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository by digest; the tag stays, for display.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// The same repository and tag without a digest.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.digest = None;
        self
    }

    fn spell(&self, name: &str) -> String {
        let mut text = name.to_owned();
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = &self.digest {
            text = format!("{text}@{digest}");
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| ParseReferenceError { text: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<Reference, ReferenceProblem> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    if name.is_empty() {
        return Err(ReferenceProblem::Empty);
    }
    // A name and a tag in form, and a digest to who reads it.
    if grammar::is_identifier(name) || (digest.is_none() && rest.parse::<Digest>().is_ok()) {
        return Err(ReferenceProblem::Identifier);
    }
    let (host, repository) = normalize(name);
    grammar::check_host(&host)?;
    grammar::check_repository(&repository)?;
    if MAX_NAME < host.len() + 1 + repository.len() {
        return Err(ReferenceProblem::TooLong);
    }
    if let Some(tag) = tag {
        grammar::check_tag(tag)?;
    }
    Ok(Reference { host, repository, tag: tag.map(str::to_owned), digest })
}

/// A colon begins a tag only behind the last slash; elsewhere it begins a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

fn normalize(name: &str) -> (String, String) {
    let (host, repository) = match name.split_once('/') {
        Some((first, rest)) if grammar::looks_like_host(first) => (first, rest),
        _ => (DEFAULT_HOST, name),
    };
    let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
    if host == DEFAULT_HOST && !repository.contains('/') {
        return (host.to_owned(), format!("library/{repository}"));
    }
    (host.to_owned(), repository.to_owned())
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.spell(&self.familiar_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(text: &str, canonical: &str, familiar: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.canonical(), canonical);
        assert_eq!(reference.to_string(), familiar);
        assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
    }

    #[test]
    fn names_without_a_host_are_docker_hubs() {
        check("alpine", "docker.io/library/alpine:latest", "alpine");
        check("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20");
        check("user/app", "docker.io/user/app:latest", "user/app");
        check("docker.io/alpine", "docker.io/library/alpine:latest", "alpine");
        check("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine");
        check("library/a/b", "docker.io/library/a/b:latest", "library/a/b");
    }

    #[test]
    fn a_first_component_is_a_host_only_if_it_looks_like_one() {
        check("localhost/app", "localhost/app:latest", "localhost/app");
        check("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app");
        check("ghcr.io/a/b:1", "ghcr.io/a/b:1", "ghcr.io/a/b:1");
        check("[::1]:5000/app:x", "[::1]:5000/app:x", "[::1]:5000/app:x");
        check("Host/app", "Host/app:latest", "Host/app");
        check("host/app", "docker.io/host/app:latest", "host/app");
        assert!(Reference::names_host("Host/app") && !Reference::names_host("host/app"));
        check("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000");
    }

    #[test]
    fn a_digest_stands_beside_a_tag_or_alone() {
        let text = format!("r.io/a:1@{DIGEST}");
        check(&text, &text, &text);
        let alone = format!("alpine@{DIGEST}");
        check(&alone, &format!("docker.io/library/alpine@{DIGEST}"), &alone);
    }

    #[test]
    fn separators_stand_between_letters_only() {
        check("r.io/a__b/c---d/e.f_g", "r.io/a__b/c---d/e.f_g:latest", "r.io/a__b/c---d/e.f_g");
        for bad in
            ["r.io/-a", "r.io/a-", "r.io/a..b", "r.io/a___b", "r.io/a._b", "r.io/a//b", "r.io/"]
        {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let long = "a".repeat(256);
        let long_tag = format!("a:{}", "t".repeat(129));
        for bad in [
            "",
            ":tag",
            "@",
            "a:",
            "a@",
            "a@sha256:00",
            "Alpine",
            "r.io/Alpine",
            "a:-t",
            "a:t u",
            "http://r.io/a",
            "r.io:/a",
            "r.io:x/a",
            "-r.io/a",
            "[::1/a",
            "[zz]:1/a",
            "a b",
            "a\n",
            &long,
            &long_tag,
            &DIGEST[7..],
            DIGEST,
            "ü",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
