//! Files of images on their way to a directory of somebody's: written once, and moved there.
//!
//! What is kept in a pack would be written a second time, and read for that. Here each longer file is written to a
//! file of its own beside the packs of a lease, from where a rename takes it. Nothing that a crash leaves is anywhere
//! but in the store, which removes it with the lease.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::body::COMPRESS_BELOW;
use crate::bytes::FileBytes;
use crate::error::{At as _, ReadError, WriteError};
use crate::id::BodyId;
use crate::layer::bodies::Bodies;
use crate::lease::Lease;
use crate::sealed::Sealed;
use crate::sparse::HoleWriter;

/// Shorter ones go to the packs: to make and move a file costs more than to write them twice.
const ASIDE_FROM: u64 = COMPRESS_BELOW as u64;

const PIECE: usize = 256 << 10;

/// Bodies that lie in files of their own, and behind them those of the store.
#[derive(Debug)]
pub struct Aside<'lease> {
    lease: &'lease Lease,
    /// Relative to the store.
    files: Mutex<BTreeMap<BodyId, String>>,
}

impl<'lease> Aside<'lease> {
    /// Nothing yet.
    pub fn new(lease: &'lease Lease) -> Self {
        Self { lease, files: Mutex::default() }
    }

    /// Takes the bytes of a file of this length.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or not be written.
    pub(crate) fn put(&self, bytes: &mut dyn Read, size: u64) -> Result<BodyId, WriteError> {
        if size < ASIDE_FROM {
            return Ok(self.lease.body_from_reader(bytes, size)?.0);
        }
        let name = self.lease.scratch_path();
        let path = self.path(&name);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let made = made.writing(&name)?;
        let body = copy(bytes, &made, &name).inspect_err(|_| drop(fs::remove_file(&path)))?;
        let known = self.files().insert(body, name);
        // One of two is enough, whichever.
        known.map_or(Ok(()), |known| fs::remove_file(self.path(&known)).writing(&known))?;
        Ok(body)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lease.store().path().join(name)
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<BodyId, String>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bodies for Aside<'_> {
    fn body(&self, id: &BodyId) -> Result<Option<FileBytes>, ReadError> {
        let known = self.files().get(id).cloned();
        let Some(name) = known else { return self.lease.store().body(id) };
        let file = Sealed::at(self.lease.store().vfs(), &name)?;
        let size = file.size();
        Ok(Some(FileBytes::stored(Arc::new(file), 0..size)))
    }

    fn movable(&self, id: &BodyId) -> Option<PathBuf> {
        self.files().get(id).map(|name| self.path(name))
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        for name in std::mem::take(&mut *self.files()).into_values() {
            // Most have been moved, and what is left goes with the lease.
            let _ = fs::remove_file(self.path(&name));
        }
    }
}

/// Writes what is read to a new file, and says what it is.
fn copy(from: &mut dyn Read, made: &File, name: &str) -> Result<BodyId, WriteError> {
    let (mut writer, mut hasher) = (HoleWriter::new(made), BodyId::hasher());
    let mut piece = vec![0; PIECE];
    loop {
        let count = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(WriteError::Source)?,
        };
        if count == 0 {
            break;
        }
        hasher.update(&piece[..count]);
        writer.write(&piece[..count]).writing(name)?;
    }
    writer.finish().writing(name)?;
    Ok(BodyId::from_hasher(&hasher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::tests::Trial;

    #[test]
    fn bodies_are_what_was_put_wherever_they_lie_and_each_lies_there_once() {
        let trial = Trial::new();
        let aside = Aside::new(&trial.lease);
        let mut long = vec![7; 3 << 20];
        long[1 << 20..2 << 20].fill(0);
        for bytes in [&long[..], b"short", &long] {
            let id = aside.put(&mut &bytes[..], bytes.len() as u64).unwrap();
            assert_eq!(id, BodyId::of(bytes));
            assert!(*aside.body(&id).unwrap().unwrap().load().unwrap() == *bytes);
        }
        assert_eq!(
            fs::read_dir(trial.lease.work_dir())
                .unwrap()
                .filter(|entry| {
                    entry.as_ref().unwrap().metadata().unwrap().len() == long.len() as u64
                })
                .count(),
            1
        );
        assert!(aside.body(&BodyId::of(b"else")).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_leaves_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let trial = Trial::new();
        let n_files = || fs::read_dir(trial.lease.work_dir()).unwrap().count();
        let (before, aside) = (n_files(), Aside::new(&trial.lease));
        let refused = aside.put(&mut (&[1; 100][..]).chain(Broken), ASIDE_FROM);
        assert!(matches!(refused, Err(WriteError::Source(_))), "{refused:?}");
        assert_eq!(n_files(), before);
    }
}
