//! Pairs of files: a Dockerfile and what is said about it. `UPDATE_EXPECT=1` rewrites the answers.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use wythe_dockerfile::diagnostic::render;
use wythe_dockerfile::dump::dump;
use wythe_dockerfile::parse::{Parsed, parse};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/dockerfile").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "dockerfile"))
        .collect();
    paths.sort();
    paths
}

fn check(path: &Path, answer: impl Fn(&str, &Parsed) -> String) {
    let source = std::fs::read_to_string(path).unwrap();
    let expected = path.with_extension("txt");
    expect_file![expected].assert_eq(&answer(&source, &parse(&source)));
}

fn findings(source: &str, parsed: &Parsed) -> String {
    parsed.diagnostics.iter().map(|finding| render(source, "Dockerfile", finding)).collect()
}

#[test]
fn every_mistake_is_placed_and_explained() {
    let cases = cases("err");
    assert!(cases.len() >= 60, "only {} mistakes", cases.len());
    for path in cases {
        check(&path, |source, parsed| {
            assert!(!parsed.diagnostics.is_empty(), "{}: nothing is wrong", path.display());
            findings(source, parsed)
        });
    }
}

#[test]
fn every_mistake_has_a_remedy() {
    for path in cases("err") {
        let source = std::fs::read_to_string(&path).unwrap();
        for finding in parse(&source).diagnostics {
            assert!(finding.help.is_some(), "{}: {}", path.display(), finding.message);
            assert!(!finding.message.ends_with('.'), "{}", finding.message);
            assert!(source.get(finding.span.range()).is_some(), "{}", path.display());
        }
    }
}

#[test]
fn every_accepted_file_has_the_expected_tree() {
    for path in cases("ok") {
        check(&path, |source, parsed| {
            assert!(parsed.diagnostics.is_empty(), "{}", findings(source, parsed));
            dump(source, &parsed.dockerfile)
        });
    }
}
