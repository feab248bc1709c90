//! The seam for a store that may only be read: whatever would change it is refused.

use std::io;
use std::sync::Arc;

use crate::vfs::{DirectoryNotes, Lock, Vfs, VfsFile};

/// Files as they are, and never otherwise.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    vfs: Arc<dyn Vfs>,
    reason: String,
}

impl ReadOnly {
    /// What is under `vfs`; `reason` is what writers are told.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, reason: String) -> Self {
        Self { vfs, reason }
    }

    fn refuse<T>(&self) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, self.reason.clone()))
    }
}

impl Vfs for ReadOnly {
    fn create(&self, _: &str) -> io::Result<Box<dyn VfsFile>> {
        self.refuse()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.vfs.open(path)
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        // The journal opens its log so, whether it writes or not.
        self.vfs.open(path)
    }

    fn publish(&self, _: &str, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn replace(&self, _: &str, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn unlink(&self, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.refuse()
    }

    fn make_dir(&self, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn remove_tree(&self, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.vfs.list(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.vfs.exists(path)
    }

    fn noted(&self, path: &str) -> io::Result<Option<DirectoryNotes>> {
        self.vfs.noted(path)
    }

    fn lock(&self, _: &str) -> io::Result<Lock> {
        self.refuse()
    }

    fn try_lock(&self, _: &str) -> io::Result<Option<Lock>> {
        self.refuse()
    }
}
