//! What somebody makes who is not root of the step: the kernel would give it to root.
//!
//! It is made in the place of the process, by a thread of ours that has its root, its directory and its
//! umask, and given to whom it belongs. What is there already is the kernel's to open, if the process
//! may have it. So is what root makes, but where a directory hands its group down.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, mknodat, openat, openat2,
    readlinkat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::fchdir;

use super::caller::{self, Caller, End};
use super::capabilities::MKNOD;
use super::credentials::{Credentials, EXECUTE, READ, WRITE};
use super::owner::Spot;
use super::rights::aside;
use super::{Owners, Supervisor, low, named, owner};
use crate::seccomp::MakeCall;
use crate::sys::{self, Reply, Request};

/// What is to be made.
#[derive(Debug)]
enum New {
    File {
        flags: OFlags,
        mode: u32,
    },
    /// A file without a name, in a directory.
    Unnamed {
        flags: OFlags,
        mode: u32,
    },
    Directory {
        mode: u32,
    },
    Link {
        target: Vec<u8>,
    },
    Node {
        kind: FileType,
        mode: u32,
    },
}

/// What came of it.
#[derive(Debug)]
enum Made {
    /// It is there.
    Done,
    /// It is open.
    Opened(OwnedFd),
    /// The kernel says what comes of it.
    ForTheKernel,
}

/// Answers a call that makes something.
pub(super) fn answer(
    supervisor: &Supervisor<'_>,
    owners: &Owners<'_>,
    request: &Request,
    call: MakeCall,
) -> Reply {
    attempt((supervisor, owners), request, call).unwrap_or(Reply::Run)
}

/// Fails where nothing was done, and the kernel says why.
fn attempt(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    call: MakeCall,
) -> Result<Reply, Errno> {
    let maker = owners.people.of(request.process)?;
    let number = |at: usize| low(request.arguments[at]);
    if let MakeCall::Node { path } = call
        && is_device(number(path + 1))
    {
        let made = if maker.capabilities.has(MKNOD) {
            supervisor.device(request, path + 1)
        } else {
            Err(Errno::PERM)
        };
        return Ok(made.map_or_else(Reply::Fail, |()| Reply::Return(0)));
    }
    let caller = supervisor.caller(request)?;
    let at = call.path();
    let mut path = caller.text(request.arguments[at])?;
    let new = wanted(&caller, request, call)?;
    if let New::Directory { .. } = new {
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
    }
    let has_directory = !matches!(
        call,
        MakeCall::Create
            | MakeCall::Open { path: 0 }
            | MakeCall::Directory { path: 0 }
            | MakeCall::Node { path: 0 }
            | MakeCall::Link { path: 1 }
    );
    let directory = has_directory.then(|| number(at - 1).cast_signed());
    let is_roots = maker.users.files == 0 && maker.groups.files == 0;
    if is_roots && !hands_down(&caller, &path, directory, owners)? {
        return Ok(Reply::Run);
    }
    let place = caller.place(&path, directory)?;
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(supervisor.listener_fd(), request)?;
    let maker = Maker { maker, attribute: owners.attribute };
    // A thread of its own, for it takes the place of the process and does not come back.
    let made = aside(|| place.enter().and_then(|()| maker.make(&path, &new)));
    Ok(match made {
        Ok(Made::Done) => Reply::Return(0),
        Ok(Made::ForTheKernel) => Reply::Run,
        Ok(Made::Opened(file)) => {
            let flags = match new {
                New::File { flags, .. } | New::Unnamed { flags, .. } => flags & OFlags::CLOEXEC,
                New::Directory { .. } | New::Link { .. } | New::Node { .. } => OFlags::empty(),
            };
            let (listener, file) = (supervisor.listener_fd(), file.as_fd());
            let given = sys::hand_to_caller(listener, request, file, flags.bits());
            given.map_or_else(Reply::Fail, Reply::Return)
        }
        Err(errno) => Reply::Fail(errno),
    })
}

impl MakeCall {
    fn path(self) -> usize {
        match self {
            Self::Create => 0,
            Self::Open { path }
            | Self::Directory { path }
            | Self::Link { path }
            | Self::Node { path } => path,
        }
    }
}

fn is_device(mode: u32) -> bool {
    matches!(mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK)
}

/// What a call asks for.
fn wanted(caller: &Caller, request: &Request, call: MakeCall) -> Result<New, Errno> {
    let number = |at: usize| low(request.arguments[at]);
    Ok(match call {
        MakeCall::Open { path } => {
            let flags = OFlags::from_bits_retain(number(path + 1));
            let mode = number(path + 2) & 0o7777;
            if flags.contains(OFlags::TMPFILE) {
                New::Unnamed { flags, mode }
            } else {
                New::File { flags, mode }
            }
        }
        MakeCall::Create => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            New::File { flags, mode: number(1) & 0o7777 }
        }
        MakeCall::Directory { path } => New::Directory { mode: number(path + 1) & 0o1777 },
        MakeCall::Link { .. } => New::Link { target: caller.text(request.arguments[0])? },
        MakeCall::Node { path } => {
            let mode = number(path + 1);
            let kind = match mode & libc::S_IFMT {
                0 | libc::S_IFREG => FileType::RegularFile,
                libc::S_IFIFO => FileType::Fifo,
                libc::S_IFSOCK => FileType::Socket,
                _ => return Err(Errno::INVAL),
            };
            New::Node { kind, mode: mode & 0o7777 }
        }
    })
}

