//! What a build can make can be a base: at every limit and around it, a tree is refused with the
//! entry's path where it is stored, or the layer written of it reads back as the same tree and
//! unpacks to it.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;

use wythe_store::bytes::FileBytes;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::layer::import::{Keep, read_layer};
use wythe_store::layer::tar_write::tar_write;
use wythe_store::live::ensure::receive;
use wythe_store::live::upper::upper_tree;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::path::{DEPTH_MAX, LayerPath, NAME_MAX, PATH_MAX, TARGET_MAX};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::encode::{decode, encode};
use wythe_store::tree::entry::{
    Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree, Xattrs,
};
use wythe_store::tree::limits::{DEVICE_MAX, LimitError, XATTR_MAX, XATTR_NAME_MAX, XATTRS_MAX};

/// A limit, and what is beside it.
fn around(limit: usize) -> impl Strategy<Value = usize> {
    select(vec![limit - 1, limit, limit + 1])
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let length =
        prop_oneof![4 => 1..4usize, 2 => around(100), 2 => around(155), 1 => around(NAME_MAX)];
    let letter = select(&[b'a', b'b', b'\n', b'=', 0xe4, 0xff][..]);
    (length, letter).prop_map(|(length, letter)| vec![letter; length])
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    let length = prop_oneof![3 => 0..4usize, 1 => around(XATTR_MAX)];
    let name = prop_oneof![6..9usize, around(XATTR_NAME_MAX)];
    let one = (name, length).prop_map(|(name, length)| {
        let name = [b"user.", &vec![b'n'; name - 5][..]].concat();
        vec![(name.into(), vec![b'v'; length].into())]
    });
    prop_oneof![6 => Just(Xattrs::new()), 1 => one]
}

fn node() -> impl Strategy<Value = Node> {
    let body = (BodyId::of(b"x"), 1);
    let file = select(vec![None, None, Some(LinkGroup(1)), Some(LinkGroup(2))])
        .prop_map(move |link| Node::File(File { body: body.0, size: body.1, link }));
    let target = prop_oneof![3 => 1..4usize, 1 => around(100), 1 => around(TARGET_MAX)];
    let symlink = target.prop_map(|length| Node::Symlink(vec![b't'; length].into()));
    let number = select(vec![0, 1, DEVICE_MAX, DEVICE_MAX + 1]);
    let device = (number.clone(), number).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        6 => file,
        3 => symlink,
        1 => Just(Node::Fifo),
        1 => device.prop_map(Node::BlockDevice),
        2 => Just(Node::Whiteout),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let id = select(vec![0, 0, 0, 2_097_151, 2_097_152, u32::MAX - 1]);
    let seconds = select(vec![-1i64, 0, 8_589_934_591, 8_589_934_592]);
    (0..0o10_000u32, id, seconds, xattrs()).prop_map(|(mode, uid, seconds, xattrs)| {
        let mtime = Timestamp::from_seconds(seconds);
        Metadata { mode, uid, gid: uid / 2, mtime, xattrs }
    })
}

/// Entries in a directory that is itself this deep, by names of these lengths.
fn tree() -> impl Strategy<Value = Tree> {
    let entry = (name(), metadata(), node());
    let depth = prop_oneof![6 => 0..3usize, 1 => around(DEPTH_MAX - 1), 1 => Just(300)];
    let step = prop_oneof![3 => Just(1usize), 1 => Just(15), 1 => Just(NAME_MAX)];
    (prop::collection::vec(entry, 1..5), depth, step).prop_map(|(entries, depth, step)| {
        let entry = |(name, metadata, node): (Vec<u8>, _, _)| {
            let metadata = if node == Node::Whiteout { Metadata::default() } else { metadata };
            Entry { name: name.into(), metadata, node }
        };
        let mut directory = Directory::from_entries(entries.into_iter().map(entry).collect());
        for _ in 0..depth {
            let below = Subdirectory { claim: Claim::Explicit, children: directory.into() };
            let metadata = Metadata { mode: 0o755, ..Metadata::default() };
            let name = vec![b'd'; step].into();
            let entry = Entry { name, metadata, node: Node::Directory(below) };
            directory = Directory::from_entries(vec![entry]);
        }
        same_inode_same_metadata(Tree { root: None, children: directory.into() })
    })
}

/// Names of one file have one mode and owner; inserting gives groups of one up, too.
fn same_inode_same_metadata(tree: Tree) -> Tree {
    let (mut builder, mut groups) = (TreeBuilder::new(), BTreeMap::new());
    let deep = |tree: &Tree| {
        let (mut at, mut path) = (tree.children.clone(), LayerPath::root());
        while let [Entry { name, node: Node::Directory(below), .. }] = at.entries() {
            path.push(name);
            at = below.children.clone();
        }
        (path, at)
    };
    let (path, bottom) = deep(&tree);
    if path.check().is_err() {
        return tree;
    }
    for entry in bottom.entries() {
        let mut metadata = entry.metadata.clone();
        if let Node::File(File { link: Some(group), .. }) = entry.node {
            metadata = groups.entry(group).or_insert(metadata).clone();
        }
        if matches!(entry.node, Node::Symlink(_)) {
            // What Linux says of every one.
            metadata.mode = 0o777;
        }
        let path = path.join(&entry.name);
        if entry.node == Node::Whiteout {
            builder.whiteout(&path).unwrap();
        } else {
            builder.insert(&path, metadata, entry.node.clone()).unwrap();
        }
    }
    let mut at = path;
    while !at.is_root() {
        let metadata = Metadata { mode: 0o755, ..Metadata::default() };
        builder.directory(&at, metadata).unwrap();
        at.pop();
    }
    builder.finish()
}

