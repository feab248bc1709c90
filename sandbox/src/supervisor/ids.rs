//! Answers to who a process is, and who it becomes.

use rustix::io::Errno;

use super::caller::Caller;
use super::credentials::{Credentials, FourIds, Power};
use super::{Owners, Supervisor, low};
use crate::seccomp::{IdCall, Side};
use crate::sys::{self, Reply, Request};

/// Answers a call about the ids of a process.
pub(super) fn answer(
    supervisor: &Supervisor<'_>,
    owners: &Owners<'_>,
    request: &Request,
    call: IdCall,
) -> Reply {
    let answered = attempt((supervisor, owners), request, call);
    answered.unwrap_or_else(Reply::Fail)
}

fn attempt(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    call: IdCall,
) -> Result<Reply, Errno> {
    let is = owners.people.of(request.process)?;
    let number = |at: usize| low(request.arguments[at]);
    let three = [number(0), number(1), number(2)];
    let power = is.power();
    let (new, answer) = match call {
        IdCall::Real(side) => return Ok(Reply::Return(is.side(side).real.into())),
        IdCall::Effective(side) => return Ok(Reply::Return(is.side(side).effective.into())),
        IdCall::Three(side) => return tell_three(request, is.side(side)),
        IdCall::Groups => return tell_groups(request, &is.supplementary),
        IdCall::Capabilities => return tell_capabilities(request, &is),
        IdCall::Set(side) => (is.with(side, is.side(side).set(number(0), power)?), 0),
        IdCall::SetTwo(side) => {
            (is.with(side, is.side(side).set_two([number(0), number(1)], power)?), 0)
        }
        IdCall::SetThree(side) => (is.with(side, is.side(side).set_three(three, power)?), 0),
        IdCall::SetFiles(side) => {
            let ids = is.side(side);
            (is.with(side, ids.set_files(number(0), power)), ids.files.into())
        }
        IdCall::SetGroups if power == Power::Own => return Err(Errno::PERM),
        IdCall::SetGroups => {
            let mut supplementary = groups(request)?;
            supplementary.sort_unstable();
            (Credentials { supplementary, ..is.clone() }, 0)
        }
    };
    if new != is {
        // Until here the process may have ended, and its number may mean another one.
        sys::is_waiting(supervisor.listener_fd(), request)?;
        owners.people.put(request.process, &new)?;
    }
    Ok(Reply::Return(answer))
}

impl Credentials {
    fn side(&self, side: Side) -> FourIds {
        match side {
            Side::User => self.users,
            Side::Group => self.groups,
        }
    }

    fn with(&self, side: Side, ids: FourIds) -> Self {
        match side {
            Side::User => Self { users: ids, ..self.clone() },
            Side::Group => Self { groups: ids, ..self.clone() },
        }
    }
}

fn tell_three(request: &Request, ids: FourIds) -> Result<Reply, Errno> {
    let caller = Caller::open(request.process)?;
    for (at, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(request.arguments[at], &id.to_ne_bytes())?;
    }
    Ok(Reply::Return(0))
}

fn tell_groups(request: &Request, groups: &[u32]) -> Result<Reply, Errno> {
    let room = low(request.arguments[0]).cast_signed();
    let count = i64::try_from(groups.len()).map_err(|_| Errno::INVAL)?;
    if room < 0 || (room > 0 && i64::from(room) < count) {
        return Err(Errno::INVAL);
    }
    if room > 0 {
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
        Caller::open(request.process)?.write(request.arguments[1], &bytes)?;
    }
    Ok(Reply::Return(count))
}

/// The groups that a process asks for.
fn groups(request: &Request) -> Result<Vec<u32>, Errno> {
    let count = usize::try_from(low(request.arguments[0])).map_err(|_| Errno::INVAL)?;
    if count > MOST_GROUPS {
        return Err(Errno::INVAL);
    }
    let bytes = Caller::open(request.process)?.copy(request.arguments[1], 4 * count)?;
    let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
    Ok(words.map(u32::from_ne_bytes).collect())
}

/// Answers `capget`. Who has given up root sees no capabilities: the kernel still has them.
fn tell_capabilities(request: &Request, is: &Credentials) -> Result<Reply, Errno> {
    let [header, data, ..] = request.arguments;
    let FourIds { real, effective, saved, .. } = is.users;
    if effective == 0 || data == 0 {
        return Ok(Reply::Run);
    }
    let caller = Caller::open(request.process)?;
    let bytes = caller.copy(header, 8)?;
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    let (version, process) = (word(0).map(u32::from_ne_bytes), word(4).map(i32::from_ne_bytes));
    let n_sets = match version {
        _ if process != Some(0) => return Ok(Reply::Run),
        Some(FIRST) => 1,
        Some(SECOND | THIRD) => 2,
        _ => return Ok(Reply::Run),
    };
    if [real, saved].contains(&0) {
        // It may take them up again, and what it may take up is what the kernel says.
        return Ok(Reply::Run);
    }
    caller.write(data, &vec![0; n_sets * THREE_WORDS])?;
    Ok(Reply::Return(0))
}

/// `_LINUX_CAPABILITY_VERSION_1` and so on.
const FIRST: u32 = 0x1998_0330;
const SECOND: u32 = 0x2007_1026;
const THIRD: u32 = 0x2008_0522;

/// `struct __user_cap_data_struct`
const THREE_WORDS: usize = 12;

/// `NGROUPS_MAX`
const MOST_GROUPS: usize = 1 << 16;
