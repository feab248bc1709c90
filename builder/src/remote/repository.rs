//! The address of a git repository, with what of it is wanted: `URL#ref:subdir` or `URL?ref=…`.

use super::{RemoteError, address};
use crate::options::{EPOCH, Options};

/// A part of a git repository.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Repository {
    /// What git is given.
    pub url: String,
    /// Which state; that of the repository's own choice if absent.
    pub reference: Option<GitReference>,
    /// The directory that is wanted, without slashes at its ends; empty for all of it.
    pub subdir: String,
    /// The beginning of the commit's name, in hexadecimal digits.
    pub checksum: Option<String>,
    /// What happens to `.git`, where that is said.
    pub directory: Option<GitDirectory>,
    /// What happens to submodules.
    pub submodules: Submodules,
    /// What time files have.
    pub mtime: GitTime,
    /// How the commit is asked for.
    pub fetch: FetchBy,
}

/// A state of a repository.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum GitReference {
    /// A branch, tag, full name or commit.
    Any(String),
    /// `branch=`
    Branch(String),
    /// `tag=`
    Tag(String),
}

/// What happens to `.git`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum GitDirectory {
    /// It is left out.
    #[default]
    Drop,
    /// It is kept.
    Keep,
}

/// What happens to submodules.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Submodules {
    /// They are filled.
    #[default]
    Fill,
    /// They stay empty.
    Leave,
}

/// What time files have.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum GitTime {
    /// That of the build.
    #[default]
    Checkout,
    /// That of the commit.
    Commit,
}

/// How the commit is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum FetchBy {
    /// By its branch or tag.
    #[default]
    Reference,
    /// By its own name, which the checksum gives in full.
    Commit,
}

/// Why an address is none of a repository.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// A key that means nothing.
    #[error("unexpected query {0:?}")]
    Query(String),
    /// Two parts of the address say different things.
    #[error("{what} conflicts: {one:?} and {other:?}")]
    Conflict {
        /// What they speak of.
        what: &'static str,
        /// What comes first.
        one: String,
        /// What comes later.
        other: String,
    },
    /// A value that the key cannot have.
    #[error("invalid {key} value {value:?}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// A name that git would not take for one.
    #[error("invalid ref {0:?}")]
    Reference(String),
    /// A directory that would lead out of the repository.
    #[error("invalid subdirectory {0:?}")]
    Subdirectory(String),
    /// `.git` is to be kept and to be left out.
    #[error("inconsistent keep-git-dir configuration")]
    GitDirectory,
    /// A commit to fetch by that is not given in full.
    #[error("fetch-by-commit needs the whole commit as checksum")]
    FetchByCommit,
}

