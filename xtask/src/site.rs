//! The site: every page below `docs` is a chapter of the book, once, and every link and anchor leads somewhere in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use crate::pages::{Page, links};
use crate::violation::Violation;

/// What mdbook makes the site of.
const FOLDER: &str = "docs/";
/// The table of contents of mdbook.
const SUMMARY: &str = "docs/SUMMARY.md";
/// Copied for a new decision record, and no page.
const TEMPLATE: &str = "docs/adr/0000-template.md";

/// What is wrong with the site that `pages`, all of the workspace, make up.
pub fn check(pages: &[Page]) -> Vec<Violation> {
    let mut found = chapters(pages);
    found.extend(pages.iter().filter(|page| page.path.starts_with(FOLDER)).flat_map(leaving));
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    found.extend(pages.iter().flat_map(|page| dangling(page, &anchors)));
    found
}

/// The pages that the table of contents lacks, or has twice.
fn chapters(pages: &[Page]) -> Vec<Violation> {
    let Some(summary) = pages.iter().find(|page| page.path == SUMMARY) else {
        return vec![Violation::new(SUMMARY, "is not there".to_owned())];
    };
    let listed: Vec<String> = links(&summary.text).map(|link| resolve(SUMMARY, link)).collect();
    let mut found = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with(FOLDER)) {
        let times = listed.iter().filter(|one| **one == page.path).count();
        let expected = usize::from(page.path != SUMMARY && page.path != TEMPLATE);
        if times != expected {
            let complaint = format!("stands {times} times in {SUMMARY}, and should {expected}");
            found.push(Violation::new(&page.path, complaint));
        }
    }
    found
}

/// The links of a page of the site that lead to files which the site has not.
fn leaving(page: &Page) -> impl Iterator<Item = Violation> + '_ {
    let outside = |link: &&str| !resolve(&page.path, link).starts_with(FOLDER);
    links(&page.text).filter(outside).map(|link| {
        let complaint = format!("links to {link}, which the site has not: name it in code style");
        Violation::new(&page.path, complaint)
    })
}

/// The links of a page to headings that no page has.
fn dangling(page: &Page, anchors: &BTreeMap<&str, BTreeSet<String>>) -> Vec<Violation> {
    let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let parts = targets.filter_map(|(target, _)| target.split_once('#'));
    let mut found = Vec::new();
    for (file, anchor) in parts.filter(|(file, _)| !file.contains(':')) {
        let path = if file.is_empty() { page.path.clone() } else { resolve(&page.path, file) };
        if !anchors.get(path.as_str()).is_some_and(|known| known.contains(anchor)) {
            let complaint = format!("links to #{anchor}, a heading that {path} has not");
            found.push(Violation::new(&page.path, complaint));
        }
    }
    found
}

/// A link of the page at `path`, from the root of the workspace.
fn resolve(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.extend(name.to_str()),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => {}
        }
    }
    parts.join("/")
}

/// The names that GitHub and mdbook give to the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let name = anchor(line.trim_start_matches('#').trim());
            let again = (1..).map(|number| format!("{name}-{number}"));
            let free = std::iter::once(name.clone()).chain(again).find(|one| !found.contains(one));
            found.extend(free);
        }
    }
    found
}

fn anchor(heading: &str) -> String {
    let kept =
        heading.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.map(|one| if one == ' ' { '-' } else { one }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `check` of a summary that lists `a.md`, of that page, and of the given ones.
    #[track_caller]
    fn complaints(pages: &[(&str, &str)], expected: &[&str]) {
        let mut all =
            vec![(SUMMARY, "- [a](a.md)"), ("docs/a.md", "# One\n## In a `chroot`, now\n")];
        all.extend(pages);
        let page = |&(path, text): &(&str, &str)| Page { path: path.into(), text: text.into() };
        let found = check(&all.iter().map(page).collect::<Vec<_>>());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_page_of_docs_stands_in_the_summary() {
        complaints(&[("README.md", "")], &[]);
        complaints(
            &[("docs/b/c.md", "")],
            &["docs/b/c.md: stands 0 times in docs/SUMMARY.md, and should 1"],
        );
        complaints(&[(TEMPLATE, "")], &[]);
    }

    #[test]
    fn a_page_of_docs_links_to_pages_of_docs() {
        let complaint = "docs/adr/0000-template.md: links to ../../LICENSE, which the site has not: \
                         name it in code style";
        complaints(
            &[(TEMPLATE, "[licence](../../LICENSE), [a](../a.md), [b](#b)\n# B")],
            &[complaint],
        );
        complaints(&[("README.md", "[licence](LICENSE), [out](https://example.org/#x)")], &[]);
    }

    #[test]
    fn an_anchor_is_a_heading() {
        complaints(&[("README.md", "[a](docs/a.md#in-a-chroot-now), [b](docs/a.md#one)")], &[]);
        let complaint = "README.md: links to #two, a heading that docs/a.md has not";
        complaints(&[("README.md", "[a](docs/a.md#two)")], &[complaint]);
    }

    #[test]
    fn what_looks_like_a_heading_in_a_block_is_none_and_a_second_one_has_a_number() {
        let names = anchors("# A b\n```sh\n# c\n```\n## A b\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a-b", "a-b-1"]);
    }
}
