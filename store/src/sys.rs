//! System calls: the [`Vfs`] on a real directory, held by descriptor.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags, RenameFlags, Stat};

use crate::map::Mapping;
use crate::side_by_side::side_by_side;
use crate::sparse;
use crate::timestamp::Timestamp;
use crate::vfs::{DirectoryNotes, Lock, Vfs, VfsFile};
use crate::writeback::Writeback;

/// How many files are synced at once. A journaled file system writes down together what waits for it at
/// the same time: 31 small files took 250 to 870 ms one by one and 36 to 110 ms from eight threads, on a disk
/// that others wrote to as well.
const SYNCS: usize = 8;

/// A directory on disk, addressed through its descriptor.
#[derive(Debug)]
pub struct Disk {
    root: OwnedFd,
}

/// Who owns a directory, and its permission bits.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    /// The owner.
    pub uid: u32,
    /// The twelve permission bits.
    pub mode: u32,
}

impl Disk {
    /// Opens a directory that exists.
    ///
    /// # Errors
    ///
    /// If the directory is not there, or may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Who owns the root, and with which mode.
    ///
    /// # Errors
    ///
    /// If the system refuses to say.
    pub fn ownership(&self) -> io::Result<Ownership> {
        let stat = rustix::fs::fstat(&self.root)?;
        Ok(Ownership { uid: stat.st_uid, mode: stat.st_mode & 0o7777 })
    }

    fn openat(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(rustix::fs::openat(&self.root, path, flags, mode)?))
    }

    fn file(&self, path: &str, flags: OFlags) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(DiskFile::new(self.openat(path, flags)?, None)))
    }
}

/// The number that the file system of something gives itself.
pub(crate) fn file_system(path: &Path) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::statfs(path)?.f_type).unwrap_or_default())
}

/// The kind that the file system of something was mounted as; empty where nothing tells.
pub(crate) fn mounted_as(path: &Path) -> io::Result<String> {
    let device = rustix::fs::stat(path)?.st_dev;
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(kind_of(&mounts, &device).unwrap_or_default().to_owned())
}

/// The kind that a device is mounted as.
fn kind_of<'text>(mounts: &'text str, device: &str) -> Option<&'text str> {
    let mut of_device = mounts.lines().filter(|line| line.split(' ').nth(2) == Some(device));
    of_device.next()?.split_once(" - ")?.1.split(' ').next()
}

