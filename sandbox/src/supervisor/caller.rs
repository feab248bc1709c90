//! The process that made a call, as far as a thread of the builder can take its place.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, chroot, fchdir, getpid, pidfd_getfd, pidfd_open, umask,
};
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};

use super::rights::{Rights, Surroundings};
use super::status::Status;
use crate::sys;

/// A process of a step.
#[derive(Debug)]
pub(super) struct Caller {
    /// Its `/proc` directory.
    process: OwnedFd,
}

/// What happens to a link at the end of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// It is followed.
    Followed,
    /// It is what is meant.
    Meant,
}

/// Where a process resolves a path, and what files it makes there are like.
#[derive(Debug)]
pub(super) struct PathContext {
    root: OwnedFd,
    start: OwnedFd,
    umask: u32,
    gid: u32,
}

impl Caller {
    /// Opens what is needed of a process.
    pub(super) fn open(process: u32) -> Result<Self, Errno> {
        if !has_our_numbers() {
            return Err(Errno::PERM);
        }
        let process = openat(CWD, format!("/proc/{process}"), DIRECTORY, Mode::empty())?;
        Ok(Self { process })
    }

    /// Whose its files are that it makes.
    pub(super) fn owner(&self) -> Result<(u32, u32), Errno> {
        self.status().map(|status| (status.uid, status.gid))
    }

    /// The number of its first thread.
    pub(super) fn first_thread(&self) -> Result<u32, Errno> {
        self.status().map(|status| status.process)
    }

    /// Where one of the links in its `/proc` directory leads.
    pub(super) fn link(&self, name: &str) -> Result<PathBuf, Errno> {
        let target = readlinkat(&self.process, name, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn status(&self) -> Result<Status, Errno> {
        Status::parse(&read(&self.process, "status")?).ok_or(Errno::PERM)
    }

    /// A string of the process.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; PATH_MAX];
        let length = self.memory()?.read_at(&mut bytes, address).map_err(|_| Errno::FAULT)?;
        bytes.truncate(length);
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(Errno::NAMETOOLONG)?;
        bytes.truncate(end);
        Ok(bytes)
    }

    /// So many bytes in the memory of the process.
    pub(super) fn bytes<const N: usize>(
        &self,
        address: u64,
        length: usize,
    ) -> Result<([u8; N], usize), Errno> {
        let mut bytes = [0; N];
        let wanted = bytes.get_mut(..length).ok_or(Errno::INVAL)?;
        self.memory()?.read_exact_at(wanted, address).map_err(|_| Errno::FAULT)?;
        Ok((bytes, length))
    }

    /// So many bytes in the memory of the process, which are not many.
    pub(super) fn copy(&self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        self.memory()?.read_exact_at(&mut bytes, address).map_err(|_| Errno::FAULT)?;
        Ok(bytes)
    }

    /// The program that it runs.
    pub(super) fn program(&self) -> Result<OwnedFd, Errno> {
        openat(&self.process, "exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// Whether set-ID bits mean nothing to it.
    pub(super) fn has_no_new_privileges(&self) -> Result<bool, Errno> {
        Ok(read(&self.process, "status")?.contains("\nNoNewPrivs:\t1\n"))
    }

    /// The number that it has for itself.
    pub(super) fn number_inside(&self) -> Result<u32, Errno> {
        let status = read(&self.process, "status")?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let last = numbers.and_then(|numbers| numbers.split_ascii_whitespace().last());
        last.and_then(|number| number.parse().ok()).ok_or(Errno::SRCH)
    }

    /// Three numbers in the memory of the process.
    pub(super) fn words(&self, address: u64) -> Result<[u32; 3], Errno> {
        let (bytes, _) = self.bytes::<12>(address, 12)?;
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        Ok([0, 4, 8].map(|at| u32::from_ne_bytes(word(at))))
    }

    fn memory(&self) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&self.process, "mem", flags, Mode::empty()).map(File::from)
    }

    /// What decides which sockets the process may open.
    pub(super) fn surroundings(&self) -> Result<Surroundings, Errno> {
        let open = |directory: BorrowedFd<'_>| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            openat(directory, "ns/net", flags, Mode::empty())
        };
        let own = openat(CWD, c"/proc/thread-self", DIRECTORY, Mode::empty())?;
        let (theirs, ours) = (open(self.process.as_fd())?, open(own.as_fd())?);
        let is_ours = fstat(&theirs)?.st_ino == fstat(&ours)?.st_ino;
        let network = Some(theirs).filter(|_| !is_ours);
        Ok(Surroundings { network, rights: self.rights()? })
    }

