//! What is offered where.

use super::*;
use crate::args::Cli;
use crate::completion::known::{IMAGES, STAGES};

fn offered(words: &[&str]) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let found = candidates(&Cli::definition(), &words, &Settings::default());
    found.into_iter().map(|candidate| candidate.word).collect()
}

#[test]
fn commands_and_flags_are_offered_where_they_may_stand() {
    assert_eq!(offered(&["bui"]), ["build"]);
    assert_eq!(offered(&["build", "--no-cache"]), ["--no-cache", "--no-cache-filter"]);
    assert!(offered(&["--pro"]).contains(&"--progress".to_owned()));
    assert!(offered(&["build", "--prog"]).contains(&"--progress".to_owned()));
    assert_eq!(offered(&["cache", "ex"]), ["export"]);
    assert!(offered(&[""]).iter().all(|word| word != "buildx" && !word.starts_with('-')));
    assert!(offered(&["run", "image", "--us"]).is_empty(), "flags of the command in the image");
}

#[test]
fn values_are_offered_behind_a_blank_and_behind_an_equals_sign() {
    assert_eq!(offered(&["--progress", "pl"]), ["plain"]);
    assert_eq!(offered(&["build", "--progress=pl"]), ["--progress=plain"]);
    assert_eq!(offered(&["completion", "z"]), ["zsh"]);
}

#[test]
fn stages_are_those_of_the_dockerfile_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Dockerfile");
    std::fs::write(&path, "FROM a AS base\nFROM base AS test\nFROM base\nRUNN x\n").unwrap();
    let (path, context) = (path.to_str().unwrap(), folder.path().to_str().unwrap());
    assert_eq!(offered(&["build", "-f", path, "--target", ""]), ["base", "test"]);
    assert_eq!(offered(&["build", context, "--target=t"]), ["--target=test"]);
    assert_eq!(offered(&["buildx", "build", context, "--target", "t"]), ["test"]);
    let listed = offered(&["build", "-f", path, "--target", "test,b"]);
    assert_eq!(listed, ["test,base"]);
    assert!(offered(&["build", "-f", "/nonexistent", "--target", ""]).is_empty());
}

#[test]
fn targets_are_those_of_the_bake_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.hcl");
    let text = "group \"all\" { targets = [\"app\"] }\ntarget \"app\" {}\ntarget \"tool\" {}\n";
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(offered(&["bake", "-f", path, ""]), ["all", "app", "tool"]);
    assert_eq!(offered(&["bake", "-f", path, "app", "t"]), ["tool"]);
}

#[test]
fn every_argument_that_is_completed_is_there() {
    let definition = Cli::definition();
    let is_there = |command: &str, id: &str| {
        let command = definition.find_subcommand(command).unwrap();
        command.get_arguments().any(|arg| arg.get_id() == id)
    };
    for (command, id, _) in IMAGES {
        assert!(is_there(command, id), "{command} {id}");
    }
    assert!(STAGES.iter().all(|(command, id)| is_there(command, id)));
    assert!(is_there("bake", "targets") && is_there("bake", "files") && is_there("tag", "source"));
    assert!(is_there("build", "file") && is_there("build", "context"));
}
