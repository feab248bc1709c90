//! The root file systems of a build as one tree of files.

use wythe_store::image::rootfs::rootfs;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::platforms::{below, conflict};

use super::goods::Goods;
use crate::args::output::Split;
use crate::failure::Failure;

/// The files of targets, each in a directory of its name where there are several.
pub(super) fn file_tree(goods: &[&Goods<'_>], split: Split) -> Result<Tree, Failure> {
    match goods {
        [only] => only.files(split),
        several => {
            let named = |goods: &&Goods<'_>| Ok(below(&goods.built.name, &goods.files(split)?));
            let trees = several.iter().map(named);
            Ok(merge_all(&trees.collect::<Result<Vec<Tree>, Failure>>()?))
        }
    }
}

impl Goods<'_> {
    /// The files of all platforms, each in a directory such as `linux_amd64` where there are
    /// several, unless something else is asked for.
    fn files(&self, split: Split) -> Result<Tree, Failure> {
        self.complete()?;
        let trees = self.images.iter().map(|image| rootfs(self.lease, image));
        let trees: Vec<Tree> = trees.collect::<Result<_, _>>()?;
        match split {
            Split::Beside => Ok(self.beside(&trees)),
            Split::Several if trees.len() > 1 => Ok(self.beside(&trees)),
            Split::Several | Split::Merged => self.merged(&trees),
        }
    }

    fn beside(&self, trees: &[Tree]) -> Tree {
        let pairs = self.built.images.iter().zip(trees);
        let below = |(image, tree): (&wythe_builder::build::Image, _)| {
            below(&image.platform.to_string().replace('/', "_"), tree)
        };
        let directories: Vec<Tree> = pairs.map(below).collect();
        merge_all(&directories)
    }

    fn merged(&self, trees: &[Tree]) -> Result<Tree, Failure> {
        let platform = |at: usize| &self.built.images[at].platform;
        for (at, tree) in trees.iter().enumerate() {
            for (earlier, other) in trees[..at].iter().enumerate() {
                if let Some(path) = conflict(other, tree) {
                    let (one, other) = (platform(earlier), platform(at));
                    return Err(Failure::usage(format!(
                        "cannot overwrite {path} from {one} with that from {other}"
                    ))
                    .remedy("leave platform-split=false out for a directory per platform"));
                }
            }
        }
        Ok(merge_all(trees))
    }
}