/// The user this process runs as.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sixteen random bytes from the kernel.
///
/// # Errors
///
/// If the kernel has none.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut done = 0;
    while done < bytes.len() {
        done += rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// What is noted of a directory; `None` of anything else.
fn noted(stat: &Stat) -> Option<DirectoryNotes> {
    let moment = |seconds, nanos| {
        let nanos = u32::try_from(nanos).unwrap_or_default();
        Timestamp { seconds, nanos }
    };
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    is_directory.then(|| DirectoryNotes {
        changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        modified: moment(stat.st_mtime, stat.st_mtime_nsec),
        inode: stat.st_ino,
    })
}

impl Vfs for Disk {
    fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        self.file(path, flags)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.file(path, OFlags::RDONLY)
    }

    fn open_sealed(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        let file = self.openat(path, OFlags::RDONLY)?;
        let map = Mapping::of_sealed(&file);
        Ok(Box::new(DiskFile::new(file, map)))
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.file(path, OFlags::RDWR | OFlags::APPEND)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let root = self.root.as_fd();
        match rustix::fs::renameat_with(root, from, root, to, RenameFlags::NOREPLACE) {
            // A file system without the flag; our targets are content names or random ones, so
            // checking first loses nothing.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if self.exists(to)? {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Ok(rustix::fs::renameat(root, from, root, to)?)
            }
            done => Ok(done?),
        }
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.openat(path, OFlags::RDONLY | OFlags::DIRECTORY)?.sync_all()
    }

    fn sync_files(&self, paths: &[String]) -> Vec<io::Result<()>> {
        side_by_side(paths, SYNCS, |path| self.openat(path, OFlags::RDONLY)?.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.root, path, Mode::RWXU) {
            Err(rustix::io::Errno::EXIST) => Ok(()),
            done => Ok(done?),
        }
    }

    fn spread(&self, path: &str) -> io::Result<()> {
        let directory = self.openat(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let flags = rustix::fs::ioctl_getflags(&directory)?;
        if !flags.contains(IFlags::TOPDIR) {
            rustix::fs::ioctl_setflags(&directory, flags | IFlags::TOPDIR)?;
        }
        Ok(())
    }

    fn remove_tree(&self, path: &str) -> io::Result<()> {
        remove_at(&self.root, path)
    }

    fn remove_tree_while(&self, path: &str, go_on: &dyn Fn() -> bool) -> io::Result<()> {
        remove_while(&self.root, path, go_on)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        names(&self.openat(path, OFlags::RDONLY | OFlags::DIRECTORY)?)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn noted(&self, path: &str) -> io::Result<Option<DirectoryNotes>> {
        match rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(noted(&stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lock(&self, path: &str) -> io::Result<Lock> {
        let file = self.openat(path, OFlags::RDWR | OFlags::CREATE)?;
        file.lock()?;
        Ok(Lock::new(file))
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
        let file = self.openat(path, OFlags::RDWR)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::new(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn names(directory: &File) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        // Nothing of ours has a name that is no text.
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            found.push(name.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes a name, and all below it where it is a directory.
pub(crate) fn remove_at(parent: &OwnedFd, name: impl rustix::path::Arg + Copy) -> io::Result<()> {
    remove_while(parent, name, &|| true)
}

/// As [`remove_at`], until it is told to stop; then it fails with `TimedOut`.
fn remove_while(
    parent: &OwnedFd,
    name: impl rustix::path::Arg + Copy,
    go_on: &dyn Fn() -> bool,
) -> io::Result<()> {
    if !go_on() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            return Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?);
        }
        Err(rustix::io::Errno::ACCESS) => {
            open_to_owner(parent, name)?;
            rustix::fs::openat(parent, name, flags, Mode::empty())?
        }
        Err(error) => return Err(error.into()),
    };
    // A step may leave a directory its owner cannot write to.
    rustix::fs::fchmod(&directory, Mode::RWXU)?;
    for entry in rustix::fs::Dir::read_from(&directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove_while(&directory, entry.file_name(), go_on)?;
        }
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Gives a directory to its owner, and nothing that has come into its place meanwhile: links are followed by whoever
/// changes a mode by its name.
fn open_to_owner(parent: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok(rustix::fs::chmod(path, Mode::RWXU)?)
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    /// Where it is a sealed file, and mapped.
    map: Option<Mapping>,
    writeback: Writeback,
}

impl DiskFile {
    fn new(file: File, map: Option<Mapping>) -> Self {
        Self { file, map, writeback: Writeback::default() }
    }
}

impl VfsFile for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.map {
            Some(map) if map.copy_at(bytes, offset) => Ok(bytes.len()),
            _ => self.file.read_at(bytes, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn begin_sync(&self, range: Range<u64>) -> bool {
        self.writeback.begin(&self.file, range)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn seal(&self) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.file, Mode::RUSR | Mode::RGRP | Mode::ROTH)?)
    }

    fn holes(&self) -> io::Result<Vec<Range<u64>>> {
        sparse::holes(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{RenameFlags, renameat_with};

    use super::*;

    /// As often as a directory is removed while it is one moment itself and the next a link to what is to stay.
    const ROUNDS: usize = 1000;

    #[test]
    fn what_is_removed_while_its_directories_become_links_is_all_that_goes() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir_all(outside.join("empty")).unwrap();
        std::fs::write(outside.join("file"), "kept").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&outside, mode).unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let (parent, flags) = (&disk.root, RenameFlags::EXCHANGE);
                    // There is not always something to exchange.
                    let _ = renameat_with(parent, "gone/a/b", parent, "link", flags);
                }
            });
            for _ in 0..ROUNDS {
                let inner = folder.path().join("gone/a/b/c");
                std::fs::create_dir_all(&inner).unwrap();
                std::fs::write(inner.join("file"), "gone").unwrap();
                let _ = std::fs::remove_file(folder.path().join("link"));
                std::os::unix::fs::symlink(&outside, folder.path().join("link")).unwrap();
                // What comes back while it is removed makes it fail, and the next try finds less.
                while let Err(error) = disk.remove_tree("gone") {
                    assert_ne!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                    if error.kind() == io::ErrorKind::NotFound
                        && !folder.path().join("gone").exists()
                    {
                        break;
                    }
                }
                // What was exchanged is beside it.
                let _ = disk.remove_tree("link");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert!(outside.join("empty").is_dir());
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&outside.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o755, "its mode was changed");
    }

    #[test]
    fn of_files_that_are_synced_together_each_is_answered_for() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let paths: Vec<String> = (0..3 * SYNCS).map(|n| format!("f{n}")).collect();
        for path in paths.iter().filter(|path| !path.ends_with('7')) {
            disk.create(path).unwrap().append(b"bytes").unwrap();
        }
        for (path, answer) in paths.iter().zip(disk.sync_files(&paths)) {
            let kind = answer.err().map(|error| error.kind());
            assert_eq!(kind, path.ends_with('7').then_some(io::ErrorKind::NotFound), "{path}");
        }
    }
}
