//! Making an adopted layer independent of its directory.

use crate::digest::DiffId;
use crate::error::{ReadError, WriteError};
use crate::layer::export::measure;
use crate::layer::midstate::measure_on;
use crate::layer::tar_write::WriteTarError;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::found::is_as_left;
use crate::live::upper::{UpperError, upper_outline, upper_tree};
use crate::tree::entry::Tree;

/// A layer could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Neither tree nor directory is there.
    #[error("the layer's files are gone")]
    Gone,
    /// Its directory no longer has the files that were measured.
    #[error("the layer's files make {found}, not {expected}")]
    Changed {
        /// What was recorded.
        expected: DiffId,
        /// What the files make.
        found: DiffId,
    },
    /// Somebody has changed its directory since it was made, and it is nothing else.
    #[error("{0} of the store has been changed, and its layer is nowhere else")]
    Replaced(String),
    /// Its directory could not be read.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// Its tar stream could not be computed.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The tree of a layer. Of one that is only a directory, files and tree are stored first; `lower`
/// is the root file system it was made on. The record is changed, and is the caller's to commit.
///
/// # Errors
///
/// If the layer is neither a tree nor a directory here, or cannot be read.
pub fn ensure_tree(
    lease: &Lease,
    record: &mut LayerRecord,
    lower: &Tree,
) -> Result<Tree, SealError> {
    if let Some(id) = &record.tree {
        return lease.store().tree(id)?.ok_or(SealError::Gone);
    }
    let name = record.live.as_ref().ok_or(SealError::Gone)?;
    let live = lease.store().live(name)?.ok_or(SealError::Gone)?;
    if !is_as_left(lease.store(), name, &live)? {
        return Err(SealError::Replaced(name.path()));
    }
    let upper = lease.store().path().join(name.path());
    let tree = upper_tree(lease, (&upper, &live.idmap), lower)?;
    is_the_same(lease, record, &tree)?;
    record.tree = Some(lease.put_tree(&tree)?);
    Ok(tree)
}

/// What [`ensure_tree`] gives, as far as that is known without reading a file: of a layer that is only a directory
/// [`UNREAD`](crate::live::reading::UNREAD) stands for what its files hold.
///
/// # Errors
///
/// As [`ensure_tree`].
pub fn outline(lease: &Lease, record: &LayerRecord, lower: &Tree) -> Result<Tree, SealError> {
    let store = lease.store();
    if let Some(id) = &record.tree {
        return store.tree(id)?.ok_or(SealError::Gone);
    }
    let name = record.live.as_ref().ok_or(SealError::Gone)?;
    let live = store.live(name)?.ok_or(SealError::Gone)?;
    Ok(upper_outline((&store.path().join(name.path()), &live.idmap), lower)?)
}

/// Refuses a tree that is not the one a layer made here was measured in. Of a layer from elsewhere
/// the tree need not make the tar stream that it is known by.
fn is_the_same(lease: &Lease, record: &LayerRecord, tree: &Tree) -> Result<(), SealError> {
    let Some(expected) = record.diff_id.filter(|_| record.is_made_here()) else { return Ok(()) };
    let found = measure(tree, lease.store())?.diff_id;
    if found == expected { Ok(()) } else { Err(SealError::Changed { expected, found }) }
}

