//! COPY of trees against COPY of a real directory by plain file operations, on random trees.

mod copy;
mod disk;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use wythe_store::tree::entry::Tree;

use self::copy::Order;
use self::disk::{Disk, Facts, apply};
use super::sketch::tree;
use crate::copy::mode::ModeChange;
use crate::copy::place::copy as laid;
use crate::copy::{CopySpec, CopyTarget, Layout};
use crate::owner::Owner;

/// Words of a sketch in which every parent is a directory that comes first.
fn sketches() -> impl Strategy<Value = String> {
    let links = "->(/|\\.\\./)?[abc](/[abc])?";
    let kind = prop_oneof!["=[XY](!600|!755)?(@5:6)?", "/(!711)?(@5:6)?", "/", links];
    let word = ("[abc](/[abc]){0,2}", kind);
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

fn orders() -> impl Strategy<Value = Order> {
    let sources = prop::collection::vec(
        "[abc](/[abc*?])?|[abc]?\\*(/[abc*])?|[abc]/\\./[abc*](/[abc*])?",
        1..4,
    );
    let nested = prop::collection::vec("([abc]/\\./)?[abc*](/([abc?]|\\*\\*))?(/[abc*])?", 1..3);
    let words = prop_oneof![
        sources.prop_map(|words| (words, false)),
        nested.prop_map(|words| (words, true))
    ];
    let exclude = select(vec!["a", "b/*", "**/c", "*/b", "!a/b", "!**/c", "?"]);
    let chmod = prop::option::weighted(0.3, select(vec!["640", "+x", "go-w,u+s", "u=rwX,go="]));
    let owner = prop::option::weighted(0.3, Just((7, 8)));
    let destination = "/[abc](/[abc])?(/[abc])?/?|/";
    (words, destination, owner, chmod, prop::collection::vec(exclude, 0..3)).prop_map(
        |((sources, parents), destination, owner, chmod, exclude)| Order {
            sources,
            destination,
            owner,
            chmod,
            exclude,
            parents,
        },
    )
}

/// The same order for the code that is tested.
fn spec(order: &Order) -> CopySpec {
    CopySpec {
        sources: order.sources.clone(),
        destination: order.destination.clone(),
        owner: order.owner.map(|(uid, gid)| Owner { uid, gid }),
        mode: order.chmod.map(|text| ModeChange::parse(text).unwrap()),
        layout: if order.parents { Layout::Parents } else { Layout::Flat },
        exclude: order.exclude.iter().map(|&pattern| pattern.to_owned()).collect(),
        ..CopySpec::default()
    }
}

/// What is there afterwards by either way; nothing where the copy is refused.
fn both(source: &str, onto: &str, order: &Order) -> (Option<Facts>, Option<Facts>) {
    let (from, mut to) = (Disk::of(source), Disk::of(onto));
    let mut facts = to.facts();
    let changes: Option<Tree> = laid(&tree(source), &tree(onto).children, &spec(order)).ok();
    let computed = changes.map(|changes| {
        apply(&changes.children, "", &mut facts);
        facts
    });
    let done = copy::copy(&from, &mut to, order).ok().map(|()| to.facts());
    (computed, done)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn trees_and_file_operations_agree(source in sketches(), onto in sketches(), order in orders()) {
        let (computed, done) = both(&source, &onto, &order);
        prop_assert_eq!(computed, done, "{} onto {}: {:?}", source, onto, order);
    }

    #[test]
    fn a_linked_copy_is_a_copy_onto_nothing(source in sketches(), onto in sketches(), order in orders()) {
        let linked = CopySpec { base: CopyTarget::Nothing, ..spec(&order) };
        let lay = |spec: &CopySpec, onto: &str| laid(&tree(&source), &tree(onto).children, spec).ok();
        prop_assert_eq!(lay(&linked, &onto), lay(&spec(&order), ""), "{} onto {}", source, onto);
    }
}
