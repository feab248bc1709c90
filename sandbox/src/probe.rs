//! What this machine can do, found out by trying: what `doctor` prints.
//!
//! Every question is put by a forked child that enters namespaces of its own, so that the asking
//! process stays as it is.

mod attempt;

use std::fs;
use std::io::{self, Read};
use std::iter;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};

use crate::chroot;
use crate::enter::ids_of_steps;
use crate::idmap::Extent;
use crate::sys;

/// One capability of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// What was tried.
    pub name: &'static str,
    /// What needs it.
    pub need: Need,
    /// Whether it worked.
    pub outcome: Availability,
    /// What to do when it does not, where the reason does not say.
    pub remedy: Option<&'static str>,
}

/// What needs something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Every step.
    EveryStep,
    /// Steps that ask for more than others, or a promise that is not kept without it.
    SomeSteps,
    /// Steps where something that every step needs is missing.
    InTheirStead,
}

/// Whether something works here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Availability {
    /// It was done.
    Available,
    /// It was refused.
    Unavailable {
        /// By what.
        reason: String,
    },
}

/// Tries everything steps need, with the layers of a store in `directory`.
///
/// Where no namespace can be made, only that is reported: nothing else can be tried.
///
/// Forks, and so has to be called while the process has one thread. Leaves nothing behind in
/// `directory`.
pub fn probes(directory: &Path) -> Vec<Probe> {
    let first = NAMESPACE.ask(directory);
    let is_entered = first.outcome == Availability::Available;
    let others = INSIDE.iter().filter(|_| is_entered).map(|question| question.ask(directory));
    let mut found: Vec<Probe> = iter::once(first).chain(others).collect();
    if found.iter().any(|probe| probe.need == Need::EveryStep && is_missing(probe)) {
        found.push(WITH_ONE_ID.ask(directory));
        found.push(in_chroot(directory));
    }
    found
}

/// Whether steps can run with one id, and others emulated, with the layers of a store in `directory`. Tries it.
///
/// Forks, and so has to be called while the process has one thread. Leaves nothing behind in
/// `directory`.
pub fn runs_with_one_id(directory: &Path) -> bool {
    !is_missing(&WITH_ONE_ID.ask(directory))
}

/// Whether steps can run without namespaces.
fn in_chroot(directory: &Path) -> Probe {
    let (name, need, remedy) = (CHROOT, Need::InTheirStead, Some(AS_ROOT));
    let outcome = match chroot::probe(directory) {
        Ok(()) => return Probe { name, need, outcome: Availability::Available, remedy: None },
        Err(error) => Availability::Unavailable { reason: error.to_string() },
    };
    Probe { name, need, outcome, remedy }
}

fn is_missing(probe: &Probe) -> bool {
    probe.outcome != Availability::Available
}

/// Which ids of the machine steps have, a line; nothing where they can have none.
///
/// Forks, and so has to be called while the process has one thread.
pub fn ids() -> Option<String> {
    let ids = ids_of_steps().ok()?;
    let outside = |extents: &[Extent]| {
        let runs = extents.iter().map(|extent| {
            let last = u64::from(extent.outside) + u64::from(extent.count) - 1;
            if last == extent.outside.into() {
                last.to_string()
            } else {
                format!("{}-{last}", extent.outside)
            }
        });
        runs.collect::<Vec<_>>().join(",")
    };
    Some(format!("users {} groups {}", outside(&ids.users), outside(&ids.groups)))
}

/// The version of the running kernel, such as `6.12.3`.
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Something to try, and what helps when it fails.
struct Question {
    name: &'static str,
    need: Need,
    attempt: fn(&Path) -> Result<(), Refusal>,
    remedy: fn(Errno) -> Option<&'static str>,
}

/// Why an attempt failed.
#[derive(Debug)]
struct Refusal {
    errno: Errno,
    reason: String,
}

const NAMESPACE: Question = Question {
    name: "user namespace with subordinate ids",
    need: Need::EveryStep,
    attempt: |_| attempt::enter(),
    // The reason says what helps.
    remedy: |_| None,
};

