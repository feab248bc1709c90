//! Answers to system calls that the filter of a step announces instead of letting them run.
//!
//! What is done for a process is done by a thread in its place, with no more than its rights.

mod answers;
mod apart;
mod attributes;
mod binds;
mod caller;
mod capabilities;
mod clouds;
mod creation;
mod credentials;
mod devices;
mod glance;
mod ids;
mod kernel_files;
mod layout;
mod looks;
mod mark;
mod named;
mod owner;
mod permissions;
mod rights;
mod sets;
mod sockets;
mod status;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

pub(crate) use apart::Apart;

use crate::seccomp::{self, Announced, Asked, Attention, OwnerCall};
use crate::step::{Devices, Step};
use crate::sys::{self, Reply, Request};

use caller::Caller;
use credentials::{Credentials, People};
pub(crate) use kernel_files::KernelFiles;

/// Whether system calls of steps can be received here, and acted upon.
pub(crate) fn is_possible() -> bool {
    let received = || sys::install_filter(seccomp::EVERYTHING).map(sys::adopt);
    // What keeps sockets apart takes attributes from mounts.
    sys::restricts_mounts() && reaches_descriptors().is_ok() && rights::aside(received).is_ok()
}

/// Fails where what processes have open cannot be opened here.
pub(crate) fn reaches_descriptors() -> Result<(), Errno> {
    if !caller::has_our_numbers() {
        return Err(Errno::SRCH);
    }
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    pidfd_getfd(&process, process.as_raw_fd(), PidfdGetfdFlags::empty()).map(drop)
}

/// Whoever answers for one step.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    /// Where the kernel announces calls.
    pub(crate) listener: OwnedFd,
    /// The attribute of files that stand for devices.
    attribute: &'a [u8],
    /// The changes of the step, which have the attribute themselves when there are such files.
    upper: &'a Path,
    /// What the programs of the step are to see of devices.
    devices: Devices,
    /// What the step sees of `/proc`, where nothing else shows it one.
    kernel_files: Option<KernelFiles>,
    /// Where its sockets are apart from other steps, if it shares anything with them.
    apart: Option<Apart>,
    /// How much its filter announces.
    attention: Attention,
    /// Whose its files and who its processes are, where the kernel knows one user only.
    owners: Option<Owners<'a>>,
}

/// Whose the files of a step are, and who its processes.
#[derive(Debug)]
struct Owners<'a> {
    /// The attribute of files that are not root's.
    attribute: &'a [u8],
    people: People,
}

/// What came of attending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attended {
    /// There may be more.
    Fully,
    /// There will be no more: nobody has the filter any longer.
    ForGood,
    /// A device was made, which was to be awaited. Its maker waits for an answer.
    Awaited,
}

impl<'a> Supervisor<'a> {
    /// Whoever answers for `step`, whose filter has this listener and announces so much.
    pub(crate) fn new(
        listener: OwnedFd,
        step: &'a Step,
        attention: Attention,
        apart: Option<Apart>,
    ) -> Self {
        let looks = attention >= Attention::Looks;
        if looks || apart.is_some() {
            // Where the kernel cannot, calls take longer.
            let woken = sys::wake_at_once(listener.as_fd());
            tracing::trace!(?woken, "many calls are announced");
        }
        let devices = if looks { Devices::Shown } else { step.devices };
        let (attribute, upper) = (&*step.device_attribute, step.root.changed());
        let owners = (attention == Attention::Owners).then(|| Owners {
            attribute: &step.owner_attribute,
            people: People::new(Credentials::of(&step.identity)),
        });
        let kernel_files = None;
        Self { listener, attribute, upper, devices, kernel_files, apart, attention, owners }
    }

    /// Learns whom the first process of the step has become, before anything is answered.
    pub(crate) fn begin(&self, process: Option<u32>) -> Result<(), Errno> {
        match &self.owners {
            Some(owners) => permissions::begin(owners, process.ok_or(Errno::SRCH)?),
            None => Ok(()),
        }
    }

    /// Whoever answers for a step without a `/proc`, whose filter announces looks at names.
    pub(crate) fn of_kernel_files(listener: OwnedFd, step: &'a Step, files: KernelFiles) -> Self {
        let woken = sys::wake_at_once(listener.as_fd());
        tracing::trace!(?woken, "looks at names are announced");
        let (attribute, upper) = (&*step.device_attribute, step.root.changed());
        let (devices, kernel_files) = (step.devices, Some(files));
        let (attention, apart, owners) = (Attention::Nothing, None, None);
        Self { listener, attribute, upper, devices, kernel_files, apart, attention, owners }
    }

