//! Dockerfiles as people write them: what is found wrong with each, what it builds, and what it asks
//! for. `UPDATE_EXPECT=1` rewrites the answers; each finding in them is to be justified.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;

/// The directories of the corpus, each a context with a Dockerfile.
fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/real");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut contexts: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    contexts.sort();
    contexts
}

/// What `wythe build --call=…` prints about a context, on a machine that knows no image.
fn ask(question: &str, context: &Path) -> String {
    let nowhere = context.join("no store");
    let output = Command::new(env!("CARGO_BIN_EXE_wythe"))
        .env_clear()
        .env("WYTHE_STORE", nowhere)
        .args(["build", "--platform=linux/amd64", "--call", question])
        .arg(context)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    // A check that finds something ends with 1.
    let is_answered = matches!(output.status.code(), Some(0 | 1));
    assert!(is_answered, "{question} {}: {complaint}", context.display());
    String::from_utf8(output.stdout).unwrap()
}

/// The findings, a line for each.
fn findings(context: &Path) -> String {
    let answer = ask("check", context);
    let one_line = |line: &&str| line.starts_with("WARN ") || line.starts_with("check complete");
    answer.lines().filter(one_line).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_corpus_is_broad() {
    let contexts = corpus();
    assert!(contexts.len() >= 40, "only {} Dockerfiles", contexts.len());
    for context in contexts {
        assert!(context.join("Dockerfile").is_file(), "{}", context.display());
    }
}

#[test]
fn every_answer_about_a_real_dockerfile_is_the_expected_one() {
    for context in corpus() {
        let answers = [findings(&context), ask("targets", &context), ask("outline", &context)];
        expect_file![context.join("answers.txt")].assert_eq(&answers.join("\n"));
    }
}
