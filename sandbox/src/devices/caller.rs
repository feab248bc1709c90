//! The process that makes a device, as far as a thread of the builder can pose as it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir, umask};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys;

/// A process of a step.
#[derive(Debug)]
pub(super) struct Caller {
    /// Its `/proc` directory.
    process: OwnedFd,
    mounts: OwnedFd,
    root: OwnedFd,
    /// Where its relative paths begin.
    start: OwnedFd,
    umask: u32,
    /// Whom the files it makes belong to.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it has `CAP_MKNOD`.
    pub(super) may_make_devices: bool,
}

impl Caller {
    /// Opens what is needed of a process; `directory` is the descriptor that its path is relative
    /// to, unless that is its working directory.
    pub(super) fn open(process: u32, directory: Option<i32>) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process = openat(CWD, format!("/proc/{process}"), flags, Mode::empty())?;
        let place = |name: &str| openat(&process, name, flags, Mode::empty());
        let start = match directory {
            Some(number) if number != libc::AT_FDCWD => place(&format!("fd/{number}"))?,
            _ => place("cwd")?,
        };
        let root = place("root")?;
        let mounts = openat(&process, "ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let status = status(&process)?;
        let number = |name: &str, index: usize, radix: u32| {
            let words = status.lines().find_map(|line| line.strip_prefix(name));
            let word = words.and_then(|words| words.split_ascii_whitespace().nth(index));
            word.and_then(|word| u64::from_str_radix(word, radix).ok()).ok_or(Errno::PERM)
        };
        let small = |value: u64| u32::try_from(value).map_err(|_| Errno::PERM);
        Ok(Self {
            umask: small(number("Umask:", 0, 8)?)?,
            uid: small(number("Uid:", FILE_SYSTEM, 10)?)?,
            gid: small(number("Gid:", FILE_SYSTEM, 10)?)?,
            may_make_devices: number("CapEff:", 0, 16)? >> CAP_MKNOD & 1 == 1,
            process,
            mounts,
            root,
            start,
        })
    }

    /// A string of the process.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let memory = File::from(openat(&self.process, "mem", flags, Mode::empty())?);
        let mut bytes = vec![0; PATH_MAX];
        let length = memory.read_at(&mut bytes, address).map_err(|_| Errno::FAULT)?;
        bytes.truncate(length);
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(Errno::NAMETOOLONG)?;
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Has this thread see what the process sees. It ends afterwards.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        sys::unshare(libc::CLONE_FS)?;
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        fchdir(&self.root)?;
        chroot(".")?;
        fchdir(&self.start)?;
        umask(Mode::from_raw_mode(self.umask));
        Ok(())
    }
}

fn status(process: &OwnedFd) -> Result<String, Errno> {
    let opened = openat(process, "status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(opened).read_to_string(&mut text).map_err(|_| Errno::SRCH)?;
    Ok(text)
}

/// Of the four ids in `/proc/PID/status`, the one that files are made with.
const FILE_SYSTEM: usize = 3;

const CAP_MKNOD: u32 = 27;

/// The longest path the kernel takes, with the byte that ends it.
const PATH_MAX: usize = 4096;
