//! Decision records: every file is numbered, and every number is used once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::violation::{TidyError, Violation};

const FOLDER: &str = "docs/adr";

/// The file names of the decision records, in order.
///
/// # Errors
///
/// If the folder cannot be listed.
pub fn read(root: &Path) -> Result<Vec<String>, TidyError> {
    let folder = root.join(FOLDER);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(TidyError::at(&folder))? {
        let entry = entry.map_err(TidyError::at(&folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The names without a number, and the numbers used twice.
pub fn check(names: &[String]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut first_of: BTreeMap<&str, &str> = BTreeMap::new();
    for name in names {
        let place = format!("{FOLDER}/{name}");
        let Some(number) = number(name) else {
            found.push(Violation::new(&place, "is not named NNNN-title.md".to_owned()));
            continue;
        };
        if let Some(first) = first_of.insert(number, name) {
            found.push(Violation::new(&place, format!("has the number of {first}")));
        }
    }
    found
}

fn number(name: &str) -> Option<&str> {
    let (number, title) = name.split_once('-')?;
    let fine = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (fine && Path::new(title).extension()? == "md").then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn count(names: &[&str], expected: usize) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(check(&names).len(), expected, "{names:?}");
    }

    #[test]
    fn a_number_is_used_once() {
        count(&["0001-a.md", "0002-b.md"], 0);
        count(&["0001-a.md", "0001-b.md"], 1);
    }

    #[test]
    fn a_record_without_a_number_is_reported() {
        count(&["notes.md", "01-a.md", "0001-a.txt"], 3);
    }
}
