//! The Dockerfile for each language: a template and what the files of the project tell.

use std::path::Path;

use serde_json::json;

use super::clues::{
    directory_name, first_of, go_program, json as read_json, made_program, plain, rust_program,
    toml as read_toml,
};
use super::text_of;
use crate::failure::Failure;

/// A template with these words in their places.
fn filled(template: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(template.to_owned(), |text, (name, word)| {
        text.replace(&format!("{{{{{name}}}}}"), word)
    })
}

pub(super) fn rust(directory: &Path) -> Result<String, Failure> {
    let manifest = read_toml(&directory.join("Cargo.toml"))?;
    let name = rust_program(&manifest).ok_or_else(|| {
        let failure = Failure::usage("Cargo.toml names no package, and so no program");
        failure.remedy("call wythe init in the directory of the program, or write [[bin]] there")
    })?;
    let locked = if directory.join("Cargo.lock").is_file() { " --locked" } else { "" };
    let words = [("name", name.as_str()), ("locked", locked)];
    Ok(filled(include_str!("templates/rust.Dockerfile"), &words))
}

pub(super) fn go(directory: &Path) -> Result<String, Failure> {
    let module = text_of(&directory.join("go.mod"))?.unwrap_or_default();
    let (name, package) = go_program(directory, &module);
    let modules = if directory.join("go.sum").is_file() { "go.mod go.sum" } else { "go.mod" };
    let words = [("name", name.as_str()), ("package", package.as_str()), ("modules", modules)];
    Ok(filled(include_str!("templates/go.Dockerfile"), &words))
}

pub(super) fn maven() -> String {
    include_str!("templates/maven.Dockerfile").to_owned()
}

pub(super) fn gradle(directory: &Path) -> String {
    let has_wrapper = directory.join("gradlew").is_file();
    let (base, gradle) = if has_wrapper {
        ("eclipse-temurin:21-jdk", "sh ./gradlew")
    } else {
        ("gradle:8-jdk21", "gradle")
    };
    filled(include_str!("templates/gradle.Dockerfile"), &[("base", base), ("gradle", gradle)])
}

/// How a package of Node gets what it needs: the lock file, where downloads are kept, what installs, and what
/// takes away again what only the build needs.
const NODE: [(&str, &str, &str, &str); 3] = [
    (
        "pnpm-lock.yaml",
        "/root/.local/share/pnpm/store",
        "corepack enable && pnpm install --frozen-lockfile",
        "corepack enable && pnpm run build && CI=true pnpm prune --prod",
    ),
    (
        "yarn.lock",
        "/usr/local/share/.cache/yarn",
        "corepack enable && yarn install --frozen-lockfile",
        "corepack enable && yarn run build",
    ),
    ("package-lock.json", "/root/.npm", "npm ci", "npm run build && npm prune --omit=dev"),
];

pub(super) fn node(directory: &Path) -> Result<String, Failure> {
    let package = read_json(&directory.join("package.json"))?;
    let locked = NODE.iter().find(|(lock, ..)| directory.join(lock).is_file());
    let unlocked = ("", "/root/.npm", "npm install", "npm run build && npm prune --omit=dev");
    let (lock, cache, install, build) = locked.copied().unwrap_or(unlocked);
    let manifests = format!("package.json {lock}");
    let scripts = &package["scripts"];
    let build = if scripts["build"].is_string() { format!("RUN {build}\n") } else { String::new() };
    let main = package["main"].as_str().and_then(plain);
    let main =
        main.or_else(|| first_of(directory, &["index.js", "server.js", "app.js", "src/index.js"]));
    let command = if scripts["start"].is_string() {
        json!(["npm", "start"])
    } else {
        json!(["node", main.unwrap_or("index.js")])
    };
    let command = spaced(&command);
    let words = [
        ("manifests", manifests.trim_end()),
        ("cache", cache),
        ("install", install),
        ("build", build.as_str()),
        ("command", command.as_str()),
    ];
    Ok(filled(include_str!("templates/node.Dockerfile"), &words))
}

pub(super) fn python(directory: &Path) -> Result<String, Failure> {
    let project = read_toml(&directory.join("pyproject.toml"))?;
    let project = project.get("project");
    let script = project.and_then(|project| project.get("scripts")?.as_table()?.keys().next());
    let (sources, what) = if directory.join("requirements.txt").is_file() {
        ("requirements.txt", "-r requirements.txt")
    } else {
        (".", ".")
    };
    let main = first_of(directory, &["main.py", "app.py", "server.py", "__main__.py"]);
    let start = || json!(["python3", main.unwrap_or("main.py")]);
    let script = script.filter(|_| what == ".").and_then(|name| plain(name));
    let command = script.map_or_else(start, |script| json!([script]));
    let command = spaced(&command);
    let words = [("sources", sources), ("what", what), ("command", command.as_str())];
    Ok(filled(include_str!("templates/python.Dockerfile"), &words))
}

pub(super) fn c(directory: &Path) -> Result<String, Failure> {
    let makefile = first_of(directory, &["GNUmakefile", "makefile", "Makefile"]);
    let text = match makefile {
        Some(name) => text_of(&directory.join(name))?.unwrap_or_default(),
        None => String::new(),
    };
    let name = made_program(&text).unwrap_or_else(|| directory_name(directory));
    let is_cxx = ["g++", "CXX", ".cpp", ".cc"].iter().any(|sign| text.contains(sign));
    let compiler = if is_cxx { "g++" } else { "gcc" };
    let words = [("name", name.as_str()), ("compiler", compiler)];
    Ok(filled(include_str!("templates/c.Dockerfile"), &words))
}

pub(super) fn static_site(directory: &Path) -> String {
    let is_top = directory.join("index.html").is_file();
    let folder = if is_top || !directory.join("public").is_dir() { "." } else { "public" };
    filled(include_str!("templates/static.Dockerfile"), &[("folder", folder)])
}

/// An exec form as people write it.
fn spaced(words: &serde_json::Value) -> String {
    words.to_string().replace("\",\"", "\", \"")
}
