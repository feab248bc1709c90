//! A build context: a directory of the user, read only as far as the build refers to it.
//!
//! ```text
//! Context::open ── scan(routes, bodies) ──► Scan { tree, skipped, record }
//!               └─ is_unchanged(record) ──► whether another scan would find the same
//! ```
//!
//! Every entry is read relative to its directory's descriptor and no link is ever followed by the
//! kernel, so that nothing outside the directory can enter a tree. A file's bytes are read when
//! [`Bodies`] does not recall it from an earlier scan, and then once: hashed and stored as they
//! come. Everything belongs to 0:0, whoever owns it here.

pub mod body;
pub mod error;
mod list;
pub mod recall;
mod scan;
mod stat;
pub mod survey;
mod unchanged;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use wythe_store::racy::Racy;
use wythe_store::scan_record::ScanRecordBuilder;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::Tree;

use self::body::Bodies;
use self::error::{ContextCause, ContextError};
use self::scan::Walk;
use crate::copy::canvas::components;
use crate::copy::error::{Missing, nearest};
use crate::copy::route::Route;
use crate::ignore::Rules;

/// The longest ignore file that is read: room for 100,000 patterns of ordinary length.
const MAX_IGNORE_FILE: u64 = 4 * 1024 * 1024;

/// How many links sources may lead through, as for one path on Linux.
const MAX_LINK_ROUNDS: usize = 40;

/// A directory to copy from, and what of it is invisible.
#[derive(Debug)]
pub struct Context {
    root: OwnedFd,
    rules: Rules,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    /// The entries that the routes lead to, and the directories on the way.
    pub tree: Tree,
    /// Paths of sockets, which no image can hold and the tree has as empty files, in byte order.
    pub sockets: Vec<String>,
    /// What was looked at, by which to tell later that nothing has changed; `None` on file systems
    /// whose directories do not tell.
    pub record: Option<ScanRecordBuilder>,
}

impl Context {
    /// Opens a directory. Entries that `rules` exclude are as good as absent.
    ///
    /// # Errors
    /// A path that cannot be opened as a directory.
    pub fn open(path: &Path, rules: Rules) -> Result<Self, ContextError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty());
        let root =
            root.map_err(|errno| ContextError::of(path.as_os_str().as_encoded_bytes(), errno))?;
        Ok(Self { root, rules })
    }

    /// Which times prove nothing to a scan that begins at `scan`, when a file that changed got at most
    /// `stamp` as its time, where that is known.
    pub fn racy(&self, scan: Timestamp, stamp: Option<Timestamp>) -> Racy {
        let racy = Racy::of_scan(scan);
        let exact = stamp.filter(|_| unchanged::keeps_times(self.root.as_fd()));
        match (exact, fstat(&self.root)) {
            (Some(stamp), Ok(root)) => racy.with_stamp(root.st_dev, stamp),
            _ => racy,
        }
    }

    /// Reads what the routes lead to, on the current rayon pool.
    ///
    /// Links on the way are followed inside the context, so that the tree has what they lead to.
    ///
    /// # Errors
    /// The first entry that cannot be read or stored, by its path.
    pub fn scan(&self, routes: &[Route], bodies: &dyn Bodies) -> Result<Scan, ContextError> {
        let mut routes = routes.to_vec();
        for _ in 0..MAX_LINK_ROUNDS {
            let walk = Walk::new(&self.rules, &routes, bodies);
            let tree = walk.root(self.root.as_fd())?;
            let findings = walk.finish();
            let known = routes.len();
            for route in findings.links {
                if !routes.contains(&route) {
                    routes.push(route);
                }
            }
            if routes.len() == known {
                let keeps_times = unchanged::keeps_times(self.root.as_fd());
                let record = keeps_times.then_some(findings.record);
                return Ok(Scan { tree, sockets: findings.sockets, record });
            }
        }
        Err(ContextError { path: ".".to_owned(), cause: ContextCause::Loop })
    }

    /// What else can be said of a source that was not found here: a line of the ignore file, or
    /// names next to it that no route asked for.
    pub fn explain(&self, missing: Missing) -> Missing {
        let path = missing.path.trim_start_matches('/').to_owned();
        if let Some(by) = self.rules.excluded_by(path.as_bytes()) {
            return Missing { ignored: Some(by), ..missing };
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let names = self.names(parent.as_bytes());
        let visible = |name: &&[u8]| !self.rules.excludes(&joined(parent.as_bytes(), name));
        let other = |found: &&[u8]| *found != name.as_bytes() && visible(found);
        let similar = nearest(name.as_bytes(), names.iter().map(|name| &**name).filter(other));
        let shown = |name: &[u8]| format!("/{}", lossy(&joined(parent.as_bytes(), name)));
        Missing { nearest: similar.into_iter().map(shown).collect(), ..missing }
    }

    /// The names in a directory; none where it cannot be read, since this only serves a message.
    fn names(&self, directory: &[u8]) -> Vec<Box<[u8]>> {
        let Ok(mut at) = self.root.try_clone() else { return Vec::new() };
        for part in components(directory) {
            match scan::open_directory(at.as_fd(), part) {
                Ok(next) => at = next,
                Err(_) => return Vec::new(),
            }
        }
        let listed = list::list(at.as_fd()).unwrap_or_default();
        listed.into_iter().map(|listed| listed.name).collect()
    }
}

/// The ignore rules of a build: those next to the Dockerfile, else those of the context's root.
///
/// `dockerfile` is the path the Dockerfile was read from, where it was a file.
///
/// # Errors
/// A file that cannot be read, is too long, or has a bad pattern.
pub fn ignore_rules(context: &Path, dockerfile: Option<&Path>) -> Result<Rules, ContextError> {
    if let Some(dockerfile) = dockerfile {
        let mut beside = dockerfile.as_os_str().to_owned();
        beside.push(".dockerignore");
        if let Some(rules) = read_rules(Path::new(&beside))? {
            return Ok(rules);
        }
    }
    Ok(read_rules(&context.join(".dockerignore"))?.unwrap_or_default())
}

fn read_rules(path: &Path) -> Result<Option<Rules>, ContextError> {
    let shown = path.as_os_str().as_encoded_bytes();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(ContextError::of(shown, errno)),
    };
    let fail = |cause| ContextError { path: lossy(shown), cause };
    let kind = file.metadata().map_err(|error| fail(error.into()))?;
    if !kind.is_file() {
        return Err(fail(ContextCause::NotAFile));
    }
    let mut text = Vec::new();
    let read = file.take(MAX_IGNORE_FILE + 1).read_to_end(&mut text);
    read.map_err(|error| fail(ContextCause::Read(error)))?;
    if text.len() as u64 > MAX_IGNORE_FILE {
        return Err(fail(ContextCause::IgnoreFileTooLong));
    }
    let name = path.file_name().map(|name| lossy(name.as_encoded_bytes())).unwrap_or_default();
    let rules = Rules::parse(&name, &lossy(&text));
    rules.map(Some).map_err(|error| fail(ContextCause::Ignore(error)))
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    join(&mut path, directory, name);
    path
}

/// Writes a path in place of what the buffer holds.
fn join(path: &mut Vec<u8>, directory: &[u8], name: &[u8]) {
    path.clear();
    path.extend_from_slice(directory);
    if !directory.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
