//! The root file systems of a build as one tree of files.

use wythe_store::image::rootfs::rootfs;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::platforms::{below, conflict};

use super::goods::Goods;
use crate::args::output::Split;
use crate::failure::Failure;

/// What a statement about files is called among them.
const STATEMENT: &str = "provenance.json";

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
    /// several or a statement is made about them, unless something else is asked for.
    fn files(&self, split: Split) -> Result<Tree, Failure> {
        self.complete()?;
        let trees = self.images.iter().map(|image| rootfs(self.lease, image));
        let trees: Vec<Tree> = trees.collect::<Result<_, _>>()?;
        let apart = match split {
            Split::Beside => true,
            Split::Merged => false,
            Split::Several => trees.len() > 1 || self.provenance.is_some(),
        };
        if !apart {
            return self.merged(&trees);
        }
        let stated = trees.iter().map(|tree| self.with_statement(tree, STATEMENT));
        Ok(self.beside(&stated.collect::<Result<Vec<Tree>, _>>()?))
    }

    fn with_statement(&self, tree: &Tree, name: &str) -> Result<Tree, Failure> {
        match &self.provenance {
            Some(predicate) => self.stated(tree, name, predicate),
            None => Ok(tree.clone()),
        }
    }

    /// The name of a platform as a directory or a part of a name.
    fn label(&self, at: usize) -> String {
        self.built.images[at].platform.to_string().replace('/', "_")
    }

    fn beside(&self, trees: &[Tree]) -> Tree {
        let trees = trees.iter().enumerate();
        let directories: Vec<Tree> = trees.map(|(at, tree)| below(&self.label(at), tree)).collect();
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
        let stated = trees.iter().enumerate().map(|(at, tree)| {
            let name = match trees {
                [_] => STATEMENT.to_owned(),
                _ => STATEMENT.replace('.', &format!(".{}.", self.label(at))),
            };
            self.with_statement(tree, &name)
        });
        Ok(merge_all(&stated.collect::<Result<Vec<Tree>, _>>()?))
    }
}