/// Computes what a manifest needs of a layer: its tree, its DiffID and the length of its tar
/// stream. The record is changed, and is the caller's to commit.
///
/// # Errors
///
/// If the layer is neither a tree nor a directory here, or cannot be read.
pub fn seal(lease: &Lease, record: &mut LayerRecord, lower: &Tree) -> Result<Tree, SealError> {
    let tree = ensure_tree(lease, record, lower)?;
    if record.diff_id.is_none() {
        let (measured, midstates) = measure_on(lease, &tree)?;
        midstates.iter().try_for_each(|midstate| midstate.keep(lease))?;
        record.diff_id = Some(measured.diff_id);
        record.tar_size = Some(measured.size);
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{DiffId, Digest};
    use crate::id::LayerId;
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layer::tar_write::tar_write;
    use crate::live::ensure::{EnsureError, ensure};
    use crate::live::found::is_at_hand;
    use crate::live::materialise::unpack;
    use crate::live::scratch::{adopt, scratch};
    use crate::live::tests::{ONE, Trial, bodies, ours};
    use crate::live_record::Sync;
    use crate::tree::encode::encode;
    use crate::tree::merge::merge;
    use crate::tree::sketch::sketch;

    /// A step that wrote `words`, adopted.
    fn adopted(trial: &Trial, words: &str) -> LayerRecord {
        let made = scratch(&trial.lease, &[], b"map").unwrap();
        unpack(&ours(&sketch(words)), (&bodies(words), ONE), &made.upper).unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &made, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        trial.lease.store().layer(&layer).unwrap().unwrap()
    }

    fn commit(trial: &Trial, record: &LayerRecord, durability: Durability) {
        let mut batch = Batch::new();
        batch.put_layer(record);
        trial.lease.commit(batch, durability).unwrap();
    }

    #[test]
    fn an_adopted_layer_is_a_directory_and_no_more() {
        let trial = Trial::new();
        let record = adopted(&trial, "a=1 d/ d/b=2");
        assert_eq!((record.tree, record.diff_id), (None, None));
        let path = ensure(&trial.lease, &record.id, b"map").unwrap();
        assert_eq!(std::fs::read(path.join("d/b")).unwrap(), b"2");
        let other = ensure(&trial.lease, &record.id, b"another map");
        assert!(other.is_err(), "its only copy has the owners of one mapping");
    }

    #[test]
    fn two_adopted_layers_have_two_ids() {
        let trial = Trial::new();
        assert_ne!(adopted(&trial, "a=1").id, adopted(&trial, "a=1").id);
    }

    #[test]
    fn sealing_names_the_tar_stream_of_the_change() {
        let (trial, lower) =
            (Trial::new(), merge(&Tree::default(), &ours(&sketch("a=1 d/ d/x=1"))));
        let mut record = adopted(&trial, "-a d! d/b=2 n=1@1 m=1@1");
        let tree = seal(&trial.lease, &mut record, &lower).unwrap();
        let expected = ours(&sketch("-a d! d/b=2 n=1@1 m=1@1"));
        let changes = Tree { root: None, ..tree.clone() };
        assert_eq!(encode(&changes), encode(&expected));
        let mut tar = Vec::new();
        tar_write(&tree, trial.lease.store(), None, &mut tar).unwrap();
        assert_eq!(record.diff_id, Some(DiffId(Digest::of(&tar))));
        assert_eq!(record.tar_size, Some(tar.len() as u64));
    }

    #[test]
    fn a_sealed_layer_outlives_its_directory() {
        let trial = Trial::new();
        let mut record = adopted(&trial, "a=1 d/ d/b=2 -w");
        seal(&trial.lease, &mut record, &merge(&Tree::default(), &ours(&sketch("w=1")))).unwrap();
        commit(&trial, &record, Durability::Relaxed);
        let path = ensure(&trial.lease, &record.id, b"map").unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        let again = ensure(&trial.lease, &record.id, b"map").unwrap();
        assert_ne!(again, path);
        assert_eq!(std::fs::read(again.join("d/b")).unwrap(), b"2");
        let whiteout = rustix::fs::stat(again.join("w")).unwrap();
        assert_eq!(whiteout.st_rdev, 0);
        let other = ensure(&trial.lease, &record.id, b"another map").unwrap();
        assert_eq!(std::fs::read(other.join("a")).unwrap(), b"1");
    }

    #[test]
    fn a_durable_commit_makes_directories_safe() {
        let trial = Trial::new();
        let record = adopted(&trial, "a=1");
        let name = record.live.clone().unwrap();
        let sync = || trial.lease.store().live(&name).unwrap().unwrap().sync;
        assert_eq!(sync(), Sync::Unsynced);
        commit(&trial, &record, Durability::Durable);
        assert_eq!(sync(), Sync::Synced);
    }

    #[test]
    fn a_directory_that_was_changed_is_no_layer_any_more() {
        let trial = Trial::new();
        let mut record = adopted(&trial, "a=1 b=2");
        let store = trial.lease.store();
        assert!(is_at_hand(store, &record.id, b"map").unwrap());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let directory = record.live.as_ref().unwrap().path();
        std::fs::remove_file(store.path().join(&directory).join("a")).unwrap();
        let refused = seal(&trial.lease, &mut record, &Tree::default());
        assert!(matches!(refused, Err(SealError::Replaced(path)) if path == directory));
        let refused = ensure(&trial.lease, &record.id, b"map");
        assert!(matches!(refused, Err(EnsureError::Changed { .. })));
        assert!(!is_at_hand(store, &record.id, b"map").unwrap(), "its step runs again");
    }

    #[test]
    fn a_layer_without_files_is_gone() {
        let trial = Trial::new();
        let mut record = LayerRecord::new(LayerId::of(b"nothing"));
        let refused = seal(&trial.lease, &mut record, &Tree::default());
        assert!(matches!(refused, Err(SealError::Gone)));
        assert!(ensure(&trial.lease, &record.id, b"map").is_err());
    }
}