fn tar_of(tree: &Tree) -> Vec<u8> {
    let bodies = BTreeMap::from([(BodyId::of(b"x"), FileBytes::from(b"x".to_vec()))]);
    let mut tar = Vec::new();
    tar_write(tree, &bodies, None, &mut tar).unwrap();
    tar
}

/// Whether the file system of tests holds it too, for whoever runs them.
fn unpacks(directory: &Directory) -> bool {
    directory.entries().iter().all(|entry| match &entry.node {
        Node::BlockDevice(_) | Node::CharDevice(_) | Node::Whiteout => false,
        Node::Directory(below) => unpacks(&below.children),
        Node::Fifo | Node::File(_) | Node::Symlink(_) => {
            entry.metadata.xattrs.is_empty()
                && entry.metadata.uid == 0
                && entry.metadata.mtime.seconds >= 0
                && entry.metadata.mtime.seconds < 1 << 33
        }
    })
}

/// On a stack for the frames of an unoptimised build, which are several times as large.
fn roomy<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 << 20);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

proptest! {
    // Each writes a store.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_stored_is_written_read_back_and_unpacked_as_it_is(tree in tree()) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        if let Err(error) = lease.put_tree(&tree) {
            let WriteError::Tree(LimitError { path, .. }) = error else { panic!("{error}") };
            prop_assert!(!path.is_root());
            return Ok(());
        }
        prop_assert_eq!(encode(&decode(&encode(&tree)).unwrap()), encode(&tree));
        let tar = tar_of(&tree);
        let diff_id = DiffId(Digest::of(&tar));
        let (read, _) = read_layer(&mut &tar[..], &diff_id, Keep::Nothing).unwrap();
        prop_assert_eq!(encode(&read), encode(&tree));
        if unpacks(&tree.children) {
            let descriptor = Descriptor::of(MediaType::LAYER, &tar);
            let path = receive(&lease, (&descriptor, &diff_id), b"", &mut &tar[..]).unwrap();
            let found = roomy(|| upper_tree(&lease, (Path::new(&path), b""), &Tree::default()));
            let found = found.unwrap();
            prop_assert_eq!(tar_of(&Tree { root: None, ..found }), tar);
        }
    }
}

/// A tree of one entry below directories of one letter.
fn one(depth: usize, name: &[u8], metadata: Metadata, node: Node) -> Tree {
    let mut entry = Entry { name: name.into(), metadata, node };
    for _ in 0..depth {
        let children = Directory::from_entries(vec![entry]).into();
        let node = Node::Directory(Subdirectory { claim: Claim::Explicit, children });
        entry = Entry { name: b"d"[..].into(), metadata: Metadata::default(), node };
    }
    Tree { root: None, children: Directory::from_entries(vec![entry]).into() }
}

#[test]
fn every_limit_holds_at_its_edge_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    let plain = Metadata::default;
    let attributes = |count: usize, value: usize| Metadata {
        xattrs: (0..count)
            .map(|n| (format!("user.{n:03}").into_bytes().into(), vec![b'v'; value].into()))
            .collect(),
        ..plain()
    };
    let fits = XATTRS_MAX / (XATTR_MAX + 8 + 32);
    let link = |length: usize| Node::Symlink(vec![b't'; length].into());
    for (what, fine, beyond) in [
        (
            "255 bytes",
            one(0, &[b'n'; NAME_MAX], plain(), Node::Fifo),
            one(0, &[b'n'; NAME_MAX + 1], plain(), Node::Fifo),
        ),
        (
            "deeper than 256",
            one(DEPTH_MAX - 1, b"f", plain(), Node::Fifo),
            one(DEPTH_MAX, b"f", plain(), Node::Fifo),
        ),
        (
            "target",
            one(0, b"l", plain(), link(TARGET_MAX)),
            one(0, b"l", plain(), link(PATH_MAX + 1)),
        ),
        (
            "attributes",
            one(0, b"f", attributes(1, XATTR_MAX), Node::Fifo),
            one(0, b"f", attributes(1, XATTR_MAX + 1), Node::Fifo),
        ),
        (
            "attributes",
            one(0, b"f", attributes(fits, XATTR_MAX), Node::Fifo),
            one(0, b"f", attributes(fits + 1, XATTR_MAX), Node::Fifo),
        ),
        (
            "none",
            one(0, b"f", Metadata { uid: u32::MAX - 1, ..plain() }, Node::Fifo),
            one(0, b"f", Metadata { uid: u32::MAX, ..plain() }, Node::Fifo),
        ),
    ] {
        lease.put_tree(&fine).unwrap();
        let tar = tar_of(&fine);
        let diff_id = DiffId(Digest::of(&tar));
        let (read, _) = read_layer(&mut &tar[..], &diff_id, Keep::Nothing).unwrap();
        assert_eq!(tar_of(&read), tar, "{what}");
        let Err(WriteError::Tree(error)) = lease.put_tree(&beyond) else { panic!("{what}") };
        assert!(error.cause.to_string().contains(what), "{}", error.cause);
        assert!(!error.path.is_root());
    }
}
