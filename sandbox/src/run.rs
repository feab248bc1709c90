//! Running a step: compile, spawn, watch, tidy up.

use std::ffi::c_int;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use crate::cancel::Cancel;
use crate::child::{Report, Task};
use crate::enter;
use crate::error::{StepCause, StepError};
use crate::leftovers;
use crate::outcome::Outcome;
use crate::output::{Output, Stream};
use crate::plan::{Inherited, Op, Plan, compile};
use crate::seccomp;
use crate::spawn::spawn;
use crate::step::{Network, Step, Streams};
use crate::supervisor::Supervisor;
use crate::watch::Watch;

/// Runs a step to its end on this thread and delivers what it prints.
///
/// When it returns no process of the step is left; `step.root.scratch.upper` holds the changes,
/// complete and without the mount points the step needed. Should the thread or the whole program
/// be killed meanwhile, the kernel kills the step.
///
/// # Errors
///
/// The command did not start, or the step could not be watched any more and was killed. A command
/// that is missing or fails is no error but an [`Outcome`].
pub fn run(step: &Step, output: &dyn Output, cancel: &Cancel) -> Result<Outcome, StepError> {
    if !enter::is_entered() {
        return Err(failed("running a step", StepCause::NotEntered));
    }
    if cancel.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    let pipes = Pipes::open(&step.streams).map_err(|errno| refused("opening pipes", errno))?;
    let builder = pidfd_open(getpid(), PidfdFlags::empty());
    let builder = builder.map_err(|errno| refused("opening the builder's process", errno))?;
    let (stdio, channel) = (pipes.childs_ends(), pipes.channel.1.as_raw_fd());
    let inherited = Inherited { stdio, channel, builder: builder.as_raw_fd() };
    let plan = compile(step, inherited)?;
    let mut task = Task::new(&plan, seccomp::program());
    let ended = carry_out(step, &mut task, pipes, (output, cancel));
    let ended = match task.report.failure {
        Some(failure) => ended.and_then(|_| explain(&plan, &task.report, failure, output)),
        None => ended,
    };
    let tidied = leftovers::remove(&step.root.scratch.upper, &task.report.made);
    tidied.map_err(|errno| refused("removing mount points from the layer", errno))?;
    ended
}

/// Starts the child and sees it through to its end.
fn carry_out(
    step: &Step,
    task: &mut Task<'_>,
    pipes: Pipes,
    (output, cancel): (&dyn Output, &Cancel),
) -> Result<Outcome, StepError> {
    let deadline = step.timeout.map(|timeout| Instant::now() + timeout);
    let child = spawn(task, namespaces(step.network));
    let child = child.map_err(|errno| refused("cloning a process into new namespaces", errno))?;
    let listener = pipes.listener().map_err(|errno| refused("taking the listener", errno))?;
    let attribute = &step.device_attribute;
    let supervisor = listener.map(|listener| Supervisor { listener, attribute });
    let (pipes, grace, stopping) = (pipes.into_outputs(), step.grace, None);
    let watch =
        Watch { child: &child, pipes, supervisor, output, cancel, deadline, grace, stopping };
    watch.until_end().map_err(|errno| refused("watching the step", errno))
}

fn namespaces(network: Network) -> c_int {
    let always = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    match network {
        Network::Host => always,
        Network::None => always | libc::CLONE_NEWNET,
    }
}

/// The standard descriptors of a step, both ends, and the way its filter comes to us.
struct Pipes {
    childs: [OwnedFd; 3],
    channel: (OwnedFd, OwnedFd),
    outputs: [(Stream, Option<OwnedFd>); 2],
}

impl Pipes {
    fn open(streams: &Streams) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let channel = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let input = match streams {
            Streams::Told => {
                openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?
            }
            Streams::Fed => fcntl_dupfd_cloexec(io::stdin(), FIRST_FREE)?,
            Streams::Terminal(terminal) => {
                let same = || fcntl_dupfd_cloexec(terminal, FIRST_FREE);
                let outputs = [(Stream::Stdout, None), (Stream::Stderr, None)];
                return Ok(Self { childs: [same()?, same()?, same()?], channel, outputs });
            }
        };
        let (out, err) = (pipe()?, pipe()?);
        let outputs = [(Stream::Stdout, Some(out.0)), (Stream::Stderr, Some(err.0))];
        Ok(Self { childs: [input, out.1, err.1], channel, outputs })
    }

    fn childs_ends(&self) -> [RawFd; 3] {
        self.childs.each_ref().map(AsRawFd::as_raw_fd)
    }

    /// The listener of the filter of a child that has executed its command, if it has a filter.
    fn listener(&self) -> Result<Option<OwnedFd>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        match recvmsg(&self.channel.0, into, &mut rights, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::AGAIN) => return Ok(None),
            received => received?,
        };
        let received = rights.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            RecvAncillaryMessage::ScmCredentials(_) | _ => None,
        });
        Ok(received)
    }

    /// Closes the child's ends.
    fn into_outputs(self) -> [(Stream, Option<OwnedFd>); 2] {
        self.outputs
    }
}

/// Above the standard descriptors, which the child's are put in the place of.
const FIRST_FREE: RawFd = 3;

/// A pipe whose reading end does not block, above the standard descriptors.
fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
    Ok((reader, writer))
}

/// What the failure of a child means: a command that is not there is an outcome, all else is an
/// error.
fn explain(
    plan: &Plan,
    report: &Report,
    (index, errno): (usize, Errno),
    output: &dyn Output,
) -> Result<Outcome, StepError> {
    if matches!(plan.ops[index], Op::Execute) {
        let name = plan.argv[0].to_string_lossy();
        let (code, reason) = not_executed(errno);
        let line = format!("cannot execute {name:?}: {reason}\n");
        output.write(Stream::Stderr, line.as_bytes());
        return Ok(Outcome::Exited(code));
    }
    let message = report.message.split(|byte| *byte == 0 || *byte == b'\n').next();
    let message = String::from_utf8_lossy(message.unwrap_or_default());
    if message.is_empty() {
        return Err(refused(&plan.labels[index], errno));
    }
    // The kernel puts a letter for the severity first.
    let message = message.split_once(' ').map_or(&*message, |(_, text)| text).to_owned();
    let source = io::Error::from(errno);
    Err(failed(&plan.labels[index], StepCause::Refused { message, source }))
}

/// The exit code and the words for a command that could not be executed, as a shell has them.
fn not_executed(errno: Errno) -> (i32, String) {
    match errno {
        Errno::NOENT | Errno::NOTDIR => {
            (127, "not found, or its interpreter is missing".to_owned())
        }
        Errno::NOEXEC => (126, "not a program for this machine".to_owned()),
        errno => (126, io::Error::from(errno).to_string()),
    }
}

fn refused(doing: &str, errno: Errno) -> StepError {
    failed(doing, StepCause::Io(errno.into()))
}

fn failed(doing: &str, cause: StepCause) -> StepError {
    StepError { doing: doing.to_owned(), cause }
}
