//! Laws of trees: a layer survives its tar stream and its directory, and a difference leads from
//! one root file system to the other.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use wythe_store::bytes::FileBytes;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::BodyId;
use wythe_store::layer::import::{Keep, read_layer};
use wythe_store::layer::tar_write::tar_write;
use wythe_store::path::LayerPath;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::diff::diff;
use wythe_store::tree::encode::encode;
use wythe_store::tree::entry::{Device, File, Metadata, Node, Tree};
use wythe_store::tree::merge::{merge, merge_all};

/// What is done to a tree in the making. What the tree refuses is skipped.
#[derive(Clone, Debug)]
enum Deed {
    Insert(Metadata, Node),
    Directory(Metadata),
    Link(LayerPath),
    Whiteout,
    Opaque,
}

const TEXTS: [&str; 4] = ["", "1", "two", "three"];

fn path() -> impl Strategy<Value = LayerPath> {
    let name = prop_oneof!["[abc]", Just("name of \u{e4} hundred".repeat(6))];
    let parts = prop::collection::vec(name, 1..4);
    parts.prop_map(|parts| LayerPath::parse(parts.join("/").as_bytes()).unwrap())
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let ids = prop_oneof![Just(0), Just(1000), Just(3_000_000)];
    let xattrs = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec![(b"user.a"[..].into(), b"v\n"[..].into())])];
    (0..0o10_000u32, ids, -2..3i64, xattrs).prop_map(|(mode, uid, seconds, xattrs)| {
        let mtime = Timestamp::from_seconds(seconds);
        Metadata { mode, uid, gid: uid / 2, mtime, xattrs }
    })
}

fn node() -> impl Strategy<Value = Node> {
    let file = prop::sample::select(&TEXTS[..]).prop_map(|text| {
        let (body, size) = (BodyId::of(text.as_bytes()), text.len() as u64);
        Node::File(File { body, size, link: None })
    });
    let device = Device { major: 1, minor: 3 };
    prop_oneof![
        6 => file,
        1 => Just(Node::Symlink(b"../a"[..].into())),
        1 => Just(Node::Fifo),
        1 => Just(Node::CharDevice(device)),
    ]
}

fn root_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (metadata(), node()).prop_map(|(metadata, node)| Deed::Insert(metadata, node)),
        2 => metadata().prop_map(Deed::Directory),
        2 => path().prop_map(Deed::Link),
    ]
}

fn change_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![6 => root_deed(), 2 => Just(Deed::Whiteout), 1 => Just(Deed::Opaque)]
}

fn built(deeds: Vec<(LayerPath, Deed)>) -> Tree {
    let mut builder = TreeBuilder::new();
    for (path, deed) in deeds {
        let _refused = match deed {
            Deed::Insert(metadata, node) => builder.insert(&path, metadata, node),
            Deed::Directory(metadata) => builder.directory(&path, metadata),
            Deed::Link(target) => builder.link(&path, &target),
            Deed::Whiteout => builder.whiteout(&path),
            Deed::Opaque => builder.opaque(&path),
        };
    }
    builder.finish()
}

fn changeset() -> impl Strategy<Value = Tree> {
    prop::collection::vec((path(), change_deed()), 0..24).prop_map(built)
}

fn root() -> impl Strategy<Value = Tree> {
    let deeds = prop::collection::vec((path(), root_deed()), 0..24);
    deeds.prop_map(|deeds| merge(&Tree::default(), &built(deeds)))
}

fn bodies() -> BTreeMap<BodyId, FileBytes> {
    TEXTS
        .iter()
        .map(|text| (BodyId::of(text.as_bytes()), text.as_bytes().to_vec().into()))
        .collect()
}

proptest! {
    #[test]
    fn a_layer_survives_its_tar_stream(tree in changeset()) {
        let mut tar = Vec::new();
        tar_write(&tree, &bodies(), None, &mut tar).unwrap();
        let diff_id = DiffId(Digest::of(&tar));
        let (read, size) = read_layer(&mut &tar[..], &diff_id, Keep::Nothing).unwrap();
        prop_assert_eq!(size, tar.len() as u64);
        let mut again = Vec::new();
        tar_write(&read, &bodies(), None, &mut again).unwrap();
        prop_assert!(tar == again);
        let over = |tree: &Tree| encode(&merge(&Tree::default(), tree));
        prop_assert_eq!(over(&read), over(&tree));
    }

    #[test]
    fn a_difference_leads_to_the_upper_tree(lower in root(), upper in root()) {
        let changes = diff(&lower, &upper);
        prop_assert_eq!(encode(&merge(&lower, &changes)), encode(&upper));
        prop_assert!(diff(&upper, &upper).children.is_empty());
    }

    #[test]
    fn layers_merge_into_a_root_file_system(
        lower in root(),
        one in changeset(),
        two in changeset(),
    ) {
        let step_by_step = merge(&merge(&lower, &one), &two);
        prop_assert_eq!(encode(&step_by_step), encode(&merge_all([&lower, &one, &two])));
        let squashed = diff(&lower, &step_by_step);
        prop_assert_eq!(encode(&merge(&lower, &squashed)), encode(&step_by_step));
    }
}