    /// What the process may do.
    pub(super) fn rights(&self) -> Result<Rights, Errno> {
        self.status().map(Rights)
    }

    /// A socket, or anything else, that a thread of the process has open, opened here.
    pub(super) fn opened(&self, thread: u32, number: u32) -> Result<OwnedFd, Errno> {
        let number = number.cast_signed();
        let process = |number: u32, flags: PidfdFlags| {
            let number = i32::try_from(number).ok().and_then(Pid::from_raw);
            pidfd_open(number.ok_or(Errno::SRCH)?, flags)
        };
        let opened = match process(thread, PIDFD_THREAD) {
            // Before 6.9 there are only descriptors of whole processes.
            Err(Errno::INVAL) => process(self.status()?.process, PidfdFlags::empty()),
            opened => opened,
        };
        let fetched = pidfd_getfd(&opened?, number, PidfdGetfdFlags::empty())?;
        // A thread may have files of its own.
        let meant = statat(&self.process, format!("fd/{number}"), AtFlags::empty())?;
        let found = fstat(&fetched)?;
        let is_meant = (meant.st_dev, meant.st_ino) == (found.st_dev, found.st_ino);
        if is_meant { Ok(fetched) } else { Err(Errno::BADF) }
    }

    /// Where the process resolves `path`; `directory` is the descriptor that a relative one is
    /// relative to, unless that is its working directory.
    pub(super) fn place(&self, path: &[u8], directory: Option<i32>) -> Result<PathContext, Errno> {
        let root = self.directory("root")?;
        let start = match path.first() {
            Some(b'/') => root.try_clone().map_err(|_| Errno::MFILE)?,
            _ => self.start(directory)?,
        };
        let Status { umask, gid, .. } = self.status()?;
        Ok(PathContext { root, start, umask, gid })
    }

    /// Opens what the process means by a path, without using it.
    pub(super) fn find(
        &self,
        path: &[u8],
        directory: Option<i32>,
        end: End,
    ) -> Result<OwnedFd, Errno> {
        let link = if end == End::Meant { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::PATH | OFlags::CLOEXEC | link;
        let (start, within) = match path.first() {
            Some(b'/') => (self.directory("root")?, ResolveFlags::IN_ROOT),
            _ => (self.start(directory)?, ResolveFlags::BENEATH),
        };
        match openat2(&start, path, flags, Mode::empty(), within | ResolveFlags::NO_MAGICLINKS) {
            // It leaves the directory where it starts, or somebody moves what is on the way.
            Err(Errno::XDEV | Errno::AGAIN) => {}
            found => return found,
        }
        let place = self.place(path, directory)?;
        let find = || {
            place.enter()?;
            openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        };
        std::thread::scope(|scope| scope.spawn(find).join().unwrap_or(Err(Errno::PERM)))
    }

    /// Opens what the process has open, without using it.
    pub(super) fn descriptor(&self, number: u32) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat(&self.process, format!("fd/{number}"), flags, Mode::empty())
    }

    /// Where a relative path starts.
    fn start(&self, directory: Option<i32>) -> Result<OwnedFd, Errno> {
        match directory {
            Some(number) if number != libc::AT_FDCWD => {
                let opened = self.directory(&format!("fd/{number}"));
                opened.map_err(|errno| if errno == Errno::NOENT { Errno::BADF } else { errno })
            }
            _ => self.directory("cwd"),
        }
    }

    fn directory(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(&self.process, name, DIRECTORY, Mode::empty())
    }