impl Repository {
    /// Reads an address as Dockerfiles and command lines write it.
    ///
    /// # Errors
    ///
    /// [`RepositoryError`], for the first part that is wrong.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        let (base, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (url, query) = match base.split_once('?') {
            Some((url, query)) if base.contains("://") => (url, query),
            _ => (base, ""),
        };
        let mut found = Self::whole(url);
        let (name, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        if !name.is_empty() {
            found.refer(GitReference::Any(address::decoded(name)))?;
        }
        found.descend(&address::decoded(subdir))?;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            found.option(key, &address::decoded(&value.replace('+', " ")))?;
        }
        // A commit is also what is wanted, where nothing else is.
        if found.reference.is_none() {
            let commit = found.checksum.clone().filter(|sum| is_commit(sum));
            found.reference = commit.map(GitReference::Any);
        }
        if found.fetch == FetchBy::Commit && !found.checksum.as_deref().is_some_and(is_commit) {
            return Err(RepositoryError::FetchByCommit);
        }
        Ok(found)
    }

    fn whole(url: &str) -> Self {
        let with_scheme = url.contains("://") || url.starts_with("git@");
        Self {
            url: if with_scheme { url.to_owned() } else { format!("https://{url}") },
            reference: None,
            subdir: String::new(),
            checksum: None,
            directory: None,
            submodules: Submodules::default(),
            mtime: GitTime::default(),
            fetch: FetchBy::default(),
        }
    }

    fn option(&mut self, key: &str, value: &str) -> Result<(), RepositoryError> {
        match key {
            "ref" => self.refer(GitReference::Any(value.to_owned())),
            "branch" => self.refer(GitReference::Branch(value.to_owned())),
            "tag" => self.refer(GitReference::Tag(value.to_owned())),
            "subdir" => self.descend(value),
            "checksum" | "commit" => self.sum(value),
            "keep-git-dir" => {
                let [drop, keep] = [GitDirectory::Drop, GitDirectory::Keep];
                self.keep(if is_on("keep-git-dir", value)? { keep } else { drop })
            }
            "submodules" => {
                let [leave, fill] = [Submodules::Leave, Submodules::Fill];
                self.submodules = if is_on("submodules", value)? { fill } else { leave };
                Ok(())
            }
            "fetch-by-commit" => {
                let [reference, commit] = [FetchBy::Reference, FetchBy::Commit];
                self.fetch = if is_on("fetch-by-commit", value)? { commit } else { reference };
                Ok(())
            }
            "mtime" => {
                self.mtime = match value {
                    "" | "checkout" => GitTime::Checkout,
                    "commit" => GitTime::Commit,
                    _ => return Err(wrong("mtime", value)),
                };
                Ok(())
            }
            _ => Err(RepositoryError::Query(key.to_owned())),
        }
    }

    fn refer(&mut self, reference: GitReference) -> Result<(), RepositoryError> {
        let name = reference.name();
        let odd = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
        // What begins with a dash would be an option of git.
        if name.is_empty() || name.starts_with('-') || name.contains("..") || name.contains(odd) {
            return Err(RepositoryError::Reference(name.to_owned()));
        }
        if let Some(earlier) = &self.reference
            && earlier.name() != name
        {
            return Err(conflict("ref", earlier.name(), name));
        }
        self.reference = Some(reference);
        Ok(())
    }

    fn descend(&mut self, subdir: &str) -> Result<(), RepositoryError> {
        let parts = subdir.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        if parts.iter().any(|part| matches!(*part, ".." | ".git") || part.contains('\0')) {
            return Err(RepositoryError::Subdirectory(subdir.to_owned()));
        }
        let subdir = parts.join("/");
        if !self.subdir.is_empty() && !subdir.is_empty() && self.subdir != subdir {
            return Err(conflict("subdir", &self.subdir, &subdir));
        }
        if !subdir.is_empty() {
            self.subdir = subdir;
        }
        Ok(())
    }

    /// Says what happens to `.git`, beside what the address says.
    pub(crate) fn keep(&mut self, directory: GitDirectory) -> Result<(), RepositoryError> {
        if self.directory.is_some_and(|earlier| earlier != directory) {
            return Err(RepositoryError::GitDirectory);
        }
        self.directory = Some(directory);
        Ok(())
    }

    /// Holds the commit to a sum, beside any the address has.
    pub(crate) fn sum(&mut self, sum: &str) -> Result<(), RepositoryError> {
        let sum = sum.to_ascii_lowercase();
        if !is_hex(&sum) {
            return Err(wrong("checksum", &sum));
        }
        match &self.checksum {
            Some(earlier) if *earlier != sum => Err(conflict("checksum", earlier, &sum)),
            _ => {
                self.checksum = Some(sum);
                Ok(())
            }
        }
    }

    /// The repository that a context is. With `SOURCE_DATE_EPOCH` its files have the time of the
    /// commit, for that of the build would be in the image.
    pub(crate) fn of_context(options: &Options, address: &str) -> Result<Self, RemoteError> {
        let parsed = Self::parse(address);
        let mut found = parsed.map_err(|error| RemoteError::new(address, error))?;
        if options.build_args.get(EPOCH).is_some_and(|epoch| !epoch.is_empty()) {
            found.mtime = GitTime::Commit;
        }
        Ok(found)
    }

    /// The commit, where the address names it in full.
    pub(crate) fn commit(&self) -> Option<&str> {
        match (&self.reference, self.fetch) {
            (_, FetchBy::Commit) => self.checksum.as_deref(),
            (Some(GitReference::Any(name)), _) if is_commit(name) => Some(name),
            _ => None,
        }
    }
}

