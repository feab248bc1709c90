//! Answers to what a process may do, and what it gives up.

use rustix::io::Errno;

use super::caller::Caller;
use super::credentials::Credentials;
use super::{Owners, Supervisor, low};
use crate::sys::{self, Reply, Request};

/// Sets as calls have them in memory: who is meant, and in how many words.
struct Asked {
    caller: Caller,
    /// Where the sets are.
    at: u64,
    n_words: usize,
}

impl Asked {
    /// What a call asks for itself; `None` where the kernel is to say that it cannot be.
    fn of(supervisor: &Supervisor<'_>, request: &Request) -> Result<Option<Self>, Errno> {
        let [header, at, ..] = request.arguments;
        let caller = supervisor.caller(request)?;
        let bytes = caller.copy(header, 8)?;
        let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        let (version, process) = (word(0).map(u32::from_ne_bytes), word(4).map(i32::from_ne_bytes));
        let n_words = match version {
            Some(FIRST) => 1,
            Some(SECOND | THIRD) => 2,
            _ => return Ok(None),
        };
        let is_self = match process.map(i32::cast_unsigned) {
            Some(0) => true,
            Some(number) => caller.number_inside()? == number,
            None => false,
        };
        Ok((is_self && at != 0).then_some(Self { caller, at, n_words }))
    }
}

/// Answers `capget`.
pub(super) fn tell(
    supervisor: &Supervisor<'_>,
    request: &Request,
    is: &Credentials,
) -> Result<Reply, Errno> {
    let Some(asked) = Asked::of(supervisor, request)? else { return Ok(Reply::Run) };
    let sets = &is.capabilities;
    let sets = [sets.effective, sets.permitted, sets.inheritable];
    let words = (0..asked.n_words).flat_map(|nth| sets.map(|set| half(set, nth).to_ne_bytes()));
    let bytes: Vec<u8> = words.flatten().collect();
    asked.caller.write(asked.at, &bytes)?;
    Ok(Reply::Return(0))
}

/// Answers `capset`, which the kernel does, too: what is given up by name is given up.
pub(super) fn set(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    is: Credentials,
) -> Result<Reply, Errno> {
    let Some(asked) = Asked::of(supervisor, request)? else { return Ok(Reply::Run) };
    let bytes = asked.caller.copy(asked.at, asked.n_words * THREE_WORDS)?;
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok().map(u32::from_ne_bytes))
        .collect();
    let set = |nth: usize| {
        let word = |at: usize| u64::from(words.get(at).copied().unwrap_or(0));
        word(nth) | word(nth + 3) << u32::BITS
    };
    let capabilities = is.capabilities.set([set(0), set(1), set(2)])?;
    put((supervisor, owners), request, &Credentials { capabilities, ..is })
}

/// Answers options of `prctl` that have to do with capabilities.
pub(super) fn control(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    is: Credentials,
) -> Result<Reply, Errno> {
    let [option, second, third] = [0, 1, 2].map(|at| low(request.arguments[at]));
    let capabilities = is.capabilities.controlled(option, [second, third])?;
    put((supervisor, owners), request, &Credentials { capabilities, ..is })
}

fn put(
    (supervisor, owners): (&Supervisor<'_>, &Owners<'_>),
    request: &Request,
    new: &Credentials,
) -> Result<Reply, Errno> {
    sys::is_waiting(supervisor.listener_fd(), request)?;
    owners.people.put(request.process, new)?;
    Ok(Reply::Run)
}

/// The lower or the upper word of a set.
#[expect(clippy::cast_possible_truncation, reason = "the other half is another word")]
fn half(set: u64, nth: usize) -> u32 {
    if nth == 0 { set as u32 } else { (set >> u32::BITS) as u32 }
}

/// `_LINUX_CAPABILITY_VERSION_1` and so on.
const FIRST: u32 = 0x1998_0330;
const SECOND: u32 = 0x2007_1026;
const THIRD: u32 = 0x2008_0522;

/// `struct __user_cap_data_struct`
const THREE_WORDS: usize = 12;
