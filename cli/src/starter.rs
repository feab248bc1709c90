//! A Dockerfile and an ignore file to begin with, for the language that the files of a directory are written in.

mod clues;
mod languages;

use std::fs;
use std::path::Path;

use clap::ValueEnum;

use crate::failure::{Class, Failure};

/// What a project is written in, or built with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Language {
    /// C or C++, built by make
    C,
    /// Go
    Go,
    /// Java, built by Gradle
    Gradle,
    /// Java, built by Maven
    Maven,
    /// JavaScript or TypeScript for Node
    Node,
    /// Python
    Python,
    /// Rust
    Rust,
    /// Files for a web server
    Static,
}

/// The text of both files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Starter {
    pub(crate) dockerfile: String,
    pub(crate) ignore: String,
}

/// The files that tell a language, those first that say most: a Makefile may be in any project.
const SIGNS: [(Language, &[&str]); 8] = [
    (Language::Rust, &["Cargo.toml"]),
    (Language::Go, &["go.mod"]),
    (Language::Maven, &["pom.xml"]),
    (Language::Gradle, &["build.gradle", "build.gradle.kts"]),
    (Language::Node, &["package.json"]),
    (Language::Python, &["pyproject.toml", "requirements.txt"]),
    (Language::C, &["Makefile", "makefile", "GNUmakefile"]),
    (Language::Static, &["index.html", "public/index.html"]),
];

/// What never belongs into an image.
const NEVER: &str = ".git\n.dockerignore\nDockerfile\nwythe.toml\n.env\n.env.*\n";

impl Language {
    /// Those that a directory shows signs of, the likeliest first.
    pub(crate) fn seen_in(directory: &Path) -> Vec<Self> {
        let is_there = |names: &[&str]| names.iter().any(|name| directory.join(name).is_file());
        let seen = SIGNS.iter().filter(|(_, names)| is_there(names));
        seen.map(|(language, _)| *language).collect()
    }

    /// As `--language` takes it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What to begin with in a directory.
    ///
    /// # Errors
    ///
    /// With what the files of the directory do not tell.
    pub(crate) fn starter(self, directory: &Path) -> Result<Starter, Failure> {
        let (dockerfile, own) = match self {
            Self::C => (languages::c(directory)?, "*.o\n*.a\n"),
            Self::Go => (languages::go(directory)?, "bin\n"),
            Self::Gradle => (languages::gradle(directory), ".gradle\nbuild\n"),
            Self::Maven => (languages::maven(), "target\n"),
            Self::Node => (languages::node(directory)?, "node_modules\nnpm-debug.log\ndist\n"),
            Self::Python => {
                (languages::python(directory)?, "**/__pycache__\n*.egg-info\n.venv\nvenv\n")
            }
            Self::Rust => (languages::rust(directory)?, "target\n"),
            Self::Static => (languages::static_site(directory), "node_modules\n"),
        };
        Ok(Starter { dockerfile, ignore: format!("{NEVER}{own}") })
    }
}

/// The text of a file; none where there is none.
fn text_of(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let text = format!("cannot read {}", path.display());
            Err(Failure::new(Class::Usage, text).because(&error))
        }
    }
}

#[cfg(test)]
mod tests;
