//! Answers to who a process is, and who it becomes.

use rustix::io::Errno;

use super::credentials::{Credentials, FourIds, Power};
use super::{Owners, Supervisor, low, sets};
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
    let (two, three) = ([number(0), number(1)], [number(0), number(1), number(2)]);
    let (power, group_power) = (is.power(), is.group_power());
    let (new, answer) = match call {
        IdCall::Real(side) => return Ok(Reply::Return(is.side(side).real.into())),
        IdCall::Effective(side) => return Ok(Reply::Return(is.side(side).effective.into())),
        IdCall::Three(side) => return tell_three(supervisor, request, is.side(side)),
        IdCall::Groups => return tell_groups(supervisor, request, &is.supplementary),
        IdCall::Capabilities => return sets::tell(supervisor, request, &is),
        IdCall::SetCapabilities => return sets::set((supervisor, owners), request, is),
        IdCall::Control => return sets::control((supervisor, owners), request, is),
        IdCall::Set(Side::User) => (is.with_users(is.users.set(number(0), power)?), 0),
        IdCall::SetTwo(Side::User) => (is.with_users(is.users.set_two(two, power)?), 0),
        IdCall::SetThree(Side::User) => (is.with_users(is.users.set_three(three, power)?), 0),
        IdCall::SetFiles(Side::User) => {
            let users = is.users.set_files(number(0), power);
            (is.with_user_for_files(users), is.users.files.into())
        }
        IdCall::Set(Side::Group) => (is.with_groups(is.groups.set(number(0), group_power)?), 0),
        IdCall::SetTwo(Side::Group) => (is.with_groups(is.groups.set_two(two, group_power)?), 0),
        IdCall::SetThree(Side::Group) => {
            (is.with_groups(is.groups.set_three(three, group_power)?), 0)
        }
        IdCall::SetFiles(Side::Group) => {
            let groups = is.groups.set_files(number(0), group_power);
            (is.with_groups(groups), is.groups.files.into())
        }
        IdCall::SetGroups if group_power == Power::Own => return Err(Errno::PERM),
        IdCall::SetGroups => {
            let mut supplementary = groups(supervisor, request)?;
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

    fn with_groups(&self, groups: FourIds) -> Self {
        Self { groups, ..self.clone() }
    }
}

fn tell_three(
    supervisor: &Supervisor<'_>,
    request: &Request,
    ids: FourIds,
) -> Result<Reply, Errno> {
    let caller = supervisor.caller(request)?;
    for (at, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(request.arguments[at], &id.to_ne_bytes())?;
    }
    Ok(Reply::Return(0))
}

fn tell_groups(
    supervisor: &Supervisor<'_>,
    request: &Request,
    groups: &[u32],
) -> Result<Reply, Errno> {
    let room = low(request.arguments[0]).cast_signed();
    let count = i64::try_from(groups.len()).map_err(|_| Errno::INVAL)?;
    if room < 0 || (room > 0 && i64::from(room) < count) {
        return Err(Errno::INVAL);
    }
    if room > 0 {
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
        supervisor.caller(request)?.write(request.arguments[1], &bytes)?;
    }
    Ok(Reply::Return(count))
}

/// The groups that a process asks for.
fn groups(supervisor: &Supervisor<'_>, request: &Request) -> Result<Vec<u32>, Errno> {
    let count = usize::try_from(low(request.arguments[0])).map_err(|_| Errno::INVAL)?;
    if count > MOST_GROUPS {
        return Err(Errno::INVAL);
    }
    let bytes = supervisor.caller(request)?.copy(request.arguments[1], 4 * count)?;
    let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
    Ok(words.map(u32::from_ne_bytes).collect())
}

/// `NGROUPS_MAX`
const MOST_GROUPS: usize = 1 << 16;
