//! What one image takes, and what would be had back without it.

use crate::error::ReadError;
use crate::gc::mark::Walk;
use crate::gc::{GcError, Pace};
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::tree::files::files;
use crate::usage::measure::Measure;

/// What an image takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ImageUsage {
    /// The bytes of its files, each as often as it is in the image.
    pub logical: u64,
    /// Bytes on disk that only it needs.
    pub unique: u64,
    /// Bytes on disk that others need, too: other names, and results of steps.
    pub shared: u64,
}

impl Store {
    /// What the image of a name takes; `None` where there is no such name.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn usage_of(&self, name: &str) -> Result<Option<ImageUsage>, GcError> {
        let Some(root) = self.find_ref(name)? else { return Ok(None) };
        let pace = Pace { now: Timestamp::default(), patience: &|| true };
        let mut alone = Walk::new(self, &pace)?;
        alone.weigh()?;
        alone.digest(&root.digest)?;
        alone.follow()?;
        let mut others = Walk::new(self, &pace)?;
        others.weigh()?;
        for (other, descriptor) in self.list_refs()? {
            if other != name {
                others.digest(&descriptor.digest)?;
            }
        }
        others.actions()?;
        others.follow()?;
        let all = self.taken(&alone)?;
        let without = self.taken(&others)?;
        others.digest(&root.digest)?;
        others.follow()?;
        let unique = self.taken(&others)?.saturating_sub(without);
        let logical = self.logical(&alone)?;
        Ok(Some(ImageUsage { logical, unique, shared: all.saturating_sub(unique) }))
    }

    /// What objects and blobs take that are marked.
    fn taken(&self, walk: &Walk<'_>) -> Result<u64, ReadError> {
        let measure = Measure::new(self, &|| true);
        Ok(walk.weight.made() + walk.weight.forms() + measure.blobs(&walk.mark.digests)?)
    }

    fn logical(&self, walk: &Walk<'_>) -> Result<u64, ReadError> {
        let mut logical = 0;
        for layer in &walk.mark.layers {
            let tree = self.layer(layer)?.and_then(|record| record.tree);
            let Some(tree) = tree.map(|id| self.tree(&id)).transpose()?.flatten() else { continue };
            logical += files(&tree.children).map(|(_, _, file)| file.size).sum::<u64>();
        }
        Ok(logical)
    }
}
