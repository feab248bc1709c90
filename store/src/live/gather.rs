//! Bringing the bytes of files into the packs that are in a directory or a blob only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};

use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::id::{BodyId, LayerId};
use crate::layer::decompress::decompress;
use crate::layer::tar_read::{Policy, TarError, TarKind, TarReader};
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::found::is_there;
use crate::path::LayerPath;
use crate::tree::entry::File as FileNode;
use crate::tree::files::files;

/// Bodies could not be brought into the packs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// None of the layers has the bytes any more.
    #[error("the bytes of {0} are in none of the layers")]
    Missing(BodyId),
    /// A blob could not be decompressed.
    #[error("cannot read blob {digest}")]
    Blob {
        /// Which blob.
        digest: Digest,
        /// What failed.
        #[source]
        error: io::Error,
    },
    /// A blob is no layer.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Sees to it that all `wanted` bodies are in packs. Those that are not are read from the
/// directories of `layers` (the lowest first), or from the blobs these were pulled as; whatever
/// they are read from, they are only taken if their bytes are the right ones.
///
/// # Errors
///
/// If a body is nowhere to be had, or the store cannot be read or written.
pub fn ensure(
    lease: &Lease,
    layers: &[LayerId],
    wanted: &BTreeSet<BodyId>,
) -> Result<(), GatherError> {
    let mut missing = BTreeSet::new();
    for body in wanted {
        if !lease.holds_body(body)? {
            missing.insert(*body);
        }
    }
    for layer in layers.iter().rev() {
        if missing.is_empty() {
            return Ok(());
        }
        gather(lease, layer, &mut missing)?;
    }
    missing.first().map_or(Ok(()), |body| Err(GatherError::Missing(*body)))
}

fn gather(
    lease: &Lease,
    layer: &LayerId,
    missing: &mut BTreeSet<BodyId>,
) -> Result<(), GatherError> {
    let store = lease.store();
    let Some(record) = store.layer(layer)? else { return Ok(()) };
    // A layer without a tree is an adopted directory: giving it one packs all its bodies.
    let Some(tree) = record.tree.map(|id| store.tree(&id)).transpose()?.flatten() else {
        return Ok(());
    };
    let wanted = files(&tree.children).filter(|(_, _, file)| missing.contains(&file.body));
    let mut places: Places = wanted.map(|(path, _, file)| (path, *file)).collect();
    if places.is_empty() {
        return Ok(());
    }
    if let Some(name) = &record.live
        && is_there(store, name, layer, None)?
    {
        from_directory(lease, &store.path().join(name.path()), &places, missing)?;
        places.retain(|_, file| missing.contains(&file.body));
    }
    if places.is_empty() { Ok(()) } else { from_blobs(lease, &record, &places, missing) }
}

/// Where in a layer the missing bodies are.
type Places = BTreeMap<LayerPath, FileNode>;

fn from_directory(
    lease: &Lease,
    root: &Path,
    places: &Places,
    missing: &mut BTreeSet<BodyId>,
) -> Result<(), WriteError> {
    for (path, FileNode { body, .. }) in places {
        if !missing.contains(body) {
            continue;
        }
        // What is gone or not for us to read may still be in the blob.
        let Ok(mut file) = open_inside(root, path) else { continue };
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let (found, _) = lease.body_from_file(&mut file, size)?;
        missing.remove(&found);
    }
    Ok(())
}

/// Opens a file by names alone: no symbolic link on the way is followed.
fn open_inside(root: &Path, path: &LayerPath) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = flags | OFlags::PATH | OFlags::DIRECTORY;
    let mut at: OwnedFd = open(root, directory, Mode::empty())?;
    for name in path.parent().unwrap_or_default().components() {
        at = openat(&at, name, directory, Mode::empty())?;
    }
    let name = path.name().unwrap_or_default();
    Ok(openat(&at, name, flags | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?.into())
}

fn from_blobs(
    lease: &Lease,
    record: &LayerRecord,
    places: &Places,
    missing: &mut BTreeSet<BodyId>,
) -> Result<(), GatherError> {
    let wanted: BTreeSet<BodyId> = places.values().map(|file| file.body).collect();
    let mut here = wanted.clone();
    let sizes: BTreeSet<u64> = places.values().map(|file| file.size).collect();
    for blob in &record.blobs {
        let digest = blob.descriptor.digest;
        let open = || lease.store().foreign_blob_unverified(&digest);
        if let Some(file) = open()? {
            from_blob(lease, (digest, file), &mut here, |path, _| places.contains_key(path))?;
        }
        // What went another way into the tree, through links, has another name in the stream.
        if !here.is_empty()
            && let Some(file) = open()?
        {
            from_blob(lease, (digest, file), &mut here, |_, size| sizes.contains(&size))?;
        }
    }
    missing.retain(|body| here.contains(body) || !wanted.contains(body));
    Ok(())
}

