//! The claims of the page, one after the other.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use crate::format::{Class, FORMAT_VERSION, Feature, NAME};
use crate::journal::batch::Table;
use crate::object::{Encoding, Kind};
use crate::open::DIRECTORIES;
use crate::pack::{footer, record};

const PAGE: &str = include_str!("../../../../docs/store-format.md");

/// What the page lists after some words, up to the end of the cell or sentence: `1 body, 2 tree`.
fn listed(after: &str) -> Vec<(u8, String)> {
    let (_, rest) = PAGE.split_once(after).unwrap_or_else(|| panic!("no {after:?}"));
    let list = &rest[..rest.find([')', '|', '.']).unwrap()];
    let item = |item: &str| {
        let (number, word) = item.trim().split_once(' ').unwrap();
        (number.parse().unwrap(), word.trim().to_owned())
    };
    list.split(',').map(item).collect()
}

/// The name of a variant as the page writes it: `ChunkList` is "chunk list".
fn words(variant: impl Debug) -> String {
    let mut out = String::new();
    for char in format!("{variant:?}").chars() {
        if char.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(char.to_lowercase());
    }
    out
}

/// The magic numbers in a text: `wythe` and three more letters or digits, or `W` and three more, in
/// these quotes.
fn magics(text: &str, open: &str, close: char) -> BTreeSet<String> {
    let word = |rest: &str| rest.split(close).next().unwrap_or_default().to_owned();
    let upper = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_magic = |word: &String| match word.strip_prefix("wythe") {
        Some(rest) => rest.len() == 3 && upper(rest),
        None => word.len() == 4 && word.starts_with('W') && upper(word),
    };
    text.split(open).skip(1).map(word).filter(is_magic).collect()
}

/// All code of the crate.
fn code(of: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&code(&path));
        } else {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

/// The rows of the page's tables whose first cell is one word of code.
fn rows() -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    PAGE.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

#[test]
fn magic_numbers_are_those_of_the_code() {
    let source = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert_eq!(magics(PAGE, "`", '`'), magics(&source, "b\"", '"'));
    assert!(magics(PAGE, "`", '`').len() >= 8);
}

#[test]
fn kinds_encodings_and_tables_are_those_of_the_code() {
    let kinds: Vec<_> = Kind::ALL.map(|kind| (kind.code(), words(kind))).into();
    assert_eq!(listed("kind: "), kinds);
    let encodings = [(Encoding::Raw, "raw"), (Encoding::Zstd, "zstd frame")];
    let encodings = encodings.map(|(encoding, name)| (encoding.code(), name.to_owned()));
    assert_eq!(listed("encoding: "), encodings);
    let name = |table| words(table).replace("by diff", "by DiffID");
    let tables: Vec<_> = Table::ALL.map(|table| (table.code(), name(table))).into();
    assert_eq!(listed("A key begins with the byte of its table: "), tables);
}

#[test]
fn version_and_features_are_those_of_the_code() {
    assert!(PAGE.contains(&format!("`{NAME}{FORMAT_VERSION}`")));
    assert!(PAGE.starts_with(&format!("# The store on disk, format version {FORMAT_VERSION}\n")));
    let named = Feature::ALL.map(|feature| {
        let (name, class) = (format!("`{}`", feature.name()), feature.class().word());
        rows().iter().filter(|row| row[0] == name && row[1] == class).count()
    });
    assert_eq!(named, [1; Feature::ALL.len()]);
    let classes = Class::ALL.map(Class::word);
    let features = rows().iter().filter(|row| classes.contains(&row[1])).count();
    assert_eq!(features, Feature::ALL.len());
}

#[test]
fn sizes_are_those_of_the_code() {
    let (header, entry) = (crate::pack::HEADER_SIZE, footer::ENTRY_SIZE);
    assert!(PAGE.contains(&format!("`header ({header}) | records | table ({entry} each) | ")));
    let (alignment, from) = (record::ALIGNMENT, record::PAGE_ALIGNED_FROM >> 10);
    assert!(PAGE.contains(&format!("Record, {alignment}-aligned; a raw payload of {from} KiB")));
    assert!(PAGE.contains(&format!("| {} | – | payload |", record::HEADER_SIZE)));
    let compressed = crate::body::COMPRESS_BELOW >> 10;
    assert!(PAGE.contains(&format!("A body shorter than {compressed} KiB")));
    let (below, few) = (crate::body::COMPRESS_FEW_BELOW >> 10, crate::body::COMPRESS_FEW >> 20);
    let few = format!("shorter than {below} KiB among the first {few} MiB that a lease");
    assert!(PAGE.contains(&few), "{few}");
}

#[test]
fn every_directory_has_a_row() {
    for directory in DIRECTORIES {
        let inside = format!("`{directory}/");
        assert!(rows().iter().any(|row| row[0].starts_with(&inside)), "{directory}");
    }
}
