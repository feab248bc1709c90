//! What the files of a project tell of it: the name of its program, how it starts.

use std::path::Path;

use serde_json::Value;
use toml::Table;

use super::text_of;
use crate::failure::{Class, Failure};

/// A program of whose name nothing is told.
const UNNAMED: &str = "app";

/// Variables of Makefiles that name the program.
const PROGRAM: [&str; 8] = ["BIN", "EXE", "EXECUTABLE", "NAME", "OUT", "PROG", "PROGRAM", "TARGET"];

/// A word that a Dockerfile takes for nothing but a name, or a path within the project.
pub(super) fn plain(word: &str) -> Option<&str> {
    let known = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    let is_plain = !word.is_empty()
        && !word.starts_with(['-', '/'])
        && word.chars().all(known)
        && word.split('/').all(|part| part != "..");
    is_plain.then_some(word)
}

/// The name of a directory.
pub(super) fn directory_name(directory: &Path) -> String {
    let full = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = full.file_name().and_then(|name| name.to_str()).and_then(plain);
    name.unwrap_or(UNNAMED).to_owned()
}

/// A TOML file as data.
pub(super) fn toml(path: &Path) -> Result<Table, Failure> {
    let text = text_of(path)?.unwrap_or_default();
    text.parse().map_err(|error: toml::de::Error| {
        Failure::new(Class::Usage, format!("cannot use {}: {}", path.display(), error.message()))
    })
}

/// A JSON file as data.
pub(super) fn json(path: &Path) -> Result<Value, Failure> {
    let text = text_of(path)?.unwrap_or_else(|| "{}".to_owned());
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Class::Usage, format!("cannot use {}", path.display())).because(&error)
    })
}

/// The program of a package of Rust; `None` where a workspace has none at its top.
pub(super) fn rust_program(manifest: &Table) -> Option<String> {
    let bins = manifest.get("bin").and_then(|bins| bins.as_array());
    let first = bins.and_then(|bins| bins.first()).and_then(|bin| bin.get("name"));
    let package = || manifest.get("package")?.get("name");
    let name = first.or_else(package)?.as_str()?;
    plain(name).map(str::to_owned)
}

/// The program of a module of Go, and the package it is in.
pub(super) fn go_program(directory: &Path, module: &str) -> (String, String) {
    let path = module.lines().find_map(|line| line.strip_prefix("module ")).unwrap_or_default();
    // The last part may be a version.
    let is_version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let last = path.trim().rsplit('/').find(|part| !is_version(part)).and_then(plain);
    let name = last.map_or_else(|| directory_name(directory), str::to_owned);
    let inner = format!("cmd/{name}");
    if directory.join(&inner).is_dir() {
        return (name, format!("./{inner}"));
    }
    (name, ".".to_owned())
}

/// The program that a Makefile builds, as far as that can be seen without running it.
pub(super) fn made_program(makefile: &str) -> Option<String> {
    let set = makefile.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim_end_matches([':', '?', ' ', '\t']).trim();
        PROGRAM.contains(&name).then(|| value.trim())
    });
    let all = || {
        let needs = makefile.lines().find_map(|line| line.strip_prefix("all:"))?;
        needs.split_whitespace().next()
    };
    let first = || {
        let mut rules = makefile.lines().filter(|line| !line.starts_with(['\t', '#', '.', ' ']));
        let (name, _) = rules.find_map(|line| line.split_once(':'))?;
        Some(name.trim()).filter(|name| *name != "all")
    };
    set.and_then(plain)
        .or_else(|| all().and_then(plain))
        .or_else(|| first().and_then(plain))
        .map(str::to_owned)
}

/// The first of these files that is there.
pub(super) fn first_of<'a>(directory: &Path, names: &[&'a str]) -> Option<&'a str> {
    names.iter().find(|name| directory.join(name).is_file()).copied()
}
