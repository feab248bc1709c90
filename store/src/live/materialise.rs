//! Making the directory of a layer out of its tree.

use std::borrow::Cow;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self as sys, Mode};

use crate::layer::bodies::Bodies;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::files::Files;
use crate::live::filler::{Content, Filler, Unfilled};
use crate::live::place::{
    DIRECTORY, at_first, finish_directory, finish_root, make_directory, make_special,
};
use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, File, Node, Tree};

/// Writes a changeset into an empty directory, in the form an overlay mount with `userxattr` takes
/// as a lower directory, on so many threads.
///
/// # Errors
///
/// If a body is missing, or an entry cannot be made. The first that fails is named, in the order of
/// the tree.
pub fn unpack(
    tree: &Tree,
    (bodies, threads): (&dyn Bodies, NonZeroUsize),
    into: &Path,
) -> Result<(), MaterialiseError> {
    add(tree, (bodies, threads), into)
}

/// As [`unpack`], into a directory where nothing is in the way: what it has stays, but for the
/// metadata of directories that the tree names, too.
pub(super) fn add(
    tree: &Tree,
    (bodies, threads): (&dyn Bodies, NonZeroUsize),
    into: &Path,
) -> Result<(), MaterialiseError> {
    let failed = |cause| MaterialiseError { path: LayerPath::root(), cause };
    let root = sys::open(into, DIRECTORY, Mode::empty());
    let root = root.map_err(|error| failed(error.into()))?;
    std::thread::scope(|scope| {
        let mut filler = Filler::new(scope, bodies, threads);
        let mut unpack = Unpack { files: Files::new(root.as_fd()), filler: &mut filler };
        let made = unpack.children(&root, &tree.children, &LayerPath::root());
        // What was to be filled comes before what has failed here.
        filler.finish().and(made)
    })?;
    finish_root(&root, tree).map_err(failed)
}

struct Unpack<'a, 'scope, 'env> {
    files: Files<'a>,
    filler: &'a mut Filler<'scope, 'env>,
}

impl<'env> Unpack<'_, '_, 'env> {
    fn children(
        &mut self,
        at: &OwnedFd,
        directory: &'env Directory,
        path: &LayerPath,
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            match &entry.node {
                Node::Directory(below) => {
                    let failed = |cause| MaterialiseError { path: path.clone(), cause };
                    let made = enter(at, &entry.name, entry.metadata.mode).map_err(failed)?;
                    self.children(&made, &below.children, &path)?;
                    finish_directory(&made, entry, below.claim).map_err(failed)?;
                }
                Node::File(file) => self.file(at, (entry, file), path)?,
                Node::BlockDevice(_)
                | Node::CharDevice(_)
                | Node::Fifo
                | Node::Symlink(_)
                | Node::Whiteout => {
                    let made = make_special(at, entry);
                    made.map_err(|cause| MaterialiseError { path, cause })?;
                }
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        at: &OwnedFd,
        (entry, file): (&'env Entry, &'env File),
        path: LayerPath,
    ) -> Result<(), MaterialiseError> {
        let mode = at_first(entry.metadata.mode);
        match self.files.make(at, (file, mode), &path) {
            Ok(Some(made)) => {
                let (metadata, content) = (Cow::Borrowed(&entry.metadata), Content::Stored(file));
                self.filler.fill(Unfilled { made, path, metadata, content })
            }
            Ok(None) => Ok(()),
            Err(cause) => Err(MaterialiseError { path, cause }),
        }
    }
}

/// Makes a directory, unless there is one.
fn enter(at: &OwnedFd, name: &[u8], mode: u32) -> Result<OwnedFd, MaterialiseCause> {
    match make_directory(at, name, mode) {
        Err(MaterialiseCause::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(sys::openat(at, name, DIRECTORY, Mode::empty())?)
        }
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BodyId;
    use std::collections::BTreeMap;

    use crate::bytes::FileBytes;
    use crate::tree::sketch::sketch;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn a_changeset_becomes_an_overlay_directory() {
        let directory = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let body =
            |text: &str| (BodyId::of(text.as_bytes()), FileBytes::from(text.as_bytes().to_vec()));
        let bodies = BTreeMap::from([body("1"), body("2")]);
        let tree = sketch("a=1@1 b=1@1 d/ d/c=2 i/f=2 l>../../etc -w");
        unpack(&tree, (&bodies, TWO), directory.path()).unwrap();
        let stat = |name: &str| std::fs::symlink_metadata(directory.path().join(name)).unwrap();
        assert_eq!(stat("a").ino(), stat("b").ino());
        assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime()), (0o644, 1));
        assert_eq!((stat("i").mode() & 0o7777, stat("i").mtime()), (0o755, 0));
        assert!(stat("w").file_type().is_char_device() && stat("w").rdev() == 0);
        assert!(stat("l").file_type().is_symlink());
        assert_eq!(std::fs::read(directory.path().join("d/c")).unwrap(), b"2");
    }
    #[test]
    fn what_files_inherit_from_where_the_store_lies_stays_behind() {
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("into");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(directory.path(), None, Some(7)).unwrap();
        }
        let set_group = std::os::unix::fs::PermissionsExt::from_mode(0o2755);
        std::fs::set_permissions(directory.path(), set_group).unwrap();
        std::fs::create_dir(&into).unwrap();
        let text = b"1".to_vec();
        let bodies = BTreeMap::from([(BodyId::of(&text), FileBytes::from(text))]);
        unpack(&sketch("a=1 d/ d/e/ d/b=1 i/c=1 l>a -w"), (&bodies, TWO), &into).unwrap();
        let ours = std::fs::symlink_metadata(directory.path()).unwrap();
        for name in ["", "a", "d", "d/e", "d/b", "i", "i/c", "l"] {
            let found = std::fs::symlink_metadata(into.join(name)).unwrap();
            let mode = if found.is_symlink() { 0 } else { found.mode() };
            assert_eq!(mode & 0o7022, 0, "{name}");
            assert!(ours.gid() != 7 || found.gid() == 0, "{name}");
        }
    }
}
