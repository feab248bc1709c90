//! A release: one program for each architecture that needs nothing of the machine it runs on, and what goes with it.

mod image;
mod package;
mod program;
mod tool;

use std::io;
use std::path::{Path, PathBuf};

use self::program::{Architecture, Program};
use self::tool::{Tool, make, remove};

/// A release could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DistError {
    /// There is no such architecture.
    #[error("{0:?} is not an architecture: known are amd64 and arm64")]
    Architecture(String),
    /// A release for other machines alone: what the program says of itself is asked of it.
    #[error("a release has a program for this machine, which is {0}")]
    Foreign(&'static str),
    /// A file could not be read or written.
    #[error("cannot write {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A tool failed, or is not there.
    #[error("{tool} failed: {detail}")]
    Tool {
        /// Its name.
        tool: String,
        /// What it said.
        detail: String,
    },
    /// What was made is not what is released.
    #[error("the program for {architecture} {fault}")]
    Program {
        /// Which one.
        architecture: &'static str,
        /// What is wrong with it.
        fault: String,
    },
}

/// Builds the program from the workspace at `root`, for all architectures if none is named, and writes a release to
/// `directory`: programs `wythe-VERSION-linux-ARCHITECTURE`, packages for Debian, an archive of completions and manual
/// pages, the image of wythe, made by wythe, as an OCI archive, and `SHA256SUMS` of all that.
///
/// The same commit gives the same files, as far as the compilers do.
///
/// # Errors
///
/// Where something does not compile, is not static or too large, or a tool is missing.
pub fn dist(root: &Path, directory: &Path, names: &[String]) -> Result<(), DistError> {
    let asked = architectures(names)?;
    let machine = Architecture::of_this_machine()?;
    if !asked.contains(&machine) {
        return Err(DistError::Foreign(machine.name()));
    }
    make(directory)?;
    let release = Release { root, directory, epoch: epoch(root), work: directory.join(".work") };
    make(&release.work)?;
    let programs = asked.iter().map(|one| Program::build(*one, &release));
    let programs = programs.collect::<Result<Vec<_>, _>>()?;
    let own = programs.iter().find(|program| program.architecture == machine);
    let own = own.ok_or(DistError::Foreign(machine.name()))?;
    let share = package::texts(own, &release)?;
    for program in &programs {
        package::debian(program, &share, &release)?;
    }
    image::write(own, &programs, &release)?;
    remove(&release.work)?;
    sums(directory)
}

/// What all parts of a release share.
#[derive(Debug)]
struct Release<'a> {
    root: &'a Path,
    directory: &'a Path,
    /// The time of every file: that of the commit, in seconds.
    epoch: String,
    /// What is thrown away at the end.
    work: PathBuf,
}

impl Release<'_> {
    /// The beginning of the names of files.
    fn name(&self, rest: &str) -> PathBuf {
        self.directory.join(format!("wythe-{}-{rest}", env!("CARGO_PKG_VERSION")))
    }
}

fn architectures(names: &[String]) -> Result<Vec<Architecture>, DistError> {
    if names.is_empty() {
        return Ok(Architecture::ALL.to_vec());
    }
    names.iter().map(|name| Architecture::parse(name)).collect()
}

/// When the commit was made: what is said, or what git says. The sources may have come without it.
fn epoch(root: &Path) -> String {
    let said = std::env::var_os("SOURCE_DATE_EPOCH").and_then(|said| said.into_string().ok());
    let asked = || Tool::new("git", root).args(&["log", "-1", "--format=%ct"]).output();
    said.or_else(|| String::from_utf8(asked().ok()?).ok())
        .map_or_else(|| "0".to_owned(), |seconds| seconds.trim().to_owned())
}

/// Writes the digests of all files.
fn sums(directory: &Path) -> Result<(), DistError> {
    let listing = "rm -f SHA256SUMS && sha256sum -- * > .sums && mv .sums SHA256SUMS";
    Tool::new("sh", directory).args(&["-euc", listing]).output().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_architectures_are_released_unless_some_are_named() {
        assert_eq!(architectures(&[]).unwrap(), Architecture::ALL);
        assert_eq!(architectures(&["arm64".to_owned()]).unwrap(), [Architecture::Arm64]);
        assert!(architectures(&["x86_64".to_owned()]).is_err());
    }
}
