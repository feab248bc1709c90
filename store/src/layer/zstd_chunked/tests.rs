//! Layers of zstd:chunked, read as their table says.

use std::io::Read as _;

use serde_json::Value;

use super::*;
use crate::digest::DiffId;
use crate::layer::blob_view;
use crate::layer::decompress::decompress;
use crate::layer::tar_read::Policy;
use crate::layer::tar_write::tar_write;
use crate::path::LayerPath;
use crate::store::{OpenOptions, Store};
use crate::tree::build::TreeBuilder;
use crate::tree::entry::{File, LinkGroup, Metadata};

fn store() -> (tempfile::TempDir, Lease) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    (folder, lease)
}

fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at / 251).to_le_bytes()[0]).collect()
}

/// Files of these lengths, a hard link, a directory, and what is none.
fn tree(lease: &Lease, lengths: &[u64]) -> Tree {
    let mut builder = TreeBuilder::new();
    let mut add = |path: &str, metadata: Metadata, node: Node| {
        builder.insert(&LayerPath::parse(path.as_bytes()).unwrap(), metadata, node).unwrap();
    };
    let xattrs = vec![((*b"user.a").into(), (*b"\xff").into())];
    add("pipe", Metadata { uid: 7, xattrs, ..Metadata::default() }, Node::Fifo);
    add("link", Metadata::default(), Node::Symlink((*b"f1").into()));
    add("gone", Metadata::default(), Node::Whiteout);
    for length in lengths {
        let body = lease.put_body(&bytes(*length)).unwrap();
        let link = (*length == 1).then_some(LinkGroup(1));
        let file = File { body, size: *length, link };
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        add(&format!("d/f{length}"), metadata.clone(), Node::File(file));
        if *length == 1 {
            add("d/again", metadata, Node::File(file));
        }
    }
    let mut tree = builder.finish();
    tree.root = Some(Metadata { mode: 0o755, ..Metadata::default() });
    tree
}

fn made(lease: &Lease, tree: &Tree) -> (Seekable, Vec<u8>) {
    let made = export(lease, tree, (3, &StartOrder::default())).unwrap().unwrap();
    let view = blob_view::open(lease.store(), &made.descriptor.digest);
    let mut blob = Vec::new();
    view.unwrap().unwrap().reader.read_to_end(&mut blob).unwrap();
    (made, blob)
}

fn numbers(made: &Seekable, key: &str) -> Vec<usize> {
    made.descriptor.annotations[key].split(':').map(|number| number.parse().unwrap()).collect()
}

fn skipped(made: &Seekable, blob: &[u8], key: &str) -> Vec<u8> {
    let at = numbers(made, key);
    let packed = &blob[at[0]..at[0] + at[1]];
    let plain = zstd::decode_all(packed).unwrap();
    assert_eq!(plain.len(), at[2]);
    plain
}

#[test]
fn to_everybody_else_it_is_zstd_of_the_canonical_tar() {
    let (_folder, lease) = store();
    let tree = tree(&lease, &[0, 1, 600, 20_000]);
    let (made, blob) = made(&lease, &tree);
    let mut tar = Vec::new();
    tar_write(&tree, lease.store(), None, &mut tar).unwrap();
    assert!(zstd::decode_all(&blob[..]).unwrap() == tar);
    assert_eq!(made.diff_id, DiffId(Digest::of(&tar)));
    let mut plain = Vec::new();
    let cursor = Box::new(std::io::Cursor::new(blob));
    decompress(cursor, Policy::Layer).unwrap().read_to_end(&mut plain).unwrap();
    assert!(plain == tar, "we read it as well");
}

#[test]
fn each_piece_of_a_file_is_read_from_where_the_table_says() {
    let (_folder, lease) = store();
    let lengths = [0, 1, 511, 512, 20_000, PART_MAX, 2 * PART_MAX + 5];
    let (made, blob) = made(&lease, &tree(&lease, &lengths));
    let table: Value = serde_json::from_slice(&skipped(&made, &blob, TOC_POSITION)).unwrap();
    let rows = table["entries"].as_array().unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["type"]), (&"./".into(), &"dir".into()));
    for length in lengths.into_iter().skip(1) {
        // Of two names of a file the first has its bytes.
        let name = if length == 1 { "d/again".to_owned() } else { format!("d/f{length}") };
        let number = |row: &Value, key: &str| row[key].as_u64().unwrap_or(0);
        let own: Vec<&Value> = rows.iter().filter(|row| row["name"] == *name).collect();
        assert_eq!(number(own[0], "size"), length);
        assert_eq!(own[0]["digest"], Digest::of(&bytes(length)).to_string());
        let place = |row: &Value, key| usize::try_from(number(row, key)).unwrap();
        let whole = &blob[place(own[0], "offset")..place(own[0], "endOffset")];
        assert!(zstd::decode_all(whole).unwrap() == bytes(length), "{name}");
        let pieces = own.iter().map(|row| number(row, "chunkSize")).sum::<u64>();
        assert_eq!(pieces, if own.len() > 1 { length } else { 0 });
        for row in own.iter().filter(|_| own.len() > 1) {
            let mut piece = vec![0; place(row, "chunkSize")];
            let from = &blob[place(row, "offset")..];
            zstd::Decoder::new(from).unwrap().read_exact(&mut piece).unwrap();
            assert_eq!(row["chunkDigest"], Digest::of(&piece).to_string());
        }
    }
    let link = rows.iter().find(|row| row["type"] == "hardlink").unwrap();
    assert_eq!((&link["name"], &link["linkName"]), (&"d/f1".into(), &"d/again".into()));
    let empty = rows.iter().find(|row| row["name"] == "d/f0").unwrap();
    assert!(empty["digest"].is_null());
}

