//! One walk over a context, several directories at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use wythe_dockerfile::pattern::Level;
use wythe_store::scan_record::ScanRecordBuilder;
use wythe_store::stat_cache::FileStat;
use wythe_store::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree,
};

use super::body::{Bodies, read, xattrs};
use super::error::{ContextCause, ContextError};
use super::list::{Listed, list};
use super::stat::{facts, mtime};
use super::{join, lossy};
use crate::copy::route::{Front, Reach, Route, start};
use crate::ignore::Rules;

/// How deep directories may nest: as deep as in a layer. It also bounds open descriptors.
pub(crate) const MAX_DEPTH: usize = 256;

/// As many files of one directory are not worth a thread of their own.
const FILES_PER_TASK: usize = 32;

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
    pub(crate) sockets: Vec<String>,
    /// Every entry that was looked at, with its numbers.
    pub(crate) record: ScanRecordBuilder,
}

/// A directory being read.
struct At<'a> {
    directory: BorrowedFd<'a>,
    path: &'a [u8],
    depth: usize,
    reach: &'a Reach,
    level: &'a Level,
}

/// An entry about to be read.
struct Visit<'a> {
    at: &'a At<'a>,
    name: &'a [u8],
    path: &'a [u8],
    kind: FileType,
    reach: Reach,
    /// What the rules make of it as a directory, where it may be one.
    level: Option<Level>,
}

/// What an entry is besides its name.
type Found = (Metadata, Node);

impl<'a> Walk<'a> {
    pub(crate) fn new(rules: &'a Rules, routes: &'a [Route], bodies: &'a dyn Bodies) -> Self {
        Self { rules, routes, bodies, findings: Mutex::default() }
    }

    pub(crate) fn root(&self, root: BorrowedFd<'_>) -> Result<Tree, ContextError> {
        let io = |errno| ContextError::of(b".", errno);
        // A directory descriptor has one position; another scan may be reading this one.
        let root = open_directory(root, b".").map_err(io)?;
        let stat = fstat(&root).map_err(io)?;
        self.note(|findings| findings.record.add(b".", &facts(&stat)));
        let xattrs = xattrs(root.as_fd()).map_err(io)?;
        let reach = start(self.routes);
        let level = self.rules.top();
        let at = At { directory: root.as_fd(), path: b"", depth: 0, reach: &reach, level: &level };
        let metadata = Metadata { xattrs, ..metadata(&stat) };
        Ok(Tree { root: Some(metadata), children: self.directory(&at)? })
    }

    pub(crate) fn finish(self) -> Findings {
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        findings.sockets.sort_unstable();
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
        let (below, beside): (Vec<Listed>, Vec<Listed>) =
            names.into_iter().partition(|listed| listed.kind == FileType::Directory);
        let mut entries = self.entries(at, beside, FILES_PER_TASK)?;
        entries.extend(self.entries(at, below, 1)?);
        Ok(Arc::new(Directory::from_entries(entries)))
    }

    /// Reads entries, on several threads where one would have more than `per_task` of them.
    fn entries(
        &self,
        at: &At<'_>,
        names: Vec<Listed>,
        per_task: usize,
    ) -> Result<Vec<Entry>, ContextError> {
        let entry = |path: &mut Vec<u8>, listed| self.listed(at, path, listed).transpose();
        // Who is none of the pool's threads has no others.
        if names.len() <= per_task || rayon::current_thread_index().is_none() {
            let mut path = Vec::new();
            return names.into_iter().filter_map(|listed| entry(&mut path, listed)).collect();
        }
        let names = names.into_par_iter().with_min_len(per_task);
        names.map_init(Vec::new, entry).flatten_iter().collect()
    }

    /// The entry of a name, if it is wanted. The buffer is for its path.
    fn listed(
        &self,
        at: &At<'_>,
        path: &mut Vec<u8>,
        listed: Listed,
    ) -> Result<Option<Entry>, ContextError> {
        let reach = match at.reach {
            Reach::Toward(front) => front.step(self.routes, &listed.name),
            Reach::Whole => Reach::Whole,
            Reach::Nothing => return Ok(None),
        };
        if reach == Reach::Nothing {
            return Ok(None);
        }
        join(path, at.path, &listed.name);
        let may_hold = matches!(listed.kind, FileType::Directory | FileType::Unknown);
        let level = may_hold.then(|| self.rules.enter(at.level, path));
        let is_wanted = level.as_ref().map_or_else(
            || self.rules.is_empty() || !self.rules.excludes_in(at.level, path),
            Level::may_keep_below,
        );
        if !is_wanted {
            return Ok(None);
        }
        let visit = Visit { at, name: &listed.name, path, kind: listed.kind, reach, level };
        let found = self.visit(&visit)?;
        Ok(found.map(|(metadata, node)| Entry { name: listed.name, metadata, node }))
    }

