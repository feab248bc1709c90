//! Verification: everything in the store is read and hashed again, and nothing is changed.

use std::io::Read;

use crate::bytes::FileBytes;
use crate::closure::{has_blob, without_bodies};
use crate::digest::Digest;
use crate::error::{At, ReadCause, ReadError};
use crate::id::{LayerId, TreeId, unhex};
use crate::layers::LayerRecord;
use crate::live::compare::Difference;
use crate::live::ensure::is_usable;
use crate::object::{Kind, ObjectName};
use crate::pack::reader::Pack;
use crate::path::LayerPath;
use crate::store::Store;

/// Something in the store that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The table of a pack has changed.
    #[error("the table of {path} has changed")]
    Table {
        /// The pack.
        path: String,
    },
    /// An object is intact, but not what its id names.
    #[error("{kind:?} {id} in {path} holds other bytes")]
    WrongObject {
        /// The pack.
        path: String,
        /// What it is.
        kind: Kind,
        /// Its id, in hex.
        id: String,
    },
    /// A blob has changed.
    #[error("blob {digest} has changed")]
    Blob {
        /// The digest it should have.
        digest: Digest,
    },
    /// A part of the journal has changed.
    #[error("{path} has changed at byte {offset}")]
    Journal {
        /// The file.
        path: String,
        /// Where.
        offset: u64,
    },
    /// A name stands for an image that is not complete.
    #[error("image {name} needs {digest}, which is missing")]
    MissingContent {
        /// The name.
        name: String,
        /// What is not there.
        digest: Digest,
    },
    /// Files of a layer have bytes that are neither in a pack nor where the layer came from.
    #[error("layer {layer} lacks the bytes of {count} files, the first of them {path}")]
    MissingBodies {
        /// The layer.
        layer: LayerId,
        /// The first of the files.
        path: LayerPath,
        /// How many files.
        count: usize,
    },
    /// The directory of a layer is not as the layer is: someone has changed it.
    #[error("{directory} {} {path}", how.verb())]
    Directory {
        /// The directory, relative to the store.
        directory: String,
        /// Where in it.
        path: LayerPath,
        /// In which way.
        how: Difference,
    },
    /// The directory of a layer cannot be read.
    #[error("{directory}: {cause}")]
    UnreadableDirectory {
        /// The directory, relative to the store.
        directory: String,
        /// Why.
        cause: String,
    },
    /// A layer's record names a tree that is not there.
    #[error("layer {layer} needs a tree that is missing")]
    MissingTree {
        /// The layer.
        layer: LayerId,
    },
}

impl Store {
    /// Reads and hashes every object, blob and record, and returns what is damaged, in no case
    /// changing anything.
    ///
    /// # Errors
    ///
    /// Only if the store's directories cannot be listed; damage is not an error.
    pub fn verify(&self) -> Result<Vec<Damage>, ReadError> {
        let mut damage = Vec::new();
        self.verify_packs(&mut damage)?;
        self.verify_blobs(&mut damage)?;
        self.verify_journal(&mut damage)?;
        self.verify_references(&mut damage);
        Ok(damage)
    }

    fn verify_packs(&self, damage: &mut Vec<Damage>) -> Result<(), ReadError> {
        for name in self.vfs().list("packs").reading("packs")? {
            match Pack::open(&**self.vfs(), &format!("packs/{name}")) {
                Ok(pack) => self.verify_pack(&pack, &name, damage),
                Err(error) => damage.push(error.into()),
            }
        }
        Ok(())
    }

    fn verify_pack(&self, pack: &Pack, file: &str, damage: &mut Vec<Damage>) {
        let path = || pack.path().to_owned();
        if !pack.table_is_intact() || !pack.name().path().ends_with(file) {
            damage.push(Damage::Table { path: path() });
        }
        match pack.space_is_intact() {
            Ok(true) => {}
            Ok(false) => {
                let cause = ReadCause::Malformed("space around records");
                damage.push(ReadError::new(path(), cause).into());
            }
            Err(error) => damage.push(error.into()),
        }
        for entry in pack.entries() {
            let ObjectName { id, kind } = entry.name;
            let identify = |bytes: FileBytes| {
                if kind == Kind::ChunkList {
                    return Ok(self.identify_list(&bytes.load()?));
                }
                kind.identify_stored(&bytes)
            };
            match pack.body(&entry).and_then(identify) {
                Ok(found) if found.is_none_or(|right| right == id) => {}
                Ok(_) => {
                    let id = crate::id::hex(&id);
                    damage.push(Damage::WrongObject { path: path(), kind, id });
                }
                Err(error) => damage.push(error.into()),
            }
        }
    }

    fn verify_blobs(&self, damage: &mut Vec<Damage>) -> Result<(), ReadError> {
        for name in self.vfs().list("blobs/sha256").reading("blobs/sha256")? {
            let Some(digest) = unhex(&name).map(Digest::from_bytes) else { continue };
            let Some(mut blob) = self.foreign_blob(&digest)? else { continue };
            let mut piece = vec![0; 256 * 1024];
            loop {
                match blob.read(&mut piece) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(_) => {
                        damage.push(Damage::Blob { digest });
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The journal is read again from its files: what is in memory may be from before.
    fn verify_journal(&self, damage: &mut Vec<Damage>) -> Result<(), ReadError> {
        for part in self.journal().reread()? {
            damage.push(Damage::Journal { path: part.path, offset: part.offset });
        }
        Ok(())
    }

    fn verify_references(&self, damage: &mut Vec<Damage>) {
        let checked = self.missing_content().and_then(|mut missing| {
            missing.extend(self.missing_of_layers()?);
            Ok(missing)
        });
        match checked {
            Ok(missing) => damage.extend(missing),
            Err(error) => damage.push(error.into()),
        }
    }

    fn missing_content(&self) -> Result<Vec<Damage>, ReadError> {
        let mut missing = Vec::new();
        for (name, descriptor) in self.list_refs()? {
            if self.document(&descriptor.digest)?.is_none() {
                missing.push(Damage::MissingContent { name, digest: descriptor.digest });
            }
        }
        Ok(missing)
    }

    fn missing_of_layers(&self) -> Result<Vec<Damage>, ReadError> {
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

    /// Whether the files of a layer can be read from the blob it was pulled as, or its directory.
    fn has_elsewhere(&self, record: &LayerRecord) -> Result<bool, ReadError> {
        match &record.live {
            Some(name) if is_usable(self, name, &record.id, None)? => Ok(true),
            Some(_) | None => has_blob(self, record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let damage = trial.lease.store().verify().unwrap();
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
        let damage = trial.lease.store().verify().unwrap();
        assert!(damage.is_empty(), "{damage:?}");
    }
}