#[test]
fn the_stream_without_bodies_and_the_bodies_are_the_stream() {
    let (_folder, lease) = store();
    let tree = tree(&lease, &[0, 1, 600, 20_000]);
    let (made, blob) = made(&lease, &tree);
    let table: Value = serde_json::from_slice(&skipped(&made, &blob, TOC_POSITION)).unwrap();
    let at = numbers(&made, TAR_SPLIT_POSITION);
    let packed = &blob[at[0]..at[0] + at[1]];
    assert_eq!(table["tarSplitDigest"], Digest::of(packed).to_string());
    let text = String::from_utf8(skipped(&made, &blob, TAR_SPLIT_POSITION)).unwrap();
    let mut again = Vec::new();
    for (number, line) in text.lines().enumerate() {
        use base64::Engine as _;
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["position"], number);
        let payload = line["payload"].as_str().unwrap_or_default();
        let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
        match (line["type"].as_u64(), line["size"].as_u64()) {
            (Some(2), None) => again.extend(payload),
            (Some(1), Some(size)) => {
                let mut crc = Crc64::new();
                crc.update(&bytes(size));
                assert_eq!(payload, crc.finish().to_be_bytes());
                again.extend(bytes(size));
            }
            (Some(1), None) => assert!(payload.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    assert!(again == zstd::decode_all(&blob[..]).unwrap());
}

#[test]
fn the_footer_says_what_annotations_say() {
    let (_folder, lease) = store();
    let (made, blob) = made(&lease, &tree(&lease, &[1]));
    let footer = &blob[blob.len() - 64..];
    let number = |at: usize| u64::from_le_bytes(footer[8 * at..8 * at + 8].try_into().unwrap());
    let mut said = numbers(&made, TOC_POSITION);
    said.extend(numbers(&made, TAR_SPLIT_POSITION));
    let found: Vec<usize> = (0..7).map(|at| usize::try_from(number(at)).unwrap()).collect();
    assert_eq!((found, &footer[56..]), (said, &MAGIC[..]));
}

#[test]
fn a_layer_with_a_name_that_is_no_text_has_no_table() {
    let (_folder, lease) = store();
    let mut builder = TreeBuilder::new();
    let path = LayerPath::parse(b"d/\xff").unwrap();
    builder.insert(&path, Metadata::default(), Node::Fifo).unwrap();
    assert!(export(&lease, &builder.finish(), (3, &StartOrder::default())).unwrap().is_none());
}

#[test]
fn what_a_container_starts_with_is_in_front() {
    let (_folder, lease) = store();
    let tree = tree(&lease, &[1, 600, 20_000]);
    let order = StartOrder::parse(b"/d/f20000\n/d/f1\n").unwrap();
    let made = export(&lease, &tree, (3, &order)).unwrap().unwrap();
    let view = blob_view::open(lease.store(), &made.descriptor.digest);
    let mut blob = Vec::new();
    view.unwrap().unwrap().reader.read_to_end(&mut blob).unwrap();
    let table: Value = serde_json::from_slice(&skipped(&made, &blob, TOC_POSITION)).unwrap();
    let rows = table["entries"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let first = ["./", "d/f20000", "d/again", "d/f1", ".wh.gone"];
    assert_eq!(names[..5], first);
    let tar = zstd::decode_all(&blob[..]).unwrap();
    assert_eq!(made.diff_id, DiffId(Digest::of(&tar)));
    assert_eq!(tar::Archive::new(&tar[..]).entries().unwrap().count(), names.len());
}

#[test]
fn a_layer_and_what_is_behind_it_stay_what_they_are() {
    let (_folder, lease) = store();
    let (made, blob) = made(&lease, &tree(&lease, &[0, 1, 512, 20_000]));
    let table: Value = serde_json::from_slice(&skipped(&made, &blob, TOC_POSITION)).unwrap();
    let split = String::from_utf8(skipped(&made, &blob, TAR_SPLIT_POSITION)).unwrap();
    let text = format!("{}\n{}\n{table:#}\n{split}", made.descriptor.digest, made.diff_id.0);
    expect_test::expect_file!["../../../../testdata/lazy/zstd_chunked.txt"].assert_eq(&text);
}
