//! What ignore files and `--exclude` leave of a tree, beside asking about each path by itself.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::sync::LazyLock;

use proptest::prelude::*;
use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::stat_cache::FileStat;
use wythe_store::tree::entry::Tree;

use super::sketch::{show, tree};
use crate::context::Context;
use crate::context::body::Bodies;
use crate::copy::CopySpec;
use crate::copy::route::Route;
use crate::copy::select::{Item, select};
use crate::ignore::Rules;

/// Files of the tree; the directories are those on the way, and an empty one.
const FILES: [&str; 14] = [
    ".env", "a/.env", "a/a/x", "a/b/.env", "a/b/a/x", "a/n/x", "a/x", "b/a/n/x", "b/n/b/x", "b/x",
    "n/a/x", "n/x/a", "x/a", "x/n/a",
];

const EMPTY: &str = "e";

static CONTEXT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    for file in FILES {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "F").unwrap();
    }
    fs::create_dir(root.path().join(EMPTY)).unwrap();
    root
});

/// Every file is the same to it.
struct Same;

impl Bodies for Same {
    fn recall(&self, _: &[u8], _: &FileStat) -> Option<BodyId> {
        Some(BodyId::of(b"F"))
    }

    fn store(&self, _: Option<&mut File>, _: u64) -> Result<(BodyId, u64), WriteError> {
        Ok((BodyId::of(b"F"), 1))
    }

    fn remember(&self, _: &[u8], _: &FileStat, _: BodyId) {}
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let parts = vec!["a", "b", "n", "x", "e", ".env", "*", "**", "?", "[ab]"];
    let parts = prop::collection::vec(prop::sample::select(parts), 1..4);
    let pattern = (any::<bool>(), parts)
        .prop_map(|(kept, parts)| format!("{}{}", if kept { "!" } else { "" }, parts.join("/")));
    prop::collection::vec(pattern, 1..6)
}

/// The paths that are kept, with the directories that lead to them.
fn expected(rules: &Rules) -> BTreeSet<String> {
    let mut all: BTreeSet<&str> = FILES.into_iter().chain([EMPTY]).collect();
    for file in FILES {
        all.extend(file.match_indices('/').map(|(end, _)| &file[..end]));
    }
    let mut kept = BTreeSet::new();
    for path in all.into_iter().filter(|path| !rules.excludes(path.as_bytes())) {
        kept.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        kept.insert(path.to_owned());
    }
    kept
}

fn paths(shown: &str) -> BTreeSet<String> {
    let end = |word: &str| word.find(['!', '~', '=']).unwrap_or(word.len());
    let words = shown.split_whitespace();
    words.map(|word| word[..end(word)].trim_end_matches('/').to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_scan_has_what_the_ignore_file_keeps(patterns in patterns()) {
        let rules = Rules::parse("i", &patterns.join("\n")).unwrap();
        let expected = expected(&rules);
        let context = Context::open(CONTEXT.path(), rules).unwrap();
        let scan = context.scan(&[Route::flat("").unwrap()], &Same).unwrap();
        prop_assert_eq!(paths(&show(&scan.tree)), expected, "{}", patterns.join("\n"));
    }

    #[test]
    fn a_copy_has_what_excludes_keep(exclude in patterns()) {
        let expected = expected(&Rules::exclude(&exclude).unwrap());
        let sketch = format!("{}=F {EMPTY}/", FILES.join("=F "));
        let spec = CopySpec { sources: vec!["/".to_owned()], exclude, ..CopySpec::default() };
        let selection = select(&tree(&sketch), &spec).unwrap();
        let [Item::Contents { children, .. }] = selection.items() else { panic!("{selection:?}") };
        let kept = Tree { root: None, children: children.clone() };
        prop_assert_eq!(paths(&show(&kept)), expected, "{:?}", spec.exclude);
    }
}
