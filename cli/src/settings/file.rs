//! The configuration file: a table for each thing that is set there, and nothing that is not known.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, Visitor};
use wythe_registry::hosts::{HostConfig, Part};

use super::cache_table::{CacheDefaults, CacheTable};
use super::flag_table::{self, WrittenFlag};
use super::registry_table::Registries;
use crate::args::budget::{Age, Amount, Bounds};
use crate::build_record::bounds::{HistoryTable, Volume};

/// How much of a line is shown that is wrong.
const SHOWN: usize = 60;

/// What a file says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Configuration {
    /// The table `[store]`.
    pub(crate) store: Bounds,
    /// The table `[cache]`.
    pub(crate) cache: CacheDefaults,
    /// The table `[history]`.
    pub(crate) history: HistoryTable,
    /// The tables `[registry."HOST"]`.
    pub(crate) registries: Vec<(Part, HostConfig)>,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileOwner {
    /// The user's, or that of the machine.
    Own,
    /// That of a project, which came with its files.
    Project,
}

/// What a file says of flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FlagFile {
    pub(crate) path: PathBuf,
    pub(crate) owner: FileOwner,
    pub(crate) flags: Vec<WrittenFlag>,
}

/// A file that is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}{what}")]
pub(crate) struct FileError {
    /// Which line, where that is known.
    place: String,
    what: String,
    /// What it could be instead.
    pub(crate) remedy: Option<String>,
}

/// The tables as they are written. Whoever adds one adds a field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tables {
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    cache: CacheTable,
    #[serde(default)]
    history: WrittenHistory,
    #[serde(default)]
    registry: Registries,
    /// Read by [`flags`].
    #[serde(default, rename = "flags")]
    _flags: IgnoredAny,
}

/// The tables that the file of a project may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTables {
    #[serde(default, rename = "flags")]
    _flags: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoreTable {
    max_used_space: Option<Written<Amount>>,
    reserved_space: Option<Written<Amount>>,
    min_free_space: Option<Written<Amount>>,
    keep_duration: Option<Written<Age>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenHistory {
    max_builds: Option<usize>,
    keep_duration: Option<Written<Age>>,
    max_used_space: Option<Written<Volume>>,
}

/// A value that flags and variables write as text; here it may be a number, too.
pub(crate) struct Written<T>(pub(crate) T);

/// Reads the text of a configuration file; relative paths in it begin at its folder.
///
/// # Errors
///
/// With the line and what is wrong there.
pub(crate) fn parse(text: &str, folder: &Path) -> Result<Configuration, FileError> {
    let Tables { store, cache, history, registry, _flags: _ } = read(text)?;
    let (store, cache, registries) = (store.bounds(), cache.defaults(), registry.configs(folder));
    Ok(Configuration { store, cache, history: history.table(), registries })
}

/// Reads what a configuration file says of flags, and nothing else of it but whether it is one.
///
/// # Errors
///
/// As [`parse`]; with a table that is not for a project.
pub(crate) fn flags(text: &str, owner: FileOwner) -> Result<Vec<WrittenFlag>, FileError> {
    match owner {
        FileOwner::Own => read::<Tables>(text).map(|_| ()).map_err(with_flags),
        FileOwner::Project => read::<ProjectTables>(text).map(|_| ()).map_err(not_for_projects),
    }?;
    flag_table::written(text)
}

/// An error about a table that nobody knows says where flags are set.
fn with_flags(mut error: FileError) -> FileError {
    if let Some(remedy) = error.remedy.as_mut().filter(|remedy| remedy.contains("`flags`")) {
        remedy.push_str("; flags of wythe build are set in [flags.build]");
    }
    error
}

/// An error about a table that is not for a project says so.
fn not_for_projects(error: FileError) -> FileError {
    let Some((_, table)) = error.what.split_once("unknown field ") else { return error };
    let what = format!("a project may not set {table}");
    let remedy = "set it in your own file: that of a project has [flags.build] alone";
    FileError { what, remedy: Some(remedy.to_owned()), ..error }
}

/// Reads a TOML file of any kind.
///
/// # Errors
///
/// With the line and what is wrong there.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, FileError> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
        let message = error.message().trim_end().replace('\n', " ");
        let (what, remedy) = match message.split_once(", expected ") {
            Some((what, known)) => (what.to_owned(), Some(format!("it takes {known}"))),
            None => (message, None),
        };
        FileError { place, what, remedy }
    })
}

/// The line that is at a place of a text, with its number. What is set there may be a secret.
pub(super) fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let line = line.split_once('=').map_or(line, |(key, _)| key).trim();
    let line: String = line.chars().take(SHOWN).collect();
    format!("line {number}, `{line}`: ")
}

/// A path as a file names it: a relative one begins at the folder of the file.
pub(crate) fn beside(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path)
}

impl FileError {
    /// What is wrong at a place of a text.
    pub(super) fn at(text: &str, at: usize, what: &str) -> Self {
        Self { place: place(text, at), what: what.to_owned(), remedy: None }
    }
}

impl StoreTable {
    fn bounds(self) -> Bounds {
        Bounds {
            max_used: self.max_used_space.map(|written| written.0),
            reserved: self.reserved_space.map(|written| written.0),
            min_free: self.min_free_space.map(|written| written.0),
            keep_for: self.keep_duration.map(|written| written.0),
        }
    }
}

impl WrittenHistory {
    fn table(self) -> HistoryTable {
        HistoryTable {
            max_builds: self.max_builds,
            keep_for: self.keep_duration.map(|written| written.0),
            max_used: self.max_used_space.map(|written| written.0),
        }
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = String;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or a number")
            }

            fn visit_str<E>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_i64<E>(self, number: i64) -> Result<String, E> {
                Ok(number.to_string())
            }
        }
        let text = from.deserialize_any(Scalar)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Configuration, FileError> {
        parse(text, Path::new("/etc/wythe"))
    }

    #[test]
    fn the_table_of_the_store_has_its_bounds() {
        let text = "# ours\n[store]\nmax-used-space = \"20GB\" # enough\nmin-free-space='10%'\nreserved-space = 1024\n";
        let mut expected = Bounds::default();
        for (name, value) in
            [("max-used-space", "20GB"), ("min-free-space", "10%"), ("reserved-space", "1024")]
        {
            expected.set(name, value).unwrap();
        }
        assert_eq!(parsed(text).unwrap().store, expected);
        assert_eq!(parsed(""), Ok(Configuration::default()));
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let error = parsed(text).unwrap_err();
        let told = format!("{error}; {}", error.remedy.as_deref().unwrap_or_default());
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_with_its_line_and_what_is_known() {
        refused(
            "\n[store]\nmax-used = \"1g\"",
            &["line 3", "unknown field `max-used`", "`max-used-space`"],
        );
        refused("[stores]", &["line 1", "stores", "`store`"]);
        refused("[store", &["line 1", "[store"]);
        refused("max-used-space = 1", &["line 1", "max-used-space"]);
        refused("[store]\nmax-used-space = \"much\"", &["line 2", "max-used-space", "much"]);
        refused("[store]\nmax-used-space = 1\nmax-used-space = 2", &["line 3", "duplicate"]);
        for bad in [
            "[store]\nmax-used-space",
            "[store]\nkeep-duration = 1h",
            "[store]\nkeep-duration = \"1h",
            "[store]\nmax-used-space = -1",
            "[store]\nmax-used-space = true",
        ] {
            refused(bad, &["line 2"]);
        }
    }
}
