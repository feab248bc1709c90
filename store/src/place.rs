//! Whether a store can lie where it is to lie: on a file system that only this machine changes, and
//! whose locks hold between its processes.
//!
//! A lease, a collection and the journal are each decided under a lock, and readers trust that what
//! is sealed stays and what is appended shows. Several machines on one file system have neither:
//! each has its own locks, or its own idea of a file that another is writing.

use std::io;
use std::path::Path;

use crate::sys;
use crate::vfs::Vfs;

/// A file that is there to be locked.
const TRIAL: &str = "lock/trial";

/// Why a store cannot lie where it is to lie.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Other machines may change it too.
    #[error("{kind} is a file system that other machines change, too")]
    Shared {
        /// What kind of file system it is.
        kind: String,
    },
    /// Two processes can hold one lock.
    #[error("the locks of its file system do not keep others out")]
    LocksDoNotHold,
    /// Nobody can take a lock.
    #[error("its file system has no locks")]
    NoLocks(#[source] io::Error),
    /// It can be read, and not more.
    #[error("its file system is read-only")]
    ReadOnly,
}

impl PlaceError {
    /// Why no lock was to be had.
    fn of_lock(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            Self::ReadOnly
        } else {
            Self::NoLocks(error)
        }
    }
}

/// File systems of several machines by the number they give themselves. That they are cannot be
/// found by trying on one machine.
const SHARED: [(u64, &str); 18] = [
    (0x0000_517b, "smbfs"),
    (0x0000_564c, "ncpfs"),
    (0x0000_6969, "nfs"),
    (0x0102_1997, "9p"),
    (0x0116_1970, "gfs2"),
    (0x0bd0_0bd0, "lustre"),
    (0x00c3_6400, "ceph"),
    (0x1983_0326, "beegfs"),
    (0x2bad_1dea, "panfs"),
    (0x4750_4653, "gpfs"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x7461_636f, "ocfs2"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
    (0xfe53_4d42, "smb3"),
    (0xff53_4d42, "cifs"),
];

/// What a file system says of itself whose files are a program's.
const FUSE: u64 = 0x6573_5546;

/// Words in the kinds of such file systems whose programs have the files from other machines.
const REMOTE: [&str; 16] = [
    "beegfs",
    "ceph",
    "davfs",
    "gcsfuse",
    "gluster",
    "goofys",
    "juicefs",
    "moosefs",
    "mount-s3",
    "mountpoint",
    "nfs",
    "rclone",
    "s3fs",
    "smb",
    "sshfs",
    "virtiofs",
];

/// Looks whether only this machine changes the file system that `path` is on, or will be on.
///
/// # Errors
///
/// [`PlaceError::Shared`] if others do. Where the system does not tell, they do not.
pub(crate) fn check_file_system(path: &Path) -> Result<(), PlaceError> {
    for at in path.ancestors() {
        // The last ancestor of a relative path has no name.
        let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
        let Ok(magic) = sys::file_system(at) else { continue };
        // Asking costs more than all the rest, and only of one is it needed.
        let kind =
            if magic == FUSE { sys::mounted_as(at).unwrap_or_default() } else { String::new() };
        return shared(magic, &kind).map_or(Ok(()), |kind| Err(PlaceError::Shared { kind }));
    }
    Ok(())
}

/// What a file system of several machines is called; `None` for one of this machine.
fn shared(magic: u64, kind: &str) -> Option<String> {
    if let Some((_, name)) = SHARED.iter().find(|(known, _)| *known == magic) {
        return Some((*name).to_owned());
    }
    let remote = magic == FUSE && REMOTE.iter().any(|word| kind.contains(word));
    remote.then(|| kind.to_owned())
}

/// Looks whether a lock that is held keeps others out, by trying.
///
/// # Errors
///
/// If it does not, or there are none.
pub(crate) fn check_locks(vfs: &dyn Vfs) -> Result<(), PlaceError> {
    let held = match vfs.try_lock(TRIAL) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Of several that find none, one makes it.
            drop(vfs.create(TRIAL));
            vfs.try_lock(TRIAL)
        }
        held => held,
    };
    // Somebody else who is trying has found them to hold.
    let Some(_held) = held.map_err(PlaceError::of_lock)? else { return Ok(()) };
    match vfs.try_lock(TRIAL).map_err(PlaceError::of_lock)? {
        None => Ok(()),
        Some(_) => Err(PlaceError::LocksDoNotHold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::OpenCause;
    use crate::sim::Sim;
    use crate::store::{Access, OpenOptions, Store};
    use crate::vfs::{Lock, VfsFile};
    use std::sync::Arc;

    #[test]
    fn file_systems_of_several_machines_are_known_by_number() {
        assert_eq!(shared(0x6969, "nfs4").as_deref(), Some("nfs"));
        assert_eq!(shared(0xff53_4d42, "cifs").as_deref(), Some("cifs"));
        assert_eq!(shared(0x0102_1997, "9p").as_deref(), Some("9p"));
        for (magic, name) in [(0xef53, "ext4"), (0x0102_1994, "tmpfs"), (0x794c_7630, "overlay")] {
            assert_eq!(shared(magic, name), None);
        }
    }

    #[test]
    fn of_those_that_programs_make_the_kind_decides() {
        for kind in ["fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "virtiofs"] {
            assert_eq!(shared(FUSE, kind).as_deref(), Some(kind));
        }
        for kind in ["fuseblk", "fuse.bindfs", "fuse.fuse-overlayfs", "fuse"] {
            assert_eq!(shared(FUSE, kind), None);
        }
        assert_eq!(shared(0xef53, "fuse.sshfs"), None);
    }

    #[test]
    fn this_machine_has_places_for_stores() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path(), &directory.path().join("not/there"), Path::new("relative")] {
            check_file_system(path).unwrap();
        }
        let proc = Path::new("/proc");
        assert_eq!(sys::file_system(proc).unwrap(), 0x9fa0);
        assert_eq!(sys::mounted_as(proc).unwrap(), "proc");
    }

    /// A file system whose locks are refused, or given to everybody.
    #[derive(Debug)]
    struct Loose(Sim, Option<io::ErrorKind>);

    impl Vfs for Loose {
        fn create(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
            self.0.create(path)
        }
        fn open(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
            self.0.open(path)
        }
        fn open_append(&self, path: &str) -> io::Result<Box<dyn VfsFile>> {
            self.0.open_append(path)
        }
        fn publish(&self, from: &str, to: &str) -> io::Result<()> {
            self.0.publish(from, to)
        }
        fn replace(&self, from: &str, to: &str) -> io::Result<()> {
            self.0.replace(from, to)
        }
        fn unlink(&self, path: &str) -> io::Result<()> {
            self.0.unlink(path)
        }
        fn sync_dir(&self, path: &str) -> io::Result<()> {
            self.0.sync_dir(path)
        }
        fn sync_all(&self) -> io::Result<()> {
            self.0.sync_all()
        }
        fn make_dir(&self, path: &str) -> io::Result<()> {
            self.0.make_dir(path)
        }
        fn remove_tree(&self, path: &str) -> io::Result<()> {
            self.0.remove_tree(path)
        }
        fn list(&self, path: &str) -> io::Result<Vec<String>> {
            self.0.list(path)
        }
        fn exists(&self, path: &str) -> io::Result<bool> {
            self.0.exists(path)
        }
        fn lock(&self, _: &str) -> io::Result<Lock> {
            self.1.map_or_else(|| Ok(Lock::new(())), |kind| Err(kind.into()))
        }
        fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
            self.lock(path).map(Some)
        }
    }

    fn open_on(vfs: impl Vfs + 'static) -> Result<Store, OpenCause> {
        Store::open_on(Arc::new(vfs), "/simulated".into(), &OpenOptions::default())
    }

    #[test]
    fn locks_that_hold_nobody_back_make_no_store() {
        let refused = |kind| {
            let sim = Sim::default();
            let refused = open_on(Loose(sim.clone(), kind)).unwrap_err();
            // Nothing is there that would be taken for a store.
            assert!(!sim.exists("FORMAT").unwrap());
            let OpenCause::Place(cause) = refused else { panic!("{refused:?}") };
            cause
        };
        assert!(matches!(refused(None), PlaceError::LocksDoNotHold));
        let none = Some(io::ErrorKind::Unsupported);
        assert!(matches!(refused(none), PlaceError::NoLocks(_)));
    }

    #[test]
    fn a_store_that_was_moved_to_where_locks_do_not_hold_is_refused_too() {
        let sim = Sim::default();
        drop(open_on(sim.clone()).unwrap());
        let refused = open_on(Loose(sim, None)).unwrap_err();
        assert!(matches!(refused, OpenCause::Place(PlaceError::LocksDoNotHold)));
    }

    #[test]
    fn what_is_on_a_read_only_file_system_can_be_read() {
        let sim = Sim::default();
        drop(open_on(sim.clone()).unwrap());
        let open = |access| {
            let vfs = Loose(sim.clone(), Some(io::ErrorKind::ReadOnlyFilesystem));
            let options = OpenOptions { access, ..OpenOptions::default() };
            Store::open_on(Arc::new(vfs), "/simulated".into(), &options)
        };
        let refused = open(Access::Write).unwrap_err();
        assert!(matches!(refused, OpenCause::Place(PlaceError::ReadOnly)));
        let store = open(Access::Read).unwrap();
        assert_eq!((store.access(), store.list_refs().unwrap().len()), (Access::Read, 0));
    }

    #[test]
    fn somebody_who_is_trying_too_is_no_reason() {
        let sim = Sim::default();
        drop(open_on(sim.clone()).unwrap());
        let _held = sim.try_lock(TRIAL).unwrap().unwrap();
        check_locks(&sim).unwrap();
    }
}