    /// Puts bytes into the memory of the process.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let memory = File::from(openat(&self.process, "mem", flags, Mode::empty())?);
        memory.write_all_at(bytes, address).map_err(|_| Errno::FAULT)
    }

    /// Whether it is root with `CAP_MKNOD`, and may do what the thread in its place can do.
    pub(super) fn may_make_devices(&self) -> bool {
        self.is_root_with(CAP_MKNOD | CAP_DAC_OVERRIDE)
    }

    /// Whether it is root, and may give away files of its own.
    pub(super) fn may_give_away(&self) -> bool {
        self.is_root_with(CAP_CHOWN | CAP_DAC_OVERRIDE)
    }

    /// Only files of root count as devices.
    fn is_root_with(&self, needed: u64) -> bool {
        self.status().is_ok_and(|it| it.uid == 0 && it.capabilities & needed == needed)
    }
}

impl PathContext {
    /// Has this thread resolve paths where the process would. It ends afterwards.
    pub(super) fn stand(&self) -> Result<(), Errno> {
        sys::unshare(libc::CLONE_FS)?;
        fchdir(&self.root)?;
        chroot(".")?;
        fchdir(&self.start)?;
        umask(Mode::from_raw_mode(self.umask));
        Ok(())
    }

    /// Another place, where files are made in the same way.
    pub(super) fn at(&self, root: OwnedFd, start: OwnedFd) -> Self {
        Self { root, start, ..*self }
    }

    /// The same place in a copy of the mounts of its step.
    pub(super) fn within(&self, copy: &OwnedFd) -> Result<Self, Errno> {
        Ok(self.at(counterpart(&self.root, copy)?, counterpart(&self.start, copy)?))
    }

    /// Has this thread resolve paths and make files as the process would. It ends afterwards.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        self.stand()?;
        let gid = Gid::from_raw(self.gid);
        set_thread_res_gid(gid, gid, gid)?;
        // Only files of root count as devices, and we need not be that root.
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
    }
}

/// A directory as it is seen in a copy of the mounts that it was opened in.
fn counterpart(directory: &OwnedFd, copy: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", directory.as_raw_fd()), Vec::new())?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let found = openat2(copy, path, DIRECTORY, Mode::empty(), within)?;
    let (one, other) = (fstat(directory)?, fstat(&found)?);
    let is_same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
    if is_same { Ok(found) } else { Err(Errno::NOENT) }
}

/// Opens the directory of a path beneath the root of this thread, and takes its last name.
///
/// Links of `/proc` lead out of a root and mean this thread rather than the process: none is
/// followed.
pub(super) fn parent(path: &[u8]) -> Result<(OwnedFd, &[u8]), Errno> {
    let (directory, name) = split(path)?;
    let opened = openat2(CWD, directory, DIRECTORY, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
    Ok((opened, name))
}

/// A path as its directory and a name for something new.
pub(super) fn split(path: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (directory, name) = path.split_at(start);
    match name {
        b"" => Err(Errno::NOENT),
        b"." | b".." => Err(Errno::EXIST),
        _ if directory.is_empty() => Ok((b".", name)),
        _ => Ok((directory, name)),
    }
}

/// Whether `/proc` is about the processes that this one sees. One of others has somebody else under
/// a number.
pub(super) fn has_our_numbers() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let own = readlinkat(CWD, c"/proc/self", Vec::new());
        let number = getpid().as_raw_nonzero().to_string();
        own.is_ok_and(|own| own.to_bytes() == number.as_bytes())
    })
}

fn read(process: &OwnedFd, name: &str) -> Result<String, Errno> {
    let opened = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(opened).read_to_string(&mut text).map_err(|_| Errno::SRCH)?;
    Ok(text)
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// `PIDFD_THREAD`
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());

const CAP_CHOWN: u64 = 1;

const CAP_DAC_OVERRIDE: u64 = 1 << 1;

const CAP_MKNOD: u64 = 1 << 27;

/// The longest path the kernel takes, with the byte that ends it.
const PATH_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_new_needs_a_name_of_its_own() {
        assert_eq!(split(b"a"), Ok((&b"."[..], &b"a"[..])));
        assert_eq!(split(b"/a"), Ok((&b"/"[..], &b"a"[..])));
        assert_eq!(split(b"../b//a"), Ok((&b"../b//"[..], &b"a"[..])));
        assert_eq!(split(b""), Err(Errno::NOENT));
        assert_eq!(split(b"a/"), Err(Errno::NOENT));
        assert_eq!(split(b"a/."), Err(Errno::EXIST));
        assert_eq!(split(b".."), Err(Errno::EXIST));
    }
}
