//! COPY as plain file operations on real directories, and the comparison of both on random trees.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use proptest::prelude::*;
use wythe_store::tree::entry::{Claim, Directory, Node, Tree};

use super::sketch::tree;
use crate::copy::CopySpec;
use crate::copy::place::copy;

/// Why the reference gives up; which reason does not matter.
struct Refused;

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

fn reference(source: &Path, root: &Path, spec: &CopySpec) -> Result<(), Refused> {
    let word = &spec.sources[0];
    let from = fs::canonicalize(source.join(word))?;
    let written = spec.destination.trim_start_matches('/');
    let (parent, _) = written.rsplit_once('/').unwrap_or(("", written));
    make_directories(root, &follow(root, Path::new(parent))?)?;
    let at = follow(root, Path::new(written))?;
    if from.is_dir() {
        make_directories(root, &at)?;
        return copy_contents(&from, &at);
    }
    let name = Path::new(word).file_name().ok_or(Refused)?;
    copy_leaf(&from, &if at.is_dir() { at.join(name) } else { at })
}

fn follow(root: &Path, path: &Path) -> Result<PathBuf, Refused> {
    let mut at = root.to_owned();
    let mut links = 0;
    for part in path.components().filter(|part| matches!(part, Component::Normal(_))) {
        at.push(part);
        while let Ok(target) = fs::read_link(&at) {
            links += 1;
            if links > 40 {
                return Err(Refused);
            }
            at.set_file_name(target);
        }
    }
    Ok(at)
}

fn make_directories(root: &Path, path: &Path) -> Result<(), Refused> {
    let mut at = root.to_owned();
    for part in path.strip_prefix(root).map_err(|_| Refused)?.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Refused),
            Err(_) => make_directory(&at, 0o755)?,
        }
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32) -> Result<(), Refused> {
    fs::create_dir(path)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

fn copy_contents(from: &Path, to: &Path) -> Result<(), Refused> {
    let mut names: Vec<_> = fs::read_dir(from)?.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let (source, target) = (from.join(&name), to.join(&name));
        let found = fs::symlink_metadata(&source)?;
        if !found.is_dir() {
            copy_leaf(&source, &target)?;
            continue;
        }
        match fs::symlink_metadata(&target) {
            Ok(old) if !old.is_dir() => return Err(Refused),
            Ok(_) => fs::set_permissions(&target, found.permissions())?,
            Err(_) => make_directory(&target, found.mode() & 0o7777)?,
        }
        copy_contents(&source, &target)?;
    }
    Ok(())
}

fn copy_leaf(from: &Path, to: &Path) -> Result<(), Refused> {
    match fs::symlink_metadata(to) {
        Ok(old) if old.is_dir() => return Err(Refused),
        Ok(_) => fs::remove_file(to)?,
        Err(_) => {}
    }
    if let Ok(target) = fs::read_link(from) {
        return Ok(symlink(target, to)?);
    }
    fs::write(to, fs::read(from)?)?;
    Ok(fs::set_permissions(to, fs::metadata(from)?.permissions())?)
}

/// What is at each path: a word for its type, mode and content.
type Facts = BTreeMap<String, String>;

fn facts_on_disk(directory: &Path, path: &str, facts: &mut Facts) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let at = format!("{path}/{}", entry.file_name().to_string_lossy());
        let found = fs::symlink_metadata(entry.path()).unwrap();
        let mode = found.mode() & 0o7777;
        let fact = if let Ok(target) = fs::read_link(entry.path()) {
            format!("link {}", target.display())
        } else if found.is_dir() {
            facts_on_disk(&entry.path(), &at, facts);
            format!("directory {mode:o}")
        } else {
            let body = wythe_store::id::BodyId::of(&fs::read(entry.path()).unwrap());
            format!("file {mode:o} {body}")
        };
        facts.insert(at, fact);
    }
}

fn apply(directory: &Directory, path: &str, facts: &mut Facts) {
    for entry in directory.entries() {
        let at = format!("{path}/{}", String::from_utf8_lossy(&entry.name));
        let below = format!("{at}/");
        let mode = entry.metadata.mode;
        let fact = match &entry.node {
            Node::Directory(directory) => {
                if directory.claim != Claim::Implied {
                    facts.insert(at.clone(), format!("directory {mode:o}"));
                }
                if directory.claim == Claim::Opaque {
                    facts.retain(|path, _| !path.starts_with(&below));
                }
                apply(&directory.children, &at, facts);
                continue;
            }
            Node::Symlink(target) => format!("link {}", String::from_utf8_lossy(target)),
            Node::File(file) => format!("file {mode:o} {}", file.body),
            other @ (Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Whiteout) => {
                panic!("not generated: {other:?}")
            }
        };
        facts.retain(|path, _| !path.starts_with(&below));
        facts.insert(at, fact);
    }
}

fn write(sketch: &str, root: &Path) {
    for word in sketch.split_whitespace() {
        let (path, metadata, _) = super::sketch::parse(word);
        let at = root.join(path.trim_end_matches('/'));
        match (word.split_once("->"), word.split_once('=')) {
            (Some((_, target)), _) => {
                symlink(target, at).unwrap();
                continue;
            }
            (None, Some((_, text))) => fs::write(&at, &text[..1]).unwrap(),
            (None, None) => fs::create_dir(&at).unwrap(),
        }
        fs::set_permissions(at, Permissions::from_mode(metadata.mode)).unwrap();
    }
}

/// Words of a sketch in which every parent is a directory that comes first.
fn sketches() -> impl Strategy<Value = String> {
    let word = ("[abc](/[abc]){0,2}", prop_oneof!["=[XY](!600)?", "/(!711)?", "->[abc]"]);
    prop::collection::vec(word, 0..24).prop_map(|mut words| {
        words.sort();
        let mut kinds: BTreeMap<String, bool> = BTreeMap::new();
        let mut kept = Vec::new();
        for (path, kind) in words {
            let parent = path.rsplit_once('/').map(|(parent, _)| parent);
            let fits = parent.is_none_or(|parent| kinds.get(parent) == Some(&true));
            if fits && !kinds.contains_key(&path) {
                kinds.insert(path.clone(), kind.starts_with('/'));
                kept.push(path + &kind);
            }
        }
        kept.join(" ")
    })
}

fn both(source: &str, onto: &str, spec: &CopySpec) -> (Option<Facts>, Option<Facts>) {
    let [from, to] = [source, onto].map(|sketch| {
        let root = tempfile::tempdir().unwrap();
        write(sketch, root.path());
        root
    });
    let mut before = Facts::new();
    facts_on_disk(to.path(), "", &mut before);
    let changes: Option<Tree> = copy(&tree(source), &tree(onto).children, spec).ok();
    let computed = changes.map(|changes| {
        apply(&changes.children, "", &mut before);
        before
    });
    let done = reference(from.path(), to.path(), spec).ok().map(|()| {
        let mut after = Facts::new();
        facts_on_disk(to.path(), "", &mut after);
        after
    });
    (computed, done)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_and_file_operations_agree(
        source in sketches(),
        onto in sketches(),
        from in "[abc](/[abc])?",
        to in "/[abc](/[abc])?/?",
    ) {
        let spec = CopySpec { sources: vec![from], destination: to, ..CopySpec::default() };
        let (computed, done) = both(&source, &onto, &spec);
        prop_assert_eq!(computed, done, "{} onto {}", source, onto);
    }
}
