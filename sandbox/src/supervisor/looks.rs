//! Looks at files that stand for devices: who asks for their names sees devices.
//!
//! Nearly all looks are at something else, and go on to the kernel. So do those through links of
//! `/proc`, and those that cannot be answered here: the kernel says why.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Statx, XattrFlags, setxattr};
use rustix::io::Errno;

use super::caller::Caller;
use super::capabilities::CHOWN;
use super::credentials::{Credentials, SAME};
use super::mark::Seen;
use super::owner::{self, Owner, owner_of};
use super::{Owners, Supervisor, answers, low, named};
use crate::seccomp::{PathCall, Purpose};
use crate::sys::{self, Reply, Request};

/// Answers a look, if there is more to see than the kernel knows.
pub(super) fn answer(supervisor: &Supervisor<'_>, request: &Request, look: PathCall) -> Reply {
    attempt(supervisor, request, look).ok().flatten().unwrap_or(Reply::Run)
}

fn attempt(
    supervisor: &Supervisor<'_>,
    request: &Request,
    look: PathCall,
) -> Result<Option<Reply>, Errno> {
    let caller = Caller::open(request.process)?;
    let file = named::open(&caller, request, look.path, look.link)?;
    let stat = named::stat(&file)?;
    let seen = Seen::of(&file, &stat, supervisor.attribute);
    if let (Purpose::Own, Some(owners), None) = (look.purpose, &supervisor.owners, seen) {
        return give((supervisor, owners), request, look, (&file, &stat)).map(Some);
    }
    let Some(shown) = shown(supervisor, (&file, &stat), seen) else { return Ok(None) };
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(supervisor.listener.as_fd(), request)?;
    let target = look.path + 1;
    Ok(match look.purpose {
        Purpose::Stat => Some(told(&caller, request.arguments[target], &answers::stat(&shown))),
        Purpose::SmallStat => {
            let address = low(request.arguments[target]).into();
            Some(told(&caller, address, &answers::small_stat(&shown)))
        }
        Purpose::Statx => Some(told(&caller, request.arguments[4], &answers::statx(&shown))),
        Purpose::Own => {
            let ids = [target, target + 1].map(|at| low(request.arguments[at]));
            let may = match &supervisor.owners {
                Some(owners) => owners.people.of(request.process)?.capabilities.has(CHOWN),
                None => caller.may_give_away(),
            };
            seen.filter(|_| may).and_then(|seen| own((&file, supervisor.attribute), seen, ids))
        }
    })
}

/// What there is to see of a file, if that is more than the kernel knows.
fn shown(
    supervisor: &Supervisor<'_>,
    (file, stat): (&OwnedFd, &Statx),
    seen: Option<Seen>,
) -> Option<Statx> {
    if let Some(seen) = seen {
        return Some(seen.shown(stat));
    }
    let owners = supervisor.owners.as_ref()?;
    let (uid, gid) = owner_of(file, stat, owners.attribute);
    let mut shown = *stat;
    (shown.stx_uid, shown.stx_gid) = (uid, gid);
    ((uid, gid) != (0, 0)).then_some(shown)
}

/// Gives a file to somebody of whom the kernel does not know.
fn give(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    look: PathCall,
    (file, stat): (&OwnedFd, &Statx),
) -> Result<Reply, Errno> {
    let is = owners.people.of(request.process)?;
    let [uid, gid] = [1, 2].map(|at| low(request.arguments[look.path + at]));
    let old = owner_of(file, stat, owners.attribute);
    if !may_give(&is, old, [uid, gid]) {
        return Ok(Reply::Fail(Errno::PERM));
    }
    sys::is_waiting(supervisor.listener.as_fd(), request)?;
    let new = (or(uid, old.0), or(gid, old.1));
    let given = owner::give(file, stat, owners.attribute, new);
    Ok(given.map_or_else(Reply::Fail, |()| Reply::Return(0)))
}

/// Root gives away everything, and who has a file gives it to groups of theirs.
fn may_give(is: &Credentials, old: Owner, [uid, gid]: [u32; 2]) -> bool {
    let is_theirs = is.users.files == old.0 && [SAME, old.0].contains(&uid);
    is.capabilities.has(CHOWN) || (is_theirs && ([SAME, old.1].contains(&gid) || is.is_in(gid)))
}

fn or(id: u32, otherwise: u32) -> u32 {
    if id == SAME { otherwise } else { id }
}

/// Puts an answer into the memory of the process.
fn told(caller: &Caller, address: u64, answer: &[u8]) -> Reply {
    caller.write(address, answer).map_or_else(Reply::Fail, |()| Reply::Return(0))
}

/// Writes down whom a device belongs to now. Its file stays root's: only such files are devices.
fn own((file, attribute): (&OwnedFd, &[u8]), seen: Seen, [uid, gid]: [u32; 2]) -> Option<Reply> {
    if !seen.is_emulated {
        return None;
    }
    let owned = Seen { uid: or(uid, seen.uid), gid: or(gid, seen.gid), ..seen };
    let written = setxattr(owner::path(file), attribute, &owned.mark(), XattrFlags::REPLACE);
    Some(written.map_or_else(Reply::Fail, |()| Reply::Return(0)))
}
