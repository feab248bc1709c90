//! The Rust files of the workspace, as the rules see them.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::code;
use crate::violation::TidyError;

/// A Rust file: its path from the root of the workspace, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// With `/` between its parts.
    pub path: String,
    /// As it is on disk.
    pub text: String,
}

/// Whom a file serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Part of a library or program.
    Production,
    /// Under `tests`, `benches`, `examples` or `fuzz`, or a module of unit tests.
    Proof,
}

impl Source {
    /// Every Rust file of the workspace, in order of path.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read.
    pub fn all(root: &Path) -> Result<Vec<Self>, TidyError> {
        let mut found = Vec::new();
        let walk = WalkDir::new(root).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| !skipped(&entry.file_name().to_string_lossy())) {
            let entry = entry.map_err(|cause| TidyError::at(root)(cause.into()))?;
            if entry.path().extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(entry.path()).map_err(TidyError::at(entry.path()))?;
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            found.push(Self { path: path.to_string_lossy().into_owned(), text });
        }
        Ok(found)
    }

    /// Whom the file serves, by where it lies.
    pub fn role(&self) -> Role {
        let proof = |part| matches!(part, "tests" | "benches" | "examples" | "fuzz");
        if self.name() == "tests.rs" || self.path.split('/').any(proof) {
            Role::Proof
        } else {
            Role::Production
        }
    }

    /// The base name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The text above the unit tests, which stand at the foot of a file.
    pub fn production(&self) -> &str {
        let end = self.text.find("\n#[cfg(test)]\nmod ").map_or(self.text.len(), |at| at + 1);
        &self.text[..end]
    }

    /// [`Self::production`] with comments and the insides of literals blanked.
    pub fn code(&self) -> String {
        code::blank(self.production())
    }
}

pub(crate) fn skipped(name: &str) -> bool {
    matches!(name, "target" | "testdata" | ".git")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_at_the_foot_are_not_production() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n".to_owned();
        let source = Source { path: "store/src/a.rs".to_owned(), text };
        assert_eq!(source.production(), "fn a() {}\n\n");
        assert_eq!(source.role(), Role::Production);
    }

    #[test]
    fn a_file_under_tests_is_a_proof() {
        let source = Source { path: "store/tests/a.rs".to_owned(), text: String::new() };
        assert_eq!(source.role(), Role::Proof);
    }
}
