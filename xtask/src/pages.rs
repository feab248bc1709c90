//! Pages: every file that a link or a word in code style names is there.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::source::skipped;
use crate::violation::{TidyError, Violation};

/// Endings of the files that pages name in code style.
const ENDINGS: [&str; 6] = ["md", "py", "rs", "sh", "toml", "txt"];

/// A Markdown page: its path from the root of the workspace, and its text.
#[derive(Clone, Debug)]
pub struct Page {
    /// With `/` between its parts.
    pub path: String,
    /// As it is on disk.
    pub text: String,
}

/// Every page of the workspace, in order of path.
///
/// # Errors
///
/// If one of them cannot be read.
pub fn read(root: &Path) -> Result<Vec<Page>, TidyError> {
    let mut found = Vec::new();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !skipped(&entry.file_name().to_string_lossy())) {
        let entry = entry.map_err(|cause| TidyError::at(root)(cause.into()))?;
        if entry.path().extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(entry.path()).map_err(TidyError::at(entry.path()))?;
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            found.push(Page { path: path.to_string_lossy().into_owned(), text });
        }
    }
    Ok(found)
}

/// What a page names that is not there; `exists` answers for a path from the root.
pub fn check(page: &Page, exists: &dyn Fn(&Path) -> bool) -> Vec<Violation> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let links = links(&page.text).filter(|link| !exists(&folder.join(link)));
    let files = files(&page.text).filter(|file| !exists(Path::new(file)));
    let complain = |name| Violation::new(&page.path, format!("names {name}, which is not there"));
    links.chain(files).map(complain).collect()
}

/// The targets of links within the workspace.
pub(crate) fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = targets.filter_map(|(target, _)| target.split('#').next());
    files.filter(|file| !file.is_empty() && !file.contains(':'))
}

/// The words in code style that are paths from the root; one with `*` stands for several files.
fn files(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('`').skip(1).step_by(2);
    words.filter(|word| {
        // What begins so is a file of whoever reads the page.
        let elsewhere = word.starts_with(['.', '/', '~', '$']);
        let plain = !word.contains([' ', '*', '\n', '{', '<']) && !elsewhere;
        let ending = Path::new(word).extension().and_then(|ending| ending.to_str());
        plain && word.contains('/') && ending.is_some_and(|ending| ENDINGS.contains(&ending))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn missing(path: &str, text: &str, expected: &[&str]) {
        let page = Page { path: path.to_owned(), text: text.to_owned() };
        let there = |path: &Path| {
            ["README.md", "docs/a.md", "store/src/lib.rs"].map(Path::new).contains(&path)
        };
        let found = check(&page, &there);
        let complaint = |name: &&str| format!("names {name}, which is not there");
        let expected: Vec<String> = expected.iter().map(complaint).collect();
        assert_eq!(found.into_iter().map(|one| one.complaint).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_link_is_looked_up_beside_its_page() {
        missing("README.md", "[a](docs/a.md#part), [b](docs/b.md)", &["docs/b.md"]);
        missing("docs/a.md", "[self](a.md), [top](#top), [out](https://example.com/x.md)", &[]);
    }

    #[test]
    fn a_path_in_code_style_is_looked_up_from_the_root() {
        missing("docs/a.md", "`store/src/lib.rs` and `store/src/gone.rs`", &["store/src/gone.rs"]);
        missing(
            "docs/a.md",
            "`lib.rs`, `a/b`, `cp a/b.rs c/`, `tests/crash*.rs`, `~/a/b.toml`",
            &[],
        );
    }
}
