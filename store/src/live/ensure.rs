//! The directory of a layer, made where there is none.

use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use crate::blob::{BlobIngest, IngestError};
use crate::digest::DiffId;
use crate::error::{At as _, ReadError, WriteError};
use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::last_use::Used;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::layer::import::{ImportError, announced, layer_id, read_layer_within};
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::building::Building;
use crate::live::filler::Filler;
use crate::live::found::{find, forget_changed, is_there, is_usable};
use crate::live::materialise::unpack;
use crate::live::unpack::Unpacker;
use crate::oci::descriptor::Descriptor;
use crate::store::Store;
use crate::vfs::Lock;

/// A layer could not be made a directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsureError {
    /// There is neither a directory, nor a tree, nor a blob.
    #[error("layer {0} is not in the store")]
    Gone(LayerId),
    /// Somebody has changed its directory, and it is nothing else.
    #[error("{directory} of the store has been changed, and layer {layer} is nowhere else")]
    Changed {
        /// The layer.
        layer: LayerId,
        /// Its directory, relative to the store.
        directory: String,
    },
    /// Its blob is refused.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It is not the blob that was announced.
    #[error(transparent)]
    Blob(#[from] IngestError),
    /// Its tree could not be written out.
    #[error(transparent)]
    Unpack(#[from] MaterialiseError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl EnsureError {
    /// Whether the layer is another than it was said to be, which no source of it can help.
    pub fn is_of_layer(&self) -> bool {
        match self {
            Self::Import(error) => error.is_of_layer(),
            Self::Gone(_)
            | Self::Unpack(_)
            | Self::Blob(_)
            | Self::Changed { .. }
            | Self::Read(_)
            | Self::Write(_) => false,
        }
    }

    /// Whether the store lacks what the layer is made of, so that fetching it helps.
    pub fn is_lack(&self) -> bool {
        match self {
            Self::Gone(_) => true,
            Self::Unpack(error) => matches!(error.cause, MaterialiseCause::Missing(_)),
            Self::Blob(_)
            | Self::Changed { .. }
            | Self::Import(_)
            | Self::Read(_)
            | Self::Write(_) => false,
        }
    }
}

/// The directory of a layer, in the form an overlay mount with `userxattr` takes as a lower
/// directory. Where there is none it is unpacked from the layer's blob as it was pulled, or made
/// from its tree and the bodies in the packs.
///
/// Of several that ask for one layer at once, whatever their process, one makes the directory and
/// the others wait for it.
///
/// # Errors
///
/// If the layer is neither a directory nor a blob nor a tree here, or its directory cannot be made.
pub fn ensure(lease: &Lease, layer: &LayerId, idmap: &[u8]) -> Result<PathBuf, EnsureError> {
    let known = || lease.store().layer(layer)?.ok_or(EnsureError::Gone(*layer));
    find_or_make((lease, idmap), layer, known, from_store)
}

/// As [`ensure`], for a layer of a pulled image: its blob is in the store, and nothing else need be
/// known of it yet.
///
/// # Errors
///
/// If nobody has the layer or its blob is not the announced one, or its directory cannot be made.
pub fn ensure_announced(
    lease: &Lease,
    (descriptor, diff_id): (&Descriptor, &DiffId),
    idmap: &[u8],
) -> Result<PathBuf, EnsureError> {
    let layer = id_of(lease.store(), diff_id)?;
    let known = || Ok(announced(lease, descriptor, diff_id)?);
    find_or_make((lease, idmap), &layer, known, from_store)
}

/// Takes in a layer and unpacks it, reading its blob once: the blob is kept verbatim, its tree is
/// stored, its directory is made. Nothing is kept of what is not the announced layer. Where the
/// directory is there already nothing is read.
///
/// # Errors
///
/// If the blob is not the announced layer, or its directory cannot be made.
pub fn receive(
    lease: &Lease,
    (descriptor, diff_id): (&Descriptor, &DiffId),
    idmap: &[u8],
    reader: &mut (dyn Read + Send),
) -> Result<PathBuf, EnsureError> {
    let layer = id_of(lease.store(), diff_id)?;
    let known = || Ok(announced(lease, descriptor, diff_id)?);
    find_or_make((lease, idmap), &layer, known, |building, record| {
        let mut kept = Kept { reader, blob: lease.ingest_blob(descriptor)? };
        fill(building, &mut kept, diff_id, record)?;
        Ok(kept.blob.commit()?)
    })
}

/// The id of the layer with this tar stream; built here, it has another than a pulled one.
fn id_of(store: &Store, diff_id: &DiffId) -> Result<LayerId, ReadError> {
    let known = store.layer_of_diff(diff_id)?;
    Ok(known.map_or_else(|| layer_id(diff_id), |record| record.id))
}

fn find_or_make(
    (lease, idmap): (&Lease, &[u8]),
    layer: &LayerId,
    known: impl FnOnce() -> Result<LayerRecord, EnsureError>,
    make: impl FnOnce(&Building<'_>, &mut LayerRecord) -> Result<(), EnsureError>,
) -> Result<PathBuf, EnsureError> {
    let store = lease.store();
    if let Some(path) = find(store, layer, idmap)? {
        return Ok(path);
    }
    let _one_at_a_time = lock(store, layer)?;
    store.refresh()?;
    if let Some(path) = find(store, layer, idmap)? {
        return Ok(path);
    }
    let (mut record, mut batch) = (known()?, Batch::new());
    forget_changed(store, layer, idmap, &mut batch)?;
    let building = Building::new(lease)?;
    let made = make(&building, &mut record);
    if let (Err(EnsureError::Gone(_)), Some(name)) = (&made, &record.live)
        && is_there(store, name, layer, Some(idmap))?
    {
        return Err(EnsureError::Changed { layer: *layer, directory: name.path() });
    }
    made?;
    let path = building.keep(record, idmap, &mut batch)?;
    lease.commit(batch, Durability::Relaxed)?;
    Ok(path)
}

/// A directory of a layer beside those in `taken`, for a mount that needs the layer more than once.
/// It is kept like any other, so that the next mount finds it.
pub(super) fn ensure_beside(
    lease: &Lease,
    layer: &LayerId,
    idmap: &[u8],
    taken: &[PathBuf],
) -> Result<PathBuf, EnsureError> {
    let store = lease.store();
    let _one_at_a_time = lock(store, layer)?;
    store.refresh()?;
    for (name, live) in store.lives()? {
        let path = store.path().join(name.path());
        if live.layer == *layer
            && !taken.contains(&path)
            && is_usable(store, &name, layer, Some(idmap))?
        {
            store.note_use(&Used::Live(&name));
            return Ok(path);
        }
    }
    let mut record = store.layer(layer)?.ok_or(EnsureError::Gone(*layer))?;
    let building = Building::new(lease)?;
    from_store(&building, &mut record)?;
    let mut batch = Batch::new();
    let path = building.keep_beside(&record, idmap, &mut batch)?;
    lease.commit(batch, Durability::Relaxed)?;
    Ok(path)
}

/// Layers that share a lock wait for each other; that is rare, and the number of files stays small.
fn lock(store: &Store, layer: &LayerId) -> Result<Lock, WriteError> {
    let path = format!("lock/live-{:02x}", layer.as_bytes()[0]);
    store.vfs().lock(&path).writing(&path)
}

/// Makes the directory out of what the store has.
fn from_store(building: &Building<'_>, record: &mut LayerRecord) -> Result<(), EnsureError> {
    if from_blob(building, record)? {
        return Ok(());
    }
    let (store, gone) = (building.lease.store(), EnsureError::Gone(record.id));
    let tree = record.tree.map(|id| store.tree(&id)).transpose()?.flatten().ok_or(gone)?;
    Ok(unpack(&tree, (store, store.unpacking_threads()), &building.absolute())?)
}

/// Unpacks the first blob of the layer that is kept as it was pulled; `false` if there is none.
fn from_blob(building: &Building<'_>, record: &mut LayerRecord) -> Result<bool, EnsureError> {
    let Some(diff_id) = record.diff_id else { return Ok(false) };
    for blob in &record.blobs {
        // The DiffID is checked, which damage to the blob does not survive.
        let file = building.lease.store().foreign_blob_unverified(&blob.descriptor.digest)?;
        if let Some(mut file) = file {
            fill(building, &mut file, &diff_id, record)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unpacks a blob, and records what is learned on the way.
fn fill(
    building: &Building<'_>,
    reader: &mut (dyn Read + Send),
    diff_id: &DiffId,
    record: &mut LayerRecord,
) -> Result<(), EnsureError> {
    let store = building.lease.store();
    let read = std::thread::scope(|scope| {
        let mut filler = Filler::new(scope, store, store.unpacking_threads());
        let unpacker = Unpacker::new(&building.absolute(), &mut filler);
        let unpacker = unpacker.writing(&building.path)?;
        let read = read_layer_within(store.limits(), reader, diff_id, unpacker);
        // What was to be filled comes before what has failed here.
        filler.finish().map_err(ImportError::from)?;
        Ok::<_, EnsureError>(read?)
    });
    let (tree, size) = read?;
    if record.tree.is_none() {
        record.tree = Some(building.lease.put_tree(&tree)?);
    }
    record.tar_size = Some(size);
    Ok(())
}

/// Keeps what is read.
struct Kept<'a> {
    reader: &'a mut (dyn Read + Send),
    blob: BlobIngest<'a>,
}

impl Read for Kept<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(bytes)?;
        self.blob.write_all(&bytes[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::import::import;
    use crate::live::tests::{Pulled, Trial};
    use crate::live::upper::upper_tree;
    use crate::live_record::LiveRecord;
    use crate::tree::encode::encode;
    use crate::tree::entry::Tree;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    const FILES: &str = "a=1@1 b=1@1 d/ d/c=2 e/ e/l>../a e/f=3";

    fn receive_it(lease: &Lease, pulled: &Pulled) -> Result<PathBuf, EnsureError> {
        receive(lease, (&pulled.descriptor, &pulled.diff_id), b"map", &mut &pulled.blob[..])
    }

    fn check_files(path: &std::path::Path) {
        assert_eq!(fs::read(path.join("d/c")).unwrap(), b"2");
        let stat = |name: &str| fs::symlink_metadata(path.join(name)).unwrap();
        assert_eq!(stat("a").ino(), stat("b").ino());
        assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime()), (0o644, 1));
        assert_eq!((stat("e").mode() & 0o7777, stat("e").mtime()), (0o755, 0));
        assert_eq!(fs::read_link(path.join("e/l")).unwrap(), PathBuf::from("../a"));
    }

    #[test]
    fn a_received_layer_is_unpacked_and_its_blob_kept() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let path = receive_it(&trial.lease, &pulled).unwrap();
        check_files(&path);
        let announced = (&pulled.descriptor, &pulled.diff_id);
        assert_eq!(ensure_announced(&trial.lease, announced, b"map").unwrap(), path);
        let store = trial.lease.store();
        assert!(store.foreign_blob(&pulled.descriptor.digest).unwrap().is_some());
        let record = store.layer_of_blob(&pulled.descriptor.digest).unwrap().unwrap();
        let tree = store.tree(&record.tree.unwrap()).unwrap().unwrap();
        assert_eq!(encode(&tree), encode(&pulled.tree));
        assert_eq!(ensure(&trial.lease, &record.id, b"map").unwrap(), path);
        assert_eq!(receive_it(&trial.lease, &pulled).unwrap(), path);
        assert_ne!(ensure(&trial.lease, &record.id, b"other").unwrap(), path);
    }

    #[test]
    fn a_directory_of_another_form_is_made_anew() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let path = receive_it(&trial.lease, &pulled).unwrap();
        let store = trial.lease.store();
        let (name, record) = store.lives().unwrap().remove(0);
        let mut batch = Batch::new();
        batch.put_live(&name, &LiveRecord { form: 1, ..record.clone() });
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let anew = ensure(&trial.lease, &record.layer, b"map").unwrap();
        assert_ne!(anew, path);
        assert_eq!(ensure(&trial.lease, &record.layer, b"map").unwrap(), anew);
    }

    /// What becomes of a directory that is treated so, when its layer is asked for again.
    fn after(treat: impl FnOnce(&std::path::Path)) -> (Trial, PathBuf, PathBuf) {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let path = receive_it(&trial.lease, &pulled).unwrap();
        // Some file systems count time in ticks.
        std::thread::sleep(std::time::Duration::from_millis(20));
        treat(&path);
        let anew = receive_it(&trial.lease, &pulled).unwrap();
        check_files(&anew);
        (trial, path, anew)
    }

    #[test]
    fn a_directory_that_somebody_began_to_empty_or_put_there_is_made_anew() {
        let emptied = |path: &std::path::Path| fs::remove_dir_all(path.join("d")).unwrap();
        let removed = |path: &std::path::Path| fs::remove_dir_all(path).unwrap();
        let replaced = |path: &std::path::Path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
        };
        let treatments: [&dyn Fn(&std::path::Path); 3] = [&emptied, &removed, &replaced];
        for treat in treatments {
            let (trial, before, anew) = after(treat);
            assert_ne!(before, anew);
            let store = trial.lease.store();
            let names: Vec<_> = store.lives().unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), 1, "the one there was is forgotten");
            assert_eq!(store.path().join(names[0].path()), anew);
        }
        let (_trial, before, again) = after(|path| {
            fs::read_dir(path).unwrap().count();
        });
        assert_eq!(before, again, "looking at it is no change");
    }

    #[test]
    fn a_directory_recorded_without_a_stamp_is_used_as_it_is() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let path = receive_it(&trial.lease, &pulled).unwrap();
        let (name, record) = trial.lease.store().lives().unwrap().remove(0);
        let mut batch = Batch::new();
        batch.put_live(&name, &LiveRecord { stamp: None, ..record });
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        fs::remove_dir_all(path.join("d")).unwrap();
        assert_eq!(receive_it(&trial.lease, &pulled).unwrap(), path);
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let (trial, mut pulled) = (Trial::new(), Pulled::new(FILES));
        let last = pulled.blob.len() - 1;
        pulled.blob[last] ^= 1;
        receive_it(&trial.lease, &pulled).unwrap_err();
        pulled.diff_id = Pulled::new("x=1").diff_id;
        pulled.blob[last] ^= 1;
        let refused = receive_it(&trial.lease, &pulled).unwrap_err();
        assert!(matches!(refused, EnsureError::Import(ImportError::DiffId { .. })));
        let store = trial.lease.store();
        assert!(store.layers().unwrap().is_empty() && store.lives().unwrap().is_empty());
        assert!(store.foreign_blob(&pulled.descriptor.digest).unwrap().is_none());
        assert_eq!(fs::read_dir(store.path().join("live")).unwrap().count(), 0);
    }

    #[test]
    fn an_imported_layer_is_unpacked_when_it_is_needed() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let reader = &mut &pulled.blob[..];
        let record = import(&trial.lease, &pulled.descriptor, &pulled.diff_id, reader).unwrap();
        let mut batch = Batch::new();
        batch.put_layer(&record);
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        assert!(ensure(&trial.lease, &record.id, b"map").is_err(), "no bytes yet");
        trial.keep_blob(&pulled);
        let path = ensure(&trial.lease, &record.id, b"map").unwrap();
        check_files(&path);
        let found = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap();
        assert_eq!(encode(&Tree { root: None, ..found }), encode(&pulled.tree));
    }

    #[test]
    fn a_blob_of_which_nothing_is_recorded_is_unpacked() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        trial.keep_blob(&pulled);
        let announced = (&pulled.descriptor, &pulled.diff_id);
        check_files(&ensure_announced(&trial.lease, announced, b"map").unwrap());
        let record = trial.lease.store().layer_of_diff(&pulled.diff_id).unwrap().unwrap();
        assert!(record.tree.is_some() && record.tar_size.is_some());
    }

    #[test]
    fn one_of_many_that_ask_at_once_makes_the_directory() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let stores: Vec<Store> = (0..4).map(|_| trial.another()).collect();
        let paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let ask = |store: &Store| receive_it(&store.lease().unwrap(), &pulled).unwrap();
            let asking: Vec<_> = stores.iter().map(|s| scope.spawn(move || ask(s))).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(paths.iter().all(|path| *path == paths[0]));
        assert_eq!(fs::read_dir(paths[0].parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_layer_made_of_a_tree_is_ensured_from_its_bodies() {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        for body in crate::live::tests::bodies(FILES).values() {
            trial.lease.put_body(&body.load().unwrap()).unwrap();
        }
        let mut record = LayerRecord::new(LayerId::of(b"made"));
        record.tree = Some(trial.lease.put_tree(&pulled.tree).unwrap());
        let mut batch = Batch::new();
        batch.put_layer(&record);
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        check_files(&ensure(&trial.lease, &record.id, b"map").unwrap());
    }
}
