//! Files of a repository as a tree: two modes, one time, nobody's owner.

use std::sync::Arc;

use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, Metadata, Node, Subdirectory};

use super::checkout::Revision;
use crate::context::Context;
use crate::copy::route::Route;
use crate::environment::Environment;
use crate::ignore::Rules;
use crate::options::Options;
use crate::remote::repository::GitDirectory;
use crate::remote::repository::GitTime;
use crate::remote::{RemoteError, RemoteProblem};

/// Hides what belongs to git, that of submodules too.
const WITHOUT_GIT: &str = ".git\n**/.git\n";

impl Revision {
    /// The files, their bytes in the store; `now` is the time of those that have none.
    pub(crate) fn files(
        &self,
        env: Environment<'_>,
        options: &Options,
        now: Timestamp,
    ) -> Result<Arc<Directory>, RemoteError> {
        let checked_out = self.check_out(env, options)?;
        let everything: Vec<Route> = Route::flat("").into_iter().collect();
        let scan = || {
            let rules = match self.repository.directory.unwrap_or_default() {
                GitDirectory::Drop => Rules::parse("git", WITHOUT_GIT).unwrap_or_default(),
                GitDirectory::Keep => Rules::default(),
            };
            let context = Context::open(&checked_out.directory, rules)?;
            env.pool.install(|| context.scan(&everything, env.lease))
        };
        let scanned = scan().map_err(|error| {
            RemoteError::new(&self.repository.url, RemoteProblem::Files(Box::new(error)))
        })?;
        let mtime = match self.repository.mtime {
            GitTime::Checkout => now,
            GitTime::Commit => Timestamp::from_seconds(checked_out.time),
        };
        Ok(plain(&scanned.tree.children, mtime))
    }
}

/// The same files with what git keeps of their metadata.
fn plain(directory: &Directory, mtime: Timestamp) -> Arc<Directory> {
    let entries = directory.entries().iter().map(|entry| {
        let is_program = entry.metadata.mode & 0o100 != 0;
        let (mode, node) = if let Node::Directory(below) = &entry.node {
            let children = plain(&below.children, mtime);
            (0o755, Node::Directory(Subdirectory { children, ..below.clone() }))
        } else if let Node::Symlink(_) = &entry.node {
            (0o777, entry.node.clone())
        } else {
            (if is_program { 0o755 } else { 0o644 }, entry.node.clone())
        };
        Entry {
            name: entry.name.clone(),
            metadata: Metadata { mode, mtime, ..Metadata::default() },
            node,
        }
    });
    Arc::new(Directory::from_entries(entries.collect()))
}
