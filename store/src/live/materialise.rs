//! Making the directory of a layer out of its tree.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self as sys, FileType, Mode};

use crate::layer::bodies::Bodies;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::device;
use crate::live::files::Files;
use crate::live::place::{
    DIRECTORY, by_name, finish, finish_directory, make_directory, node, whiteout,
};
use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, Node, Tree};
use crate::tree::merge::implied;

/// Writes a changeset into an empty directory, in the form an overlay mount with `userxattr` takes
/// as a lower directory.
///
/// # Errors
///
/// If a body is missing, or an entry cannot be made.
pub fn unpack(tree: &Tree, bodies: &dyn Bodies, into: &Path) -> Result<(), MaterialiseError> {
    let root = sys::open(into, DIRECTORY, Mode::empty());
    let root =
        root.map_err(|error| MaterialiseError { path: LayerPath::root(), cause: error.into() })?;
    let mut unpack = Unpack { files: Files::new(root.as_fd(), bodies) };
    unpack.children(&root, &tree.children, &LayerPath::root())?;
    let metadata = tree.root.clone().unwrap_or_else(implied);
    let noted = device::note(&root, &tree.children).map_err(MaterialiseCause::from);
    noted
        .and_then(|()| finish(&root, &metadata))
        .map_err(|cause| MaterialiseError { path: LayerPath::root(), cause })
}

struct Unpack<'a> {
    files: Files<'a>,
}

impl Unpack<'_> {
    fn children(
        &mut self,
        at: &OwnedFd,
        directory: &Directory,
        path: &LayerPath,
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            if let Node::Directory(below) = &entry.node {
                let made = make_directory(at, &entry.name);
                let made = made.map_err(|cause| MaterialiseError { path: path.clone(), cause })?;
                self.children(&made, &below.children, &path)?;
                let done = finish_directory(&made, entry, below.claim);
                done.map_err(|cause| MaterialiseError { path, cause })?;
            } else {
                let made = self.leaf(at, entry, &path);
                made.map_err(|cause| MaterialiseError { path, cause })?;
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
                return match self.files.make(at, file, path)? {
                    Some(made) => finish(&made, &entry.metadata),
                    None => Ok(()),
                };
            }
            Node::Symlink(target) => sys::symlinkat(&**target, at, name)?,
            Node::Whiteout => return whiteout(at, name),
            Node::Fifo => sys::mknodat(at, name, FileType::Fifo, Mode::RUSR, 0)?,
            Node::BlockDevice(device) => return node(at, entry, FileType::BlockDevice, *device),
            Node::CharDevice(device) => return node(at, entry, FileType::CharacterDevice, *device),
            Node::Directory(_) => return Ok(()),
        }
        by_name(at, entry)
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
        unpack(&tree, &bodies, directory.path()).unwrap();
        let stat = |name: &str| std::fs::symlink_metadata(directory.path().join(name)).unwrap();
        assert_eq!(stat("a").ino(), stat("b").ino());
        assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime()), (0o644, 1));
        assert_eq!((stat("i").mode() & 0o7777, stat("i").mtime()), (0o755, 0));
        assert!(stat("w").file_type().is_char_device() && stat("w").rdev() == 0);
        assert!(stat("l").file_type().is_symlink());
        assert_eq!(std::fs::read(directory.path().join("d/c")).unwrap(), b"2");
    }
}
