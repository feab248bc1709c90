//! Layers made to do harm, or only odd: each is refused as a whole with a reason that names the
//! entry, or unpacks to exactly the files it means. Nothing outside changes either way.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::BodyId;
use wythe_store::layer::import::{ImportError, Keep, read_layer_within, read_tree};
use wythe_store::layer::limits::Limits;
use wythe_store::layer::tar_read::TarReader;
use wythe_store::live::ensure::receive;
use wythe_store::live::upper::upper_tree;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::entry::{Directory, Node, Tree};
use wythe_store::tree::merge::merge;

mod accepted;
mod archive;
mod refused;

const TEXTS: [&str; 4] = ["", "1", "2", "x"];

/// A store, and beside it what must stay as it is.
struct Scene {
    directory: tempfile::TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/victim"), "victim").unwrap();
        let store = Store::open(&directory.path().join("store"), &OpenOptions::default()).unwrap();
        Self { directory, store }
    }

    /// Symbolic links of the table lead to the victim's directory.
    fn aim(&self, tar: &[u8]) -> Vec<u8> {
        let outside = self.directory.path().join("outside");
        let outside = outside.as_os_str().as_encoded_bytes();
        let mut tar = tar.to_vec();
        for at in (0..tar.len().saturating_sub(511)).step_by(512) {
            let block = &mut tar[at..at + 512];
            if block[157..].starts_with(b"OUTSIDE\0") {
                block[157..157 + outside.len()].copy_from_slice(outside);
                block[148..156].fill(b' ');
                let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
                block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
        }
        tar
    }

    fn check_outside(&self, what: &str) {
        let outside = self.directory.path().join("outside");
        assert_eq!(fs::read(outside.join("victim")).unwrap(), b"victim", "{what}");
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1, "{what}");
    }

    /// Pulls the layer and unpacks it.
    fn pull(&self, tar: &[u8]) -> Result<Tree, Box<dyn Error>> {
        let lease = self.store.lease()?;
        let descriptor = Descriptor::of(MediaType::LAYER, tar);
        let announced = (&descriptor, &DiffId(Digest::of(tar)));
        let path = receive(&lease, announced, b"", &mut &tar[..])?;
        Ok(upper_tree(&lease, (Path::new(&path), b"map"), &Tree::default())?)
    }

    fn live(&self) -> usize {
        fs::read_dir(self.store.path().join("live")).unwrap().count()
    }
}

fn read(tar: &[u8]) -> Result<Tree, ImportError> {
    read_tree(&mut TarReader::new(tar), Keep::Nothing)
}

fn said(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap();
        cause = error.source();
    }
    text
}

fn listed(tree: &Tree) -> String {
    let mut words = Vec::new();
    list(&merge(&Tree::default(), tree).children, "", &mut words);
    words.join(" ")
}

fn list(directory: &Directory, path: &str, words: &mut Vec<String>) {
    for entry in directory.entries() {
        let path = format!("{path}{}", entry.name.escape_ascii());
        match &entry.node {
            Node::Directory(below) => {
                words.push(format!("{path}/"));
                list(&below.children, &format!("{path}/"), words);
            }
            Node::File(file) => {
                let text = TEXTS.iter().find(|text| BodyId::of(text.as_bytes()) == file.body);
                words.push(match text {
                    _ if BodyId::of(&holes()) == file.body => format!("{path}~"),
                    Some(text) => format!("{path}={text}"),
                    None => format!("{path}#{}", file.size),
                });
            }
            Node::Symlink(target) => words.push(format!("{path}>{}", target.escape_ascii())),
            Node::Fifo => words.push(format!("{path}|")),
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                words.push(format!("{path}@{}:{}", device.major, device.minor));
            }
            Node::Whiteout => words.push(format!("-{path}")),
        }
    }
}

/// What every file with holes in the tables holds.
fn holes() -> Vec<u8> {
    let mut bytes = vec![0; 600];
    (bytes[9], bytes[520]) = (b'1', b'2');
    bytes
}

#[test]
fn what_goes_through_a_link_of_the_layer_stays_beneath_the_root() {
    let link = || archive::Archive::new().symlink("s", "OUTSIDE");
    let cases = [
        ("file", link().file("s/evil", "2"), "evil=2"),
        ("deep", link().file("s/a/evil", "2"), "a/ A/a/evil=2"),
        ("directory", link().directory("s/evil/"), "evil/"),
        ("symlink", link().symlink("s/evil", "x"), "evil>x"),
        ("hard-link", link().file("f", "1").link("s/l", "f"), "l=1 f=1"),
        ("whiteout", link().file("s/.wh.victim", ""), ""),
        ("opaque", link().file("s/.wh..wh..opq", ""), ""),
    ];
    for (name, tar, beneath) in cases {
        let scene = Scene::new();
        let tar = scene.aim(&tar.end());
        let tree = read(&tar).unwrap_or_else(|error| panic!("{name}: {}", said(&error)));
        let outside = scene.directory.path().join("outside").display().to_string();
        let outside = outside.trim_start_matches('/').to_owned();
        for word in beneath.split(' ').filter(|word| !word.is_empty()) {
            let expected = match word {
                "f=1" => word.to_owned(),
                _ => format!("{outside}/{}", word.trim_start_matches("A/")),
            };
            assert!(listed(&tree).split(' ').any(|found| found == expected), "{name}: {expected}");
        }
        let unpacked = scene.pull(&tar).unwrap_or_else(|error| panic!("{name}: {}", said(&*error)));
        assert_eq!(listed(&unpacked), listed(&tree), "{name}");
        scene.check_outside(name);
    }
}

#[test]
fn a_small_layer_of_very_many_empty_files_is_refused_by_the_limit_that_it_names() {
    let block = archive::Archive::new().file("f", "").cut(512);
    let tar = block.repeat(150_000);
    let layer = zstd::encode_all(&tar[..], 1).unwrap();
    assert!(layer.len() < 100_000);
    let read = |limits| {
        let diff_id = DiffId(Digest::of(&tar));
        read_layer_within(limits, &mut &layer[..], &diff_id, Keep::Nothing).map(drop)
    };
    let error = said(&read(Limits::default()).unwrap_err());
    assert!(error.contains("--limit expansion=NUMBER"), "{error}");
    read(Limits { expansion: 10_000_000, ..Limits::default() }).unwrap();
}

#[test]
fn every_hostile_layer_is_refused_by_a_reason_that_names_the_entry() {
    let table = refused::table();
    assert!(table.len() >= 45);
    for case in table {
        let (name, scene) = (case.0, Scene::new());
        let tar = scene.aim(&case.1);
        let error = read(&tar).expect_err(name);
        let said_of = said(&error);
        assert!(said_of.contains(case.reason()), "{name}: {said_of}");
        assert!(said_of.contains(case.entry()), "{name}: {said_of}");
        scene.pull(&tar).expect_err(name);
        scene.check_outside(name);
        assert_eq!(scene.live(), 0, "{name}");
        assert!(scene.store.layers().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn every_odd_layer_unpacks_to_what_it_means() {
    for case in accepted::table() {
        let (name, scene) = (case.0, Scene::new());
        let tar = scene.aim(&case.1);
        let tree = read(&tar).unwrap_or_else(|error| panic!("{name}: {}", said(&error)));
        assert_eq!(listed(&tree), case.2, "{name}");
        let unpacked = scene.pull(&tar).unwrap_or_else(|error| panic!("{name}: {}", said(&*error)));
        // Without privileges devices are in the tree only.
        if !name.starts_with("dev-") {
            assert_eq!(listed(&unpacked), case.2, "{name}");
        }
        scene.check_outside(name);
    }
}
