//! What a step changed: the tree of its upper directory.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::WriteError;
use crate::layer::canonical::travels;
use crate::lease::Lease;
use crate::path::LayerPath;
use crate::timestamp::Timestamp;
use crate::tree::entry::{
    Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree, Xattrs,
};
use crate::tree::links;

/// An upper directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of a step's changes")]
pub struct UpperError {
    /// The entry.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: UpperCause,
}

/// Why an upper directory could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpperCause {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file's bytes could not be stored.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<Errno> for UpperCause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Reads an upper directory as a changeset of `lower`, the root file system the step ran on, and
/// stores the bytes of its files. What was copied up and is unchanged is left out.
///
/// # Cost
///
/// The size of the change; of `lower` only the entries beside it are looked at.
pub fn upper_tree(lease: &Lease, upper: &Path, lower: &Tree) -> Result<Tree, UpperError> {
    let at_root = |error: Errno| UpperError { path: LayerPath::root(), cause: error.into() };
    let root = sys::open(upper, DIRECTORY, Mode::empty()).map_err(at_root)?;
    let stat = sys::fstat(&root).map_err(at_root)?;
    let xattrs = xattrs(&root).map_err(|cause| UpperError { path: LayerPath::root(), cause })?;
    let metadata = metadata(&stat, xattrs.0);
    let mut walk = Walk { lease, files: BTreeMap::new() };
    let children = walk.directory(&root, Some(&lower.children), &LayerPath::root())?;
    let same = lower.root.as_ref() == Some(&metadata);
    let children = links::without_singles(&Arc::new(children));
    Ok(Tree { root: (!same).then_some(metadata), children })
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Walk<'a> {
    lease: &'a Lease,
    /// Files with several names, by inode.
    files: BTreeMap<(u64, u64), File>,
}

impl Walk<'_> {
    fn directory(
        &mut self,
        at: &OwnedFd,
        lower: Option<&Directory>,
        path: &LayerPath,
    ) -> Result<Directory, UpperError> {
        let failed = |cause: UpperCause| UpperError { path: path.clone(), cause };
        let names = names(at).map_err(|error| failed(error.into()))?;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let path = path.join(&name);
            let below = lower.and_then(|lower| lower.get(&name));
            entries.extend(self.entry(at, &name, below, &path)?);
        }
        Ok(Directory::from_entries(entries))
    }

    fn entry(
        &mut self,
        at: &OwnedFd,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Option<Entry>, UpperError> {
        let failed = |cause: UpperCause| UpperError { path: path.clone(), cause };
        let stat = sys::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.subdirectory(at, name, lower, path);
        }
        let Some((metadata, node)) = self.leaf(at, name, &stat).map_err(failed)? else {
            return Ok(None);
        };
        let entry = Entry { name: name.into(), metadata, node };
        let gone_already = entry.node == Node::Whiteout && lower.is_none();
        // A group of links means something only as a whole, so none of its names is left out.
        let linked = matches!(entry.node, Node::File(File { link: Some(_), .. }));
        let same = !linked && lower == Some(&entry);
        Ok((!gone_already && !same).then_some(entry))
    }

    fn subdirectory(
        &mut self,
        at: &OwnedFd,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Option<Entry>, UpperError> {
        let failed = |cause: UpperCause| UpperError { path: path.clone(), cause };
        let opened = sys::openat(at, name, DIRECTORY, Mode::empty());
        let opened = opened.map_err(|error| failed(error.into()))?;
        let stat = sys::fstat(&opened).map_err(|error| failed(error.into()))?;
        let (xattrs, opaque) = xattrs(&opened).map_err(failed)?;
        let metadata = metadata(&stat, xattrs);
        let below = match lower {
            Some(Entry { node: Node::Directory(below), .. }) if !opaque => Some(&*below.children),
            _ => None,
        };
        let children = self.directory(&opened, below, path)?;
        let same = below.is_some() && lower.is_some_and(|lower| lower.metadata == metadata);
        if same && children.is_empty() {
            return Ok(None);
        }
        let claim = match (opaque && lower.is_some(), same) {
            (true, _) => Claim::Opaque,
            (false, true) => Claim::Implied,
            (false, false) => Claim::Explicit,
        };
        let metadata = if same { Metadata::default() } else { metadata };
        let node = Node::Directory(Subdirectory { claim, children: Arc::new(children) });
        Ok(Some(Entry { name: name.into(), metadata, node }))
    }

    /// What is no directory; `None` for sockets, which no layer holds.
    fn leaf(
        &mut self,
        at: &OwnedFd,
        name: &[u8],
        stat: &Stat,
    ) -> Result<Option<(Metadata, Node)>, UpperCause> {
        let device = || Device { major: sys::major(stat.st_rdev), minor: sys::minor(stat.st_rdev) };
        let mut attributes = Xattrs::new();
        let node = match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                return Ok(Some((Metadata::default(), Node::Whiteout)));
            }
            FileType::CharacterDevice => Node::CharDevice(device()),
            FileType::BlockDevice => Node::BlockDevice(device()),
            FileType::Fifo => Node::Fifo,
            FileType::Symlink => {
                let target = sys::readlinkat(at, name, Vec::new())?;
                Node::Symlink(target.into_bytes().into())
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = sys::openat(at, name, flags, Mode::empty())?;
                attributes = xattrs(&opened)?.0;
                Node::File(self.file(opened, stat)?)
            }
            _ => return Ok(None),
        };
        Ok(Some((metadata(stat, attributes), node)))
    }

    fn file(&mut self, opened: OwnedFd, stat: &Stat) -> Result<File, UpperCause> {
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(file) = self.files.get(&inode) {
            return Ok(*file);
        }
        let hint = u64::try_from(stat.st_size).unwrap_or(0);
        let mut reader = std::fs::File::from(opened);
        let (body, size) = self.lease.body_from_reader(&mut reader, hint)?;
        let shared = stat.st_nlink > 1;
        let link = shared.then(|| LinkGroup(self.files.len() as u64));
        let file = File { body, size, link };
        if shared {
            self.files.insert(inode, file);
        }
        Ok(file)
    }
}

