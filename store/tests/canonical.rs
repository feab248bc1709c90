//! The canonical form of a layer, pinned: another digest here is another version of the form, under
//! which every cached layer would be pushed once more.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use wythe_store::layer::export::measure;
use wythe_store::lease::Lease;
use wythe_store::path::LayerPath;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{Device, File, Metadata, Node, Tree};

const DIFF_ID: &str = "sha256:fac680dd9f38a1e1222328e287c2c0ee4258893a316da9aff4b5bea6b7fd908e";

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text.as_bytes()).unwrap()
}

/// One of everything a layer may hold, with names and numbers that plain headers cannot.
fn tree(lease: &Lease) -> Tree {
    let metadata = Metadata {
        mode: 0o644,
        mtime: Timestamp::from_seconds(1_700_000_000),
        ..Metadata::default()
    };
    let file = |bytes: &[u8]| {
        let body = lease.put_body(bytes).unwrap();
        Node::File(File { body, size: bytes.len() as u64, link: None })
    };
    let mut tree = TreeBuilder::new();
    tree.directory(&path("etc"), Metadata { mode: 0o755, ..metadata.clone() }).unwrap();
    let nodes = [
        ("etc/empty", file(b"")),
        ("etc/hosts", file(b"127.0.0.1 localhost\n")),
        ("etc/block", Node::BlockDevice(Device { major: 8, minor: 300 })),
        ("etc/char", Node::CharDevice(Device { major: 1, minor: 3 })),
        ("etc/pipe", Node::Fifo),
        ("etc/link", Node::Symlink(b"../usr/".repeat(30).into())),
        ("usr/\u{fc}ml\u{e4}ut", file(&[7; 1000])),
    ];
    for (name, node) in nodes {
        tree.insert(&path(name), metadata.clone(), node).unwrap();
    }
    tree.insert(&path(&"deep/".repeat(60)), Metadata { uid: 3_000_000, ..metadata }, file(b"x"))
        .unwrap();
    tree.link(&path("etc/hosts.twin"), &path("etc/hosts")).unwrap();
    tree.whiteout(&path("etc/gone")).unwrap();
    tree.opaque(&path("usr/lib")).unwrap();
    tree.finish()
}

#[test]
fn the_bytes_of_a_layer_are_what_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    let measured = measure(&tree(&lease), &store).unwrap();
    assert_eq!(measured.diff_id.to_string(), DIFF_ID);
}
