//! A root file system as files below a directory, for the person who asked.
//!
//! Everything is reached through open directories and nothing through a symbolic link, so what lies
//! in the destination, or in the image, cannot lead a write elsewhere.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::layer::bodies::Bodies;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::files::{Files, write as write_bytes};
use crate::path::LayerPath;
use crate::timestamp::Timestamp;
use crate::tree::entry::{Directory, Entry, Metadata, Node, Tree};
use crate::tree::times;

/// Writes a merged tree into a directory that exists, with all times at `epoch` if there is one.
///
/// Files belong to whoever calls; modes and times are those of the tree; devices are left out.
/// Existing files and links are replaced, existing directories kept with what else is in them.
///
/// # Errors
///
/// If a file's bytes are missing, a directory is where a file is to be, or writing fails.
pub fn write(
    root: &Tree,
    bodies: &dyn Bodies,
    epoch: Option<i64>,
    into: &Path,
) -> Result<(), MaterialiseError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = sys::open(into, flags, Mode::empty());
    let fail = |error: Errno| MaterialiseError { path: LayerPath::root(), cause: error.into() };
    let directory = opened.map_err(fail)?;
    let mut output = Output { files: Files::new(directory.as_fd()), bodies };
    match epoch {
        Some(epoch) => {
            output.children(&directory, &times::set(root, epoch).children, &LayerPath::root())
        }
        None => output.children(&directory, &root.children, &LayerPath::root()),
    }
}

struct Output<'a> {
    files: Files<'a>,
    bodies: &'a dyn Bodies,
}

impl Output<'_> {
    fn children(
        &mut self,
        at: &OwnedFd,
        directory: &Directory,
        path: &LayerPath,
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            let fail = |cause| MaterialiseError { path: path.clone(), cause };
            if let Node::Directory(below) = &entry.node {
                let made = enter(at, &entry.name).map_err(fail)?;
                self.children(&made, &below.children, &path)?;
                // Last: entries change the time, and the mode may forbid them.
                finish(&made, &entry.metadata).map_err(fail)?;
            } else {
                self.leaf(at, entry, &path).map_err(fail)?;
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        at: &OwnedFd,
        entry: &Entry,
        path: &LayerPath,
    ) -> Result<(), MaterialiseCause> {
        let name = &*entry.name;
        match &entry.node {
            Node::File(file) => {
                remove(at, name)?;
                let Some(made) = self.files.make(at, (file, Mode::RWXU), path)? else {
                    return Ok(());
                };
                write_bytes(&made, file, self.bodies)?;
                return finish(made, &entry.metadata);
            }
            Node::Symlink(target) => {
                remove(at, name)?;
                sys::symlinkat(&**target, at, name)?;
            }
            Node::Fifo => {
                remove(at, name)?;
                let mode = Mode::from_raw_mode(entry.metadata.mode & 0o7777);
                sys::mknodat(at, name, FileType::Fifo, mode, 0)?;
            }
            Node::BlockDevice(_) | Node::CharDevice(_) | Node::Directory(_) | Node::Whiteout => {
                return Ok(());
            }
        }
        let times = timestamps(entry.metadata.mtime);
        Ok(sys::utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Opens a directory that may be there, in place of whatever else is, so that we can write in it.
fn enter(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, MaterialiseCause> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match sys::openat(at, name, flags, Mode::empty()) {
        Ok(found) => {
            let mode = Mode::from_raw_mode(sys::fstat(&found)?.st_mode & 0o7777);
            if !mode.contains(Mode::RWXU) {
                sys::fchmod(&found, mode | Mode::RWXU)?;
            }
            return Ok(found);
        }
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => remove(at, name)?,
        Err(error) => return Err(error.into()),
    }
    sys::mkdirat(at, name, Mode::RWXU)?;
    Ok(sys::openat(at, name, flags, Mode::empty())?)
}

/// Removes a file or link, if there is one.
fn remove(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    match sys::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn finish(made: impl AsFd, metadata: &Metadata) -> Result<(), MaterialiseCause> {
    sys::fchmod(&made, Mode::from_raw_mode(metadata.mode & 0o7777))?;
    Ok(sys::futimens(&made, &timestamps(metadata.mtime))?)
}

fn timestamps(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::bytes::FileBytes;
    use crate::id::BodyId;
    use crate::tree::sketch::sketch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[track_caller]
    fn output(words: &str, into: &Path, epoch: Option<i64>) -> Result<(), MaterialiseError> {
        let body =
            |text: &str| (BodyId::of(text.as_bytes()), FileBytes::from(text.as_bytes().to_vec()));
        let bodies = BTreeMap::from([body("1"), body("2")]);
        write(&sketch(words), &bodies, epoch, into)
    }

    #[test]
    fn modes_times_and_links_are_those_of_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        let stat = |name: &str| fs::symlink_metadata(directory.path().join(name)).unwrap();
        output("a=1@1 d/ d/b=1@1 d/l>../a", directory.path(), None).unwrap();
        assert_eq!(stat("a").ino(), stat("d/b").ino());
        assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime()), (0o644, 1));
        assert_eq!((stat("d").mode() & 0o7777, stat("d").mtime()), (0o755, 0));
        assert_eq!(stat("d/l").mtime(), 1);
        output("a=1 d/ d/b=2 d/l>../a", directory.path(), Some(9)).unwrap();
        for name in ["a", "d", "d/b", "d/l"] {
            assert_eq!(stat(name).mtime(), 9, "{name}");
        }
    }

    #[test]
    fn links_in_the_destination_are_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (outside, into) = (folder.path().join("outside"), folder.path().join("into"));
        fs::create_dir_all(outside.join("d")).unwrap();
        fs::write(outside.join("f"), "kept").unwrap();
        fs::create_dir(&into).unwrap();
        symlink(outside.join("f"), into.join("f")).unwrap();
        symlink(outside.join("d"), into.join("d")).unwrap();
        output("f=1 d/ d/g=2", &into, None).unwrap();
        assert_eq!(fs::read(outside.join("f")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(outside.join("d")).unwrap().count(), 0);
        assert_eq!(fs::read(into.join("d/g")).unwrap(), b"2");
    }

    #[test]
    fn what_else_is_there_stays_and_a_directory_gives_way_to_no_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("d")).unwrap();
        fs::write(directory.path().join("d/old"), "old").unwrap();
        output("d/ d/new=1", directory.path(), None).unwrap();
        assert_eq!(fs::read(directory.path().join("d/old")).unwrap(), b"old");
        let refused = output("d=1", directory.path(), None).unwrap_err();
        assert_eq!(refused.path.as_bytes(), b"d");
    }
}
