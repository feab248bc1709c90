//! What `docker compose build` hands to bake for the projects in `testdata/compose`, and what we make of them.
//!
//! Each folder there is a project, `call` with what is said of it beside its files, and what docker compose printed:
//! `expected.json`, or `refused` with its error. `testdata/compose/regenerate` asks it anew.

#![expect(clippy::unwrap_used, reason = "what the folders lack is a mistake of the test")]
#![expect(clippy::needless_pass_by_value, reason = "a borrow that may be none is handed on")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use wythe_bake::compose::project::{Dependencies, ImagesGo, Project, ProjectOptions};
use wythe_bake::definition::Definition;
use wythe_bake::error::BakeError;
use wythe_bake::source::DefinitionFile;
use wythe_bake::surroundings::Surroundings;

/// The fewest projects there have to be: an empty folder shows nothing.
const FEWEST: usize = 50;

/// What the directory of a project is called in the answers.
const PROJECT: &str = "/project";

struct Call {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    options: ProjectOptions,
    files: Vec<String>,
    services: Vec<String>,
    how: (Dependencies, ImagesGo),
}

impl Call {
    fn read(folder: &Path) -> Self {
        let mut call = Self {
            folder: folder.to_owned(),
            variables: BTreeMap::new(),
            options: ProjectOptions::default(),
            files: Vec::new(),
            services: Vec::new(),
            how: (Dependencies::Contexts, ImagesGo::Nowhere),
        };
        let mut directory = None;
        for line in fs::read_to_string(folder.join("call")).unwrap().lines() {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let text = value.to_owned();
            match word {
                "env" => {
                    let (name, value) = value.split_once('=').unwrap();
                    call.variables.insert(name.to_owned(), value.to_owned());
                }
                "file" => call.files.push(text),
                "name" => call.options.name = Some(text),
                "profile" => drop(call.options.profiles.insert(text)),
                "directory" => directory = Some(text),
                "env-file" => call.options.env_files.push(text),
                "service" => call.services.push(text),
                "push" => call.how.1 = ImagesGo::Pushed,
                "dependencies" => call.how.0 = Dependencies::All,
                other => panic!("{other} in {}", folder.display()),
            }
        }
        let of_first = Path::new(&call.files[0]).parent().unwrap().to_str().unwrap().to_owned();
        let directory = directory.unwrap_or(of_first);
        call.options.directory = if directory.is_empty() { ".".to_owned() } else { directory };
        let whole = normal(&folder.join(&call.options.directory));
        whole.file_name().unwrap().to_str().unwrap().clone_into(&mut call.options.folder);
        call
    }

    fn found(&self) -> Result<String, BakeError> {
        let read = |name: &String| {
            let text = fs::read_to_string(self.folder.join(name)).unwrap();
            DefinitionFile { name: name.clone(), text }
        };
        let project = Project::read(self.files.iter().map(read).collect(), &self.options, self)?;
        Ok(project.plan(&self.services, self.how, &[], self)?.to_json())
    }
}

/// What docker compose said, as bake reads it.
fn expected(text: String) -> String {
    let file = DefinitionFile { name: "-".to_owned(), text };
    let definition = Definition::read(vec![file], &Nothing).unwrap();
    definition.plan(&["default".to_owned()], &[], &Nothing).unwrap().to_json()
}

impl Surroundings for Call {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &str) -> Result<Option<String>, String> {
        Ok(fs::read_to_string(self.folder.join(path)).ok())
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }

    fn home(&self) -> String {
        "/nowhere".to_owned()
    }

    fn platform(&self) -> String {
        "linux/amd64".to_owned()
    }
}

/// No variables and no files.
struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }

    fn home(&self) -> String {
        String::new()
    }

    fn platform(&self) -> String {
        String::new()
    }
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(whole.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => whole.push(part),
        }
    }
    whole
}

/// A path as it is from the root of the machine, where addresses stay.
fn whole(path: &str) -> String {
    if path.contains(':') {
        return path.to_owned();
    }
    normal(&Path::new(PROJECT).join(path)).display().to_string()
}

