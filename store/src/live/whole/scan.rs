//! Reading a directory as the root file system that it is now.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{self as sys, FileType, Mode, Stat};

use crate::lease::Lease;
use crate::live::attributes::{entered, metadata};
use crate::live::place::DIRECTORY;
use crate::live::reading::Reading;
use crate::live::upper::{At, UpperCause, UpperError, Walk, checked, each, failed, opened};
use crate::live::whole::seen::{Seen, identity};
use crate::path::LayerPath;
use crate::tree::entry::{Claim, Directory, Entry, Metadata, Node, Subdirectory, Tree};
use crate::tree::links;
use crate::tree::merge::implied;

/// The root file system that a directory has become since it was `lower`, and what was seen of it.
/// A directory that is another one than before is opaque.
pub(super) fn scan(
    lease: &Lease,
    (path, idmap): (&Path, &[u8]),
    lower: &Tree,
    before: &Seen,
) -> Result<(Tree, Seen), UpperError> {
    let root_path = LayerPath::root();
    let now = Seen::now(path)?;
    let (root, stat, found) = opened(sys::open(path, DIRECTORY, Mode::empty()), &root_path)?;
    let walk = Walk::new(Reading::Storing(lease), idmap, lower);
    let below = lower.root.clone().unwrap_or_else(implied);
    let owner = walk.owner(&stat, found.owner, (None, (below.uid, below.gid)));
    let metadata = metadata(&stat, owner, found.image);
    let scan = Scan { walk, before, now: Mutex::new(now) };
    let children = scan.directory((&root, owner), Some(&lower.children), &root_path)?;
    // As of the upper directory of an overlay: whatever happens at the top changes its time.
    let timed = Metadata { mtime: below.mtime, ..metadata.clone() };
    let same = timed == below || timed == entered(below);
    let children = links::without_singles(&Arc::new(children));
    let root = if same { lower.root.clone() } else { Some(metadata) };
    let now = scan.now.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((Tree { root, children }, now))
}

struct Scan<'a> {
    walk: Walk<'a>,
    before: &'a Seen,
    now: Mutex<Seen>,
}

impl Scan<'_> {
    fn directory(
        &self,
        at: At<'_>,
        lower: Option<&Directory>,
        path: &LayerPath,
    ) -> Result<Directory, UpperError> {
        each(at, lower, path, |name, below, path| self.entry(at, name, below, path))
    }

    fn entry(
        &self,
        at: At<'_>,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Option<Entry>, UpperError> {
        let stat = checked(at, name, path)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.subdirectory(at, name, lower, path).map(Some);
        }
        let refused = |cause: UpperCause| UpperError { path: path.clone(), cause };
        let (metadata, node) = match self.before.unchanged(&stat) {
            Some((metadata, node)) => (metadata.clone(), self.regrouped(&stat, node)),
            None => match self.walk.leaf(at, (name, lower), &stat).map_err(refused)? {
                // What an overlay takes for a name that is gone says nothing here.
                None | Some((_, Node::Whiteout)) => return Ok(None),
                Some(found) => found,
            },
        };
        self.now().leaf(&stat, &metadata, &node);
        Ok(Some(Entry { name: name.into(), metadata, node }))
    }

    /// What is known of an inode, in the group that its names make now.
    fn regrouped(&self, stat: &Stat, node: &Node) -> Node {
        let Node::File(file) = node else { return node.clone() };
        Node::File(self.walk.linked(stat, (file.body, file.size)))
    }

    fn subdirectory(
        &self,
        at: At<'_>,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Entry, UpperError> {
        let found = sys::openat(at.0, name, DIRECTORY, Mode::empty());
        let (opened, stat, found) = opened(found, path)?;
        let owner = self.walk.owner(&stat, found.owner, (lower, at.1));
        let metadata = metadata(&stat, owner, found.image);
        let identity = identity(&opened).map_err(|error| failed(path, error))?;
        self.now().directory(path, identity);
        let covered = match lower {
            Some(Entry { node: Node::Directory(below), .. }) => Some(&*below.children),
            _ => None,
        };
        let below = covered.filter(|_| self.before.is_same(path, identity));
        let children = Arc::new(self.directory((&opened, owner), below, path)?);
        let is_another = covered.is_some() && below.is_none();
        let claim = if is_another { Claim::Opaque } else { Claim::Explicit };
        let node = Node::Directory(Subdirectory { claim, children });
        Ok(Entry { name: name.into(), metadata, node })
    }

    fn now(&self) -> MutexGuard<'_, Seen> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
