//! Tools of this machine, and its files: what goes wrong is told with the name.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::DistError;

/// A tool with its arguments.
#[derive(Debug)]
pub(super) struct Tool(Command);

impl Tool {
    /// One that runs in a directory.
    pub(super) fn new(name: impl AsRef<Path>, directory: &Path) -> Self {
        let mut command = Command::new(name.as_ref());
        command.current_dir(directory);
        Self(command)
    }

    /// With these words besides.
    pub(super) fn args(mut self, words: &[&str]) -> Self {
        self.0.args(words);
        self
    }

    /// With these paths besides.
    pub(super) fn paths(mut self, paths: &[&Path]) -> Self {
        self.0.args(paths);
        self
    }

    /// With a variable.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it, and returns what it prints.
    pub(super) fn output(mut self) -> Result<Vec<u8>, DistError> {
        let output = self.0.output().map_err(|error| self.failed(&error.to_string()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.failed(String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Runs it for all to see.
    pub(super) fn run(mut self) -> Result<(), DistError> {
        let status = self.0.status().map_err(|error| self.failed(&error.to_string()))?;
        if status.success() { Ok(()) } else { Err(self.failed(&status.to_string())) }
    }

    fn failed(&self, detail: &str) -> DistError {
        let tool = self.0.get_program().to_string_lossy().into_owned();
        DistError::Tool { tool, detail: detail.to_owned() }
    }
}

/// Makes a directory, and those above it.
pub(super) fn make(directory: &Path) -> Result<(), DistError> {
    fs::create_dir_all(directory).map_err(at(directory))
}

/// Removes a directory with all that is in it.
pub(super) fn remove(directory: &Path) -> Result<(), DistError> {
    fs::remove_dir_all(directory).map_err(at(directory))
}

/// Writes a file, and makes the directories above it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), DistError> {
    path.parent().map_or(Ok(()), make)?;
    fs::write(path, bytes).map_err(at(path))
}

/// Copies a file with its mode, and makes the directories above it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), DistError> {
    to.parent().map_or(Ok(()), make)?;
    fs::copy(from, to).map(drop).map_err(at(to))
}

/// What it means that a path could not be used.
pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> DistError + '_ {
    move |error| DistError::File { path: path.to_owned(), error }
}
