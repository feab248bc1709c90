//! What tells a project from others, for explanations: its origin, where it is a git repository, so that
//! two checkouts and two machines agree; else where it lies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;

/// The longest configuration of a repository that is looked at, in bytes: a hundred times a long one.
const MAX_CONFIG: u64 = 1 << 20;

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
    if fs::metadata(config).ok()?.len() > MAX_CONFIG {
        return None;
    }
    let text = fs::read_to_string(config).ok()?;
    let mut lines = text.lines().map(str::trim);
    lines.by_ref().find(|line| *line == "[remote \"origin\"]")?;
    let mut section = lines.take_while(|line| !line.starts_with('['));
    let url = section.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='));
    url.map(|url| spelt_alike(url.trim()))
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
