//! The order of a step.

use std::ffi::CString;
use std::os::fd::RawFd;

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::channel::Sent;
use crate::error::{StepCause, StepError};
use crate::nest::Ownership;
use crate::overlay;
use crate::plan::{MountOp, Op, Plan, SelfOp, Slot, c_string};
use crate::quota::Kept;
use crate::step::{Access, Changes, MountSource, Network, Security, Step, Streams};
use crate::sys::{Depth, restricts_mounts};

/// The descriptors of the builder that its child needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    /// What becomes standard input; the null device, if nothing.
    pub(crate) input: Option<RawFd>,
    /// What becomes standard output and standard error.
    pub(crate) outputs: [RawFd; 2],
    /// Where the child hands over its root and the listener of its filter.
    pub(crate) channel: RawFd,
    /// The user namespace of steps, where it is not that of the builder.
    pub(crate) users: Option<RawFd>,
    /// Who says whose the files of the step are.
    pub(crate) ownership: Ownership,
}

/// Compiles a step for a child that inherits these descriptors.
pub(crate) fn compile(step: &Step, inherited: Inherited, kept: &Kept) -> Result<Plan, StepError> {
    let stacking = step.stacking.unwrap_or_else(overlay::stacking);
    let ownership = inherited.ownership;
    let mut plan = Plan { stacking, ownership, ..Plan::default() };
    plan.command(step)?;
    plan.push("setting the umask", SelfOp::Umask);
    plan.push("making a session", SelfOp::NewSession);
    plan.push("making a keyring", SelfOp::NewKeyring);
    plan.quota(kept);
    if let Kept::Group(..) = kept {
        // It is the root of what the step sees.
        plan.push("making namespaces of the step", SelfOp::Unshare(libc::CLONE_NEWCGROUP));
    }
    let dev = plan.file_systems(step, inherited.channel)?;
    plan.surroundings(step, inherited, dev)?;
    plan.limits(&step.limits);
    plan.identity(&step.identity, step.security);
    plan.push("executing the command", Op::Execute);
    Ok(plan)
}

impl Plan {
    /// Mount points first, the root, then mounts from the bottom up. Returns the root's `/dev`.
    fn file_systems(&mut self, step: &Step, channel: RawFd) -> Result<Slot, StepError> {
        let (begun, board) = self.begin_root(&step.root, step.mounted.as_deref())?;
        self.stub_kernel(&board);
        // Name servers that cannot be reached only tell what machine this is.
        let is_alone = matches!(step.network, Network::None);
        let resolv_conf = if is_alone { &[][..] } else { &step.resolv_conf };
        let resolv = self.prepare_file(&board, c"/etc/resolv.conf".into(), resolv_conf);
        let hosts = self.prepare_file(&board, c"/etc/hosts".into(), &step.hosts_file);
        let asked = step.mounts.iter().map(|mount| self.prepare(mount, &board));
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let root = self.finish_root(begun, &board);
        self.push("lending the root", Op::Lend { mount: root, channel, kind: Sent::Root });
        let kernel = self.kernel(root, &board, (step.shm_size, step.security));
        let room = step.shares().then(|| self.sockets(kernel.dev, &board));
        self.place(root, resolv);
        self.place(root, hosts);
        self.inner_mount_points(&step.mounts, &asked);
        let placed: Vec<Slot> = asked.into_iter().map(|mount| self.place(root, mount)).collect();
        if let Some(room) = room {
            let shared = shared(step, &placed);
            self.keep_apart((root, kernel.proc), (room, &shared), channel);
        }
        if step.security == Security::Sandbox {
            self.masks(&kernel, &board);
            // Those that `/sys` shows are the machine's, whatever network the step has.
            if !matches!(step.network, Network::Host) {
                self.hide_in_sys(&kernel, c"class/net", &board);
            }
        }
        if step.changes == Changes::Forbidden {
            self.forbid_changes(root)?;
        }
        self.push("entering the root", Op::Pivot { root });
        Ok(kernel.dev)
    }

    /// Makes the root read-only, and not what is mounted in it.
    fn forbid_changes(&mut self, root: Slot) -> Result<(), StepError> {
        let label = "protecting the root";
        if !restricts_mounts() {
            let cause = StepCause::Io(Errno::NOSYS.into());
            return Err(StepError { doing: label.to_owned(), cause });
        }
        let (attributes, depth) = (MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One);
        self.push(label, MountOp::Restrict { mount: root, attributes, depth });
        Ok(())
    }

