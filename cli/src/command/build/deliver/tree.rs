//! The root file systems of targets as one tree of files.

use wythe_delivery::files::PlatformSplit;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::platforms::below;

use super::goods::Goods;
use crate::failure::Failure;

/// The files of targets, each in a directory of its name where there are several.
pub(super) fn file_tree(goods: &[&Goods<'_>], split: PlatformSplit) -> Result<Tree, Failure> {
    let files = |goods: &Goods<'_>| {
        goods.complete()?;
        Ok::<_, Failure>(goods.images.files(split)?)
    };
    match goods {
        [only] => files(only),
        several => {
            let named = |goods: &&Goods<'_>| Ok(below(&goods.built.name, &files(goods)?));
            let trees = several.iter().map(named);
            Ok(merge_all(&trees.collect::<Result<Vec<Tree>, Failure>>()?))
        }
    }
}
