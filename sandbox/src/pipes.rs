//! The standard descriptors of a step.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{
    CWD, FileType, FsWord, Mode, OFlags, fchown, fcntl_getfl, fcntl_setfl, fstat, fstatfs, mknodat,
    open, symlinkat,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{Gid, Uid};

use crate::guarded::guarded;
use crate::output::Stream;
use crate::step::{Identity, Step, Streams};

/// Both ends of the standard descriptors.
pub(crate) struct Pipes {
    input: Option<OwnedFd>,
    childs: [OwnedFd; 2],
    outputs: [(Stream, Option<OwnedFd>); 2],
}

impl Pipes {
    /// Makes what a step prints to. It belongs to the user of the step, who may open it once more,
    /// as `/dev/stdout`.
    pub(crate) fn open(step: &Step) -> Result<Self, Errno> {
        let input = match &step.streams {
            Streams::Delivered => None,
            Streams::Fed => Some(fed(&step.identity)?),
            Streams::Terminal(terminal) => {
                hand(terminal, (step.identity.uid, None))?;
                let same = || fcntl_dupfd_cloexec(terminal, FIRST_FREE);
                let outputs = [(Stream::Stdout, None), (Stream::Stderr, None)];
                return Ok(Self { input: Some(same()?), childs: [same()?, same()?], outputs });
            }
        };
        let (out, err) = (pipe(&step.identity)?, pipe(&step.identity)?);
        let outputs = [(Stream::Stdout, Some(out.0)), (Stream::Stderr, Some(err.0))];
        Ok(Self { input, childs: [out.1, err.1], outputs })
    }

    /// As [`open`](Self::open), with `stdout` and `stderr` in `directory`, where nothing is: whoever opens
    /// one of them there writes to what is printed.
    pub(crate) fn named(step: &Step, directory: &Path) -> Result<Self, Errno> {
        let Streams::Delivered = step.streams else {
            for (name, target) in [("stdout", c"/proc/self/fd/1"), ("stderr", c"/proc/self/fd/2")] {
                symlinkat(target, CWD, directory.join(name))?;
            }
            return Self::open(step);
        };
        let out = named_pipe(&directory.join("stdout"), &step.identity)?;
        let err = named_pipe(&directory.join("stderr"), &step.identity)?;
        let outputs = [(Stream::Stdout, Some(out.0)), (Stream::Stderr, Some(err.0))];
        Ok(Self { input: None, childs: [out.1, err.1], outputs })
    }

    /// What becomes standard input, if anything, and standard output and standard error.
    pub(crate) fn childs_ends(&self) -> (Option<RawFd>, [RawFd; 2]) {
        let input = self.input.as_ref().map(AsRawFd::as_raw_fd);
        (input, self.childs.each_ref().map(AsRawFd::as_raw_fd))
    }

    /// Closes the child's ends.
    pub(crate) fn into_outputs(self) -> [(Stream, Option<OwnedFd>); 2] {
        self.outputs
    }
}

/// What this program would read. A pipe is handed over, unless it has a name. A device is opened once more, as one that cannot be changed.
fn fed(user: &Identity) -> Result<OwnedFd, Errno> {
    let stdin = io::stdin();
    let kind = FileType::from_raw_mode(fstat(&stdin)?.st_mode);
    if kind == FileType::Fifo && fstatfs(&stdin)?.f_type == PIPES {
        hand(&stdin, (user.uid, Some(user.gid)))?;
    }
    let device = (kind == FileType::CharacterDevice).then(|| reopened(&stdin));
    match device {
        Some(Ok(device)) => fcntl_dupfd_cloexec(device, FIRST_FREE),
        // One that is not among the mounts of this program, or was opened by somebody else.
        Some(Err(_)) | None => fcntl_dupfd_cloexec(stdin, FIRST_FREE),
    }
}

fn reopened(stdin: &io::Stdin) -> io::Result<OwnedFd> {
    let path = |fd: RawFd| format!("/proc/self/fd/{fd}");
    // Its own mount is that of whoever started this program.
    let mount = guarded(&std::fs::read_link(path(stdin.as_raw_fd()))?)?;
    let (found, wanted) = (fstat(&mount)?, fstat(stdin)?);
    if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let kept = OFlags::RDWR | OFlags::WRONLY | OFlags::NONBLOCK;
    let flags = (fcntl_getfl(stdin)? & kept) | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(open(path(mount.as_raw_fd()), flags, Mode::empty())?)
}

/// A pipe whose reading end does not block, above the standard descriptors.
fn pipe(owner: &Identity) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
    hand(&writer, (owner.uid, Some(owner.gid)))?;
    Ok((reader, writer))
}

/// A pipe with a name, whose reading end does not block.
fn named_pipe(path: &Path, owner: &Identity) -> Result<(OwnedFd, OwnedFd), Errno> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    // A writer as well: somebody else may open it when all others have closed it.
    let reader = open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let writer = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    hand(&writer, (owner.uid, Some(owner.gid)))?;
    Ok((reader, writer))
}

/// Gives a pipe or terminal to somebody.
fn hand(to: impl AsFd, (uid, gid): (u32, Option<u32>)) -> Result<(), Errno> {
    match fchown(to, Some(Uid::from_raw(uid)), gid.map(Gid::from_raw)) {
        // Becoming this user fails, too, and says more. A terminal of the machine stays as it is.
        Err(Errno::INVAL | Errno::PERM) => Ok(()),
        handed => handed,
    }
}

/// `PIPEFS_MAGIC`
const PIPES: FsWord = 0x5049_5045;

/// Above the standard descriptors, which the child's are put in the place of.
const FIRST_FREE: RawFd = 3;
