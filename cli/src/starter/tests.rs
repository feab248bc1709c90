//! Projects of every language, and what they begin with.

use std::fs;
use std::path::Path;

use wythe_dockerfile::lint::{self, LintContext};

use super::*;

/// A project with these files.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A language, the files of a project, and what has to be in its Dockerfile.
type Project = (Language, &'static [(&'static str, &'static str)], &'static [&'static str]);

const PROJECTS: [Project; 13] = [
    (
        Language::Rust,
        &[("Cargo.toml", "[package]\nname = \"tool\"\n"), ("Cargo.lock", "")],
        &["cargo build --release --locked &&", "target/release/tool"],
    ),
    (
        Language::Rust,
        &[("Cargo.toml", "[package]\nname = \"lib\"\n[[bin]]\nname = \"other\"\n")],
        &["cargo build --release &&", "target/release/other"],
    ),
    (
        Language::Go,
        &[("go.mod", "module example.com/x/server/v2\n\ngo 1.24\n"), ("go.sum", "")],
        &["COPY go.mod go.sum ./", "-o /out/server .\n"],
    ),
    (
        Language::Go,
        &[("go.mod", "module a/b\n"), ("cmd/b/main.go", "package main")],
        &["COPY go.mod ./", "-o /out/b ./cmd/b\n"],
    ),
    (Language::Maven, &[("pom.xml", "<project/>")], &["target=/root/.m2"]),
    (
        Language::Gradle,
        &[("build.gradle", "")],
        &["FROM gradle:8-jdk21", "    gradle --gradle-user"],
    ),
    (Language::Gradle, &[("build.gradle.kts", ""), ("gradlew", "")], &["sh ./gradlew"]),
    (
        Language::Node,
        &[
            ("package.json", r#"{"scripts": {"build": "tsc", "start": "node dist"}}"#),
            ("package-lock.json", "{}"),
        ],
        &[
            "COPY package.json package-lock.json ./",
            "npm ci",
            "RUN npm run build",
            "[\"npm\", \"start\"]",
        ],
    ),
    (
        Language::Node,
        &[("package.json", r#"{"main": "lib/main.js"}"#)],
        &["COPY package.json ./", "npm install", "[\"node\", \"lib/main.js\"]"],
    ),
    (
        Language::Python,
        &[("requirements.txt", "flask\n"), ("app.py", "")],
        &["-r requirements.txt", "[\"python3\", \"app.py\"]"],
    ),
    (
        Language::Python,
        &[("pyproject.toml", "[project]\nname = \"x\"\n[project.scripts]\nserve = \"x:main\"\n")],
        &["pip install .\n", "[\"serve\"]"],
    ),
    (
        Language::C,
        &[("Makefile", "PROG := tool\n$(PROG): main.c\n")],
        &["cp tool /usr/local/bin/", "gcc"],
    ),
    (Language::Static, &[("public/index.html", "")], &["COPY public /srv"]),
];

#[test]
fn every_language_is_seen_and_named_in_its_dockerfile() {
    for (language, files, words) in PROJECTS {
        let folder = project(files);
        assert_eq!(Language::seen_in(folder.path()), [language], "{files:?}");
        let text = language.starter(folder.path()).unwrap().dockerfile;
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(!text.contains("{{"), "{text}");
    }
}

#[test]
fn every_dockerfile_runs_as_somebody_and_begins_from_a_version() {
    for (language, files, _) in PROJECTS {
        let text = language.starter(project(files).path()).unwrap().dockerfile;
        let last = text.rsplit("FROM ").next().unwrap();
        assert!(last.contains("\nUSER ") && !last.contains("USER root"), "{text}");
        for base in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
            let base = base.split(' ').next().unwrap();
            assert!(base.contains(':') && !base.ends_with(":latest"), "{base}");
        }
    }
}

#[test]
fn no_check_finds_anything_in_what_is_written() {
    for (language, files, _) in PROJECTS {
        let text = language.starter(project(files).path()).unwrap().dockerfile;
        let parsed = wythe_dockerfile::parse::parse(&text);
        assert!(parsed.diagnostics.is_empty(), "{language:?}: {:?}", parsed.diagnostics);
        let report = lint::check(&text, &parsed, &LintContext::default()).unwrap();
        assert!(report.findings.is_empty(), "{language:?}: {:?}\n{text}", report.findings);
    }
}

#[test]
fn a_name_is_a_name_and_nothing_else_of_a_dockerfile() {
    let files = [("Cargo.toml", "[package]\nname = \"a b\\nRUN x\"\n")];
    assert!(Language::Rust.starter(project(&files).path()).is_err());
    let files = [("package.json", r#"{"main": "../../x\"]\nRUN y"}"#)];
    let text = Language::Node.starter(project(&files).path()).unwrap().dockerfile;
    assert!(text.contains("[\"node\", \"index.js\"]"), "{text}");
}

#[test]
fn a_workspace_without_a_program_says_so() {
    let files = [("Cargo.toml", "[workspace]\nmembers = []\n")];
    let failure = Language::Rust.starter(project(&files).path()).unwrap_err();
    assert!(failure.lines().join("\n").contains("names no package"));
    assert!(Language::seen_in(Path::new("/nonexistent")).is_empty());
}
