//! What the configuration file of a project may say. It comes with the files of others, so that it may only
//! choose among what a Dockerfile could choose as well: it grants nothing, and names no place outside the project,
//! no command, no credentials and no registry.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};

/// The file of a project, in the directory that the program is called in.
pub(crate) const FILE: &str = "wythe.toml";

/// The length of the file beyond which it is not read: whoever made it may want to fill our memory.
const MAX_LENGTH: u64 = 256 * 1024;

/// The flags that it may set, all of them of `wythe build`.
pub(crate) const ALLOWED: [(&str, Permitted); 13] = [
    ("annotation", Permitted::Always),
    // One without a value is that of the environment.
    ("build-arg", Permitted::Said),
    ("compression", Permitted::Always),
    ("explain", Permitted::On),
    ("file", Permitted::Inside),
    ("for", Permitted::Always),
    ("label", Permitted::Said),
    ("no-cache", Permitted::On),
    ("no-cache-filter", Permitted::Always),
    ("platform", Permitted::Always),
    ("pull", Permitted::On),
    ("strict", Permitted::On),
    ("target", Permitted::Always),
];

/// With which value a project may set a flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Permitted {
    Always,
    /// As a path that leads into the project.
    Inside,
    /// Switched on: what its user wants is not for it to switch off.
    On,
    /// With everything said, and nothing taken from the environment.
    Said,
}

/// Under which condition a project may set the flag that these names lead to.
pub(crate) fn permitted(path: &[String]) -> Option<Permitted> {
    let [command, flag] = path else { return None };
    let known = ALLOWED.iter().find(|(name, _)| command == "build" && name == flag);
    known.map(|(_, permitted)| *permitted)
}

impl Permitted {
    /// What a value lacks.
    pub(crate) fn refuses(self, value: &OsStr) -> Option<&'static str> {
        let text = value.to_str().unwrap_or_default();
        let (is_fine, what) = match self {
            Self::Always => (true, ""),
            Self::Inside => (is_inside(value), "a path that leads into the project"),
            Self::On => (matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE"), "true"),
            Self::Said => (text.contains('='), "NAME=VALUE, and nothing of the environment"),
        };
        (!is_fine).then_some(what)
    }
}

/// Reads the file, where there is one. A link could lead to a file whose words are nobody's to see, and what is no
/// file could keep us waiting.
///
/// # Errors
///
/// If it cannot be read, or is not a file of a sensible length.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a link")),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    file.take(MAX_LENGTH + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is longer than 256 KiB"));
    }
    Ok(Some(text))
}

/// Whether a path stays below where it begins; `-`, which is standard input, is none, and neither is an address.
fn is_inside(value: &OsStr) -> bool {
    let is_address = value.to_string_lossy().contains("://");
    let mut parts = Path::new(value).components();
    value != "-"
        && !is_address
        && parts.all(|part| matches!(part, Component::CurDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flag: &str) -> Option<Permitted> {
        permitted(&["build".to_owned(), flag.to_owned()])
    }

    #[test]
    fn nothing_that_grants_runs_reads_or_sends_is_for_a_project() {
        let refused = [
            "add-host",
            "allow",
            "attest",
            "build-context",
            "cache-from",
            "cache-sign-key",
            "cache-to",
            "cache-verify-key",
            "create-repository",
            "emit",
            "iidfile",
            "isolation",
            "jobs",
            "memory",
            "metadata-file",
            "network",
            "no-durable",
            "on-error",
            "output",
            "provenance",
            "push",
            "quiet",
            "secret",
            "shm-size",
            "snapshotter",
            "ssh",
            "tag",
            "timings",
            "ulimit",
        ];
        assert!(refused.iter().all(|flag| of(flag).is_none()));
        for path in [&["store"] as &[&str], &["insecure-registry"], &["bake", "file"], &["limit"]] {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(permitted(&path), None);
        }
    }

    #[track_caller]
    fn check(flag: &str, good: &[&str], bad: &[&str]) {
        let permitted = of(flag).unwrap();
        assert!(good.iter().all(|value| permitted.refuses(OsStr::new(value)).is_none()), "{flag}");
        assert!(bad.iter().all(|value| permitted.refuses(OsStr::new(value)).is_some()), "{flag}");
    }

    #[test]
    fn neither_a_link_nor_a_pipe_nor_a_long_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(read(&path).unwrap(), None);
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("link"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not a file"));
        std::fs::remove_dir(&path).unwrap();
        let most = usize::try_from(MAX_LENGTH).unwrap();
        std::fs::write(&path, "#".repeat(most)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len(), most);
        std::fs::write(&path, "#".repeat(most + 1)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("longer"));
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not a file"));
    }

    #[test]
    fn what_a_project_may_say_stays_within_it() {
        check(
            "file",
            &["Dockerfile.dev", "./docker/Dockerfile"],
            &["https://example.org/Dockerfile", "/etc/shadow", "../x", "a/../../x", "-"],
        );
        check("build-arg", &["A=1", "A="], &["AWS_SECRET_ACCESS_KEY"]);
        check("strict", &["true"], &["false", "0"]);
        check("target", &["test"], &[]);
    }
}
