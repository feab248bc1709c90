//! One walk over a context, several directories at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use wythe_store::stat_cache::FileStat;
use wythe_store::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Name, Node, Subdirectory, Tree,
};

use super::body::{Bodies, read, xattrs};
use super::error::{ContextCause, ContextError};
use super::list::{Listed, list};
use super::stat::{facts, mtime};
use super::{joined, lossy};
use crate::copy::route::{Front, Reach, Route, start};
use crate::ignore::Rules;

/// How deep directories may nest: as deep as in a layer. It also bounds open descriptors.
pub(crate) const MAX_DEPTH: usize = 256;

/// Below this many names a directory is not worth offering to other threads.
const PARALLEL_NAMES: usize = 4;

/// A walk under way.
pub(crate) struct Walk<'a> {
    rules: &'a Rules,
    routes: &'a [Route],
    bodies: &'a dyn Bodies,
    findings: Mutex<Findings>,
}

/// What a walk met besides entries.
#[derive(Default)]
pub(crate) struct Findings {
    /// Routes that go on behind links.
    pub(crate) links: Vec<Route>,
    /// Sockets.
    pub(crate) skipped: Vec<String>,
}

/// A directory being read.
struct At<'a> {
    directory: BorrowedFd<'a>,
    path: &'a [u8],
    depth: usize,
    reach: &'a Reach,
}

