//! Measuring what files and directories take on disk.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cache_mount::shelf::CacheMount;
use crate::digest::Digest;
use crate::error::{At, ReadError};
use crate::last_use::{Used, Uses};
use crate::live_record::LiveName;
use crate::store::Store;

/// The directories of a store whose files lie in them and not deeper, and which nothing evicts.
const FIXED: [&str; 4] = ["journal", "cache", "quarantine", "lock"];

/// Directories with files of the same nature, all of which count.
pub(crate) const FLAT: [&str; 2] = ["packs", "blobs/sha256"];

/// Measures things of a store as long as its owner goes on.
pub(crate) struct Measure<'a> {
    store: &'a Store,
    go_on: &'a dyn Fn() -> bool,
}

/// What a tree takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Measured {
    /// So many bytes.
    Bytes(u64),
    /// There was no time to find out.
    Unknown,
}

/// Bytes of a walk. A file with several names counts where it is met first.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    linked: BTreeSet<(u64, u64)>,
}

impl<'a> Measure<'a> {
    pub(crate) fn new(store: &'a Store, go_on: &'a dyn Fn() -> bool) -> Self {
        Self { store, go_on }
    }

    /// A file; nothing where there is none.
    pub(crate) fn file(&self, path: &str) -> Result<u64, ReadError> {
        match fs::symlink_metadata(self.store.path().join(path)) {
            Ok(metadata) => Ok(metadata.blocks() * 512),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(ReadError::new(path, error)),
        }
    }

    /// The blobs that are here of these digests.
    pub(crate) fn blobs(&self, digests: &BTreeSet<Digest>) -> Result<u64, ReadError> {
        digests.iter().map(|digest| self.file(&digest.blob_path())).sum()
    }

    /// An unpacked directory, which never changes, so that it is measured once.
    pub(crate) fn live(&self, name: &LiveName, uses: &Uses) -> Result<u64, ReadError> {
        let used = Used::Live(name);
        match uses.of(&used).and_then(|known| known.bytes) {
            Some(bytes) => Ok(bytes),
            None => self.anew(&used, &name.path(), 0),
        }
    }

    /// A cache mount: as it is now, or where there is no time, as it was.
    pub(crate) fn mount(&self, mount: &CacheMount, uses: &Uses) -> Result<u64, ReadError> {
        let used = Used::CacheMount(&mount.name);
        let known = uses.of(&used).and_then(|known| known.bytes).unwrap_or(0);
        self.anew(&used, &mount.path(), known)
    }

    fn anew(&self, used: &Used<'_>, path: &str, known: u64) -> Result<u64, ReadError> {
        let walked = tree(&self.store.path().join(path), &mut Tally::default(), self.go_on);
        match walked.reading(path)? {
            Measured::Bytes(bytes) => {
                self.store.note_size(used, bytes);
                Ok(bytes)
            }
            Measured::Unknown => Ok(known),
        }
    }

    /// Packs and blobs, whoever needs them.
    pub(crate) fn flat(&self) -> Result<u64, ReadError> {
        FLAT.into_iter().map(|name| self.files_in(name)).sum()
    }

    /// What stays whatever a collection does.
    pub(crate) fn fixed(&self) -> Result<u64, ReadError> {
        FIXED.into_iter().map(|name| self.files_in(name)).sum()
    }

    fn files_in(&self, name: &str) -> Result<u64, ReadError> {
        let mut bytes = 0;
        let entries = match fs::read_dir(self.store.path().join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.reading(name)?,
        };
        for entry in entries {
            match entry.and_then(|entry| entry.metadata()) {
                Ok(metadata) => bytes += metadata.blocks() * 512,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ReadError::new(name, error)),
            }
        }
        Ok(bytes)
    }
}

/// What a directory and all below it take on disk, nothing where there is none. Directories of image
/// files may be closed to us; those count for themselves alone.
pub(crate) fn tree(
    path: &Path,
    tally: &mut Tally,
    go_on: &dyn Fn() -> bool,
) -> io::Result<Measured> {
    let before = tally.bytes;
    match fs::symlink_metadata(path) {
        Ok(metadata) => tally.add(&metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Measured::Bytes(0)),
        Err(error) => return Err(error),
    }
    let mut pending = vec![path.to_owned()];
    while let Some(directory) = pending.pop() {
        if !go_on() {
            return Ok(Measured::Unknown);
        }
        tally.directory(&directory, &mut pending)?;
    }
    Ok(Measured::Bytes(tally.bytes - before))
}

impl Tally {
    fn directory(&mut self, path: &Path, pending: &mut Vec<PathBuf>) -> io::Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::debug!(%error, ?path, "cannot look into a directory");
                return Ok(());
            }
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => self.add(&metadata),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, metadata: &Metadata) {
        let is_new = metadata.is_dir()
            || metadata.nlink() < 2
            || self.linked.insert((metadata.dev(), metadata.ino()));
        if is_new {
            self.bytes += metadata.blocks() * 512;
        }
    }
}