    fn visit(&self, visit: &Visit<'_>) -> Result<Option<Found>, ContextError> {
        if visit.kind == FileType::Directory
            && let Ok(directory) = open_directory(visit.at.directory, visit.name)
        {
            return self.subdirectory(visit, directory.as_fd());
        }
        let stat = match statat(visit.at.directory, visit.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since its name was read.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(visit.failed(errno)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let directory = open_directory(visit.at.directory, visit.name);
            return self.subdirectory(visit, directory.map_err(|e| visit.failed(e))?.as_fd());
        }
        if visit.level.as_ref().is_some_and(Level::is_excluded) {
            return Ok(None);
        }
        self.note(|findings| findings.record.add(visit.path, &facts(&stat)));
        let node = match kind {
            FileType::RegularFile => return self.file(visit, &stat),
            FileType::Symlink => self.symlink(visit)?,
            FileType::Fifo => Node::Fifo,
            FileType::Socket => return self.socket(visit, &stat),
            FileType::Directory
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                return Err(ContextError { path: lossy(visit.path), cause: ContextCause::Device });
            }
        };
        Ok(Some((metadata(&stat), node)))
    }

    fn subdirectory(
        &self,
        visit: &Visit<'_>,
        directory: BorrowedFd<'_>,
    ) -> Result<Option<Found>, ContextError> {
        // Before its names are read: one that comes meanwhile shows as a change afterwards.
        let stat = fstat(directory).map_err(|errno| visit.failed(errno))?;
        self.note(|findings| findings.record.add(visit.path, &facts(&stat)));
        let entered;
        let level = if let Some(level) = &visit.level {
            level
        } else {
            // Something else when its name was read.
            entered = self.rules.enter(visit.at.level, visit.path);
            &entered
        };
        let (path, reach, depth) = (visit.path, &visit.reach, visit.at.depth + 1);
        let children = self.directory(&At { directory, path, depth, reach, level })?;
        if level.is_excluded() && children.is_empty() {
            return Ok(None);
        }
        let xattrs = xattrs(directory).map_err(|errno| visit.failed(errno))?;
        let node = Node::Directory(Subdirectory { claim: Claim::Explicit, children });
        Ok(Some((Metadata { xattrs, ..metadata(&stat) }, node)))
    }

    /// What an image can hold of a socket: an empty file, as `BuildKit` has it.
    fn socket(&self, visit: &Visit<'_>, stat: &Stat) -> Result<Option<Found>, ContextError> {
        if visit.reach != Reach::Whole {
            return Ok(None);
        }
        self.note(|findings| findings.sockets.push(lossy(visit.path)));
        let stored = self.bodies.store(None, 0);
        let failed =
            |error| ContextError { path: lossy(visit.path), cause: ContextCause::Store(error) };
        let (body, size) = stored.map_err(failed)?;
        Ok(Some((metadata(stat), Node::File(File { body, size, link: None }))))
    }

    fn file(&self, visit: &Visit<'_>, stat: &Stat) -> Result<Option<Found>, ContextError> {
        if visit.reach != Reach::Whole {
            return Ok(None);
        }
        let found = facts(stat);
        let link = (stat.st_nlink > 1).then(|| group(&found));
        let mut metadata = metadata(stat);
        let mut size = found.size;
        let body = if let Some(body) = self.bodies.recall(visit.path, &found) {
            body
        } else {
            let held = read(visit.at.directory, visit.name, visit.path, self.bodies)?;
            let Some(held) = held else { return Ok(None) };
            metadata.mode = held.stat.mode & 0o7777;
            metadata.mtime = held.stat.mtime;
            metadata.xattrs = held.xattrs;
            size = held.stat.size;
            held.body
        };
        Ok(Some((metadata, Node::File(File { body, size, link }))))
    }

    fn symlink(&self, visit: &Visit<'_>) -> Result<Node, ContextError> {
        let target = readlinkat(visit.at.directory, visit.name, Vec::new());
        let target = target.map_err(|errno| visit.failed(errno))?.into_bytes();
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
            Reach::Toward(_) => before.through_link(self.routes, visit.name, directory, target),
            Reach::Whole | Reach::Nothing => vec![Route::to_target(directory, target)],
        }
    }

    fn note(&self, add: impl FnOnce(&mut Findings)) {
        add(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Visit<'_> {
    fn failed(&self, errno: Errno) -> ContextError {
        ContextError::of(self.path, errno)
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
