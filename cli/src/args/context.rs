//! Build contexts: `NAME=SOURCE` of `--build-context`, and the argument of `build`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Where the files or the image of a context come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ContextSource {
    /// An archive that is not on standard input, as only kaniko's flags name one.
    Archive(ArchivePlace),
    Directory(PathBuf),
    /// An image by reference.
    Image(String),
    /// An image in an OCI layout directory, with the tag or digest where one was given.
    Layout {
        path: PathBuf,
        selector: Option<Selector>,
    },
    /// A tar stream on standard input, or a Dockerfile.
    Stdin,
    /// A git repository or an archive at a URL.
    Url(String),
}

/// Where an archive is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ArchivePlace {
    /// An object in S3.
    Bucket {
        bucket: String,
        key: String,
    },
    File(PathBuf),
}

/// Which image of a layout.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Selector {
    Digest(String),
    Tag(String),
}

/// One `--build-context`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamedContext {
    /// As given; stage and image names are compared in their normal form.
    pub(crate) name: String,
    pub(crate) source: ContextSource,
}

/// Why a text is not a named context.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not of the form NAME=SOURCE")]
pub(crate) struct NamedContextError;

impl FromStr for ContextSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text))
    }
}

impl From<&str> for ContextSource {
    fn from(text: &str) -> Self {
        if let Some(reference) = text.strip_prefix("docker-image://") {
            return Self::Image(reference.to_owned());
        }
        if let Some(layout) = text.strip_prefix("oci-layout://") {
            return layout_source(layout);
        }
        match text {
            "-" => Self::Stdin,
            url if is_url(url) => Self::Url(url.to_owned()),
            path => Self::Directory(path.into()),
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|start| text.starts_with(start))
        || text.starts_with("github.com/")
}

/// `PATH[:TAG][@DIGEST]`, where a digest says more than a tag; a colon before the last slash belongs
/// to the path.
fn layout_source(text: &str) -> ContextSource {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(Selector::Digest(digest.to_owned()))),
        None => (text, None),
    };
    let (path, tag) = match named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((path, tag)) => (path, Some(Selector::Tag(tag.to_owned()))),
        None => (named, None),
    };
    ContextSource::Layout { path: path.into(), selector: digest.or(tag) }
}

impl FromStr for NamedContext {
    type Err = NamedContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, source) = text.split_once('=').ok_or(NamedContextError)?;
        if name.is_empty() || source.is_empty() {
            return Err(NamedContextError);
        }
        Ok(Self { name: name.to_owned(), source: source.into() })
    }
}

/// What was wrong with a command line; where it lacks the context, with the dot that was forgotten.
pub(crate) fn or_dot(mut error: clap::Error) -> clap::Error {
    let lacking = error.get(ContextKind::InvalidArg);
    let is_context = |name: &String| name.contains("CONTEXT");
    let lacks_context =
        matches!(lacking, Some(ContextValue::Strings(names)) if names.iter().any(is_context));
    if error.kind() == ErrorKind::MissingRequiredArgument && lacks_context {
        let tip = "the context is usually the directory you are in, which is a dot: wythe build .";
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "expectations are written at the call")]
    fn check(text: &str, expected: ContextSource) {
        assert_eq!(ContextSource::from(text), expected, "{text}");
    }

    fn layout(path: &str, selector: Option<Selector>) -> ContextSource {
        ContextSource::Layout { path: path.into(), selector }
    }

    #[test]
    fn a_scheme_says_what_a_context_is() {
        check("docker-image://alpine:3", ContextSource::Image("alpine:3".to_owned()));
        check("https://a/b.git", ContextSource::Url("https://a/b.git".to_owned()));
        check("-", ContextSource::Stdin);
        check("../lib", ContextSource::Directory("../lib".into()));
    }

    #[test]
    fn a_layout_may_name_a_tag_or_a_digest() {
        check("oci-layout:///a/b", layout("/a/b", None));
        check("oci-layout:///a/b:1", layout("/a/b", Some(Selector::Tag("1".to_owned()))));
        check("oci-layout:///a:1/b", layout("/a:1/b", None));
        let digest = Selector::Digest("sha256:00".to_owned());
        check("oci-layout://b@sha256:00", layout("b", Some(digest.clone())));
        check("oci-layout://b:1@sha256:00", layout("b", Some(digest)));
    }

    #[test]
    fn a_named_context_has_a_name_and_a_source() {
        let context: NamedContext = "base=oci-layout://x".parse().unwrap();
        assert_eq!(context.name, "base");
        assert!("base".parse::<NamedContext>().is_err());
        assert!("=x".parse::<NamedContext>().is_err());
    }
}
