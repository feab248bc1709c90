//! A root file system as files below a directory, for the person who asked.
//!
//! Everything is reached through open directories and nothing through a symbolic link, so what lies
//! in the destination, or in the image, cannot lead a write elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    self as sys, AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags, Timespec, Timestamps,
};
use rustix::io::Errno;
use rustix::process::getegid;

use crate::id::BodyId;
use crate::layer::bodies::Bodies;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::files::{Files, create, write as write_bytes};
use crate::path::LayerPath;
use crate::timestamp::Timestamp;
use crate::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use crate::tree::files::each_file;
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
    let into = At { is_plain: is_plain(&directory), directory };
    let (files, several) = (Files::new(into.as_fd()), several(root));
    let mut output = Output { files, bodies, several };
    match epoch {
        Some(epoch) => {
            output.children(&into, &times::set(root, epoch).children, &LayerPath::root())
        }
        None => output.children(&into, &root.children, &LayerPath::root()),
    }
}

/// Attributes of a directory by which what is made in it gets permissions or a label.
const INHERITED: [&str; 3] = ["system.posix_acl_default", "system.nfs4_acl", "security.selinux"];

/// Attributes that a file has from the directory that it was made in.
const TAKEN_AFTER: [&str; 2] = ["system.posix_acl_access", "system.nfs4_acl"];

struct Output<'a> {
    files: Files<'a>,
    bodies: &'a dyn Bodies,
    /// The bodies of more than one file.
    several: BTreeSet<BodyId>,
}

/// A directory that is written to.
struct At {
    directory: OwnedFd,
    /// Whether what is moved into it is as what is made there.
    is_plain: bool,
}

