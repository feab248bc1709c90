//! The page of what steps have to stand: every claim is held by a test that is there, measured, or says why not.

use crate::pages::Page;
use crate::source::Source;
use crate::violation::Violation;

/// The page.
const PAGE: &str = "docs/acceptance.md";

/// How a claim begins that no test holds; the reason follows.
const EXCUSE: &str = "no test: ";

/// What is wrong with the page, if this is it.
pub fn check(page: &Page, sources: &[Source]) -> Vec<Violation> {
    if page.path != PAGE {
        return Vec::new();
    }
    let rows = page.text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let complaints = rows.flat_map(|row| complaints(row, sources));
    complaints.map(|complaint| Violation::new(PAGE, complaint)).collect()
}

fn complaints(row: &str, sources: &[Source]) -> Vec<String> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [number, _, held] = cells[..] else { return vec![format!("{row}: no three cells")] };
    if let Some(reason) = held.strip_prefix(EXCUSE) {
        let is_short = reason.len() < 20;
        return is_short.then(|| format!("{number} says no reason")).into_iter().collect();
    }
    let words: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
    if words.is_empty() {
        return vec![format!("{number} is held by nothing")];
    }
    // Files are looked for with those of all pages.
    let tests = words.into_iter().filter_map(|word| word.rsplit_once("::"));
    let missing = tests.filter(|(module, name)| !is_there(module, name, sources));
    missing
        .map(|(module, name)| format!("{number} names {module}::{name}, which is no test"))
        .collect()
}

/// Whether a file of that name, or tests within one, have such a test.
fn is_there(module: &str, name: &str, sources: &[Source]) -> bool {
    let file = format!("/{module}.rs");
    let function = format!("fn {name}(");
    let may_be = |source: &&Source| module == "tests" || source.path.ends_with(&file);
    sources.iter().filter(may_be).any(|source| source.text.contains(&function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(held: &str, expected: usize) {
        let text = format!("| | claim | held by |\n|---|---|---|\n| A1 | a claim | {held} |\n");
        let page = Page { path: PAGE.to_owned(), text };
        let source = Source { path: "a/tests/one.rs".to_owned(), text: "fn holds() {}".to_owned() };
        assert_eq!(check(&page, &[source]).len(), expected, "{held}");
    }

    #[test]
    fn a_claim_is_held_by_a_test_that_is_there_or_says_why_not() {
        found("`one::holds`", 0);
        found("`one::fails`", 1);
        found("`two::holds`", 1);
        found("`tests::holds` and `a/b.sh`", 0);
        found("somebody", 1);
        found("no test: it takes a machine that we do not have", 0);
        found("no test: no", 1);
    }
}