/// An entry about to be read.
struct Visit<'a> {
    at: &'a At<'a>,
    name: Name,
    path: Vec<u8>,
    reach: Reach,
    verdict: Verdict,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Verdict {
    Kept,
    /// Excluded itself, though something in it may not be.
    OnlyBelow,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(rules: &'a Rules, routes: &'a [Route], bodies: &'a dyn Bodies) -> Self {
        Self { rules, routes, bodies, findings: Mutex::default() }
    }

    pub(crate) fn root(&self, root: BorrowedFd<'_>) -> Result<Tree, ContextError> {
        let io = |errno| ContextError::of(b".", errno);
        // A directory descriptor has one position; another scan may be reading this one.
        let root = open_directory(root, b".").map_err(io)?;
        let stat = fstat(&root).map_err(io)?;
        let xattrs = xattrs(root.as_fd()).map_err(io)?;
        let reach = start(self.routes);
        let at = At { directory: root.as_fd(), path: b"", depth: 0, reach: &reach };
        let metadata = Metadata { xattrs, ..metadata(&stat) };
        Ok(Tree { root: Some(metadata), children: self.directory(&at)? })
    }

    pub(crate) fn finish(self) -> Findings {
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        findings.skipped.sort_unstable();
        findings
    }

    fn directory(&self, at: &At<'_>) -> Result<Arc<Directory>, ContextError> {
        if at.depth > MAX_DEPTH {
            return Err(ContextError { path: lossy(at.path), cause: ContextCause::TooDeep });
        }
        if *at.reach == Reach::Nothing {
            return Ok(Arc::default());
        }
        let names = list(at.directory).map_err(|errno| ContextError::of(at.path, errno))?;
        let entry = |listed| self.listed(at, listed).transpose();
        let entries: Result<Vec<Entry>, ContextError> = if names.len() < PARALLEL_NAMES {
            names.into_iter().filter_map(entry).collect()
        } else {
            names.into_par_iter().filter_map(entry).collect()
        };
        Ok(Arc::new(Directory::from_entries(entries?)))
    }

    fn listed(&self, at: &At<'_>, listed: Listed) -> Result<Option<Entry>, ContextError> {
        let reach = match at.reach {
            Reach::Toward(front) => front.step(self.routes, &listed.name),
            Reach::Whole => Reach::Whole,
            Reach::Nothing => return Ok(None),
        };
        if reach == Reach::Nothing {
            return Ok(None);
        }
        let path = joined(at.path, &listed.name);
        let mut verdict = Verdict::Kept;
        if !self.rules.is_empty() && self.rules.excludes(&path) {
            let may_hold = matches!(listed.kind, FileType::Directory | FileType::Unknown);
            if !may_hold || !self.rules.may_keep_below(&path) {
                return Ok(None);
            }
            verdict = Verdict::OnlyBelow;
        }
        self.visit(&Visit { at, name: listed.name, path, reach, verdict })
    }

    fn visit(&self, visit: &Visit<'_>) -> Result<Option<Entry>, ContextError> {
        let stat = match statat(visit.at.directory, &*visit.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since its name was read.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(ContextError::of(&visit.path, errno)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return self.subdirectory(visit, &stat);
        }
        if visit.verdict == Verdict::OnlyBelow {
            return Ok(None);
        }
        let node = match kind {
            FileType::RegularFile => return self.file(visit, &stat),
            FileType::Symlink => self.symlink(visit)?,
            FileType::Fifo => Node::Fifo,
            FileType::Socket => {
                self.note(|findings| findings.skipped.push(lossy(&visit.path)));
                return Ok(None);
            }
            FileType::Directory
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return Err(visit.fail(ContextCause::Device)),
        };
        Ok(Some(Entry { name: visit.name.clone(), metadata: metadata(&stat), node }))
    }

    fn subdirectory(&self, visit: &Visit<'_>, stat: &Stat) -> Result<Option<Entry>, ContextError> {
        let io = |errno| ContextError::of(&visit.path, errno);
        let directory = open_directory(visit.at.directory, &visit.name).map_err(io)?;
        let children = self.directory(&At {
            directory: directory.as_fd(),
            path: &visit.path,
            depth: visit.at.depth + 1,
            reach: &visit.reach,
        })?;
        if visit.verdict == Verdict::OnlyBelow && children.is_empty() {
            return Ok(None);
        }
        let xattrs = xattrs(directory.as_fd()).map_err(io)?;
        let metadata = Metadata { xattrs, ..metadata(stat) };
        let node = Node::Directory(Subdirectory { claim: Claim::Explicit, children });
        Ok(Some(Entry { name: visit.name.clone(), metadata, node }))
    }

    fn file(&self, visit: &Visit<'_>, stat: &Stat) -> Result<Option<Entry>, ContextError> {
        if visit.reach != Reach::Whole {
            return Ok(None);
        }
        let found = facts(stat);
        let link = (stat.st_nlink > 1).then(|| group(&found));
        let mut metadata = metadata(stat);
        let mut size = found.size;
        let body = if let Some(body) = self.bodies.recall(&visit.path, &found) {
            body
        } else {
            let held = read(visit.at.directory, &visit.name, &visit.path, self.bodies)?;
            let Some(held) = held else { return Ok(None) };
            metadata.mode = held.stat.mode & 0o7777;
            metadata.mtime = held.stat.mtime;
            metadata.xattrs = held.xattrs;
            size = held.stat.size;
            held.body
        };
        let node = Node::File(File { body, size, link });
        Ok(Some(Entry { name: visit.name.clone(), metadata, node }))
    }

    fn symlink(&self, visit: &Visit<'_>) -> Result<Node, ContextError> {
        let target = readlinkat(visit.at.directory, &*visit.name, Vec::new());
        let target = target.map_err(|errno| ContextError::of(&visit.path, errno))?.into_bytes();
        if let Reach::Toward(before) = visit.at.reach {
            let routes = self.behind(before, visit, &target);
            self.note(|findings| findings.links.extend(routes));
        }
        Ok(Node::Symlink(target.into()))
    }

    /// Where the routes that led to a link go on.
    fn behind(&self, before: &Front, visit: &Visit<'_>, target: &[u8]) -> Vec<Route> {
        let directory = visit.at.path;
        match &visit.reach {
            Reach::Toward(_) => before.through_link(self.routes, &visit.name, directory, target),
            Reach::Whole | Reach::Nothing => vec![Route::to_target(directory, target)],
        }
    }

    fn note(&self, add: impl FnOnce(&mut Findings)) {
        add(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Visit<'_> {
    fn fail(&self, cause: ContextCause) -> ContextError {
        ContextError { path: lossy(&self.path), cause }
    }
}

/// Opens a directory by name in another; a link in its place is refused.
pub(crate) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn metadata(stat: &Stat) -> Metadata {
    let mtime = mtime(stat);
    Metadata { mode: stat.st_mode & 0o7777, mtime, ..Metadata::default() }
}

/// A number for an inode. A collision would need two file systems in one context whose inode
/// numbers differ by a rotation of their device numbers.
fn group(stat: &FileStat) -> LinkGroup {
    LinkGroup(stat.inode ^ stat.device.rotate_left(40))
}
