//! A file system in memory that can crash: it remembers every operation and shows what a power
//! cut may leave of any prefix of them.
//!
//! The rules are POSIX's and no kinder: bytes are safe after a sync of the file, names after a
//! sync of their directory; everything else may be there, be gone, or, for bytes, be there in
//! part. It exists for tests, of this crate and of programs that embed it.

pub mod crash;
mod disk;
pub mod faulty;
pub mod schedule;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::sim::disk::{Inode, Memory, Operation};
use crate::vfs::{Lock, Vfs, VfsFile};

/// The file system. Clones share one state, as processes share a disk.
#[derive(Clone, Debug, Default)]
pub struct Sim {
    memory: Arc<Mutex<Memory>>,
    locks: Arc<Locks>,
}

#[derive(Debug, Default)]
struct Locks {
    held: Mutex<BTreeSet<String>>,
    freed: Condvar,
}

#[derive(Debug)]
struct SimLock {
    path: String,
    locks: Arc<Locks>,
}

#[derive(Debug)]
struct SimFile {
    inode: Inode,
    memory: Arc<Mutex<Memory>>,
}

impl Sim {
    /// How many operations have been recorded.
    pub fn n_operations(&self) -> usize {
        self.memory().operations().len()
    }

    /// Flips one bit of a file, unrecorded.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub fn flip(&self, path: &str, bit: usize) -> io::Result<()> {
        self.memory().edit(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8))
    }

    /// Cuts a file off, unrecorded.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub fn cut(&self, path: &str, size: usize) -> io::Result<()> {
        self.memory().edit(path, |bytes| bytes.truncate(size))
    }

    /// The paths of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        self.memory().files()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inode: Inode) -> Box<dyn VfsFile> {
        Box::new(SimFile { inode, memory: Arc::clone(&self.memory) })
    }

    fn take(&self, path: &str) -> Lock {
        let locks = Arc::clone(&self.locks);
        Lock::new(SimLock { path: path.to_owned(), locks })
    }
}

impl Vfs for Sim {
    fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.memory().create(path)?;
        Ok(self.file(inode))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.memory().inode(path)?;
        Ok(self.file(inode))
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.open(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let mut memory = self.memory();
        if memory.exists(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        memory.rename(from, to)
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory().rename(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let mut memory = self.memory();
        memory.inode(path)?;
        memory.run(Operation::Unlink { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.memory().run(Operation::SyncDir { path: path.to_owned() });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.memory().run(Operation::SyncAll);
        Ok(())
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.memory().run(Operation::MakeDir { path: path.to_owned() });
        Ok(())
    }

    fn remove_tree(&self, path: &str) -> io::Result<()> {
        self.memory().run(Operation::RemoveTree { path: path.to_owned() });
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.memory().list(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(self.memory().exists(path))
    }

    fn lock(&self, path: &str) -> io::Result<Lock> {
        let held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |held: &mut BTreeSet<String>| held.contains(path);
        let waited = self.locks.freed.wait_while(held, busy);
        waited.unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        Ok(self.take(path))
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
        self.memory().inode(path)?;
        let mut held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.insert(path.to_owned()).then(|| self.take(path)))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.locks.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        self.locks.freed.notify_all();
    }
}

impl SimFile {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VfsFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let offset = self.size()?;
        self.write_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let (inode, bytes) = (self.inode, bytes.to_vec());
        self.memory().run(Operation::Write { inode, offset, bytes });
        Ok(())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let memory = self.memory();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = memory.bytes(self.inode).get(start..).unwrap_or(&[]);
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.memory().bytes(self.inode).len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        self.memory().run(Operation::Truncate { inode: self.inode, size });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.memory().run(Operation::SyncFile { inode: self.inode });
        Ok(())
    }

    fn seal(&self) -> io::Result<()> {
        Ok(())
    }

    fn holes(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(Vec::new())
    }
}
