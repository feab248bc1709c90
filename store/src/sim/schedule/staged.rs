//! The disk of one actor: every operation waits for its turn.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::sim::schedule::stage::{Stage, Weight};
use crate::vfs::{Lock, Vfs, VfsFile};

/// A [`Vfs`] that asks for its turn before each operation.
#[derive(Debug)]
pub(super) struct Staged {
    actor: usize,
    stage: Arc<Stage>,
}

#[derive(Debug)]
struct StagedFile {
    file: Box<dyn VfsFile>,
    area: String,
    actor: usize,
    stage: Arc<Stage>,
}

#[derive(Debug)]
struct StagedLock {
    path: String,
    token: u64,
    actor: usize,
    stage: Arc<Stage>,
}

impl Staged {
    pub(super) fn new(actor: usize, stage: Arc<Stage>) -> Self {
        Self { actor, stage }
    }

    fn reach(&self, operation: &str, path: &str, weight: Weight) -> io::Result<()> {
        let area = area(path);
        self.stage.reach(self.actor, &format!("{operation}:{area}"), weigh(area, weight))
    }

    fn file(&self, path: &str, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        let (area, stage) = (area(path).to_owned(), Arc::clone(&self.stage));
        Box::new(StagedFile { file, area, actor: self.actor, stage })
    }

    fn held(&self, path: &str, token: u64) -> Lock {
        let (path, stage) = (path.to_owned(), Arc::clone(&self.stage));
        Lock::new(StagedLock { path, token, actor: self.actor, stage })
    }
}

/// The part of a path that is the same in every run: the directory, or the lock.
fn area(path: &str) -> &str {
    let path = path.strip_prefix("lock/").unwrap_or(path);
    path.split_once('/').map_or(path, |(first, _)| first)
}

/// What is under `work/` belongs to one lease.
fn weigh(area: &str, weight: Weight) -> Weight {
    if area == "work" { Weight::Private } else { weight }
}

impl Vfs for Staged {
    fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.reach("create", path, Weight::Heavy)?;
        let file = self.stage.sim.create(path)?;
        self.stage.made(path);
        Ok(self.file(path, file))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.reach("open", path, Weight::Shared)?;
        Ok(self.file(path, self.stage.sim.open(path)?))
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.reach("open", path, Weight::Shared)?;
        Ok(self.file(path, self.stage.sim.open_append(path)?))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.reach("publish", to, Weight::Heavy)?;
        self.stage.sim.publish(from, to)?;
        self.stage.made(to);
        Ok(())
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.reach("replace", to, Weight::Heavy)?;
        self.stage.sim.replace(from, to)?;
        self.stage.made(to);
        Ok(())
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.reach("unlink", path, Weight::Heavy)?;
        self.stage.sim.unlink(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.reach("syncdir", path, Weight::Heavy)?;
        self.stage.sim.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.reach("syncfs", ".", Weight::Heavy)?;
        self.stage.sim.sync_all()
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.reach("mkdir", path, Weight::Shared)?;
        self.stage.sim.make_dir(path)?;
        self.stage.made(path);
        Ok(())
    }

    fn remove_tree(&self, path: &str) -> io::Result<()> {
        self.reach("rmtree", path, Weight::Shared)?;
        self.stage.sim.remove_tree(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let decides = matches!(path, "leases" | "packs");
        self.reach("list", path, if decides { Weight::Heavy } else { Weight::Shared })?;
        let mut names = self.stage.sim.list(path)?;
        self.stage.in_order_of_making(path, &mut names);
        Ok(names)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.reach("exists", path, Weight::Shared)?;
        self.stage.sim.exists(path)
    }

    fn lock(&self, path: &str) -> io::Result<Lock> {
        let token = self.stage.acquire(self.actor, &format!("lock:{}", area(path)), path)?;
        Ok(self.held(path, token))
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
        self.reach("trylock", path, Weight::Heavy)?;
        self.stage.sim.open(path)?;
        let token = self.stage.try_acquire(self.actor, path);
        Ok(token.map(|token| self.held(path, token)))
    }
}

impl StagedFile {
    fn reach(&self, operation: &str, weight: Weight) -> io::Result<()> {
        let operation = format!("{operation}:{}", self.area);
        self.stage.reach(self.actor, &operation, weigh(&self.area, weight))
    }

    /// Packs and blobs do not change under the names they are opened by.
    fn look(&self, operation: &str) -> io::Result<()> {
        let final_bytes = matches!(self.area.as_str(), "packs" | "blobs");
        self.reach(operation, if final_bytes { Weight::Private } else { Weight::Shared })
    }
}

impl VfsFile for StagedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.reach("append", Weight::Heavy)?;
        self.file.append(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.reach("write", Weight::Heavy)?;
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.look("read")?;
        self.file.read_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.look("size")?;
        self.file.size()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.reach("truncate", Weight::Heavy)?;
        self.file.truncate(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.reach("sync", Weight::Heavy)?;
        self.file.sync()
    }

    fn seal(&self) -> io::Result<()> {
        self.reach("seal", Weight::Shared)?;
        self.file.seal()
    }

    fn holes(&self) -> io::Result<Vec<Range<u64>>> {
        self.look("holes")?;
        self.file.holes()
    }
}

impl Drop for StagedLock {
    fn drop(&mut self) {
        self.stage.release(self.actor, &self.path, self.token);
    }
}
