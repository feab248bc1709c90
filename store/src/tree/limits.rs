//! What a tree may hold: one set of limits for what is made and for what is read, so that every
//! layer a build makes can be a base.
//!
//! Those of names and paths are in [`crate::path`]; the sizes of whole layers are in
//! [`crate::layer::limits`].

use crate::path::{DEPTH_MAX, LayerPath, NAME_MAX, PATH_MAX, PathError, TARGET_MAX, WHITEOUT};
use crate::tree::entry::{Device, Directory, Entry, Metadata, Name, Node, Tree, Xattrs};

/// No attribute has a longer name on Linux.
pub const XATTR_NAME_MAX: usize = 255;
/// No attribute is larger on Linux.
pub const XATTR_MAX: usize = 64 << 10;
/// All attributes of an entry fit into one extension header with its path and target: no reader
/// takes a longer one than 1 MiB.
pub const XATTRS_MAX: usize = (1 << 20) - (16 << 10);
/// What an attribute costs in an extension header besides its name and value.
const XATTR_COST: usize = 32;
/// The largest number of a device that a tar header has room for.
pub const DEVICE_MAX: u32 = 0o7_777_777;

/// An entry is past a limit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path} cannot be in a layer")]
pub struct LimitError {
    /// Which entry.
    pub path: LayerPath,
    /// Which limit.
    #[source]
    pub cause: LimitCause,
}

/// Why an entry cannot be in a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitCause {
    /// Its path is past one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A name means that something else is gone.
    #[error("names that begin with .wh. mean in a layer that something is deleted")]
    Mark,
    /// A symbolic link leads nowhere or too far.
    #[error("its target is empty, has a NUL byte, or is longer than {TARGET_MAX} bytes")]
    Target,
    /// Its attributes are too large.
    #[error(
        "its extended attributes are too large: a name has {XATTR_NAME_MAX} bytes, a value {XATTR_MAX}, all together {XATTRS_MAX}"
    )]
    Xattrs,
    /// Its owner or group is the id that means none.
    #[error("its owner or group is {}, which means none", u32::MAX)]
    Owner,
    /// A device has a number that no header holds, or the one that marks a removal.
    #[error("its device number is 0, or larger than {DEVICE_MAX}")]
    Device,
}

/// Checks every entry of a tree.
///
/// # Errors
///
/// With the first entry that is past a limit.
pub fn check(tree: &Tree) -> Result<(), LimitError> {
    let mut walk = Walk { path: Vec::new(), length: 0 };
    if let Some(root) = &tree.root {
        metadata(root).map_err(|cause| LimitError { path: LayerPath::root(), cause })?;
    }
    walk.directory(&tree.children)
}

struct Walk<'tree> {
    path: Vec<&'tree Name>,
    /// That of the path with its slashes.
    length: usize,
}

impl<'tree> Walk<'tree> {
    fn directory(&mut self, directory: &'tree Directory) -> Result<(), LimitError> {
        for entry in directory.entries() {
            self.path.push(&entry.name);
            self.length += entry.name.len() + 1;
            self.entry(entry).map_err(|cause| LimitError { path: self.path(), cause })?;
            if let Node::Directory(below) = &entry.node {
                self.directory(&below.children)?;
            }
            self.length -= entry.name.len() + 1;
            self.path.pop();
        }
        Ok(())
    }

    fn entry(&self, entry: &Entry) -> Result<(), LimitCause> {
        if NAME_MAX < entry.name.len() {
            return Err(PathError::LongName.into());
        }
        if PATH_MAX + 1 < self.length {
            return Err(PathError::Long.into());
        }
        if DEPTH_MAX < self.path.len() {
            return Err(PathError::Deep.into());
        }
        if entry.name.starts_with(WHITEOUT) {
            return Err(LimitCause::Mark);
        }
        metadata(&entry.metadata)?;
        match &entry.node {
            Node::Symlink(target) => self::target(target),
            Node::CharDevice(Device { major: 0, minor: 0 }) => Err(LimitCause::Device),
            Node::CharDevice(device) | Node::BlockDevice(device) => self::device(*device),
            Node::Directory(_) | Node::Fifo | Node::File(_) | Node::Whiteout => Ok(()),
        }
    }

    fn path(&self) -> LayerPath {
        let mut path = LayerPath::root();
        for name in &self.path {
            path.push(name);
        }
        path
    }
}

fn metadata(metadata: &Metadata) -> Result<(), LimitCause> {
    if metadata.uid == u32::MAX || metadata.gid == u32::MAX {
        return Err(LimitCause::Owner);
    }
    xattrs(&metadata.xattrs)
}

/// Checks the target of a symbolic link.
pub(crate) fn target(target: &[u8]) -> Result<(), LimitCause> {
    let bad = target.is_empty() || target.contains(&0) || TARGET_MAX < target.len();
    if bad { Err(LimitCause::Target) } else { Ok(()) }
}

/// Checks the extended attributes of one entry.
pub(crate) fn xattrs(xattrs: &Xattrs) -> Result<(), LimitCause> {
    let bad = |(name, value): &(Box<[u8]>, Box<[u8]>)| {
        name.is_empty() || XATTR_NAME_MAX < name.len() || XATTR_MAX < value.len()
    };
    let all: usize = xattrs.iter().map(|(name, value)| name.len() + value.len() + XATTR_COST).sum();
    if XATTRS_MAX < all || xattrs.iter().any(bad) { Err(LimitCause::Xattrs) } else { Ok(()) }
}

/// Checks the number of a device.
pub(crate) fn device(device: Device) -> Result<(), LimitCause> {
    let bad = DEVICE_MAX < device.major.max(device.minor);
    if bad { Err(LimitCause::Device) } else { Ok(()) }
}
