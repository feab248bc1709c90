//! Verification: everything in the store is read and hashed again, every name is followed to the
//! bytes of files, and nothing is changed.

pub mod damage;
mod images;
mod packs;
pub mod repair;

use crate::closure::{has_blob, without_bodies};
use crate::error::ReadError;
use crate::fsck::damage::Damage;
use crate::id::TreeId;
use crate::journal::unread::Unread;
use crate::layers::LayerRecord;
use crate::live::found::is_usable;
use crate::object::Kind;
use crate::store::Store;

/// How much is looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Depth {
    /// Checksums of records, and that everything is there. Blobs of registries have no checksum but
    /// their digest: of those, only the length.
    Quick,
    /// Every object is decoded and compared with its id, every blob and layer of an image with its
    /// digest.
    #[default]
    Full,
}

impl Store {
    /// Looks at everything, and returns what is damaged, in no case changing anything. Other
    /// processes may build and collect meanwhile.
    ///
    /// # Errors
    ///
    /// Only if the store's directories cannot be listed; damage is not an error.
    pub fn verify(&self, depth: Depth) -> Result<Vec<Damage>, ReadError> {
        // Keeps what is there now from being taken away under our hands. A store that may only be
        // read, or is full, is looked at without.
        let lease = self.lease().inspect_err(|error| tracing::debug!(%error, "no lease"));
        self.refresh()?;
        let mut damage = self.verify_packs(depth)?;
        damage.extend(self.verify_blobs(depth)?);
        damage.extend(self.verify_journal()?);
        damage.extend(self.verify_records());
        match self.missing_of_layers() {
            Ok(missing) => damage.extend(missing),
            Err(error) => damage.push(error.into()),
        }
        damage.extend(images::verify(self, depth)?);
        if !damage.is_empty() {
            self.refresh()?;
            damage.retain(|one| self.still_concerns(one));
        }
        drop(lease);
        Ok(damage)
    }

    /// Whether what is damaged is still there: it may have been removed since it was met.
    fn still_concerns(&self, damage: &Damage) -> bool {
        let exists = |path: &str| self.vfs().exists(path).unwrap_or(true);
        match damage {
            Damage::Unreadable(error) => error.path == "journal" || exists(&error.path),
            Damage::Table { path } | Damage::WrongObject { path, .. } => exists(path),
            Damage::Image(damage) => {
                self.find_ref(&damage.name).map_or(true, |root| root.is_some())
            }
            Damage::MissingBodies { layer, .. } | Damage::MissingTree { layer } => {
                self.layer(layer).map_or(true, |record| record.is_some())
            }
            Damage::Blob { .. }
            | Damage::Journal { .. }
            | Damage::Record { .. }
            | Damage::Directory { .. }
            | Damage::UnreadableDirectory { .. } => true,
        }
    }

    /// The journal is read again from its files: what is in memory may be from before.
    fn verify_journal(&self) -> Result<Vec<Damage>, ReadError> {
        let parts = self.journal().reread()?.into_iter();
        Ok(parts.map(|part| Damage::Journal { path: part.path, offset: part.offset }).collect())
    }

    fn verify_records(&self) -> Vec<Damage> {
        let records = self.unread_records().into_iter();
        let damaged = records.filter(|record| record.why == Unread::Damaged);
        damaged.map(|record| Damage::Record { what: record.name() }).collect()
    }

    pub(crate) fn missing_of_layers(&self) -> Result<Vec<Damage>, ReadError> {
        let mut missing = Vec::new();
        for record in self.layers()? {
            if let Some(tree) = &record.tree {
                missing.extend(self.missing_of(&record, tree)?);
            }
        }
        Ok(missing)
    }

    /// What is missing of the files of a layer.
    fn missing_of(&self, record: &LayerRecord, tree: &TreeId) -> Result<Option<Damage>, ReadError> {
        let layer = record.id;
        // A tree that cannot be read is told of with its pack.
        let Ok(Some(tree)) = self.tree(tree) else {
            let is_there = self.contains(Kind::Tree, tree.as_bytes())?;
            return Ok((!is_there).then_some(Damage::MissingTree { layer }));
        };
        let without = without_bodies(self, &tree)?;
        let count = without.len();
        match without.into_iter().next() {
            Some(path) if !self.has_elsewhere(record)? => {
                Ok(Some(Damage::MissingBodies { layer, path, count }))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Whether the files of a layer can be read from the blob it was pulled as, or its directory, or
    /// fetched again.
    pub(crate) fn has_elsewhere(&self, record: &LayerRecord) -> Result<bool, ReadError> {
        match &record.live {
            Some(name) if is_usable(self, name, &record.id, None)? => Ok(true),
            Some(_) | None => Ok(!record.origins.is_empty() || has_blob(self, record)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LayerId;
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::live::tests::{Pulled, Trial};
    use crate::tree::sketch::sketch;

    #[test]
    fn files_whose_bytes_are_nowhere_are_told_of() {
        let trial = Trial::new();
        trial.lease.put_body(b"2").unwrap();
        let mut record = LayerRecord::new(LayerId::of(b"layer"));
        record.tree = Some(trial.lease.put_tree(&sketch("a=2 d/ d/b=1 d/c=3")).unwrap());
        let mut batch = Batch::new();
        batch.put_layer(&record);
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let damage = trial.lease.store().verify(Depth::Full).unwrap();
        let [Damage::MissingBodies { layer, path, count: 2 }] = &damage[..] else {
            panic!("{damage:?}")
        };
        assert_eq!((*layer, path.as_bytes()), (record.id, &b"d/b"[..]));
    }

    #[test]
    fn bytes_that_a_pulled_layer_keeps_in_its_blob_are_not_missing() {
        let (trial, pulled) = (Trial::new(), Pulled::new("a=1 b=2"));
        let announced = (&pulled.descriptor, &pulled.diff_id);
        let path =
            crate::live::ensure::receive(&trial.lease, announced, b"map", &mut &pulled.blob[..]);
        std::fs::remove_dir_all(path.unwrap()).unwrap();
        let damage = trial.lease.store().verify(Depth::Full).unwrap();
        assert!(damage.is_empty(), "{damage:?}");
    }
}