/// Packs what a blob has of the bodies of `here`, among the files that are `likely`, and takes them
/// out of it. Each body is checked on its own.
fn from_blob(
    lease: &Lease,
    (digest, file): (Digest, impl Read + Send + 'static),
    here: &mut BTreeSet<BodyId>,
    likely: impl Fn(&LayerPath, u64) -> bool,
) -> Result<(), GatherError> {
    let plain = decompress(Box::new(file), Policy::Layer);
    let mut tar = TarReader::new(plain.map_err(|error| GatherError::Blob { digest, error })?);
    while !here.is_empty()
        && let Some(entry) = tar.next_entry()?
    {
        let TarKind::File(size) = entry.kind else { continue };
        if likely(&entry.path, size) {
            here.remove(&lease.body_from_reader(&mut tar, size)?.0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
    use crate::layer::import::layer_id;
    use crate::live::ensure::receive;
    use crate::live::tests::{Pulled, Trial, record_of};
    use crate::oci::descriptor::Descriptor;
    use crate::oci::media_type::MediaType;
    use std::fs;

    const FILES: &str = "a=1@1 b=1@1 d/ d/c=2 e/ e/f=3 e/g=4";

    fn body(text: &str) -> BodyId {
        BodyId::of(text.as_bytes())
    }

    fn received() -> (Trial, LayerId, std::path::PathBuf) {
        let (trial, pulled) = (Trial::new(), Pulled::new(FILES));
        let announced = (&pulled.descriptor, &pulled.diff_id);
        let path = receive(&trial.lease, announced, b"map", &mut &pulled.blob[..]).unwrap();
        let layer = record_of(&trial, &pulled).id;
        (trial, layer, path)
    }

    #[test]
    fn only_what_is_wanted_is_packed() {
        let (trial, layer, _) = received();
        ensure(&trial.lease, &[layer], &[body("1"), body("3")].into()).unwrap();
        let store = trial.lease.store();
        assert_eq!(&*store.body(&body("3")).unwrap().unwrap().load().unwrap(), b"3");
        assert_eq!(&*store.body(&body("1")).unwrap().unwrap().load().unwrap(), b"1");
        assert!(store.body(&body("2")).unwrap().is_none());
    }

    #[test]
    fn what_the_directory_lost_comes_from_the_blob() {
        let (trial, layer, path) = received();
        fs::write(path.join("d/c"), "9").unwrap();
        fs::remove_dir_all(path.join("e")).unwrap();
        std::os::unix::fs::symlink("d", path.join("e")).unwrap();
        ensure(&trial.lease, &[layer], &[body("2"), body("3"), body("4")].into()).unwrap();
        for text in ["2", "3", "4"] {
            let bytes = trial.lease.store().body(&body(text)).unwrap().unwrap();
            assert_eq!(&*bytes.load().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn what_went_through_a_link_is_in_the_blob_under_another_name() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, "l", "d").unwrap();
        for (name, text) in [("l/f", "5"), (".wh..wh.plnk/1.2", "6")] {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(1);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        tar.append_link(&mut header, "h", ".wh..wh.plnk/1.2").unwrap();
        let blob = tar.into_inner().unwrap();
        let (descriptor, diff_id) =
            (Descriptor::of(MediaType::LAYER, &blob), DiffId(Digest::of(&blob)));
        let trial = Trial::new();
        let path = receive(&trial.lease, (&descriptor, &diff_id), b"map", &mut &blob[..]).unwrap();
        fs::remove_dir_all(path.join("d")).unwrap();
        fs::remove_file(path.join("h")).unwrap();
        let wanted = [body("5"), body("6")];
        ensure(&trial.lease, &[layer_id(&diff_id)], &wanted.into()).unwrap();
        for (id, text) in wanted.iter().zip(["5", "6"]) {
            let found = trial.lease.store().body(id).unwrap().unwrap();
            assert_eq!(&*found.load().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn what_no_layer_has_is_an_error() {
        let (trial, layer, _) = received();
        let refused = ensure(&trial.lease, &[layer], &[body("else")].into());
        assert!(matches!(refused, Err(GatherError::Missing(id)) if id == body("else")));
    }
}
