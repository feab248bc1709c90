//! `COPY` and `ADD` as a step.

use super::facts::Facts;
use super::{FileSource, Lookup};
use crate::copy::{CopyTarget, Layout};
use crate::remote::repository::Repository;

/// What a `COPY` or `ADD` does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyStep {
    /// Where [`CopySource::Path`]s are looked up.
    pub from: FileSource,
    /// What to call that place in messages; it decides nothing.
    pub from_name: String,
    /// What is copied, in order.
    pub sources: Vec<CopySource>,
    /// The absolute path, with the `/` or `/.` it was written with at its end.
    pub destination: String,
    /// `--chown`, looked up in the destination.
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<String>,
    /// Whether directories on the way to a source are recreated.
    pub layout: Layout,
    /// Whether what the destination holds is looked at.
    pub base: CopyTarget,
    /// `--exclude`, in order.
    pub excludes: Vec<String>,
    /// What happens to archives.
    pub archives: Archives,
    /// `--checksum` of the only source.
    pub checksum: Option<String>,
    /// `SOURCE_DATE_EPOCH`: the time of directories that are created.
    pub epoch: Option<i64>,
}

/// One source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CopySource {
    /// A path or pattern beneath the root of [`CopyStep::from`].
    Path(String),
    /// A file written in the Dockerfile.
    Heredoc {
        /// Its name.
        name: String,
        /// Its content.
        body: String,
    },
    /// A file behind `http` or `https`.
    Url(String),
    /// A git repository.
    Git(Box<Repository>),
}

/// What happens to a source that is an archive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Archives {
    /// It is copied as a file, as `COPY` does.
    #[default]
    Keep,
    /// A local archive is unpacked, as `ADD` does.
    UnpackLocal,
    /// `--unpack`: an archive is unpacked wherever it comes from.
    Unpack,
}

impl CopyStep {
    pub(super) fn facts(&self, lookup: Lookup, facts: &mut Facts) {
        facts.add("from", &self.from.fact());
        for source in &self.sources {
            source.facts(lookup, facts);
        }
        facts.add("destination", &self.destination);
        facts.optional("chown", self.chown.as_ref());
        facts.optional("chmod", self.chmod.as_ref());
        facts.add("layout", &self.layout);
        facts.add("base", &self.base);
        facts.each("exclude", &self.excludes);
        facts.add("archives", &self.archives);
        facts.optional("checksum", self.checksum.as_ref());
        facts.optional("epoch", self.epoch.as_ref());
    }
}

impl CopySource {
    fn facts(&self, lookup: Lookup, facts: &mut Facts) {
        match self {
            Self::Path(path) if lookup == Lookup::Definition => facts.add("source", path),
            Self::Path(path) => facts.add("source", base_name(path)),
            Self::Heredoc { name, body } => {
                facts.add("heredoc", name);
                facts.add("body", body);
            }
            Self::Url(url) if lookup == Lookup::Definition => facts.add("url", url),
            // Name and bytes are an input.
            Self::Url(_) => facts.add("url", "fetched"),
            Self::Git(repository) if lookup == Lookup::Definition => {
                facts.add("git", &repository.url);
            }
            // The commit and what is done with it are an input.
            Self::Git(_) => facts.add("git", "fetched"),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}
