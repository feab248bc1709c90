//! Resource limits.

use rustix::process::{Resource as Kernel, Rlimit, getrlimit};

use crate::plan::{Plan, SelfOp};
use crate::step::{Limit, Resource};

impl Plan {
    /// Sets the defaults, then what the step asks for.
    pub(super) fn limits(&mut self, asked: &[Limit]) {
        for limit in DEFAULTS.iter().chain(asked) {
            let resource = limit.resource.kernel();
            let limit = limit.within(getrlimit(resource).maximum);
            self.push("setting a resource limit", SelfOp::Limit { resource, limit });
        }
    }
}

impl Limit {
    /// The limit, lowered to what we may give.
    fn within(self, maximum: Option<u64>) -> Rlimit {
        let most = maximum.unwrap_or(u64::MAX);
        let hard = self.hard.min(most);
        let bound = |value: u64| (value != u64::MAX).then_some(value);
        Rlimit { current: bound(self.soft.min(hard)), maximum: bound(hard) }
    }
}

impl Resource {
    fn kernel(self) -> Kernel {
        match self {
            Self::Core => Kernel::Core,
            Self::Cpu => Kernel::Cpu,
            Self::Data => Kernel::Data,
            Self::Fsize => Kernel::Fsize,
            Self::Locks => Kernel::Locks,
            Self::Memlock => Kernel::Memlock,
            Self::Msgqueue => Kernel::Msgqueue,
            Self::Nice => Kernel::Nice,
            Self::Nofile => Kernel::Nofile,
            Self::Nproc => Kernel::Nproc,
            Self::Rss => Kernel::Rss,
            Self::Rtprio => Kernel::Rtprio,
            Self::Rttime => Kernel::Rttime,
            Self::Sigpending => Kernel::Sigpending,
            Self::Stack => Kernel::Stack,
        }
    }
}

/// No core files; enough open files for old `select` loops, more for who asks.
const DEFAULTS: [Limit; 2] = [
    Limit { resource: Resource::Core, soft: 0, hard: 0 },
    Limit { resource: Resource::Nofile, soft: 1024, hard: 524_288 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_our_own_is_lowered_and_none_is_kept() {
        let asked = Limit { resource: Resource::Nofile, soft: 5000, hard: u64::MAX };
        let given = asked.within(Some(4096));
        assert_eq!((given.current, given.maximum), (Some(4096), Some(4096)));
        assert_eq!(asked.within(None).maximum, None);
    }
}
