//! The pages of `docs/checks`: one for each rule, checked against the rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::examples::{EXAMPLES, Example};
use super::rule::{OWN, RULES, Rule};
use super::{LintContext, check};
use crate::parse::parse;
use crate::pattern::PatternSet;

/// The variable that makes the test write the pages instead.
const WRITE: &str = "WYTHE_WRITE_PAGES";

/// Rules whose facts no single file can show.
const UNSHOWN: [&str; 5] = [
    "CopiedSocket",
    "EmptyCopySource",
    "InvalidBaseImagePlatform",
    "OverwrittenCopySource",
    "UnknownCopyOwner",
];

fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(OWN)
}

fn example(rule: &Rule) -> &'static Example {
    EXAMPLES.iter().find(|example| example.rule == rule.name).expect(rule.name)
}

fn page(rule: &Rule) -> String {
    let Example { reason, bad, good, .. } = example(rule);
    let Rule { name, description, .. } = rule;
    format!(
        "# {name}\n\n{description}.\n\n{reason}\n\nBad:\n\n```dockerfile\n{bad}```\n\nGood:\n\n```dockerfile\n{good}```\n\nTo turn it off for a file, write `# check=skip={name}` in its first lines; for one instruction,\nabove that instruction.\n"
    )
}

fn index() -> String {
    let head = "# Build checks\n\n`wythe build --check` applies them without building; every build applies them to what it builds.\nThey warn, and fail a build where `# check=error=true` says so. The rules below InvalidExecForm are our own\nand fail none that builds elsewhere, unless `--strict` says so, under which every finding fails the build.\n\n";
    let lines = rules()
        .map(|Rule { name, description, .. }| format!("* [{name}]({name}.md): {description}\n"));
    std::iter::once(head.to_owned()).chain(lines).collect()
}

#[test]
fn every_rule_has_its_page() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/checks");
    let pages = rules().map(|rule| (format!("{}.md", rule.name), page(rule)));
    for (name, expected) in pages.chain([("README.md".to_owned(), index())]) {
        let path = folder.join(name);
        if option_env!("WYTHE_WRITE_PAGES").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &expected).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{}: build the test with {WRITE}=1", path.display());
    }
}

#[test]
fn every_example_shows_its_rule() {
    let ignore = PatternSet::parse_ignore_file("*.md\n").unwrap();
    let predefined = BTreeMap::from([("TARGETPLATFORM".to_owned(), "linux/amd64".to_owned())]);
    let context = LintContext { ignore: Some(&ignore), predefined, ..LintContext::default() };
    let found = |text: &str, rule: &Rule| {
        let report = check(text, &parse(text), &context).unwrap();
        report.findings.iter().any(|finding| finding.rule == Some(rule.name))
    };
    for rule in rules().filter(|rule| !UNSHOWN.contains(&rule.name)) {
        let Example { bad, good, .. } = example(rule);
        assert!(found(bad, rule) && !found(good, rule), "{}", rule.name);
    }
}
