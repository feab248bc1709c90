//! What `docker buildx bake --print` says of the definitions in `testdata/bake`, and what we say.
//!
//! Each folder there is a shape: files, `call` with the words of a command, one a line (`env NAME=VALUE`
//! gives a variable), and what buildx printed: `expected.json`, or `refused` with its error.
//! `testdata/bake/regenerate` asks buildx anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use wythe_bake::definition::{DEFAULT_FILES, Definition};
use wythe_bake::error::BakeError;
use wythe_bake::overrides::Override;
use wythe_bake::source::DefinitionFile;
use wythe_bake::surroundings::Surroundings;

/// The fewest shapes there have to be: an empty folder shows nothing.
const FEWEST: usize = 40;

struct Shape {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    files: Vec<String>,
    sets: Vec<String>,
    targets: Vec<String>,
}

impl Shape {
    fn read(folder: &Path) -> Self {
        let mut shape = Self {
            folder: folder.to_owned(),
            variables: BTreeMap::new(),
            files: Vec::new(),
            sets: Vec::new(),
            targets: Vec::new(),
        };
        let call = fs::read_to_string(folder.join("call")).unwrap_or_default();
        let mut lines = call.lines();
        while let Some(line) = lines.next() {
            if let Some(variable) = line.strip_prefix("env ") {
                let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                shape.variables.insert(name.to_owned(), value.to_owned());
            } else if line == "-f" {
                shape.files.push(lines.next().unwrap_or_default().to_owned());
            } else if line == "--set" {
                shape.sets.push(lines.next().unwrap_or_default().to_owned());
            } else {
                shape.targets.push(line.to_owned());
            }
        }
        shape
    }

    fn printed(&self) -> Result<String, BakeError> {
        let lookup: Vec<String> = if self.files.is_empty() {
            DEFAULT_FILES.map(ToOwned::to_owned).to_vec()
        } else {
            self.files.clone()
        };
        let read = |name: &String| {
            let text = fs::read_to_string(self.folder.join(name)).ok()?;
            Some(DefinitionFile { name: name.clone(), text })
        };
        let definition = Definition::read(lookup.iter().filter_map(read).collect(), self)?;
        let problem = |problem| BakeError { place: None, problem };
        let sets = self.sets.iter().map(|text| Override::parse(text).map_err(problem));
        let sets: Vec<Override> = sets.collect::<Result<_, _>>()?;
        let default = ["default".to_owned()];
        let targets = if self.targets.is_empty() { &default[..] } else { &self.targets };
        Ok(definition.plan(targets, &sets, self)?.to_json())
    }
}

impl Surroundings for Shape {
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
        [7; 16]
    }

    fn home(&self) -> String {
        "/home/bake".to_owned()
    }

    fn platform(&self) -> String {
        "linux/amd64".to_owned()
    }
}

#[test]
fn definitions_mean_what_buildx_says_they_mean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bake");
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= FEWEST, "only {} shapes in {}", folders.len(), root.display());
    let mut wrong = Vec::new();
    for folder in &folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let found = Shape::read(folder).printed();
        match (fs::read_to_string(folder.join("expected.json")), found) {
            (Ok(expected), Ok(found)) => {
                let expected: Value = serde_json::from_str(&expected).unwrap();
                let parsed: Value = serde_json::from_str(&found).unwrap();
                if expected != parsed {
                    let expected = serde_json::to_string_pretty(&expected).unwrap();
                    wrong.push(format!("{name}: expected {expected}\nfound {found}"));
                }
            }
            (Ok(_), Err(error)) => wrong.push(format!("{name}: {error}")),
            (Err(_), Ok(found)) => wrong.push(format!("{name} is refused by buildx: {found}")),
            (Err(_), Err(error)) => {
                // What buildx refuses in words, we refuse with a place, or the name of what is wrong.
                let refused = fs::read_to_string(folder.join("refused")).unwrap();
                assert!(!refused.is_empty() && !error.to_string().is_empty(), "{name}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn refusals_say_where_why_and_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bake");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut told: Vec<String> = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("refused").exists()) {
        let error = Shape::read(folder).printed().unwrap_err();
        let name = folder.file_name().unwrap().to_string_lossy();
        told.push(format!("{name}\n  {error}"));
        if let Some(place) = &error.place {
            told.push(format!("  | {}", place.text.trim_end()));
        }
        if let Some(remedy) = error.remedy() {
            told.push(format!("  {remedy}"));
        }
    }
    expect_test::expect_file!["../../testdata/bake/refusals.txt"]
        .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn the_printed_keys_are_in_the_order_of_buildx() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bake");
    for name in ["every_attribute", "inherits", "compose_all_keys"] {
        let folder = root.join(name);
        let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
        let found = Shape::read(&folder).printed().unwrap();
        assert_eq!(found.trim_end(), expected.trim_end(), "{name}");
    }
}

#[test]
fn what_is_printed_is_a_definition_that_means_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bake");
    for name in ["every_attribute", "inherits", "compose_all_keys", "matrix"] {
        let shape = Shape::read(&root.join(name));
        let text = shape.printed().unwrap();
        let file = DefinitionFile { name: "-".to_owned(), text: text.clone() };
        let definition = Definition::read(vec![file], &shape).unwrap();
        let again = definition.plan(&["default".to_owned()], &[], &shape).unwrap();
        assert_eq!(again.to_json(), text, "{name}");
    }
}