impl GitReference {
    /// The name as it was written.
    pub(crate) fn name(&self) -> &str {
        let (Self::Any(name) | Self::Branch(name) | Self::Tag(name)) = self;
        name
    }
}

/// Whether a text is a whole SHA-1 or SHA-256 in hexadecimal digits.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_on(key: &'static str, value: &str) -> Result<bool, RepositoryError> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(wrong(key, value)),
    }
}

fn wrong(key: &'static str, value: &str) -> RepositoryError {
    RepositoryError::Value { key, value: value.to_owned() }
}

fn conflict(what: &'static str, one: &str, other: &str) -> RepositoryError {
    RepositoryError::Conflict { what, one: one.to_owned(), other: other.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, reference: Option<GitReference>, subdir: &str) {
        let found = Repository::parse(text).unwrap();
        assert_eq!((found.reference, &*found.subdir), (reference, subdir), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = Repository::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn a_fragment_and_a_query_say_the_same() {
        let any = |name: &str| Some(GitReference::Any(name.to_owned()));
        check("https://h/r.git", None, "");
        check("https://h/r.git#br", any("br"), "");
        check("https://h/r.git#:a/b/", None, "a/b");
        check("https://h/r.git?ref=br&subdir=a", any("br"), "a");
        check("https://h/r.git?ref=br#br:a", any("br"), "a");
        check("git@h:r#v%31:x", any("v1"), "x");
        check("https://h/r.git?tag=v1", Some(GitReference::Tag("v1".to_owned())), "");
    }

    #[test]
    fn options_are_switches_with_or_without_a_value() {
        let found = Repository::parse("https://h/r.git?keep-git-dir&submodules=0&mtime=commit");
        let found = found.unwrap();
        assert_eq!(found.directory, Some(GitDirectory::Keep));
        assert_eq!(found.submodules, Submodules::Leave);
        assert_eq!(found.mtime, GitTime::Commit);
    }

    #[test]
    fn what_disagrees_or_means_nothing_is_refused() {
        refused("https://h/r.git?foo=1", "unexpected query \"foo\"");
        refused("https://h/r.git?ref=br#main", "ref conflicts");
        refused("https://h/r.git?subdir=a#:b", "subdir conflicts");
        refused("https://h/r.git?keep-git-dir=0&keep-git-dir=1", "inconsistent keep-git-dir");
        refused("https://h/r.git?mtime=now", "invalid mtime value");
        refused("https://h/r.git?submodules=maybe", "invalid submodules value");
        refused("https://h/r.git?checksum=xyz", "invalid checksum value");
        refused("https://h/r.git?fetch-by-commit=1&commit=abc", "whole commit");
    }

    #[test]
    fn no_name_becomes_an_option_of_git_or_leads_out_of_the_repository() {
        refused("https://h/r.git#--upload-pack=x", "invalid ref");
        refused("https://h/r.git?ref=a..b", "invalid ref");
        refused("https://h/r.git?branch=", "invalid ref");
        refused("https://h/r.git#main:../x", "invalid subdirectory");
        refused("https://h/r.git#main:.git", "invalid subdirectory");
    }

    #[test]
    fn a_whole_commit_needs_no_question() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let found = Repository::parse(&format!("https://h/r.git#{commit}")).unwrap();
        assert_eq!(found.commit(), Some(commit));
        let alone = Repository::parse(&format!("https://h/r.git?commit={commit}")).unwrap();
        assert_eq!(alone.commit(), Some(commit));
        let by_sum = format!("https://h/r.git?branch=b&fetch-by-commit=1&commit={commit}");
        assert_eq!(Repository::parse(&by_sum).unwrap().commit(), Some(commit));
        assert_eq!(Repository::parse("https://h/r.git#0123456").unwrap().commit(), None);
    }
}