fn names(at: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in sys::Dir::read_from(at)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

fn metadata(stat: &Stat, xattrs: Xattrs) -> Metadata {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let mtime = Timestamp { seconds: stat.st_mtime, nanos };
    let mode = stat.st_mode & 0o7777;
    Metadata { mode, uid: stat.st_uid, gid: stat.st_gid, mtime, xattrs }
}

/// The attributes that belong to the image, and whether the directory is opaque.
fn xattrs(opened: &OwnedFd) -> Result<(Xattrs, bool), UpperCause> {
    let mut list = vec![0; 64 << 10];
    let length = match sys::flistxattr(opened, &mut list[..]) {
        Err(Errno::NOTSUP) => 0,
        length => length?,
    };
    let (mut found, mut opaque) = (Xattrs::new(), false);
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let wanted = travels(name);
        if !wanted && name != b"user.overlay.opaque" {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        let length = sys::fgetxattr(opened, name, &mut value[..])?;
        value.truncate(length);
        if wanted {
            found.push((name.into(), value.into()));
        } else {
            opaque = value == b"y";
        }
    }
    found.sort();
    Ok((found, opaque))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{OpenOptions, Store};
    use crate::tree::merge::merge;

    #[test]
    fn only_changes_are_in_the_changeset() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let upper = directory.path().join("upper");
        std::fs::create_dir_all(upper.join("d")).unwrap();
        std::fs::write(upper.join("d/a"), "1").unwrap();
        std::fs::write(upper.join("d/b"), "1").unwrap();
        let first = upper_tree(&lease, &upper, &Tree::default()).unwrap();
        let lower = merge(&Tree::default(), &first);
        std::fs::write(upper.join("c"), "2").unwrap();
        let second = upper_tree(&lease, &upper, &lower).unwrap();
        let names: Vec<&[u8]> = second.children.entries().iter().map(|e| &*e.name).collect();
        assert_eq!(names, [b"c"]);
    }
}
