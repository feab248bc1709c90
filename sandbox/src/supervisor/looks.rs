//! Looks at files that stand for devices: who asks for their names sees devices.
//!
//! Nearly all looks are at something else, and go on to the kernel. So do those through links of
//! `/proc`, and those that cannot be answered here: the kernel says why.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Statx, StatxFlags, XattrFlags, setxattr, statx};
use rustix::io::Errno;

use super::caller::{Caller, End};
use super::mark::Seen;
use super::{Supervisor, answers, low};
use crate::seccomp::{Link, PathCall, Purpose};
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
    let file = file(&caller, request, look)?;
    let stat = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let Some(seen) = Seen::of(&file, &stat, supervisor.attribute) else { return Ok(None) };
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(supervisor.listener.as_fd(), request)?;
    let target = look.path + 1;
    Ok(match look.purpose {
        Purpose::Stat => {
            Some(told(&caller, request.arguments[target], &answers::stat(&seen.shown(&stat))))
        }
        Purpose::SmallStat => {
            let address = low(request.arguments[target]).into();
            Some(told(&caller, address, &answers::small_stat(&stat, &seen)))
        }
        Purpose::Statx => {
            let shown: Statx = seen.shown(&stat);
            Some(told(&caller, request.arguments[4], &answers::statx(&shown)))
        }
        Purpose::Own => {
            let [uid, gid] = [target, target + 1].map(|at| low(request.arguments[at]));
            own(&caller, (&file, supervisor.attribute), seen, [uid, gid])
        }
    })
}

/// Opens the file that a call is about, without using it.
fn file(caller: &Caller, request: &Request, look: PathCall) -> Result<OwnedFd, Errno> {
    let number = |at: usize| low(request.arguments[at]);
    let end = match look.link {
        Link::Nowhere => return caller.descriptor(number(look.path)),
        Link::Meant => End::Meant,
        Link::Said(at) if number(at) & libc::AT_SYMLINK_NOFOLLOW.cast_unsigned() != 0 => End::Meant,
        Link::Followed | Link::Said(_) => End::Followed,
    };
    let path = caller.text(request.arguments[look.path])?;
    let directory = (look.path == 1).then(|| number(0).cast_signed());
    caller.find(&path, directory, end)
}

/// Puts an answer into the memory of the process.
fn told(caller: &Caller, address: u64, answer: &[u8]) -> Reply {
    caller.write(address, answer).map_or_else(Reply::Fail, |()| Reply::Return(0))
}

/// Writes down whom a device belongs to now. Its file stays root's: only such files are devices.
fn own(
    caller: &Caller,
    (file, attribute): (&OwnedFd, &[u8]),
    seen: Seen,
    [uid, gid]: [u32; 2],
) -> Option<Reply> {
    if !seen.is_emulated || !caller.may_give_away() {
        return None;
    }
    let or_as_it_was = |new: u32, old: u32| if new == u32::MAX { old } else { new };
    let owned = Seen { uid: or_as_it_was(uid, seen.uid), gid: or_as_it_was(gid, seen.gid), ..seen };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let written = setxattr(path, attribute, &owned.mark(), XattrFlags::REPLACE);
    Some(written.map_or_else(Reply::Fail, |()| Reply::Return(0)))
}