impl AsFd for At {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Output<'_> {
    fn children(
        &mut self,
        at: &At,
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

    fn leaf(&mut self, at: &At, entry: &Entry, path: &LayerPath) -> Result<(), MaterialiseCause> {
        let name = &*entry.name;
        match &entry.node {
            Node::File(file) => {
                remove(at, name)?;
                let (bodies, several) = (self.bodies, &self.several);
                let make = || match moved(bodies, (at, name), file, several) {
                    Some(moved) => Ok(moved),
                    None => written(bodies, (at, name), file),
                };
                return match self.files.make_by(at.as_fd(), (file, path), make)? {
                    Some(made) => finish(made, &entry.metadata),
                    None => Ok(()),
                };
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

/// The bodies that more than one file has, whatever its names.
fn several(root: &Tree) -> BTreeSet<BodyId> {
    let (mut once, mut several, mut groups) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    each_file(&root.children, &mut |file| {
        let is_name_of_another = file.link.is_some_and(|group| !groups.insert(group));
        if !is_name_of_another && !once.insert(file.body) {
            several.insert(file.body);
        }
    });
    several
}

/// The file with the bytes of another, moved to its name, where there is one that nobody else needs.
fn moved(
    bodies: &dyn Bodies,
    (at, name): (&At, &[u8]),
    file: &File,
    several: &BTreeSet<BodyId>,
) -> Option<fs::File> {
    if !at.is_plain || several.contains(&file.body) {
        return None;
    }
    let from = bodies.movable(&file.body)?;
    let opened = fs::File::open(&from).ok().filter(is_plain_file)?;
    // It is on another disk, or cannot be moved for another reason: then its bytes are copied.
    sys::renameat(sys::CWD, &from, at, name).ok()?;
    Some(opened)
}

fn written(
    bodies: &dyn Bodies,
    (at, name): (&At, &[u8]),
    file: &File,
) -> Result<fs::File, MaterialiseCause> {
    let made = create(at, name, Mode::RWXU)?;
    write_bytes(&made, file, bodies)?;
    Ok(made)
}

/// Opens a directory that may be there, in place of whatever else is, so that we can write in it.
fn enter(at: &At, name: &[u8]) -> Result<At, MaterialiseCause> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match sys::openat(at, name, flags, Mode::empty()) {
        Ok(found) => {
            let mode = Mode::from_raw_mode(sys::fstat(&found)?.st_mode & 0o7777);
            if !mode.contains(Mode::RWXU) {
                sys::fchmod(&found, mode | Mode::RWXU)?;
            }
            return Ok(At { is_plain: is_plain(&found), directory: found });
        }
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => remove(at, name)?,
        Err(error) => return Err(error.into()),
    }
    sys::mkdirat(at, name, Mode::RWXU)?;
    // What is made in it takes after it as it took after the one it is in.
    Ok(At { is_plain: at.is_plain, directory: sys::openat(at, name, flags, Mode::empty())? })
}

/// Whether what is made in a directory takes nothing after it, neither group nor permissions nor label: then a file that
/// was made elsewhere is no other.
fn is_plain(directory: &OwnedFd) -> bool {
    let takes_after = sys::fstat(directory)
        .map_or(true, |stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID));
    !takes_after && lacks(directory, &INHERITED)
}

/// Whether a file has taken nothing after the directory that it was made in: neither group nor permissions nor a key that
/// it is encrypted with.
fn is_plain_file(file: &fs::File) -> bool {
    let is_ours = sys::fstat(file).is_ok_and(|stat| stat.st_gid == getegid().as_raw());
    let read = sys::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS);
    let is_open = read.is_ok_and(|read| !read.stx_attributes.contains(StatxAttributes::ENCRYPTED));
    is_ours && is_open && lacks(file, &TAKEN_AFTER)
}

fn lacks(file: impl AsFd, attributes: &[&str]) -> bool {
    let lacks_one = |name: &&str| {
        let read = sys::fgetxattr(&file, *name, &mut [0; 0][..]);
        matches!(read, Err(Errno::NODATA | Errno::OPNOTSUPP))
    };
    attributes.iter().all(lacks_one)
}

/// Removes a file or link, if there is one.
fn remove(at: &At, name: &[u8]) -> Result<(), MaterialiseCause> {
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
    use crate::layer::aside::Aside;
    use crate::live::tests::Trial;
    use crate::tree::build::TreeBuilder;
    use crate::tree::sketch::sketch;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

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

    /// A layer of files that are long enough to be moved, kept aside.
    fn aside<'a>(aside: &'a Aside<'a>, files: &[(&str, &[u8])]) -> Tree {
        let mut builder = TreeBuilder::new();
        for (name, bytes) in files {
            let body = aside.put(&mut &**bytes, bytes.len() as u64).unwrap();
            let file = File { body, size: bytes.len() as u64, link: None };
            let path = LayerPath::parse(name.as_bytes()).unwrap();
            let metadata = Metadata { mode: 0o644, ..Metadata::default() };
            builder.insert(&path, metadata, Node::File(file)).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn what_lies_aside_is_moved_and_what_several_files_have_is_copied() {
        let (trial, into) = (Trial::new(), tempfile::tempdir().unwrap());
        let (one, two) = (vec![1; 70_000], vec![2; 70_000]);
        let kept = Aside::new(&trial.lease);
        let files = [("a", &one[..]), ("d/b", &two), ("d/c", &two), ("e", b"short")];
        let tree = aside(&kept, &files);
        let files_of = |id: &[u8]| kept.movable(&BodyId::of(id)).map(fs::metadata);
        let inode = files_of(&one).unwrap().unwrap().ino();
        assert!(files_of(b"short").is_none(), "it is in a pack");
        symlink("/etc/passwd", into.path().join("a")).unwrap();
        write(&tree, &kept, None, into.path()).unwrap();
        for (name, bytes) in files {
            let path = into.path().join(name);
            assert!(fs::read(&path).unwrap() == bytes, "{name}");
            let found = fs::symlink_metadata(path).unwrap();
            assert_eq!((found.mode() & 0o7777, found.mtime(), found.nlink()), (0o644, 0, 1));
        }
        assert_eq!(fs::metadata(into.path().join("a")).unwrap().ino(), inode);
        assert!(files_of(&two).unwrap().is_ok(), "nobody has it alone");
        let folder = kept.movable(&BodyId::of(&two)).unwrap();
        drop(kept);
        assert!(!folder.exists());
    }

    #[test]
    fn nothing_is_moved_into_a_directory_that_gives_its_files_a_group() {
        let (trial, into) = (Trial::new(), tempfile::tempdir().unwrap());
        let (kept, bytes) = (Aside::new(&trial.lease), vec![1; 70_000]);
        let tree = aside(&kept, &[("d/a", &bytes)]);
        let mode = fs::Permissions::from_mode(0o2755);
        fs::set_permissions(into.path(), mode).unwrap();
        write(&tree, &kept, None, into.path()).unwrap();
        assert!(fs::read(into.path().join("d/a")).unwrap() == bytes);
        assert!(kept.movable(&BodyId::of(&bytes)).unwrap().exists());
    }

    #[test]
    fn nothing_is_moved_that_has_its_group_or_permissions_from_the_store() {
        let (trial, into) = (Trial::new(), tempfile::tempdir().unwrap());
        let (kept, bytes) = (Aside::new(&trial.lease), vec![1; 70_000]);
        let tree = aside(&kept, &[("a", &bytes)]);
        let lying = kept.movable(&BodyId::of(&bytes)).unwrap();
        let is_moved = || {
            let inode = fs::metadata(&lying).unwrap().ino();
            write(&tree, &kept, None, into.path()).unwrap();
            fs::metadata(into.path().join("a")).unwrap().ino() == inode
        };
        // Of user 1 to read: an entry for the user, the mask, and those that the mode has, too.
        let entries =
            [(1, 6, u32::MAX), (2, 4, 1), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 4, u32::MAX)];
        let entry = |(tag, bits, id): (u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let list = [2_u32.to_le_bytes().to_vec(), entries.map(entry).concat()].concat();
        let (flags, name) = (sys::XattrFlags::empty(), "system.posix_acl_access");
        if sys::setxattr(&lying, name, &list, flags).is_ok() {
            assert!(!is_moved());
            sys::removexattr(&lying, name).unwrap();
        }
        if getegid().is_root() {
            std::os::unix::fs::chown(&lying, None, Some(1)).unwrap();
            assert!(!is_moved());
            std::os::unix::fs::chown(&lying, None, Some(0)).unwrap();
        }
        assert!(is_moved());
    }
}
