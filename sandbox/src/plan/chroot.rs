//! The order of a step that has another root directory and nothing more.

use std::os::fd::RawFd;

use rustix::thread::{Gid, Uid, capabilities};

use super::identity::DOCKER_CAPABILITIES;
use crate::enter;
use crate::error::{StepCause, StepError};
use crate::plan::{MountOp, Op, Plan, SelfOp, c_string, mounts};
use crate::quota::{Kept, Quota};
use crate::step::{
    Access, Changes, Identity, MountSource, Network, Privileges, RootFs, Security, Step, Streams,
};

/// The descriptors of the builder that the child of such a step needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    /// What becomes standard input, standard output and standard error.
    pub(crate) streams: [RawFd; 3],
    /// Where the child hands over the listener of its filter.
    pub(crate) channel: RawFd,
}

/// Compiles a step for a child that inherits these descriptors.
pub(crate) fn compile_for_chroot(
    step: &Step,
    handed: Handed,
    kept: &Kept,
) -> Result<Plan, StepError> {
    let directory = whole(step)?;
    countable(step, kept)?;
    let mut plan = Plan::default();
    plan.command(step)?;
    plan.push("setting the umask", SelfOp::Umask);
    plan.push("making a session", SelfOp::NewSession);
    plan.push("making a keyring", SelfOp::NewKeyring);
    plan.quota(kept);
    let (label, root) = ("changing the root directory", plan.slot());
    let path = mounts::path_string(label, directory)?;
    plan.push(label, MountOp::Open { path, found: root });
    plan.push(label, Op::ChangeRoot { root });
    for (from, to) in handed.streams.into_iter().zip(0..) {
        plan.push("connecting the standard streams", SelfOp::Stdio { from, to });
    }
    if let Streams::Terminal(_) = step.streams {
        plan.push("taking the terminal", SelfOp::TakeTerminal);
    }
    // Before the working directory: nothing of ours can be reached through it.
    let kept = (step.privileges == Privileges::Kept).then_some(handed.channel);
    plan.push("closing descriptors", SelfOp::CloseDescriptors { kept });
    let label = format!("entering the working directory {}", String::from_utf8_lossy(&step.cwd));
    plan.push(&label, SelfOp::EnterDirectory(c_string(&label, &step.cwd)?));
    plan.limits(&step.limits);
    plan.identity_in_chroot(&step.identity, step.privileges);
    plan.push("executing the command", Op::Execute);
    Ok(plan)
}

/// The directory that has all files of the step; refuses what cannot be had without namespaces.
fn whole(step: &Step) -> Result<&std::path::Path, StepError> {
    let without = |what: &str| {
        let (doing, what) = ("running a step in a chroot".to_owned(), what.to_owned());
        Err(StepError { doing, cause: StepCause::NeedsNamespaces { what } })
    };
    match step.network {
        Network::Host => {}
        Network::None => return without("--network=none"),
        Network::Own(_) => return without("a network of its own"),
    }
    if step.security == Security::Insecure {
        return without("--security=insecure");
    }
    if step.changes == Changes::Forbidden {
        return without("a root that cannot be written to");
    }
    for mount in &step.mounts {
        if let MountSource::Bind { access: Access::ReadOnly, .. } | MountSource::Layers { .. } =
            mount.source
        {
            let target = String::from_utf8_lossy(&mount.target);
            return without(&format!("a mount that cannot be written to ({target})"));
        }
    }
    match &step.root {
        RootFs::Whole(directory) => Ok(directory),
        RootFs::Layers { .. } => without("a root of layers"),
    }
}

/// Refuses a number of processes that nobody would keep to: the kernel does not count those of root of the machine.
fn countable(step: &Step, kept: &Kept) -> Result<(), StepError> {
    let is_counted = !matches!(kept, Kept::Process(Quota { processes: Some(_), .. }));
    if is_counted || step.identity.uid != 0 || !is_root_of_machine() {
        return Ok(());
    }
    let what = "a limit of the processes of root (--pids-limit)".to_owned();
    let doing = "running a step in a chroot".to_owned();
    Err(StepError { doing, cause: StepCause::NeedsNamespaces { what } })
}

/// Whether root here is root of the machine: there is no user namespace, of which all ids are the same.
fn is_root_of_machine() -> bool {
    let ids = enter::current_ids();
    ids.is_ok_and(|ids| {
        ids.users.iter().any(|extent| extent.outside == 0 && extent.count == u32::MAX)
    })
}

impl Plan {
    /// Gives up what the step may not have, in the order that each needs the next.
    fn identity_in_chroot(&mut self, identity: &Identity, privileges: Privileges) {
        let (label, kept) = ("giving up privileges", kept());
        self.push(label, SelfOp::Bound { kept });
        if privileges == Privileges::Kept {
            self.push(label, SelfOp::GiveUpNewPrivileges);
            self.push("installing the system call filter", Op::Filter);
        }
        self.push(label, SelfOp::Capabilities { kept });
        let label = format!("becoming user {}:{}", identity.uid, identity.gid);
        let groups = identity.groups.iter().map(|gid| Gid::from_raw(*gid));
        self.push(&label, SelfOp::Groups(groups.collect()));
        self.push(&label, SelfOp::Group(Gid::from_raw(identity.gid)));
        self.push(&label, SelfOp::User(Uid::from_raw(identity.uid)));
    }
}

/// What steps may do: what Docker gives to root, as far as this program has it, but for changing the
/// root directory, which leads out of one.
fn kept() -> u64 {
    let have = capabilities(None).map_or(0, |sets| sets.permitted.bits());
    have & DOCKER_CAPABILITIES & !(1 << CAP_SYS_CHROOT)
}

const CAP_SYS_CHROOT: u32 = 18;
