//! What one image takes, and what would be had back without it; and what all of them take.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::ReadError;
use crate::gc::mark::{Mark, Walk};
use crate::gc::marks::Marks;
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

/// What all images with a name take together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ImagesUsage {
    /// How many names there are.
    pub names: usize,
    /// The bytes of their files, each as often as it is in an image.
    pub logical: u64,
    /// Bytes on disk that one name alone needs, whatever results of steps need.
    pub unique: u64,
    /// Bytes on disk that several names need.
    pub shared: u64,
}

/// What names need, one after another.
#[derive(Default)]
struct Needs {
    objects: Marks,
    digests: BTreeSet<Digest>,
}

impl Needs {
    /// Adds what one more name needs, and to `several` what was needed before.
    fn add(&mut self, one: &Mark, several: &mut Self) {
        self.objects.add(&one.objects, &mut several.objects);
        several.digests.extend(one.digests.intersection(&self.digests));
        self.digests.extend(&one.digests);
    }
}

impl Store {
    /// What the images of all names take. Follows each name to everything it needs.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn usage_of_images(&self) -> Result<ImagesUsage, GcError> {
        let pace = Pace { now: Timestamp::default(), patience: &|| true };
        let (mut all, mut several) = (Needs::default(), Needs::default());
        let mut usage = ImagesUsage::default();
        for (_, descriptor) in self.list_refs()? {
            let mut walk = Walk::new(self, &pace)?;
            walk.digest(&descriptor.digest)?;
            walk.follow()?;
            usage.names += 1;
            usage.logical += self.logical(&walk)?;
            all.add(&walk.mark, &mut several);
        }
        usage.shared = self.bytes_of(&several)?;
        usage.unique = self.bytes_of(&all)?.saturating_sub(usage.shared);
        Ok(usage)
    }

    /// What objects take, each in the pack where it is found, and blobs.
    fn bytes_of(&self, needs: &Needs) -> Result<u64, ReadError> {
        let mut bytes = Measure::new(self, &|| true).blobs(&needs.digests)?;
        let mut packs = self.packs().searcher()?;
        for pack in self.packs().all()? {
            let raw: u64 = pack.entries().map(|entry| entry.raw_len).sum();
            let mut needed = 0;
            for (place, entry) in pack.entries().enumerate() {
                if needs.objects.has(pack.name(), place)
                    && packs
                        .find(&entry.name)?
                        .is_some_and(|(first, _)| first.name() == pack.name())
                {
                    needed += entry.raw_len;
                }
            }
            let part = u128::from(needed) * u128::from(pack.size()) / u128::from(raw.max(1));
            bytes += u64::try_from(part).unwrap_or(pack.size());
        }
        Ok(bytes)
    }

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
