//! Fuzz targets: what the manifest lists, the files, and the table of the README are the same.
//!
//! The crate is no member of the workspace, so that no compiler notices here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::violation::{TidyError, Violation};

const MANIFEST: &str = "fuzz/Cargo.toml";
const FOLDER: &str = "fuzz/fuzz_targets";
const PAGE: &str = "fuzz/README.md";

/// What each place says the targets are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Targets {
    /// The paths of the manifest.
    pub listed: BTreeSet<String>,
    /// The files.
    pub files: BTreeSet<String>,
    /// The rows of the table.
    pub explained: BTreeSet<String>,
}

/// Reads the manifest, the folder and the table.
///
/// # Errors
///
/// If one of them cannot be read.
pub fn read(root: &Path) -> Result<Targets, TidyError> {
    let text = |place: &str| {
        let path = root.join(place);
        fs::read_to_string(&path).map_err(TidyError::at(path))
    };
    let folder = root.join(FOLDER);
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder).map_err(TidyError::at(&folder))? {
        let name = entry.map_err(TidyError::at(&folder))?.file_name();
        let name = name.to_string_lossy();
        files.insert(name.strip_suffix(".rs").unwrap_or(&name).to_owned());
    }
    Ok(Targets { listed: listed(&text(MANIFEST)?), files, explained: explained(&text(PAGE)?) })
}

fn listed(manifest: &str) -> BTreeSet<String> {
    let path = |line: &str| {
        let file = line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\"")?;
        Some(file.to_owned())
    };
    manifest.lines().filter_map(path).collect()
}

fn explained(page: &str) -> BTreeSet<String> {
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(name).collect()
}

/// The targets that one place has and another lacks.
pub fn check(targets: &Targets) -> Vec<Violation> {
    let Targets { listed, files, explained } = targets;
    let missing = |place: &'static str, have: &BTreeSet<String>, want: &BTreeSet<String>| {
        let names: Vec<&String> = want.difference(have).collect();
        let complain = |name: &&String| Violation::new(place, format!("lacks the target {name}"));
        names.iter().map(complain).collect::<Vec<_>>()
    };
    let found = [
        missing(MANIFEST, listed, files),
        missing(FOLDER, files, listed),
        missing(PAGE, explained, files),
        missing(FOLDER, files, explained),
    ];
    found.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_found_in_the_manifest_and_the_table() {
        let manifest =
            "[[bin]]\nname = \"a\"\npath = \"fuzz_targets/a.rs\"\n\n[lib]\npath = \"b.rs\"\n";
        assert_eq!(listed(manifest), set(&["a"]));
        assert_eq!(explained("| target |\n|---|\n| `a` | `b` |\n`c`\n"), set(&["a"]));
    }

    #[test]
    fn a_target_that_a_place_lacks_is_reported_there() {
        let targets =
            Targets { listed: set(&["a", "b"]), files: set(&["b", "c"]), explained: set(&["b"]) };
        let found: Vec<String> = check(&targets).iter().map(Violation::to_string).collect();
        let expected = [
            "fuzz/Cargo.toml: lacks the target c",
            "fuzz/fuzz_targets: lacks the target a",
            "fuzz/README.md: lacks the target c",
        ];
        assert_eq!(found, expected);
        assert_eq!(check(&Targets { listed: set(&["b"]), files: set(&["b"]), ..targets }), []);
    }
}
