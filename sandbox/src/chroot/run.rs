//! Running a step in another root directory.

use std::os::fd::AsRawFd as _;
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::cancel::Cancel;
use crate::channel::Channel;
use crate::child::Task;
use crate::chroot::furnish::Furnished;
use crate::chroot::reaper::spawn;
use crate::error::{StepCause, StepError};
use crate::outcome::Outcome;
use crate::output::{Output, Stream};
use crate::pipes::Pipes;
use crate::plan::{Handed, compile_for_chroot};
use crate::quota::Kept;
use crate::run::{explain, is_failure, refused};
use crate::seccomp::names_filter;
use crate::step::{Privileges, Step};
use crate::supervisor::{KernelFiles, Supervisor};
use crate::sys::Shared;
use crate::watch::{Watch, number_of};

/// As [`run`](crate::run::run), where there are no namespaces.
pub(crate) fn run(step: &Step, output: &dyn Output, cancel: &Cancel) -> Result<Outcome, StepError> {
    if cancel.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    let null = openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(|errno| refused("opening /dev/null", errno))?;
    let (mut furnished, pipes) = Furnished::new(step)?;
    let channel = Channel::open().map_err(|errno| refused("opening a channel", errno))?;
    let (input, [out, err]) = pipes.childs_ends();
    let streams = [input.unwrap_or(null.as_raw_fd()), out, err];
    let handed = Handed { streams, channel: channel.childs_end() };
    let kept = Kept::of(&step.quota);
    let plan = compile_for_chroot(step, handed, &kept)?;
    let mut task = Task::listening(&plan, names_filter());
    let told = Shared::new().map_err(|errno| refused("starting a process", errno))?;
    let ended = carry_out(step, &mut task, &told, (pipes, channel), (output, cancel));
    let back = furnished.put_back();
    let ended = match told.get() {
        Some((index, number)) => {
            let failure = (index, Errno::from_raw_os_error(number));
            ended.and_then(|_| explain(&plan, &task.report, failure, output))
        }
        None => ended,
    };
    let ended = ended.map(|ended| kept.judge(ended, output));
    let is_bare = step.privileges == Privileges::Gained;
    if is_bare && ended.as_ref().is_ok_and(|ended| is_failure(*ended)) {
        output.write(Stream::Stderr, BARE_PROC);
    }
    back.map_err(|error| StepError {
        doing: "putting back what the step saw".to_owned(),
        cause: StepCause::Io(error),
    })?;
    ended
}

/// Starts the child and sees it through to its end, after which no process of the step is left.
fn carry_out(
    step: &Step,
    task: &mut Task<'_>,
    told: &Shared<(usize, i32)>,
    (pipes, channel): (Pipes, Channel),
    (output, cancel): (&dyn Output, &Cancel),
) -> Result<Outcome, StepError> {
    let deadline = step.timeout.map(|timeout| Instant::now() + timeout);
    let child = spawn(task, told).map_err(|errno| refused("starting a process", errno))?;
    let pipes = pipes.into_outputs();
    let received = channel.received_until_end();
    let received = received.map_err(|errno| refused("taking descriptors", errno))?;
    let files = KernelFiles::new(step.root.changed(), number_of(&child).unwrap_or(0));
    let supervisor =
        received.listener.map(|listener| Supervisor::of_kernel_files(listener, step, files));
    let (grace, stopping) = (step.grace, None);
    let watch =
        Watch { child: &child, pipes, supervisor, output, cancel, deadline, grace, stopping };
    watch.until_end().map_err(|errno| refused("watching the step", errno))
}

/// What may be the reason of a failure that says nothing of it.
const BARE_PROC: &[u8] =
    b"note: this container allows no namespaces, and so a step that gains privileges, as with sudo, \
    has no /proc: /proc/self, /dev/stdout and /dev/fd are missing (wythe doctor)\n";
