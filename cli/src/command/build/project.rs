//! What tells a project from others, for explanations: its origin, where it is a git repository, so that
//! two checkouts and two machines agree; else where it lies.

use std::fs;
use std::path::{Path, PathBuf};

use wythe_store::record_origin::{RecordOrigin, repository_address};

use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;

/// The longest file of a repository that is looked at, in bytes: a hundred times a long configuration, and ten thousand
/// branches and tags.
const MAX_FILE: u64 = 1 << 20;

/// The identity of what is built.
pub(crate) fn project(args: &BuildArgs, dockerfile: Option<&Path>) -> Vec<u8> {
    let (context, directory) = if let ContextSource::Directory(path) = &args.context {
        (of_directory(path), absolute(path))
    } else {
        (format!("{:?}", args.context), PathBuf::new())
    };
    let dockerfile = dockerfile.map(|path| {
        let path = absolute(path);
        path.strip_prefix(&directory).map_or_else(|_| of_directory(&path), shown)
    });
    format!("{context}\0{}", dockerfile.unwrap_or_default()).into_bytes()
}

/// `ORIGIN//PATH` within a repository, or the path.
fn of_directory(path: &Path) -> String {
    let path = absolute(path);
    match checkout(&path) {
        Some((above, origin)) => {
            format!("{origin}//{}", path.strip_prefix(above).map(shown).unwrap_or_default())
        }
        None => shown(&path),
    }
}

/// The address that the checkout comes from which a directory is in, without scheme and user.
pub(crate) fn repository(path: &Path) -> Option<String> {
    checkout(&absolute(path)).map(|(_, origin)| origin)
}

/// The repository that a directory is checked out of, and the commit and branch, as its files say: git is not asked,
/// and files may have been changed since.
pub(crate) fn source(path: &Path) -> Option<RecordOrigin> {
    let path = absolute(path);
    let git = path.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    let source = origin_as_spelt(&git.join("config")).and_then(|url| repository_address(&url));
    let (revision, reference) = head(&git).unzip();
    Some(RecordOrigin { invocation: None, source, revision, reference: reference.flatten() })
}

/// The commit that is checked out, and the branch that it is on.
fn head(git: &Path) -> Option<(String, Option<String>)> {
    let text = text_of(&git.join("HEAD"))?;
    let Some(name) = text.trim().strip_prefix("ref: ") else {
        return commit(&text).map(|commit| (commit, None));
    };
    if !name.starts_with("refs/") || name.contains("..") {
        return None;
    }
    let packed = || {
        let rows = text_of(&git.join("packed-refs"))?;
        rows.lines().find_map(|row| commit(row.strip_suffix(name)?.strip_suffix(' ')?))
    };
    let loose = text_of(&git.join(name)).and_then(|text| commit(&text));
    Some((loose.or_else(packed)?, Some(name.to_owned())))
}

/// The whole name of a commit, a SHA-1 or a SHA-256.
fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let is_whole = matches!(text.len(), 40 | 64) && text.bytes().all(|one| one.is_ascii_hexdigit());
    is_whole.then(|| text.to_owned())
}

/// The top of the checkout that a directory is in, and the address of its origin.
fn checkout(path: &Path) -> Option<(&Path, String)> {
    let above = path.ancestors().find(|above| above.join(".git").exists())?;
    Some((above, origin(&above.join(".git/config"))?))
}

/// A path from the root, where it leads somewhere.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The address of the remote `origin`, as all who clone it have it.
fn origin(config: &Path) -> Option<String> {
    origin_as_spelt(config).map(|url| spelt_alike(&url))
}

/// A file of a repository, unless it is too long.
fn text_of(path: &Path) -> Option<String> {
    let is_short = fs::metadata(path).ok()?.len() <= MAX_FILE;
    is_short.then(|| fs::read_to_string(path).ok())?
}

/// The address of the remote `origin`, as who cloned it has given it.
fn origin_as_spelt(config: &Path) -> Option<String> {
    let text = text_of(config)?;
    let mut lines = text.lines().map(str::trim);
    lines.by_ref().find(|line| *line == "[remote \"origin\"]")?;
    let mut section = lines.take_while(|line| !line.starts_with('['));
    let url = section.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='));
    url.map(|url| url.trim().to_owned())
}

/// An address without scheme, user and `.git`: people clone one repository by several.
fn spelt_alike(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find('/').unwrap_or(rest.len());
    let rest = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let rest = rest.trim_end_matches('/').trim_end_matches(".git");
    rest.replacen(':', "/", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_is_one_project_however_it_was_cloned() {
        for url in [
            "https://token:x@example.org/a/b.git",
            "ssh://git@example.org/a/b",
            "git@example.org:a/b.git",
            "https://example.org/a/b/",
        ] {
            assert_eq!(spelt_alike(url), "example.org/a/b", "{url}");
        }
    }

    #[test]
    fn the_source_of_a_checkout_is_its_origin_with_the_commit_that_is_checked_out() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join(".git");
        let write = |name: &str, text: &str| {
            let path = git.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let told = || source(folder.path()).map(|one| one.to_string()).unwrap_or_default();
        let [packed, loose] = ["a", "b"].map(|digit| digit.repeat(40));
        assert_eq!(told(), "");
        write("config", "[remote \"origin\"]\n\turl = https://token:x@example.org/a.git\n");
        assert_eq!(told(), "from https://example.org/a.git");
        write("HEAD", "ref: refs/heads/main\n");
        write(
            "packed-refs",
            &format!("{loose} refs/heads/x/refs/heads/main\n{packed} refs/heads/main\n"),
        );
        assert_eq!(told(), format!("from https://example.org/a.git@{packed} (refs/heads/main)"));
        write("refs/heads/main", &format!("{loose}\n"));
        assert_eq!(told(), format!("from https://example.org/a.git@{loose} (refs/heads/main)"));
        write("HEAD", &packed);
        assert_eq!(told(), format!("from https://example.org/a.git@{packed}"));
        for odd in ["ref: refs/../../secret", "ref: refs/heads/.invalid", "c0ffee", ""] {
            write("HEAD", odd);
            assert_eq!(told(), "from https://example.org/a.git", "{odd}");
        }
    }

    #[test]
    fn checkouts_of_one_origin_agree_and_directories_without_one_differ() {
        let folder = tempfile::tempdir().unwrap();
        let name = |checkout: &str, origin: Option<&str>| {
            let top = folder.path().join(checkout);
            fs::create_dir_all(top.join("app")).unwrap();
            if let Some(origin) = origin {
                fs::create_dir_all(top.join(".git")).unwrap();
                let config = format!("[core]\n[remote \"origin\"]\n\turl = {origin}\n");
                fs::write(top.join(".git/config"), config).unwrap();
            }
            of_directory(&top.join("app"))
        };
        let url = Some("https://example.org/a.git");
        assert_eq!(name("one", url), name("two", url));
        assert_eq!(name("one", url), "example.org/a//app");
        assert_ne!(name("three", None), name("four", None));
    }
}
