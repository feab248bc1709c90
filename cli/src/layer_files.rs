//! The largest files of layers, for who wants to know what an image is as large as.

use std::collections::{BTreeMap, BTreeSet};

use wythe_store::digest::DiffId;
use wythe_store::error::ReadError;
use wythe_store::store::Store;
use wythe_store::tree::entry::{Directory, LinkGroup, Node};

use crate::build_record::BuildRecord;

/// As many of one layer as are looked at among those of others.
const MOST: usize = 25;

/// The files of a layer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LayerFiles {
    /// Paths and sizes, the largest first.
    pub(crate) largest: Vec<(String, u64)>,
    /// How many regular files there are, and their bytes.
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

/// The files of the layers of a build, by step, as far as the store still has them.
///
/// # Errors
///
/// If a file of the store cannot be read.
pub(crate) fn of_build(
    store: &Store,
    record: &BuildRecord,
) -> Result<BTreeMap<usize, LayerFiles>, ReadError> {
    let mut found = BTreeMap::new();
    for step in &record.steps {
        let diff_id = step.layer.as_ref().and_then(|layer| layer.diff_id.parse().ok());
        let Some(diff_id) = diff_id.map(DiffId) else { continue };
        let layer = store.layer_of_diff(&diff_id)?;
        let Some(tree) = layer.and_then(|layer| layer.tree) else { continue };
        if let Some(tree) = store.tree(&tree)? {
            found.insert(step.step, of_directory(&tree.children));
        }
    }
    Ok(found)
}

fn of_directory(directory: &Directory) -> LayerFiles {
    let (mut files, mut links) = (LayerFiles::default(), BTreeSet::new());
    files.add(directory, "", &mut links);
    files.largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    files.largest.truncate(MOST);
    files
}

impl LayerFiles {
    fn add(&mut self, directory: &Directory, above: &str, links: &mut BTreeSet<LinkGroup>) {
        for entry in directory.entries() {
            let path = format!("{above}/{}", String::from_utf8_lossy(&entry.name));
            if let Node::Directory(directory) = &entry.node {
                self.add(&directory.children, &path, links);
            }
            // Of hard links the first counts.
            let Node::File(file) = &entry.node else { continue };
            if file.link.is_some_and(|link| !links.insert(link)) {
                continue;
            }
            self.count += 1;
            self.bytes += file.size;
            self.largest.push((path, file.size));
            if self.largest.len() > 16 * MOST {
                self.largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                self.largest.truncate(MOST);
            }
        }
    }
}