    /// Everything about the process that is neither a mount nor a privilege.
    fn surroundings(
        &mut self,
        step: &Step,
        inherited: Inherited,
        dev: Slot,
    ) -> Result<(), StepError> {
        let hostname = c_string("setting the host name", step.hostname.as_bytes())?;
        self.push("setting the host name", SelfOp::Hostname(hostname));
        if let Network::Own(network) = &step.network {
            // It is the builder's, whose user namespace is left next.
            self.push("entering the network of the step", SelfOp::EnterNetwork(network.door()));
        }
        if let Some(users) = inherited.users {
            self.users(users, step);
        }
        match step.network {
            Network::Own(_) => {}
            Network::None => self.push("raising the loopback device", SelfOp::RaiseLoopback),
            // Abstract sockets belong to a network, and this one is everybody's.
            Network::Host => self.push("keeping to its own sockets", SelfOp::ScopeSockets),
        }
        match inherited.input {
            Some(from) => self.push("connecting the input", SelfOp::Stdio { from, to: 0 }),
            // One that the step cannot change, as all of its devices.
            None => self.push("connecting the input", Op::NullInput { dev }),
        }
        for (from, to) in inherited.outputs.into_iter().zip(1..) {
            self.push("connecting the output", SelfOp::Stdio { from, to });
        }
        if let Streams::Terminal(_) = step.streams {
            self.push("taking the terminal", SelfOp::TakeTerminal);
        }
        // Before the working directory: nothing of ours can be reached through /proc/self/fd.
        let kept = match step.security {
            Security::Sandbox => Some(inherited.channel),
            Security::Insecure => None,
        };
        self.push("closing descriptors", SelfOp::CloseDescriptors { kept });
        let label =
            format!("entering the working directory {}", String::from_utf8_lossy(&step.cwd));
        let cwd = c_string(&label, &step.cwd)?;
        self.push(&label, SelfOp::EnterDirectory(cwd));
        Ok(())
    }

    /// Leaves the user namespace of the builder. What a step is to rule over is made afterwards.
    fn users(&mut self, users: RawFd, step: &Step) {
        let label = "entering the user namespace of steps";
        self.push(label, SelfOp::EnterUsers(users));
        let is_new = matches!(step.network, Network::None);
        let network = if is_new { libc::CLONE_NEWNET } else { 0 };
        let others = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
        let others = if step.security == Security::Insecure { others } else { 0 };
        if network | others != 0 {
            self.push("making namespaces of the step", SelfOp::Unshare(network | others));
        }
    }

    pub(super) fn command(&mut self, step: &Step) -> Result<(), StepError> {
        let doing = "reading the command";
        let Some(name) = step.argv.first() else {
            return Err(StepError { doing: doing.to_owned(), cause: StepCause::NoCommand });
        };
        self.argv = c_strings(doing, step.argv.iter().cloned())?;
        let assign = |(name, value): &(Vec<u8>, Vec<u8>)| [name, &b"="[..], value].concat();
        self.envp = c_strings("reading the environment", step.env.iter().map(assign))?;
        self.programs = c_strings(doing, candidates(name, search_path(step)).into_iter())?;
        Ok(())
    }
}

/// Those of the mounts of a step that others have, too.
fn shared(step: &Step, placed: &[Slot]) -> Vec<Slot> {
    let both = step.mounts.iter().zip(placed);
    let shared = both.filter(|(mount, _)| {
        matches!(mount.source, MountSource::Bind { access: Access::Shared, .. })
    });
    shared.map(|(_, slot)| *slot).collect()
}

fn c_strings(doing: &str, words: impl Iterator<Item = Vec<u8>>) -> Result<Vec<CString>, StepError> {
    words.map(|word| c_string(doing, &word)).collect()
}

/// The value of `PATH`, the last one given.
fn search_path(step: &Step) -> &[u8] {
    let path = step.env.iter().rev().find(|(name, _)| name == b"PATH");
    path.map_or(DEFAULT_PATH, |(_, value)| value)
}

/// Where a program called `name` may be.
fn candidates(name: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let directories = path.split(|byte| *byte == b':');
    let inside = |directory: &[u8]| match directory {
        // An empty entry means the working directory.
        b"" => [b"./", name].concat(),
        _ => [directory, b"/", name].concat(),
    };
    directories.map(inside).collect()
}

/// Docker's search path for images that set none.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, path: &str, expected: &[&str]) {
        let found = candidates(name.as_bytes(), path.as_bytes());
        let expected: Vec<Vec<u8>> = expected.iter().map(|it| it.as_bytes().to_vec()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_without_a_slash_is_looked_up() {
        check("sh", "/bin:/usr/bin", &["/bin/sh", "/usr/bin/sh"]);
        check("sh", ":/bin", &["./sh", "/bin/sh"]);
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        check("./run", "/bin", &["./run"]);
        check("/bin/sh", "/x", &["/bin/sh"]);
    }
}
