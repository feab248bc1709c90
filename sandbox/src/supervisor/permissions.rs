//! What somebody may do to files who is not root of the step, where calls ask for it or need it.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags, Statx, chmod, fstatvfs, openat};
use rustix::io::Errno;

use super::caller::Caller;
use super::capabilities::{Capabilities, FOWNER};
use super::credentials::{Credentials, EXECUTE, FourIds};
use super::owner::{self, Owner, owner_of};
use super::{Owners, Supervisor, low, named};
use crate::seccomp::{Link, NamedFile};
use crate::sys::{self, Reply, Request};

/// A file, and whose it is.
struct Found {
    file: OwnedFd,
    stat: Statx,
    owner: Owner,
}

fn find(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    named: NamedFile,
) -> Result<Found, Errno> {
    let caller = supervisor.caller(request)?;
    let file = named::open(&caller, request, named.path, named.link)?;
    let stat = named::stat(&file)?;
    let owner = owner_of(&file, &stat, owners.attribute);
    Ok(Found { file, stat, owner })
}

/// Answers a call that gives a file a mode with a set-ID bit.
pub(super) fn mode(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    named: NamedFile,
) -> Result<Reply, Errno> {
    let is = owners.people.of(request.process)?;
    if is.capabilities.has(FOWNER) {
        return Ok(Reply::Run);
    }
    let mode = low(request.arguments[named.path + 1]);
    let found = find((supervisor, owners), request, named)?;
    if found.owner.0 != is.users.files {
        return Ok(Reply::Fail(Errno::PERM));
    }
    if mode & libc::S_ISGID == 0 || is.is_in(found.owner.1) {
        return Ok(Reply::Run);
    }
    // Of a group that one is not in, no program runs.
    sys::is_waiting(supervisor.listener_fd(), request)?;
    let mode = Mode::from_raw_mode(mode & 0o7777 & !libc::S_ISGID);
    let changed = chmod(owner::path(&found.file), mode);
    Ok(changed.map_or_else(Reply::Fail, |()| Reply::Return(0)))
}

/// Answers whether a process may do something to a file.
pub(super) fn access(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    named: NamedFile,
) -> Result<Reply, Errno> {
    let is = owners.people.of(request.process)?;
    let wanted = low(request.arguments[named.path + 1]);
    let flags = if let Link::Said(at) = named.link { low(request.arguments[at]) } else { 0 };
    let is_effective = flags & libc::AT_EACCESS.cast_unsigned() != 0;
    let asks = |ids: FourIds| FourIds::all(if is_effective { ids.effective } else { ids.real });
    // Who asks as somebody else asks without what it may do now.
    let (users, groups) = (asks(is.users), asks(is.groups));
    let capabilities = match users.real {
        _ if is_effective => is.capabilities,
        0 => Capabilities::of(0, is.capabilities.permitted),
        _ => Capabilities::of(users.real, 0),
    };
    let asks = Credentials { users, groups, capabilities, ..is };
    if wanted == 0 || wanted > 7 || asks.has_all_files() {
        return Ok(Reply::Run);
    }
    let found = find((supervisor, owners), request, named)?;
    let may = asks.may(wanted, found.owner, found.stat.stx_mode.into());
    Ok(if may { Reply::Run } else { Reply::Fail(Errno::ACCESS) })
}

/// Makes the first process of a step whom its program runs as, which was executed before anybody
/// listened.
pub(super) fn begin(owners: &Owners<'_>, process: u32) -> Result<(), Errno> {
    let is = owners.people.of(process)?;
    let caller = Caller::open(process)?;
    let file = caller.program()?;
    let stat = named::stat(&file)?;
    let owner = owner_of(&file, &stat, owners.attribute);
    let new = is.executing(as_whom(&caller, &Found { file, stat, owner })?);
    if new == is { Ok(()) } else { owners.people.put(process, &new) }
}

/// Answers the execution of a program, which makes who executes it somebody else if it has a set-ID
/// bit. That it is going to succeed cannot be known: what is no program is left alone.
pub(super) fn execute(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    named: NamedFile,
) -> Result<Reply, Errno> {
    let is = owners.people.of(request.process)?;
    let found = find((supervisor, owners), request, named)?;
    let mode = u32::from(found.stat.stx_mode);
    if FileType::from_raw_mode(mode) != FileType::RegularFile || mode & 0o111 == 0 {
        return Ok(Reply::Run);
    }
    if !is.may(EXECUTE, found.owner, mode) {
        return Ok(Reply::Fail(Errno::ACCESS));
    }
    let new = is.executing(as_whom(&supervisor.caller(request)?, &found)?);
    if new != is {
        sys::is_waiting(supervisor.listener_fd(), request)?;
        owners.people.put(request.process, &new)?;
    }
    Ok(Reply::Run)
}

/// User and group that a program makes who executes it.
fn as_whom(caller: &Caller, found: &Found) -> Result<[Option<u32>; 2], Errno> {
    let mode = u32::from(found.stat.stx_mode);
    let user = (mode & libc::S_ISUID != 0).then_some(found.owner.0);
    let group = (mode & SET_GROUP == SET_GROUP).then_some(found.owner.1);
    let is_said = user.is_some() || group.is_some();
    Ok(if is_said && counts(caller, &found.file)? { [user, group] } else { [None, None] })
}

/// Whether the set-ID bits of a program count.
fn counts(caller: &Caller, file: &OwnedFd) -> Result<bool, Errno> {
    if fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::NOSUID) {
        return Ok(false);
    }
    if caller.has_no_new_privileges()? {
        return Ok(false);
    }
    // Of a script those of its interpreter count, which programs that anybody may run do not have.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(CWD, owner::path(file), flags, Mode::empty())?;
    let mut start = [0; 2];
    let length = rustix::io::read(&opened, &mut start)?;
    Ok(start.get(..length) != Some(b"#!"))
}

const SET_GROUP: u32 = libc::S_ISGID | libc::S_IXGRP;
