//! How much of the machine a step may have, and who sees to it: a control group where this program may make one,
//! else the limits that each process has for itself.

use rustix::process::{Resource as Kernel, Rlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::group::{Group, Ungrouped};
use crate::outcome::Outcome;
use crate::output::{Output, Stream};
use crate::plan::{Plan, SelfOp};
use crate::run::is_failure;

/// How much of the machine a step may have; what is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    /// Memory of all its processes, in bytes, files that they hold in memory included.
    pub memory: Option<u64>,
    /// Time of processors, in thousandths of one.
    pub processors: Option<u32>,
    /// How many processes and threads it has at once.
    pub processes: Option<u64>,
}

impl Quota {
    /// Whether anything is limited.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

/// Who keeps a [`Quota`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Keeper {
    /// The kernel, for all processes of a step together.
    Group,
    /// The kernel, for each process by itself: `RLIMIT_DATA` of memory, `RLIMIT_NPROC`, in which all that runs as
    /// the same user counts, and as many processors as a step may use.
    Process {
        /// Why there is no control group.
        reason: String,
    },
}

/// Who would keep a quota for steps of this program. Makes a control group to see, and removes it.
pub fn keeper(quota: &Quota) -> Keeper {
    match Group::make(quota) {
        Ok(_) => Keeper::Group,
        Err(Ungrouped(reason)) => Keeper::Process { reason },
    }
}

/// A quota that somebody keeps for one step.
#[derive(Debug)]
pub(crate) enum Kept {
    /// There is none.
    Nothing,
    Group(Group, Quota),
    Process(Quota),
}

impl Kept {
    /// Has a quota kept.
    pub(crate) fn of(quota: &Quota) -> Self {
        if !quota.is_set() {
            return Self::Nothing;
        }
        match Group::make(quota) {
            Ok(group) => Self::Group(group, *quota),
            Err(Ungrouped(reason)) => {
                tracing::debug!(reason, "no control group");
                Self::Process(*quota)
            }
        }
    }

    /// How a step has ended that may have been at its quota; where it has failed, says what may be the reason.
    pub(crate) fn judge(&self, ended: Outcome, output: &dyn Output) -> Outcome {
        if !is_failure(ended) {
            return ended;
        }
        if let Self::Group(group, Quota { memory: Some(most), .. }) = self
            && group.n_killed() > 0
        {
            return Outcome::OutOfMemory(*most);
        }
        if let Some(note) = self.note() {
            output.write(Stream::Stderr, note.as_bytes());
        }
        ended
    }

    fn note(&self) -> Option<String> {
        match self {
            Self::Group(group, Quota { processes: Some(most), .. }) if group.n_refused() > 0 => {
                Some(format!("note: the step had {most} processes, and was refused another one\n"))
            }
            Self::Process(Quota { memory: Some(most), .. }) => Some(format!(
                "note: each process of the step could have {most} bytes of memory of its own\n"
            )),
            Self::Process(Quota { processes: Some(most), .. }) => Some(format!(
                "note: the step could begin no process while {most} ran as its user\n"
            )),
            Self::Nothing | Self::Group(..) | Self::Process(_) => None,
        }
    }
}

impl Plan {
    /// Puts the process where its quota is kept.
    pub(crate) fn quota(&mut self, kept: &Kept) {
        match kept {
            Kept::Nothing => {}
            Kept::Group(group, _) => {
                self.push("joining the control group", SelfOp::JoinGroup(group.door()));
            }
            Kept::Process(quota) => self.own_limits(quota),
        }
    }

    fn own_limits(&mut self, quota: &Quota) {
        let limits = [(Kernel::Data, quota.memory), (Kernel::Nproc, quota.processes)];
        for (resource, most) in limits {
            let Some(most) = most else { continue };
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            self.push("setting a resource limit", SelfOp::Limit { resource, limit });
        }
        if let Some(set) = quota.processors.and_then(processors) {
            self.push("choosing processors", SelfOp::Processors(Box::new(set)));
        }
    }
}

/// As many of the processors of this program as a step may use, rounded up; `None` where it has no more.
fn processors(thousandths: u32) -> Option<CpuSet> {
    let own = sched_getaffinity(None).ok()?;
    let wanted = usize::try_from(thousandths.div_ceil(1000)).ok()?.max(1);
    let free = usize::try_from(own.count()).ok()?.checked_sub(wanted).filter(|free| *free > 0)?;
    // Steps that run at once are not to be on the same ones.
    let first = usize::try_from(sample()).unwrap_or_default() % (free + 1);
    let all = (0..CpuSet::MAX_CPU).filter(|number| own.is_set(*number));
    let mut set = CpuSet::new();
    all.skip(first).take(wanted).for_each(|number| set.set(number));
    Some(set)
}

/// A number that is another one for the next step.
fn sample() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