/// Steps for which all ids but one are emulated.
const WITH_ONE_ID: Question = Question {
    name: ONE_ID,
    need: Need::InTheirStead,
    attempt: attempt::step_with_one_id,
    remedy: |errno| match errno {
        Errno::BUSY => Some(LISTENED_TO),
        errno => container(errno),
    },
};

/// What the probe of overlays is called.
const OVERLAYS: &str = "overlay in the store";

/// What is tried inside a namespace.
const INSIDE: &[Question] = &[
    Question {
        name: OVERLAYS,
        need: Need::SomeSteps,
        attempt: attempt::overlay,
        remedy: |errno| match errno {
            Errno::OPNOTSUPP => Some(OLD),
            errno => container(errno).or(Some(OVERLAY)),
        },
    },
    Question {
        name: "fresh /proc",
        need: Need::SomeSteps,
        attempt: |_| attempt::proc(),
        remedy: |errno| match errno {
            Errno::PERM => Some(MASKED),
            errno => container(errno),
        },
    },
    Question {
        name: "network namespace",
        need: Need::SomeSteps,
        attempt: |_| attempt::network(),
        remedy: |errno| match errno {
            Errno::NOSPC | Errno::USERS => Some(NO_NETWORKS),
            errno => container(errno),
        },
    },
    Question {
        name: "emulators of our own",
        need: Need::SomeSteps,
        attempt: |_| attempt::emulators(),
        remedy: |_| Some(EMULATORS),
    },
    Question {
        name: "system call filter",
        need: Need::SomeSteps,
        attempt: |_| attempt::filter(),
        remedy: |errno| {
            Some(match errno {
                Errno::BUSY => LISTENED,
                Errno::INVAL | Errno::NOSYS => NO_FILTERS,
                errno => return container(errno),
            })
        },
    },
    Question {
        name: "sockets of steps that share a cache",
        need: Need::SomeSteps,
        attempt: |_| attempt::descriptors(),
        remedy: |_| Some(IN_TURN),
    },
    Question {
        name: "abstract sockets out of reach",
        need: Need::SomeSteps,
        attempt: |_| attempt::sockets(),
        remedy: |_| Some(NO_SCOPES),
    },
    Question {
        name: "a step, up to its command",
        need: Need::EveryStep,
        attempt: attempt::step,
        remedy: container,
    },
];

/// What helps where a container forbids something that the kernel can do.
fn container(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::PERM => Some(FILTERED),
        Errno::ACCESS => Some(CONFINED),
        Errno::NOSYS => Some(TOO_OLD),
        _ => None,
    }
}

/// What the probe of steps with one id is called.
pub const ONE_ID: &str = "one id, and others emulated (--isolation=single-id)";

/// What the probe of steps without namespaces is called.
pub const CHROOT: &str = "a root directory of its own (--isolation=chroot)";

const AS_ROOT: &str = "run the container as root with Docker's default capabilities (securityContext: runAsUser: 0 and no `drop`; in a task definition, user: 0), and give --store a volume without `nodev`";
const OVERLAY: &str = "files are copied for each stage, which is slower; give --store a directory on ext4, xfs or btrfs (or on tmpfs, from Linux 6.6 on), not on overlayfs or a network; in a container, a volume";
const OLD: &str = "files are copied for each stage, which is slower; use Linux 5.11 or later";
const NO_SCOPES: &str = "with the network of the machine, a step reaches abstract sockets of this machine and of steps beside it; give it `--network=none`, or use Linux 6.12 or later with Landlock (lsm=landlock)";
const MASKED: &str = "steps get a /proc without processes, where /dev/stdin, /dev/stdout and /dev/fd lead nowhere; give this container an unmasked /proc (systempaths=unconfined)";
const NO_NETWORKS: &str =
    "only `--network=none` and `--network=allow:…` need it; raise user.max_net_namespaces";
