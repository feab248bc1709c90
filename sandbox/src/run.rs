//! Running a step: compile, spawn, watch, tidy up.

use std::ffi::c_int;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use rustix::io::Errno;

use crate::cancel::Cancel;
use crate::channel::Channel;
use crate::child::{Report, Task};
use crate::chroot;
use crate::enter;
use crate::error::{StepCause, StepError};
use crate::leftovers;
use crate::mounted_layers::any_noted;
use crate::nest::{Nest, Ownership};
use crate::outcome::Outcome;
use crate::output::{Output, Stream};
use crate::pipes::Pipes;
use crate::plan::{Inherited, Op, Plan, compile};
use crate::quota::Kept;
use crate::seal::seal;
use crate::seccomp::{Attention, Binds};
use crate::spawn::{Child, spawn};
use crate::step::{Changes, Devices, Network, RootFs, Security, Step};
use crate::supervisor::{Apart, Supervisor};
use crate::sys;
use crate::watch::{Watch, number_of};

/// Runs a step to its end on this thread and delivers what it prints.
///
/// When it returns no process of the step is left; the directory that [`changed`](crate::step::RootFs::changed)
/// names holds the changes, complete and without the mount points the step needed. Where they are [kept](Changes::Kept) and
/// the command was a success, nobody can change them any more. Should the program be killed
/// meanwhile, the kernel kills the step.
///
/// # Errors
///
/// The command did not start, the step could not be watched any more and was killed, or its changes
/// are to be kept and somebody can still write to them. A command
/// that is missing or fails is no error but an [`Outcome`].
pub fn run(step: &Step, output: &dyn Output, cancel: &Cancel) -> Result<Outcome, StepError> {
    if chroot::is_settled() {
        return chroot::run(step, output, cancel);
    }
    let nest = enter::nest();
    let nest = nest.ok_or_else(|| failed("running a step", StepCause::NotEntered))?;
    if cancel.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    if nest.ownership() == Ownership::Emulated && step.security == Security::Insecure {
        return Err(failed("running a step with --security=insecure", StepCause::NeedsIds));
    }
    let pipes = Pipes::open(step).map_err(|errno| refused("opening pipes", errno))?;
    let kept = Kept::of(&step.quota);
    let (plan, channel) = planned((step, nest), &kept, &pipes)?;
    let mut task = Task::new(&plan, (attention(step, nest), binds(step)));
    let ended = carry_out((step, nest), &mut task, (pipes, &channel), (output, cancel));
    let ended = match task.report.failure {
        Some(failure) => ended.and_then(|_| explain(&plan, &task.report, failure, output)),
        None => ended,
    };
    let ended = ended.map(|ended| kept.judge(ended, output));
    if task.report.has_bare_proc && ended.as_ref().is_ok_and(|ended| is_failure(*ended)) {
        output.write(Stream::Stderr, BARE_PROC);
    }
    let tidied = leftovers::remove(step.root.changed(), &task.report.made);
    tidied.map_err(|errno| refused("removing mount points from the layer", errno))?;
    ended
}

/// Whether a command failed by itself.
pub(crate) fn is_failure(ended: Outcome) -> bool {
    match ended {
        Outcome::Exited(code) => code != 0,
        Outcome::Signaled(_) | Outcome::OutOfMemory(_) => true,
        Outcome::Cancelled | Outcome::TimedOut | Outcome::MadeDevice => false,
    }
}

/// What may be the reason of a failure that says nothing of it.
const BARE_PROC: &[u8] =
    b"note: a container around this program covers parts of /proc, and so steps have none \
    with processes: /proc/self, /dev/stdout and /dev/fd are missing (wythe doctor)\n";

/// Does everything for a step but executing its command, in its place.
pub(crate) fn rehearse(step: &Step) -> Result<(), StepError> {
    // Becoming somebody else has hidden it, even from ourselves.
    sys::show_memory().map_err(|errno| refused("making namespaces for steps", errno))?;
    let ids = enter::current_ids();
    let ids = ids.map_err(|error| failed(error.doing, StepCause::Io(io::Error::other(error))))?;
    let nest = Nest::new(&ids).map_err(|errno| refused("making namespaces for steps", errno))?;
    let pipes = Pipes::open(step).map_err(|errno| refused("opening pipes", errno))?;
    let (mut plan, _channel) = planned((step, &nest), &Kept::Nothing, &pipes)?;
    plan.leave_out_the_command();
    let mut task = Task::new(&plan, (attention(step, &nest), binds(step)));
    drop(started(&mut task, &step.network, &nest)?);
    match task.report.failure {
        Some(failure) => Err(why(&plan, &task.report, failure)),
        None => Ok(()),
    }
}