/// Whether what is made under a path gets the group of its directory, which is not root's.
fn hands_down(
    caller: &Caller,
    path: &[u8],
    directory: Option<i32>,
    owners: &Owners<'_>,
) -> Result<bool, Errno> {
    let (above, _) = caller::split(path)?;
    let above = caller.find(above, directory, End::Followed)?;
    let stat = named::stat(&above)?;
    let inherits = u32::from(stat.stx_mode) & libc::S_ISGID != 0;
    Ok(inherits && owner::owner_of(&above, &stat, owners.attribute).1 != 0)
}

/// Who makes something, on a thread in its place.
struct Maker<'a> {
    maker: Credentials,
    attribute: &'a [u8],
}

impl Maker<'_> {
    fn make(&self, path: &[u8], new: &New) -> Result<Made, Errno> {
        if let New::Unnamed { flags, mode } = new {
            return self.unnamed(path, *flags, *mode);
        }
        // `/proc` is that of the step here, so that what is made goes by its name in its directory.
        let Ok((above, name)) = caller::parent(path) else { return Ok(Made::ForTheKernel) };
        fchdir(&above)?;
        let owner = match self.owner_in(&above) {
            Ok(owner) => owner,
            // What is there already may be opened all the same.
            Err(_) if exists(&above, name) => self.owner(),
            Err(errno) => return Err(errno),
        };
        match new {
            New::File { flags, mode } => return self.file((above, name), owner, (*flags, *mode)),
            New::Unnamed { .. } => {}
            New::Directory { mode } => mkdirat(&above, name, Mode::from_raw_mode(*mode))?,
            New::Link { target } => symlinkat(&**target, &above, name)?,
            New::Node { kind, mode } => {
                mknodat(&above, name, *kind, Mode::from_raw_mode(*mode), 0)?;
            }
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = named::stat(&openat(&above, name, flags, Mode::empty())?)?;
        owner::note(Spot::Here(name), &stat, self.attribute, owner)?;
        Ok(Made::Done)
    }

    fn owner(&self) -> owner::Owner {
        (self.maker.users.files, self.maker.groups.files)
    }

    /// Whose what is made in a directory will be, which this thread is in; `EACCES` if nothing may be
    /// made in it.
    fn owner_in(&self, directory: &OwnedFd) -> Result<owner::Owner, Errno> {
        let stat = named::stat(directory)?;
        let theirs = owner::owner_at(Spot::Here(b"."), &stat, self.attribute);
        let mode = u32::from(stat.stx_mode);
        if !self.maker.may(WRITE | EXECUTE, theirs, mode) {
            return Err(Errno::ACCESS);
        }
        let (uid, gid) = self.owner();
        Ok((uid, if mode & libc::S_ISGID == 0 { gid } else { theirs.1 }))
    }

    fn give(&self, made: &OwnedFd, owner: owner::Owner) -> Result<(), Errno> {
        owner::note(Spot::Used(made), &named::stat(made)?, self.attribute, owner)
    }

    fn unnamed(&self, path: &[u8], flags: OFlags, mode: u32) -> Result<Made, Errno> {
        let above = openat2(CWD, path, DIRECTORY, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
        let Ok(above) = above else { return Ok(Made::ForTheKernel) };
        fchdir(&above)?;
        let owner = self.owner_in(&above)?;
        let made = openat(&above, c".", flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))?;
        self.give(&made, owner)?;
        Ok(Made::Opened(made))
    }

    /// Opens a file that is not there. Where a link is, it is what that leads to.
    fn file(
        &self,
        (mut above, name): (OwnedFd, &[u8]),
        mut owner: owner::Owner,
        (flags, mode): (OFlags, u32),
    ) -> Result<Made, Errno> {
        let new = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut name = name.to_vec();
        for _ in 0..MOST_LINKS {
            match openat(&above, &*name, new, Mode::from_raw_mode(mode)) {
                Ok(made) => {
                    self.give(&made, owner)?;
                    return Ok(Made::Opened(made));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            if flags.intersects(OFlags::EXCL | OFlags::NOFOLLOW) {
                return self.existing(&above, &name, flags);
            }
            let Ok(target) = readlinkat(&above, &*name, Vec::new()) else {
                return self.existing(&above, &name, flags);
            };
            let target = target.into_bytes();
            let Ok((next, last)) = caller::parent(&target) else { return Ok(Made::ForTheKernel) };
            fchdir(&next)?;
            owner = match self.owner_in(&next) {
                Err(_) if exists(&next, last) => owner,
                owner => owner?,
            };
            name = last.to_vec();
            above = next;
        }
        Ok(Made::ForTheKernel)
    }

    /// What is there already in the directory that this thread is in, if it may be opened.
    fn existing(&self, above: &OwnedFd, name: &[u8], flags: OFlags) -> Result<Made, Errno> {
        let by_name = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat(above, name, by_name, Mode::empty())?;
        let stat = named::stat(&found)?;
        let theirs = owner::owner_at(Spot::Here(name), &stat, self.attribute);
        let wanted = match flags & OFlags::ACCMODE {
            OFlags::RDONLY => READ,
            OFlags::WRONLY => WRITE,
            _ => READ | WRITE,
        };
        let is_file = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile;
        if is_file && !self.maker.may(wanted, theirs, stat.stx_mode.into()) {
            return Err(Errno::ACCESS);
        }
        Ok(Made::ForTheKernel)
    }
}

fn exists(above: &OwnedFd, name: &[u8]) -> bool {
    statat(above, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// How many links the kernel follows.
const MOST_LINKS: usize = 40;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
