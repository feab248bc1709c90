//! The Dockerfile of a build, from wherever the flags say it is.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use wythe_dockerfile::diagnostic::{Diagnostic, Severity};
use wythe_dockerfile::line::decode;
use wythe_dockerfile::parse::{Parsed, parse};

use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;
use crate::failure::Failure;
use crate::failure::code::ErrorCode;
use crate::render::source::SourceFile;

/// The longest Dockerfile that is read: a hundred times the longest anybody has written.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// What a Dockerfile is called that nobody named, the first that is there: as docker has it, then as
/// podman.
pub(crate) const USUAL: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

/// A Dockerfile that was read.
#[derive(Clone, Debug)]
pub(crate) struct Dockerfile {
    pub(crate) source: SourceFile,
    /// Where it is, if it is a file: its ignore file lies beside it.
    pub(crate) path: Option<PathBuf>,
}

impl Dockerfile {
    /// Reads the Dockerfile that the flags mean; `None` where it, or the context, has to be
    /// fetched first.
    pub(crate) fn local(args: &BuildArgs) -> Result<Option<Self>, Failure> {
        if args.input.file_address().is_some() {
            return Ok(None);
        }
        match (args.input.file.as_deref(), &args.context) {
            (Some("-"), ContextSource::Stdin) => {
                Err(Failure::usage("standard input cannot be both Dockerfile and context"))
            }
            (Some("-"), ContextSource::Directory(_)) => Self::of_stdin().map(Some),
            (Some(path), ContextSource::Directory(context)) => {
                Self::of_flag(Path::new(path), context).map(Some)
            }
            (None, ContextSource::Directory(context)) => Self::of_context(context).map(Some),
            _ => Ok(None),
        }
    }

    /// The tree, where it has no errors.
    pub(crate) fn parse(&self) -> Result<Parsed, Failure> {
        let parsed = parse(&self.source.text);
        let errors = parsed.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        let errors: Vec<Diagnostic> = errors.cloned().collect();
        match errors.first() {
            None => Ok(parsed),
            Some(first) => {
                let failure = Failure::usage(&*first.message).known_as(ErrorCode::Syntax);
                Err(failure.findings(&self.source, &errors))
            }
        }
    }

    pub(crate) fn of_stdin() -> Result<Self, Failure> {
        let text = text(io::stdin().lock()).map_err(|error| unreadable(Path::new("-"), &error))?;
        // Positions are told as for any other Dockerfile, which editors and CI systems recognise.
        Ok(Self { source: SourceFile { name: "Dockerfile".to_owned(), text }, path: None })
    }

    /// A Dockerfile of this machine whose context is elsewhere: nothing lies beside it.
    pub(crate) fn alone(path: &str) -> Result<Self, Failure> {
        Ok(Self { path: None, ..Self::of_file(Path::new(path))? })
    }

    /// A Dockerfile that came with its context.
    pub(crate) fn of_bytes(name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let text = text(bytes).map_err(|error| unreadable(Path::new(name), &error))?;
        Ok(Self { source: SourceFile { name: name.to_owned(), text }, path: None })
    }

    fn of_context(context: &Path) -> Result<Self, Failure> {
        if !context.is_dir() {
            let there = if context.exists() { "is not a directory" } else { "does not exist" };
            let failure = Failure::usage(format!("the context {} {there}", context.display()));
            return Err(failure.remedy("name the directory that holds the sources, usually ."));
        }
        let usual = context.join(USUAL[0]);
        let mut others = USUAL.iter().map(|name| context.join(name));
        Self::of_regular(&others.find(|path| path.exists()).unwrap_or(usual))
    }

    /// A Dockerfile that nobody named: what is no regular file could not be meant, and a pipe would
    /// never end.
    fn of_regular(path: &Path) -> Result<Self, Failure> {
        if path.exists() && !path.is_file() {
            let failure = Failure::usage(format!("{} is not a regular file", path.display()));
            return Err(failure.remedy("name the Dockerfile with --file"));
        }
        Self::of_file(path).map_err(|failure| failure.remedy("name the Dockerfile with --file"))
    }

    /// A Dockerfile that was named, from where the command runs.
    fn of_flag(path: &Path, context: &Path) -> Result<Self, Failure> {
        Self::of_file(path).map_err(|failure| {
            let inside = context.join(path);
            if inside.is_file() {
                failure.remedy(format!("did you mean --file {}?", inside.display()))
            } else if path.is_dir() {
                failure.remedy("--file names the Dockerfile itself, not its directory")
            } else {
                failure.remedy("--file is a path seen from where the command runs")
            }
        })
    }

    fn of_file(path: &Path) -> Result<Self, Failure> {
        let text = File::open(path).and_then(text).map_err(|error| unreadable(path, &error))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { source: SourceFile { name, text }, path: Some(path.to_owned()) })
    }
}

fn text(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "longer than 16 MiB"));
    }
    Ok(decode(&bytes).into_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read the Dockerfile {}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_lower_case_dockerfile_is_found_where_there_is_no_other() {
        let folder = context(&[("dockerfile", "FROM a\n")]);
        assert_eq!(Dockerfile::of_context(folder.path()).unwrap().source.text, "FROM a\n");
        let folder = context(&[("dockerfile", "FROM a\n"), ("Dockerfile", "FROM b\n")]);
        assert_eq!(Dockerfile::of_context(folder.path()).unwrap().source.text, "FROM b\n");
    }

    #[test]
    fn a_containerfile_is_found_where_there_is_no_dockerfile() {
        let folder = context(&[("Containerfile", "FROM a\n")]);
        assert_eq!(Dockerfile::of_context(folder.path()).unwrap().source.text, "FROM a\n");
        let folder = context(&[("Containerfile", "FROM a\n"), ("Dockerfile", "FROM b\n")]);
        assert_eq!(Dockerfile::of_context(folder.path()).unwrap().source.text, "FROM b\n");
    }

    #[test]
    fn an_error_shows_the_line_it_is_about() {
        let folder = context(&[("Dockerfile", "FROM a\nRUNN b\n")]);
        let dockerfile = Dockerfile::of_context(folder.path()).unwrap();
        let lines = dockerfile.parse().unwrap_err().lines().join("\n");
        assert!(lines.contains("Dockerfile:2:1") && lines.contains("RUNN b"), "{lines}");
    }

    #[test]
    fn a_missing_dockerfile_is_a_mistake_in_usage() {
        let folder = context(&[]);
        let failure = Dockerfile::of_context(folder.path()).unwrap_err();
        assert_eq!(failure.class, crate::failure::Class::Usage);
    }

    #[track_caller]
    fn refused(result: Result<Dockerfile, Failure>, expected: &str) {
        let lines = result.unwrap_err().lines().join("\n");
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn a_context_that_is_none_and_a_dockerfile_elsewhere_are_told() {
        let folder = context(&[("Dockerfile", "FROM a\n"), ("other/Dockerfile/x", "")]);
        let path = |name: &str| folder.path().join(name);
        refused(Dockerfile::of_context(&path("Dockerfile")), "is not a directory");
        refused(Dockerfile::of_context(&path("nope")), "does not exist");
        refused(Dockerfile::of_context(&path("other")), "is not a regular file");
        refused(
            Dockerfile::of_flag(Path::new("Dockerfile"), folder.path()),
            "did you mean --file /",
        );
        refused(Dockerfile::of_flag(&path("other"), folder.path()), "not its directory");
    }
}
