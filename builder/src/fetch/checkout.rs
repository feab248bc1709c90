//! From a repository to a commit, and from a commit to files.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wythe_store::id::ContentId;
use wythe_store::record_origin::{RecordOrigin, repository_address};

use crate::environment::Environment;
use crate::options::Options;
use crate::remote::program::{GitCommand, GitError};
use crate::remote::repository::{GitReference, Repository, Submodules};
use crate::remote::{RemoteError, RemoteProblem, address};

/// A state of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    pub(super) repository: Repository,
    pub(super) commit: String,
    /// The tag's own name, where it has one.
    tag: Option<String>,
}

impl Revision {
    /// Asks the repository which commit is meant, unless the address says so.
    pub(super) fn resolve(
        env: Environment<'_>,
        options: &Options,
        repository: &Repository,
    ) -> Result<Self, RemoteError> {
        let fail = |problem| RemoteError::new(&repository.url, problem);
        let found = if let Some(commit) = repository.commit() {
            (commit.to_owned(), None)
        } else {
            let place = WorkDirectory::new(env, "ask").map_err(fail)?;
            let git = Git { env, options, repository, place: &place.0 };
            let listed = git.list().map_err(fail)?;
            chosen(&listed, repository.reference.as_ref()).map_err(fail)?
        };
        let (commit, tag) = found;
        let revision = Self { repository: repository.clone(), commit, tag };
        revision.verify(repository.checksum.as_deref())?;
        Ok(revision)
    }

    /// Holds the commit to the beginning of its name, or of its tag's.
    fn verify(&self, sum: Option<&str>) -> Result<(), RemoteError> {
        let Some(sum) = sum else { return Ok(()) };
        let fits = |name: &String| name.starts_with(sum);
        if fits(&self.commit) || self.tag.as_ref().is_some_and(fits) {
            return Ok(());
        }
        let problem =
            RemoteProblem::Commit { expected: sum.to_owned(), found: self.commit.clone() };
        Err(RemoteError::new(&self.repository.url, problem))
    }

    /// What people are told of where it is from.
    pub(super) fn origin(&self) -> RecordOrigin {
        let Repository { url, reference, .. } = &self.repository;
        RecordOrigin {
            invocation: None,
            source: repository_address(url),
            revision: Some(self.commit.clone()),
            reference: reference.as_ref().map(|one| one.name().to_owned()),
        }
    }

    /// What a copy of it depends on.
    pub(crate) fn content_id(&self) -> ContentId {
        let Repository { subdir, directory, submodules, mtime, .. } = &self.repository;
        let directory = directory.unwrap_or_default();
        let text = format!("{directory:?} {submodules:?} {mtime:?} {} {subdir}", self.commit);
        ContentId::of(format!("git {text}").as_bytes())
    }

    /// Fetches the commit and lays out its files; the directory ends with the place.
    pub(super) fn check_out(
        &self,
        env: Environment<'_>,
        options: &Options,
    ) -> Result<CheckedOut, RemoteError> {
        let fail = |problem| RemoteError::new(&self.repository.url, problem);
        let place = WorkDirectory::new(env, "files").map_err(fail)?;
        let git = Git { env, options, repository: &self.repository, place: &place.0 };
        git.fetch(&self.commit).map_err(fail)?;
        git.run(&["checkout", "--quiet", "--force", "--detach", &self.commit]).map_err(fail)?;
        if self.repository.submodules == Submodules::Fill {
            git.fill_submodules().map_err(fail)?;
        }
        let time = git.run(&["show", "--no-patch", "--format=%ct", &self.commit]).map_err(fail)?;
        let directory = subdirectory(&place.0, &self.repository.subdir).map_err(fail)?;
        let time = time.trim().parse().unwrap_or_default();
        Ok(CheckedOut { directory, time, _place: place })
    }
}

/// Files of a repository, until this is dropped.
#[derive(Debug)]
pub(super) struct CheckedOut {
    pub(super) directory: PathBuf,
    /// The time of the commit.
    pub(super) time: i64,
    _place: WorkDirectory,
}

/// A directory of its own under the lease's, removed at the end.
#[derive(Debug)]
struct WorkDirectory(PathBuf);

impl WorkDirectory {
    fn new(env: Environment<'_>, what: &str) -> Result<Self, RemoteProblem> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = env.lease.work_dir().join(format!("git-{what}-{number}"));
        fs::create_dir_all(&path).map_err(GitError::Run)?;
        Ok(Self(path))
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // The work directory goes with the lease in any case.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program at work on one repository.
struct Git<'a> {
    env: Environment<'a>,
    options: &'a Options,
    repository: &'a Repository,
    place: &'a Path,
}

impl Git<'_> {
    fn run(&self, arguments: &[&str]) -> Result<String, RemoteProblem> {
        let git = self.env.git.ok_or(RemoteProblem::NoGit)?;
        let settings = authorization(self.options, &self.repository.url)?;
        let settings: Vec<_> = settings.into_iter().collect();
        let (directory, cancel) = (self.place, self.env.cancel);
        Ok(GitCommand { git, directory, settings: &settings, cancel }.run(arguments)?)
    }

    fn list(&self) -> Result<String, RemoteProblem> {
        let url = &self.repository.url;
        match &self.repository.reference {
            None => self.run(&["ls-remote", "--", url, "HEAD"]),
            Some(reference) => {
                let name = reference.name();
                self.run(&["ls-remote", "--", url, name, &format!("{name}^{{}}")])
            }
        }
    }