const EMULATORS: &str = "only steps for other architectures need it; use a kernel of 6.7 or later";
const LISTENED: &str = "steps make no devices, 32-bit programs may open no sockets, and steps that share a cache mount wait for each other, because somebody else receives system calls of this container (LXD and Incus do, with security.syscalls.intercept)";
const LISTENED_TO: &str = "somebody else receives system calls of this container (LXD and Incus do, with security.syscalls.intercept), and a process has one listener";
const IN_TURN: &str = "steps that share a cache mount wait for each other; allow `pidfd_getfd` in the system call filter of this container, and give it a /proc of its own processes; use Linux 5.12 or later";
const NO_FILTERS: &str = "use Linux 5.9 or later, built with CONFIG_SECCOMP_FILTER";
const FILTERED: &str = "allow mounts, `pivot_root` and `sethostname` in the system call filter of this container, or run it with `--security-opt seccomp=unconfined`";
const TOO_OLD: &str = "use Linux 5.10 or later; or a filter of this container hides system calls of newer kernels: run it with `--security-opt seccomp=unconfined`";
const CONFINED: &str = "the AppArmor or SELinux profile of this container forbids it; run it with `--security-opt apparmor=unconfined` or `--security-opt label=disable`";

impl Question {
    fn ask(&self, directory: &Path) -> Probe {
        let Self { name, need, .. } = *self;
        let attempt = || (self.attempt)(directory);
        match in_child(attempt) {
            Ok(()) => Probe { name, need, outcome: Availability::Available, remedy: None },
            Err(Refusal { errno, reason }) => {
                let outcome = Availability::Unavailable { reason };
                Probe { name, need, outcome, remedy: (self.remedy)(errno) }
            }
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, reason: io::Error::from(errno).to_string() }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { errno: number(&error), reason: error.to_string() }
    }
}

/// The number of an error of the system; other errors say enough.
fn number(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::CANCELED)
}

/// Has a forked child try something. It answers with a number and a reason, or with nothing.
fn in_child(attempt: impl Fn() -> Result<(), Refusal>) -> Result<(), Refusal> {
    let (answer, teller) = pipe_with(PipeFlags::CLOEXEC)?;
    let Some(child) = sys::fork()? else {
        let told = attempt().or_else(|Refusal { errno, reason }| {
            let text = format!("{} {reason}", errno.raw_os_error());
            rustix::io::write(teller.as_fd(), text.as_bytes()).and(Err(errno))
        });
        sys::exit_now(i32::from(told.is_err()));
    };
    drop(teller);
    let mut text = String::new();
    fs::File::from(answer).read_to_string(&mut text)?;
    let ended = waitpid(Some(child), WaitOptions::empty())?;
    if ended.is_some_and(|(_, status)| status.exit_status() == Some(0)) {
        return Ok(());
    }
    let (errno, reason) = text.split_once(' ').unwrap_or(("", "the attempt was killed"));
    let errno = errno.parse().map_or(Errno::CANCELED, Errno::from_raw_os_error);
    Err(Refusal { errno, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn helps(name: &str, errno: Errno, words: &str) {
        let question = INSIDE.iter().find(|question| question.name.contains(name)).unwrap();
        let remedy = (question.remedy)(errno).unwrap();
        assert!(remedy.contains(words), "{remedy}");
    }

    #[test]
    fn what_helps_depends_on_who_refuses() {
        helps("overlay", Errno::INVAL, "ext4");
        helps("overlay", Errno::OPNOTSUPP, "5.11");
        helps("abstract", Errno::NOSYS, "--network=none");
        helps("overlay", Errno::ACCESS, "AppArmor");
        helps("overlay", Errno::PERM, "seccomp=unconfined");
        helps("fresh /proc", Errno::PERM, "systempaths=unconfined");
        helps("system call filter", Errno::INVAL, "CONFIG_SECCOMP_FILTER");
        helps("system call filter", Errno::BUSY, "intercept");
        helps("a step", Errno::PERM, "pivot_root");
        helps("a step", Errno::ACCESS, "AppArmor");
        helps("a step", Errno::NOSYS, "5.10");
    }
}
