//! The root file systems of images as one tree of files.

use std::sync::Arc;

use serde_json::{Value, json};
use wythe_store::image::rootfs::rootfs_with;
use wythe_store::layer::aside::Aside;
use wythe_store::layer::import::Keep;
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::tree::files::files;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::platforms::{below, conflict};

use crate::attestation::statement;
use crate::error::DeliveryError;
use crate::platforms::PlatformImages;

/// What a statement about files is called among them.
const STATEMENT: &str = "provenance.json";

/// The mode of that file, as `BuildKit` has it.
const MODE: u32 = 0o600;

/// Where the files of several platforms go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PlatformSplit {
    /// Each in a directory of its name, such as `linux_amd64`.
    Beside,
    /// All in one.
    Merged,
    /// Each in a directory where there are several.
    #[default]
    Several,
}

/// How files lie that leave.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FilesLayout {
    /// Where those of several platforms go.
    pub split: PlatformSplit,
    /// What the names of statements about them begin with.
    pub statement_prefix: String,
}

impl PlatformImages<'_> {
    /// The files of all platforms. The layers have to be [complete](Self::complete). The bytes of files that are in
    /// blobs only are put `aside`, where somebody wants to move them, and into the store otherwise.
    ///
    /// # Errors
    ///
    /// If a layer cannot be read, two platforms have different files of one name where all are to be
    /// in one directory, or the store fails.
    pub fn files(
        &self,
        layout: &FilesLayout,
        aside: Option<&Aside<'_>>,
    ) -> Result<Tree, DeliveryError> {
        // A statement is made of the bytes of all files.
        let aside = aside.filter(|_| self.provenance.is_none());
        let keep = aside.map_or(Keep::In(self.lease), Keep::Aside);
        let trees = self.images.iter().map(|image| rootfs_with(self.lease, &image.image, keep));
        let trees: Vec<Tree> = trees.collect::<Result<_, _>>()?;
        let apart = match layout.split {
            PlatformSplit::Beside => true,
            PlatformSplit::Merged => false,
            PlatformSplit::Several => trees.len() > 1,
        };
        let statement = format!("{}{STATEMENT}", layout.statement_prefix);
        if !apart {
            return self.merged(&trees, &statement);
        }
        let stated = trees.iter().map(|tree| self.with_statement(tree, &statement));
        Ok(self.beside(&stated.collect::<Result<Vec<Tree>, _>>()?))
    }

    fn with_statement(&self, tree: &Tree, name: &str) -> Result<Tree, DeliveryError> {
        match &self.provenance {
            Some(predicate) => self.stated(tree, name, predicate),
            None => Ok(tree.clone()),
        }
    }

    /// The name of a platform as a directory or a part of a name.
    fn label(&self, at: usize) -> String {
        self.images[at].platform.to_string().replace('/', "_")
    }

    fn beside(&self, trees: &[Tree]) -> Tree {
        let trees = trees.iter().enumerate();
        let directories: Vec<Tree> = trees.map(|(at, tree)| below(&self.label(at), tree)).collect();
        merge_all(&directories)
    }

    fn merged(&self, trees: &[Tree], statement: &str) -> Result<Tree, DeliveryError> {
        let platform = |at: usize| Box::new(self.images[at].platform.clone());
        for (at, tree) in trees.iter().enumerate() {
            for (earlier, other) in trees[..at].iter().enumerate() {
                if let Some(path) = conflict(other, tree) {
                    let (one, other) = (platform(earlier), platform(at));
                    return Err(DeliveryError::Conflict { path, one, other });
                }
            }
        }
        let stated = trees.iter().enumerate().map(|(at, tree)| {
            let name = match trees {
                [_] => statement.to_owned(),
                _ => statement.replace(".json", &format!(".{}.json", self.label(at))),
            };
            self.with_statement(tree, &name)
        });
        Ok(merge_all(&stated.collect::<Result<Vec<Tree>, _>>()?))
    }

    /// The files with a statement of this name about each of them, in the place of what has that name.
    fn stated(&self, tree: &Tree, name: &str, predicate: &Value) -> Result<Tree, DeliveryError> {
        let mut subject = Vec::new();
        for (path, _, file) in files(&tree.children) {
            let bytes = self.lease.store().body(&file.body)?;
            let bytes = bytes.ok_or_else(|| DeliveryError::Bytes(path.clone()))?;
            let name = String::from_utf8_lossy(path.as_bytes());
            let digest = bytes.digest()?.hex();
            subject.push(json!({"name": name, "digest": {"sha256": digest}}));
        }
        let text = format!("{:#}\n", statement(&subject, predicate));
        let body = self.lease.put_body(text.as_bytes())?;
        let file = File { body, size: text.len() as u64, link: None };
        let metadata = Metadata { mode: MODE, ..Metadata::default() };
        let mut children = Directory::clone(&tree.children);
        children.insert(Entry { name: name.as_bytes().into(), metadata, node: Node::File(file) });
        Ok(Tree { root: tree.root.clone(), children: Arc::new(children) })
    }
}