/// Compiles a step, with the way on which descriptors of its child come to us.
fn planned(
    (step, nest): (&Step, &Nest),
    kept: &Kept,
    pipes: &Pipes,
) -> Result<(Plan, Channel), StepError> {
    let channel = Channel::open().map_err(|errno| refused("opening a channel", errno))?;
    let (input, outputs) = pipes.childs_ends();
    let users = nest.below().map(|below| below.steps().as_raw_fd());
    let (channel_end, ownership) = (channel.childs_end(), nest.ownership());
    let inherited = Inherited { input, outputs, channel: channel_end, users, ownership };
    Ok((compile(step, inherited, kept)?, channel))
}

/// Starts a child, which has executed its command or failed.
fn started(task: &mut Task<'_>, network: &Network, nest: &Nest) -> Result<Child, StepError> {
    let doing = "cloning a process into new namespaces";
    spawn(task, namespaces(network, nest), nest).map_err(|errno| match errno {
        _ if nest.is_lost() => failed(doing, StepCause::NestLost),
        errno => refused(doing, errno),
    })
}

/// Starts the child and sees it through to its end.
fn carry_out(
    (step, nest): (&Step, &Nest),
    task: &mut Task<'_>,
    (pipes, channel): (Pipes, &Channel),
    (output, cancel): (&dyn Output, &Cancel),
) -> Result<Outcome, StepError> {
    let deadline = step.timeout.map(|timeout| Instant::now() + timeout);
    let child = started(task, &step.network, nest)?;
    let received = channel.received().map_err(|errno| refused("taking descriptors", errno))?;
    let attention = task.attention;
    let apart = received.copy.zip(received.room).map(|(copy, room)| Apart { copy, room });
    let supervisor = |listener| Supervisor::new(listener, step, attention, apart);
    let supervisor = received.listener.map(supervisor);
    if let Some(supervisor) = &supervisor {
        // One that has ended already asks nothing.
        let begun = supervisor.begin(number_of(&child));
        tracing::trace!(?begun, "looked at the first process");
    }
    let (pipes, grace, stopping) = (pipes.into_outputs(), step.grace, None);
    let watch =
        Watch { child: &child, pipes, supervisor, output, cancel, deadline, grace, stopping };
    let outcome = watch.until_end().map_err(|errno| refused("watching the step", errno))?;
    // What is a layer because it was read is no longer in anybody's reach.
    let is_layer = matches!(step.root, RootFs::Layers { .. }) && step.changes == Changes::Kept;
    if let Some(root) = received.root.filter(|_| outcome.is_success() && is_layer) {
        seal(&root).map_err(|cause| failed("closing the files of the step", cause))?;
    }
    Ok(outcome)
}

/// How much the filter of a step announces.
fn attention(step: &Step, nest: &Nest) -> Attention {
    if nest.ownership() == Ownership::Emulated {
        return Attention::Owners;
    }
    let (shown, attribute) = (step.root.shown(), &*step.device_attribute);
    let has_devices = || match &step.mounted {
        Some(mounted) => mounted.any_noted(shown, attribute),
        None => any_noted(shown, attribute),
    };
    if step.devices == Devices::Shown || has_devices() {
        Attention::Looks
    } else {
        Attention::Deeds
    }
}

/// Whether the filter of a step announces where sockets get their addresses.
fn binds(step: &Step) -> Binds {
    if step.shares() { Binds::Announced } else { Binds::Run }
}

fn namespaces(network: &Network, nest: &Nest) -> c_int {
    let always = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    match network {
        // A step with another user namespace makes its network there.
        Network::None if nest.below().is_none() => always | libc::CLONE_NEWNET,
        Network::Host | Network::None | Network::Own(_) => always,
    }
}

/// What the failure of a child means: a command that is not there is an outcome, all else is an
/// error.
pub(crate) fn explain(
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
    Err(why(plan, report, (index, errno)))
}

/// Why an operation failed, in the words of the kernel where it has any.
fn why(plan: &Plan, report: &Report, (index, errno): (usize, Errno)) -> StepError {
    let message = report.message.split(|byte| *byte == 0 || *byte == b'\n').next();
    let message = String::from_utf8_lossy(message.unwrap_or_default());
    if message.is_empty() {
        return refused(&plan.labels[index], errno);
    }
    // The kernel puts a letter for the severity first.
    let message = message.split_once(' ').map_or(&*message, |(_, text)| text).to_owned();
    let source = io::Error::from(errno);
    failed(&plan.labels[index], StepCause::Refused { message, source })
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

pub(crate) fn refused(doing: &str, errno: Errno) -> StepError {
    failed(doing, StepCause::Io(errno.into()))
}

fn failed(doing: &str, cause: StepCause) -> StepError {
    StepError { doing: doing.to_owned(), cause }
}
