//! A simulated disk that fails: which operation, how, and whether it gets well again.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sim::Sim;
use crate::sim::disk::Inode;
use crate::vfs::{Lock, Vfs, VfsFile};

/// In which way operations fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// `EIO`: the device does not do what it is told. What a failed sync was about is lost, and
    /// no later sync brings it back.
    Broken,
    /// `ENOSPC`: nothing that needs room can be done.
    Full,
}

/// For how long operations fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lasting {
    /// One fails, and the next does not.
    Once,
    /// All fail from then on.
    FromThenOn,
    /// All fail until a file is removed.
    UntilRoom,
}

/// What is to fail.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// The first operation, counted from 0 among those that the fault may meet.
    pub first: usize,
    /// In which way.
    pub fault: Fault,
    /// For how long.
    pub lasting: Lasting,
}

/// The disk. Clones share what they have met.
#[derive(Clone, Debug)]
pub struct Faulty {
    sim: Sim,
    meter: Arc<Mutex<Meter>>,
}

#[derive(Debug)]
struct Meter {
    failing: Failing,
    count: usize,
    well: bool,
    met: Vec<String>,
}

/// What an operation asks of the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Demand {
    /// Room for bytes or names.
    Room,
    /// That it works.
    Work,
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn VfsFile>,
    inode: Inode,
    path: String,
    disk: Faulty,
}

impl Faulty {
    /// A disk that is going to fail.
    pub fn new(sim: &Sim, failing: Failing) -> Self {
        let meter = Meter { failing, count: 0, well: false, met: Vec::new() };
        Self { sim: sim.clone(), meter: Arc::new(Mutex::new(meter)) }
    }

    /// The operations that have failed.
    pub fn met(&self) -> Vec<String> {
        self.meter().met.clone()
    }

    /// The disk works from now on.
    pub fn repair(&self) {
        self.meter().well = true;
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, operation: &str, path: &str, demand: Demand) -> io::Result<()> {
        self.meter().ask(operation, path, demand)
    }

    fn file(&self, path: &str, file: Box<dyn VfsFile>) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.sim.memory().inode(path)?;
        let (path, disk) = (path.to_owned(), self.clone());
        Ok(Box::new(FaultyFile { file, inode, path, disk }))
    }
}

impl Meter {
    fn ask(&mut self, operation: &str, path: &str, demand: Demand) -> io::Result<()> {
        let Failing { first, fault, lasting } = self.failing;
        if self.well || (fault == Fault::Full && demand == Demand::Work) {
            return Ok(());
        }
        let nth = self.count;
        self.count += 1;
        if nth < first || (lasting == Lasting::Once && nth > first) {
            return Ok(());
        }
        self.met.push(format!("{operation} {path}"));
        let number = match fault {
            Fault::Broken => rustix::io::Errno::IO,
            Fault::Full => rustix::io::Errno::NOSPC,
        };
        Err(io::Error::from_raw_os_error(number.raw_os_error()))
    }
}

impl Vfs for Faulty {
    fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.ask("create", path, Demand::Room)?;
        self.file(path, self.sim.create(path)?)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.file(path, self.sim.open(path)?)
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
        self.file(path, self.sim.open_append(path)?)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.ask("publish", to, Demand::Work)?;
        self.sim.publish(from, to)
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.ask("replace", to, Demand::Work)?;
        self.sim.replace(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.ask("unlink", path, Demand::Work)?;
        self.sim.unlink(path)?;
        self.has_room();
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.ask("syncdir", path, Demand::Work)?;
        self.sim.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        if let Err(error) = self.ask("syncfs", ".", Demand::Room) {
            self.sim.memory().lose_unsynced(None);
            return Err(error);
        }
        self.sim.sync_all()
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        if !self.sim.exists(path)? {
            self.ask("mkdir", path, Demand::Room)?;
        }
        self.sim.make_dir(path)
    }

    fn remove_tree(&self, path: &str) -> io::Result<()> {
        self.ask("rmtree", path, Demand::Work)?;
        self.sim.remove_tree(path)?;
        self.has_room();
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.sim.list(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.sim.exists(path)
    }

    fn lock(&self, path: &str) -> io::Result<Lock> {
        self.sim.lock(path)
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
        self.sim.try_lock(path)
    }
}

impl Faulty {
    fn has_room(&self) {
        let mut meter = self.meter();
        if meter.failing.lasting == Lasting::UntilRoom && !meter.met.is_empty() {
            meter.well = true;
        }
    }
}

impl FaultyFile {
    fn ask(&self, operation: &str, demand: Demand) -> io::Result<()> {
        self.disk.ask(operation, &self.path, demand)
    }
}

impl VfsFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.ask("append", Demand::Room) {
            // What there was room for.
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.ask("write", Demand::Room) {
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.ask("truncate", Demand::Work)?;
        self.file.truncate(size)
    }

    fn sync(&self) -> io::Result<()> {
        if let Err(error) = self.ask("sync", Demand::Room) {
            self.disk.sim.memory().lose_unsynced(Some(self.inode));
            return Err(error);
        }
        self.file.sync()
    }

    fn seal(&self) -> io::Result<()> {
        self.ask("seal", Demand::Work)?;
        self.file.seal()
    }

    fn holes(&self) -> io::Result<Vec<Range<u64>>> {
        self.file.holes()
    }
}
