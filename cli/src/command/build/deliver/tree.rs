//! The root file systems of targets as one tree of files.

use wythe_delivery::files::FilesLayout;
use wythe_store::layer::aside::Aside;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::platforms::below;

use super::target::TargetOutput;
use crate::failure::Failure;

/// The files of targets, each in a directory of its name where there are several; with the bytes of those that the store
/// lacks put `aside`, where they are to be moved.
pub(super) fn file_tree(
    targets: &[&TargetOutput<'_>],
    layout: &FilesLayout,
    aside: Option<&Aside<'_>>,
) -> Result<Tree, Failure> {
    let files = |target: &TargetOutput<'_>| {
        target.complete()?;
        Ok::<_, Failure>(target.images.files(layout, aside)?)
    };
    match targets {
        [only] => files(only),
        several => {
            let named = |target: &&TargetOutput<'_>| Ok(below(&target.built.name, &files(target)?));
            let trees = several.iter().map(named);
            Ok(merge_all(&trees.collect::<Result<Vec<Tree>, Failure>>()?))
        }
    }
}