/// A plan in which what is the same is written the same.
fn comparable(json: &str) -> Value {
    let mut plan: Value = serde_json::from_str(json).unwrap();
    let targets = plan["target"].as_object_mut().unwrap();
    for target in targets.values_mut().map(|target| target.as_object_mut().unwrap()) {
        let context = whole(target["context"].as_str().unwrap());
        let dockerfile = target["dockerfile"].as_str().unwrap().to_owned();
        if target.contains_key("dockerfile-inline") {
            target.remove("dockerfile");
        } else if !context.contains(':') {
            target
                .insert("dockerfile".to_owned(), whole(&format!("{context}/{dockerfile}")).into());
            if dockerfile.starts_with('/') {
                target.insert("dockerfile".to_owned(), dockerfile.into());
            }
        }
        target.insert("context".to_owned(), context.into());
        for (key, member) in [("contexts", ""), ("secret", "src")] {
            for entry in members(target.get_mut(key)) {
                let path = if member.is_empty() { Some(entry) } else { entry.get_mut(member) };
                if let Some(path) = path {
                    *path = whole(path.as_str().unwrap()).into();
                }
            }
        }
        for agent in members(target.get_mut("ssh")) {
            let paths: Vec<String> = members(agent.get_mut("paths"))
                .iter()
                .map(|path| path.as_str().unwrap())
                // `default=` has no path.
                .filter(|path| !path.is_empty())
                .map(whole)
                .collect();
            agent["paths"] = paths.into();
        }
        // Compose was not there.
        target["labels"].as_object_mut().unwrap().remove("com.docker.compose.version");
        spell_alike(target);
    }
    for group in members(plan.get_mut("group")) {
        let names = group["targets"].as_array_mut().unwrap();
        names.sort_by_key(|name| name.as_str().unwrap().to_owned());
    }
    plan
}

/// Sizes and limits in one of the forms that they have.
fn spell_alike(target: &mut serde_json::Map<String, Value>) {
    if let Some(size) = target.get_mut("shm-size").filter(|size| *size == "134217728") {
        *size = "128MiB".into();
    }
    if let Some(Value::Array(limits)) = target.get_mut("ulimits") {
        for limit in limits.iter_mut() {
            let (name, values) = limit.as_str().unwrap().split_once('=').unwrap();
            let (soft, hard) = values.split_once(':').unwrap_or((values, values));
            *limit = format!("{name}={soft}:{hard}").into();
        }
        limits.sort_by_key(|limit| limit.as_str().unwrap().to_owned());
    }
}

fn members(value: Option<&mut Value>) -> Vec<&mut Value> {
    match value {
        Some(Value::Array(items)) => items.iter_mut().collect(),
        Some(Value::Object(items)) => items.values_mut().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn projects_are_built_as_compose_builds_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/compose");
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= FEWEST, "only {} projects in {}", folders.len(), root.display());
    let mut wrong = Vec::new();
    for folder in &folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let call = Call::read(folder);
        match (fs::read_to_string(folder.join("expected.json")), call.found()) {
            (Ok(text), Ok(found)) if text.trim().is_empty() => {
                let found: Value = serde_json::from_str(&found).unwrap();
                assert_eq!(found["target"].as_object().unwrap().len(), 0, "{name}");
            }
            (Ok(text), Ok(found)) => {
                let (expected, found) = (comparable(&expected(text)), comparable(&found));
                if expected != found {
                    wrong.push(format!("{name}: expected {expected:#}\nfound {found:#}"));
                }
            }
            (Ok(_), Err(error)) => wrong.push(format!("{name}: {error}")),
            (Err(_), Ok(found)) => wrong.push(format!("{name} is refused by compose: {found}")),
            (Err(_), Err(error)) => {
                let refused = fs::read_to_string(folder.join("refused")).unwrap();
                assert!(!refused.is_empty() && !error.to_string().is_empty(), "{name}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