    /// Fills submodules, with one commit each where their servers give it.
    fn fill_submodules(&self) -> Result<(), RemoteProblem> {
        if !self.place.join(".gitmodules").is_file() {
            return Ok(());
        }
        let whole = ["submodule", "--quiet", "update", "--init", "--recursive"];
        let alone = [&whole[..], &["--depth=1"]].concat();
        if self.run(&alone).is_ok() {
            return Ok(());
        }
        self.run(&whole).map(drop)
    }

    /// Fetches one commit alone where the server gives it, else all that leads to one.
    fn fetch(&self, commit: &str) -> Result<(), RemoteProblem> {
        let url = self.repository.url.as_str();
        self.run(&["init", "--quiet", "--template="])?;
        // Relative addresses of submodules count from it, and must not count from a directory here.
        self.run(&["remote", "add", "--", "origin", url])?;
        let alone = ["fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit];
        if self.run(&alone).is_ok() {
            return Ok(());
        }
        let (heads, tags) = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*");
        self.run(&["fetch", "--quiet", "--", url, heads, tags])?;
        let known = self.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        known.map(drop).map_err(|_| RemoteProblem::Reference(commit.to_owned()))
    }
}

/// The commit that a reference means among those that were listed, and the tag that leads to it.
fn chosen(
    listed: &str,
    reference: Option<&GitReference>,
) -> Result<(String, Option<String>), RemoteProblem> {
    let find = |name: &str| {
        let mut rows = listed.lines().filter_map(|line| line.split_once('\t'));
        rows.find(|(_, known)| *known == name).map(|(commit, _)| commit.to_owned())
    };
    let tag = |name: &str| match (
        find(&format!("refs/tags/{name}^{{}}")),
        find(&format!("refs/tags/{name}")),
    ) {
        (Some(commit), own) => Some((commit, own)),
        (None, own) => own.map(|commit| (commit, None)),
    };
    let branch = |name: &str| find(&format!("refs/heads/{name}")).map(|commit| (commit, None));
    let found = match reference {
        None => find("HEAD").map(|commit| (commit, None)),
        Some(GitReference::Branch(name)) => branch(name),
        Some(GitReference::Tag(name)) => tag(name),
        // A branch before a tag of one name, as git itself checks out.
        Some(GitReference::Any(name)) => {
            let short = name.strip_prefix("refs/").unwrap_or(name);
            let full = |name: &str| {
                let peeled = find(&format!("refs/{name}^{{}}"));
                peeled.or_else(|| find(&format!("refs/{name}"))).map(|commit| (commit, None))
            };
            branch(name).or_else(|| full(short)).or_else(|| tag(name))
        }
    };
    let name = reference.map_or("HEAD", GitReference::name);
    found.ok_or_else(|| RemoteProblem::Reference(name.to_owned()))
}

/// A directory of the repository, each part of which is one: links lead nowhere.
fn subdirectory(root: &Path, subdir: &str) -> Result<PathBuf, RemoteProblem> {
    let mut path = root.to_owned();
    for part in subdir.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        if !path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(RemoteProblem::Subdirectory(subdir.to_owned()));
        }
    }
    Ok(path)
}

/// The setting that sends what the secrets of a build have for a host, to that host only.
fn authorization(options: &Options, url: &str) -> Result<Option<(String, String)>, RemoteProblem> {
    let Some((scheme @ ("http" | "https"), _)) = url.split_once("://") else { return Ok(None) };
    let host = address::host(url);
    for (kind, is_token) in [("HEADER", false), ("TOKEN", true)] {
        let ids = [format!("GIT_AUTH_{kind}.{host}"), format!("GIT_AUTH_{kind}")];
        let Some(id) = ids.into_iter().find(|id| options.secrets.contains_key(id)) else {
            continue;
        };
        let text = std::str::from_utf8(options.secrets[&id].expose()).ok().map(str::trim_end);
        let text = text.filter(|text| !text.contains(char::is_control));
        let text = text.ok_or(RemoteProblem::Secret(id))?;
        let value = if is_token {
            format!("basic {}", STANDARD.encode(format!("x-access-token:{text}")))
        } else {
            text.to_owned()
        };
        let name = format!("http.{scheme}://{}/.extraHeader", address::authority(url));
        return Ok(Some((name, format!("Authorization: {value}"))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "aa\tHEAD\nbb\trefs/heads/x\ncc\trefs/tags/x\ndd\trefs/tags/x^{}\n\
                          ee\trefs/tags/y\nff\trefs/pull/1/head\n";

    #[track_caller]
    fn check(reference: Option<&GitReference>, expected: &str) {
        assert_eq!(chosen(LISTED, reference).unwrap().0, expected, "{reference:?}");
    }

    #[test]
    fn a_branch_comes_before_a_tag_and_a_tag_means_its_commit() {
        let any = |name: &str| GitReference::Any(name.to_owned());
        check(None, "aa");
        check(Some(&any("x")), "bb");
        check(Some(&GitReference::Tag("x".to_owned())), "dd");
        check(Some(&any("y")), "ee");
        check(Some(&any("refs/tags/x")), "dd");
        check(Some(&any("refs/pull/1/head")), "ff");
        assert!(chosen(LISTED, Some(&any("z"))).is_err());
        assert!(chosen(LISTED, Some(&GitReference::Branch("y".to_owned()))).is_err());
    }
}
