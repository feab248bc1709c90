//! Packs and blobs: every byte of them.

use std::io::Read as _;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::digest::Digest;
use crate::error::{At, ReadCause, ReadError};
use crate::fsck::Depth;
use crate::fsck::damage::Damage;
use crate::id::{hex, unhex};
use crate::object::{Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::store::Store;

/// How much of a blob is read at once.
const PIECE: usize = 256 * 1024;

impl Store {
    /// Works on the current rayon pool.
    pub(super) fn verify_packs(&self, depth: Depth) -> Result<Vec<Damage>, ReadError> {
        let names = self.vfs().list("packs").reading("packs")?;
        let names = names.into_iter().filter(|name| PackName::of_file(name).is_some());
        Ok(self.verify_listed(names.collect(), depth))
    }

    fn verify_listed(&self, names: Vec<String>, depth: Depth) -> Vec<Damage> {
        let verify = |name: &String| match Pack::open(&**self.vfs(), &format!("packs/{name}")) {
            Ok(pack) => self.verify_pack(&pack, name, depth),
            // A collection has taken it away since it was listed. What needs it all the same says so.
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => vec![error.into()],
        };
        names.into_par_iter().flat_map_iter(|name| verify(&name)).collect()
    }

    pub(super) fn verify_blobs(&self, depth: Depth) -> Result<Vec<Damage>, ReadError> {
        if depth == Depth::Quick {
            return Ok(Vec::new());
        }
        let names = self.vfs().list("blobs/sha256").reading("blobs/sha256")?;
        let digests: Vec<Digest> =
            names.iter().filter_map(|name| unhex(name).map(Digest::from_bytes)).collect();
        Ok(digests.into_par_iter().filter_map(|digest| self.verify_blob(digest)).collect())
    }

    fn verify_blob(&self, digest: Digest) -> Option<Damage> {
        let mut blob = match self.foreign_blob(&digest) {
            Ok(blob) => blob?,
            Err(error) => return Some(error.into()),
        };
        let mut piece = vec![0; PIECE];
        loop {
            match blob.read(&mut piece) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Some(Damage::Blob { digest });
                }
                Err(error) => return Some(ReadError::new(digest.blob_path(), error).into()),
            }
        }
    }

    /// What is wrong with a pack that could be opened.
    fn verify_pack(&self, pack: &Pack, file: &str, depth: Depth) -> Vec<Damage> {
        let (mut damage, path) = (Vec::new(), || pack.path().to_owned());
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
        damage.extend(pack.entries().filter_map(|entry| self.verify_object(pack, &entry, depth)));
        damage
    }

    fn verify_object(&self, pack: &Pack, entry: &Entry, depth: Depth) -> Option<Damage> {
        let ObjectName { id, kind } = entry.name;
        match self.is_sound(pack, entry, depth) {
            Ok(true) => None,
            Ok(false) => {
                Some(Damage::WrongObject { path: pack.path().to_owned(), kind, id: hex(&id) })
            }
            Err(error) => Some(error.into()),
        }
    }

    /// Whether a record is intact and, in depth, what its id says.
    pub(super) fn is_sound(
        &self,
        pack: &Pack,
        entry: &Entry,
        depth: Depth,
    ) -> Result<bool, ReadError> {
        let ObjectName { id, kind } = entry.name;
        let bytes = pack.body(entry)?;
        let found = match (depth, kind) {
            (Depth::Quick, _) => return Ok(true),
            (Depth::Full, Kind::ChunkList) => self.identify_list(&bytes.load()?),
            (Depth::Full, _) => kind.identify_stored(&bytes)?,
        };
        Ok(found.is_none_or(|right| right == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenOptions;

    #[test]
    fn a_pack_that_goes_after_it_was_listed_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let listed = vec![format!("{}.pack", "5".repeat(32))];
        assert!(store.verify_listed(listed, Depth::Full).is_empty());
    }
}
