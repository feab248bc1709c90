//! Attributes that say whose a file is are neither seen nor set by a step.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Statx, listxattr};
use rustix::io::Errno;

use super::caller::Caller;
use super::capabilities::{MKNOD, SETFCAP};
use super::owner::{self, CAPABILITIES};
use super::{Owners, Supervisor, low, named};
use crate::seccomp::NamedFile;
use crate::sys::{self, Reply, Request};

/// Answers a call that sets an attribute.
pub(super) fn set(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
) -> Result<Reply, Errno> {
    let name = supervisor.caller(request)?.text(request.arguments[1])?;
    if name == owners.attribute {
        return Ok(Reply::Fail(Errno::OPNOTSUPP));
    }
    let is = owners.people.of(request.process)?;
    // To the kernel it is root who makes a device of a file, or a program with capabilities.
    let needed = match &*name {
        CAPABILITIES => SETFCAP,
        name if name == supervisor.attribute => MKNOD,
        _ => return Ok(Reply::Run),
    };
    Ok(if is.capabilities.has(needed) { Reply::Run } else { Reply::Fail(Errno::PERM) })
}

/// Answers a call that asks which attributes there are.
pub(super) fn list(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    at: NamedFile,
) -> Result<Reply, Errno> {
    let caller = supervisor.caller(request)?;
    let file = named::open(&caller, request, at.path, at.link)?;
    let all = names(&file)?;
    let shown = shown(&all, &named::stat(&file)?, owners.attribute);
    if shown.len() == all.len() {
        return Ok(Reply::Run);
    }
    let [_, buffer, room, ..] = request.arguments;
    let length = i64::try_from(shown.len()).map_err(|_| Errno::RANGE)?;
    let told = match room {
        0 => Ok(()),
        room if room < shown.len() as u64 => Err(Errno::RANGE),
        _ => caller.write(buffer, &shown),
    };
    Ok(told.map_or_else(Reply::Fail, |()| Reply::Return(length)))
}

fn names(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut names = vec![0; LONGEST];
    let length = listxattr(owner::path(file), &mut names[..])?;
    names.truncate(length);
    Ok(names)
}

/// Those of the names that are not ours, each with the zero behind it.
fn shown(all: &[u8], stat: &Statx, attribute: &[u8]) -> Vec<u8> {
    let is_program = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile;
    let is_ours = |name: &[u8]| name == attribute || (name == CAPABILITIES && !is_program);
    let names = all.split_inclusive(|byte| *byte == 0);
    names
        .filter(|name| !is_ours(name.strip_suffix(&[0]).unwrap_or(name)))
        .flatten()
        .copied()
        .collect()
}

/// Tells a limit that nobody has set.
pub(super) fn limit(
    supervisor: &Supervisor<'_>,
    request: &Request,
    old: Option<usize>,
) -> Result<Reply, Errno> {
    let at = old.map_or(0, |at| request.arguments[at]);
    if at != 0 {
        supervisor.caller(request)?.write(at, &[u8::MAX; 16])?;
    }
    Ok(Reply::Return(0))
}

/// Tells who is at the other end of a socket.
pub(super) fn peer(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
) -> Result<Reply, Errno> {
    let caller = supervisor.caller(request)?;
    let [number, _, _, value, length, ..] = request.arguments;
    let socket = caller.opened(request.process, low(number))?;
    let process = sys::peer(socket.as_fd())?;
    let (is, number) = (owners.people.of(process)?, Caller::open(process)?.number_inside()?);
    let room = caller.copy(length, 4)?;
    if room != SIZE_OF_PEER.to_ne_bytes() {
        return Ok(Reply::Run);
    }
    let told = [number, is.users.effective, is.groups.effective];
    let bytes: Vec<u8> = told.iter().flat_map(|word| word.to_ne_bytes()).collect();
    caller.write(value, &bytes)?;
    Ok(Reply::Return(0))
}

/// `struct ucred`
const SIZE_OF_PEER: u32 = 12;

/// `XATTR_LIST_MAX`
const LONGEST: usize = 64 << 10;
