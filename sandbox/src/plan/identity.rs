//! From namespace root to the user of the step.

use rustix::process::{Resource, Rlimit, getrlimit};
use rustix::thread::{Gid, Uid};

use crate::nest::Ownership;
use crate::plan::{Op, Plan, SelfOp};
use crate::step::{Identity, Security};

impl Plan {
    /// Gives up what the step may not have, in the order that each needs the next.
    pub(super) fn identity(&mut self, identity: &Identity, security: Security) {
        let label = "giving up privileges";
        if security == Security::Sandbox {
            let kept = DOCKER_CAPABILITIES;
            self.push(label, SelfOp::Bound { kept });
            if self.ownership == Ownership::Emulated {
                self.number_of_credentials();
            }
            // Before the capabilities go: CAP_SYS_ADMIN stands in for no_new_privs, which would
            // break sudo.
            self.push("installing the system call filter", Op::Filter);
            self.push(label, SelfOp::Capabilities { kept });
        } else {
            self.push(label, SelfOp::Capabilities { kept: ALL_CAPABILITIES });
        }
        if self.ownership == Ownership::Emulated {
            return;
        }
        let label = format!("becoming user {}:{}", identity.uid, identity.gid);
        let groups = identity.groups.iter().map(|gid| Gid::from_raw(*gid));
        self.push(&label, SelfOp::Groups(groups.collect()));
        self.push(&label, SelfOp::Group(Gid::from_raw(identity.gid)));
        self.push(&label, SelfOp::User(Uid::from_raw(identity.uid)));
    }

    /// Whoever answers for the step knows what its processes are by a limit that passes on to them: the
    /// first has the number of what it begins as. Under the filter nobody sets it any more.
    fn number_of_credentials(&mut self) {
        let resource = Resource::Locks;
        let limit = Rlimit { current: Some(0), maximum: getrlimit(resource).maximum };
        self.push("setting a resource limit", SelfOp::Limit { resource, limit });
    }
}

/// Docker's fourteen: chown, `dac_override`, fowner, fsetid, kill, setgid, setuid, setpcap,
/// `net_bind_service`, `net_raw`, `sys_chroot`, mknod, `audit_write`, setfcap.
pub(crate) const DOCKER_CAPABILITIES: u64 = 0xa804_25fb;

/// All the kernel knows, up to `checkpoint_restore`.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;