    /// Answers the calls that wait.
    pub(crate) fn attend(&self) -> Result<Attended, Errno> {
        // So that output is delivered in between.
        for _ in 0..MOST_AT_ONCE {
            let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut polled, Some(&at_once)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            let events = polled[0].revents();
            if events.contains(PollFlags::IN) {
                if self.answer()? == Attended::Awaited {
                    return Ok(Attended::Awaited);
                }
            } else if events.contains(PollFlags::HUP) {
                return Ok(Attended::ForGood);
            } else {
                break;
            }
        }
        Ok(Attended::Fully)
    }

    fn answer(&self) -> Result<Attended, Errno> {
        let request = match sys::next_request(self.listener.as_fd()) {
            // Who asked was killed meanwhile.
            Err(Errno::NOENT | Errno::INTR) => return Ok(Attended::Fully),
            request => request?,
        };
        if let Some(files) = &self.kernel_files {
            let reply = match seccomp::asked(request.architecture, request.number) {
                Some(Asked::Name(call)) => files.answer(&self.listener, &request, call),
                Some(Asked::Connection) => clouds::answer(&self.listener, &request),
                None => Reply::Run,
            };
            return self.reply(&request, reply);
        }
        let call = (request.architecture, request.number);
        let reply = match seccomp::announced(call, request.arguments[0], self.attention) {
            Some(Announced::Device { mode }) => {
                let made = self.device(&request, mode);
                if made.is_ok() && self.devices == Devices::Awaited {
                    return Ok(Attended::Awaited);
                }
                made.map_or_else(Reply::Fail, |()| Reply::Return(0))
            }
            Some(Announced::Socket) => {
                sockets::open(self, &request).map_or_else(Reply::Fail, Reply::Return)
            }
            Some(Announced::Bind) => {
                binds::answer(self, &request).map_or_else(Reply::Fail, |()| Reply::Return(0))
            }
            Some(Announced::DistantBind) => binds::answer_distant(self, &request)
                .map_or_else(Reply::Fail, |()| Reply::Return(0)),
            Some(Announced::PathCall(look)) => looks::answer(self, &request, look),
            Some(Announced::Owner(call)) => self.about_owners(&request, call),
            None => Reply::Fail(Errno::NOSYS),
        };
        self.reply(&request, reply)
    }

    /// Answers a call about users and owners. What cannot be answered goes on to the kernel.
    fn about_owners(&self, request: &Request, call: OwnerCall) -> Reply {
        let Some(owners) = &self.owners else { return Reply::Fail(Errno::NOSYS) };
        let answered = match call {
            OwnerCall::Ids(call) => return ids::answer(self, owners, request, call),
            OwnerCall::Look(look) => return looks::answer(self, request, look),
            OwnerCall::Make(call) => return creation::answer(self, owners, request, call),
            OwnerCall::Mode { file } => permissions::mode((self, owners), request, file),
            OwnerCall::Access(file) => permissions::access((self, owners), request, file),
            OwnerCall::Execute(file) => permissions::execute((self, owners), request, file),
            OwnerCall::SetAttribute => attributes::set((self, owners), request),
            OwnerCall::ListAttributes(file) => attributes::list((self, owners), request, file),
            OwnerCall::Peer => attributes::peer((self, owners), request),
            OwnerCall::Limit { old } => attributes::limit(self, request, old),
            OwnerCall::Unknown => Err(Errno::NOSYS),
        };
        answered.unwrap_or(Reply::Run)
    }

    /// The process that made a call, which waits for its answer: what is read and written through this
    /// is its own, and no other's that comes to have its number.
    fn caller(&self, request: &Request) -> Result<Caller, Errno> {
        let caller = Caller::open(request.process)?;
        sys::is_waiting(self.listener_fd(), request)?;
        Ok(caller)
    }

    fn listener_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn reply(&self, request: &Request, reply: Reply) -> Result<Attended, Errno> {
        match sys::answer_request(self.listener.as_fd(), request, reply) {
            Ok(()) | Err(Errno::NOENT) => Ok(Attended::Fully),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a device, and notes for later steps that there is one.
    fn device(&self, request: &Request, mode: usize) -> Result<(), Errno> {
        setxattr(self.upper, self.attribute, HAS_DEVICES, XattrFlags::empty())?;
        devices::make(self, request, mode)
    }
}

/// What a directory of changes says in which files stand for devices.
const HAS_DEVICES: &[u8] = b"below";

/// Calls that are answered before output is looked for.
const MOST_AT_ONCE: usize = 64;

/// The half of an argument that the kernel looks at where it takes an `int`.
#[expect(clippy::cast_possible_truncation, reason = "the other half means nothing")]
fn low(argument: u64) -> u32 {
    argument as u32
}
