//! The seam under packs and journal: every effect whose order matters after a crash.
//!
//! Two things implement it: [`Disk`](crate::sys::Disk), and [`Sim`](crate::sim::Sim), which
//! remembers each operation and can show every state a power cut may leave behind. Paths are
//! relative to the root of the store and are always of our own making.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::ops::Range;

use crate::timestamp::Timestamp;

/// A directory tree with explicit durability.
///
/// Nothing is on disk before a sync says so: [`VfsFile::sync`] for the bytes of a file,
/// [`Vfs::sync_dir`] for the names in a directory, [`Vfs::sync_all`] for everything.
#[expect(clippy::missing_errors_doc, reason = "each method fails as its system call does")]
pub trait Vfs: Debug + Send + Sync {
    /// Creates a file that must not exist, for reading and appending, mode 0600.
    fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file for reading.
    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>>;
    /// Opens for reading a file that does not change any more.
    fn open_sealed(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.open(path)
    }
    /// Opens an existing file for reading and appending.
    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>>;
    /// Renames; fails with `AlreadyExists` where the target exists.
    fn publish(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames over whatever the target is.
    fn replace(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Makes the bytes of several files durable, in whatever order, and says of each what came of it; of
    /// one that is not there, `NotFound`.
    fn sync_files(&self, paths: &[String]) -> Vec<io::Result<()>> {
        paths.iter().map(|path| self.open(path)?.sync()).collect()
    }
    /// Makes everything written so far durable, names and bytes.
    fn sync_all(&self) -> io::Result<()>;
    /// Creates a directory of mode 0700, or leaves one that exists.
    fn make_dir(&self, path: &str) -> io::Result<()>;
    /// Asks the file system to put the directories that are made in this one far from it and from each
    /// other. Nothing depends on it.
    fn spread(&self, path: &str) -> io::Result<()> {
        let _ = path;
        Ok(())
    }
    /// Removes a directory and all below it.
    fn remove_tree(&self, path: &str) -> io::Result<()>;
    /// As [`Self::remove_tree`]. Where removing takes time, asks before each name whether to go on; told
    /// to stop, it fails with `TimedOut`, and what is gone is gone.
    fn remove_tree_while(&self, path: &str, go_on: &dyn Fn() -> bool) -> io::Result<()> {
        if go_on() { self.remove_tree(path) } else { Err(io::ErrorKind::TimedOut.into()) }
    }
    /// The names in a directory, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Whether a name exists.
    fn exists(&self, path: &str) -> io::Result<bool>;
    /// What the file system notes of a directory; `None` where no directory has the name.
    fn noted(&self, path: &str) -> io::Result<Option<DirectoryNotes>> {
        Ok(self.exists(path)?.then(DirectoryNotes::default))
    }
    /// Waits for the exclusive lock on a file, which is created where it is missing.
    fn lock(&self, path: &str) -> io::Result<Lock>;
    /// Takes the exclusive lock on an existing file; `None` where somebody holds it.
    fn try_lock(&self, path: &str) -> io::Result<Option<Lock>>;
}

/// An open file. Methods take `&self`: the caller serialises appends.
#[expect(clippy::missing_errors_doc, reason = "each method fails as its system call does")]
pub trait VfsFile: Debug + Send + Sync {
    /// Appends all of `bytes` with one system call where the kernel allows it.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Overwrites bytes of a file that nobody else can see yet.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads at an offset; a short count means end of file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// The length now.
    fn size(&self) -> io::Result<u64>;
    /// Cuts the file off.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Has the system begin to write bytes to the disk, so that a later [`sync`](Self::sync) has less to wait
    /// for. Says whether it does: not while it is busy with others of the file. Nothing depends on it.
    fn begin_sync(&self, range: Range<u64>) -> bool {
        let _ = range;
        true
    }
    /// Makes the bytes durable.
    fn sync(&self) -> io::Result<()>;
    /// Takes write permission away: the file is finished.
    fn seal(&self) -> io::Result<()>;
    /// Where a sealed file has no blocks, in order. What is there is zero.
    fn holes(&self) -> io::Result<Vec<Range<u64>>>;
}

/// What a file system notes of a directory by itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DirectoryNotes {
    /// When anything of it was last changed, which nobody can set.
    pub changed: Timestamp,
    /// When a name was last added or taken away, or what was set since; copies keep it.
    pub modified: Timestamp,
    /// Its number.
    pub inode: u64,
}

/// A held lock, given back on drop.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Held>);

impl Lock {
    /// A lock that lasts as long as `held`.
    pub fn new<T: Any + Debug + Send + Sync>(held: T) -> Self {
        Self(Box::new(held))
    }
}

trait Held: Any + Debug + Send + Sync {}

impl<T: Any + Debug + Send + Sync> Held for T {}

/// Reads exactly `bytes.len()` bytes or fails with `UnexpectedEof`.
///
/// # Errors
///
/// If the file cannot be read, or ends before.
pub fn read_exact_at(file: &dyn VfsFile, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

/// Reads a file from `offset` to its present end.
///
/// # Errors
///
/// If the file cannot be read.
pub fn read_from(file: &dyn VfsFile, offset: u64) -> io::Result<Vec<u8>> {
    let rest = file.size()?.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(rest).map_err(io::Error::other)?];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
