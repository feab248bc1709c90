//! The examples, as programs of their own.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::path::PathBuf;
use std::process::Command;

use wythe_registry::fake::{FakeRegistry, Quirks};

/// Where cargo puts the examples, seen from where it puts the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(program.exists(), "cargo test --test leaves out examples: run cargo test");
    program
}

#[test]
fn a_short_program_builds_an_image_and_pushes_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, context) = (directory.path().join("store"), directory.path().join("context"));
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY greeting /\n").unwrap();
    std::fs::write(context.join("greeting"), "hello").unwrap();
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let name = format!("{}/library/example:1", registry.host());
    let program = &mut Command::new(example("build_and_push"));
    let output = program.args([&store, &context]).arg(&name).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let digest = String::from_utf8(output.stdout).unwrap();
    let digest = digest.trim().strip_prefix(&name).unwrap().trim();
    assert!(registry.manifest("library/example", digest).is_some(), "{digest}");
    assert_eq!(
        registry.manifest("library/example", "1"),
        registry.manifest("library/example", digest)
    );
    assert_eq!(registry.blobs("library/example").len(), 2, "a configuration and a layer");
}

#[test]
fn an_asynchronous_program_builds_and_cancels() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let context = |name: &str, dockerfile: &str| {
        let context = directory.path().join(name);
        std::fs::create_dir(&context).unwrap();
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(context.join("made"), "by hand").unwrap();
        context
    };
    let quick = context("quick", "FROM scratch\nCOPY made /\n");
    let wrong = context("wrong", "FROM scratch\nCOPY nothing /\n");
    let program = &mut Command::new(example("service"));
    let output = program.arg(&store).arg("60").args([&quick, &wrong]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(lines.len(), 2, "{printed}{error}");
    assert_eq!(lines[0], format!("{} by hand", quick.display()));
    assert!(lines[1].contains("nothing"), "{printed}");
}

#[test]
fn the_example_is_short() {
    let text = include_str!("../examples/build_and_push.rs");
    assert!(text.lines().count() <= 20, "{} lines", text.lines().count());
}

#[test]
fn the_pages_show_the_example() {
    let text = include_str!("../examples/build_and_push.rs");
    let page = include_str!("../../docs/tutorials/embed.md");
    assert!(page.contains(text));
    for line in text.lines().filter_map(|line| line.strip_prefix("use wythe_")) {
        let name = line.split("::").next().unwrap();
        assert!(page.contains(&format!("\nwythe-{name} = {{")), "{name} is no dependency there");
    }
    let service = include_str!("../examples/service.rs");
    let main_of_service = service.find("/// What `#[tokio::main]`").unwrap();
    let end = service.find("async fn serve").unwrap();
    assert!(page.contains(service[main_of_service..end].trim_end()));
    let main = &text[text.find("fn main").unwrap()..];
    assert!(include_str!("../../README.md").contains(main));
}
