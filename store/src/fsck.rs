//! Verification: everything in the store is read and hashed again, and nothing is changed.

use std::io::Read;

use crate::digest::Digest;
use crate::error::{At, ReadCause, ReadError};
use crate::id::unhex;
use crate::object::{Kind, ObjectName};
use crate::pack::reader::Pack;
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
    /// A layer's record names a tree that is not there.
    #[error("layer {layer} needs a tree that is missing")]
    MissingTree {
        /// The layer.
        layer: crate::id::LayerId,
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
                Ok(pack) => verify_pack(&pack, &name, damage),
                Err(error) => damage.push(error.into()),
            }
        }
        Ok(())
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
            missing.extend(self.missing_trees()?);
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

    fn missing_trees(&self) -> Result<Vec<Damage>, ReadError> {
        let mut missing = Vec::new();
        for record in self.layers()? {
            if let Some(tree) = record.tree
                && !self.contains(Kind::Tree, tree.as_bytes())?
            {
                missing.push(Damage::MissingTree { layer: record.id });
            }
        }
        Ok(missing)
    }
}

fn verify_pack(pack: &Pack, file: &str, damage: &mut Vec<Damage>) {
    let path = || pack.path().to_owned();
    if !pack.table_is_intact() || !pack.name().path().ends_with(file) {
        damage.push(Damage::Table { path: path() });
    }
    if !pack.header_is_intact() || !pack.gaps_are_zero() {
        damage.push(ReadError::new(path(), ReadCause::Malformed("space around records")).into());
    }
    for entry in pack.entries() {
        let ObjectName { id, kind } = entry.name;
        match pack.read(&entry) {
            Ok(bytes) if kind.identify(&bytes).is_none_or(|right| right == id) => {}
            Ok(_) => {
                let id = crate::id::hex(&id);
                damage.push(Damage::WrongObject { path: path(), kind, id });
            }
            Err(error) => damage.push(error.into()),
        }
    }
}
