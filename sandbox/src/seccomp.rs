//! The system call filter: Docker's default profile for its fourteen capabilities.
//!
//! The profile is data ([`tables`]), the program is emitted from it ([`emit`]) once per process:
//! a binary search over ranges costs a tenth of a linear list to install.

mod emit;
mod looks;
mod names;
mod owners;
mod tables;

use std::sync::OnceLock;

use emit::emit;
pub(crate) use looks::{Link, PathCall, Purpose};
pub(crate) use names::{Asked, NameCall, Wish, asked, names_filter};
pub(crate) use owners::{IdCall, MakeCall, NamedFile, OwnerCall, Side};
use tables::{Table, native_tables};

/// How much a filter announces.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Attention {
    /// Nothing, for there is no listener: what is for one is refused.
    Nothing,
    /// What the builder does for a step.
    Deeds,
    /// Also looks at files by their names.
    Looks,
    /// Also everything that says who somebody is or whose something is: the kernel knows one user only.
    Owners,
}

/// What happens where a process gives a socket its address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Binds {
    /// The kernel does it.
    Run,
    /// It is announced: where a socket may lie is for the builder to say.
    Announced,
}

/// The filter for this machine, ready for `seccomp(2)`.
pub(crate) fn program(attention: Attention, binds: Binds) -> &'static [libc::sock_filter] {
    static PROGRAMS: [OnceLock<Vec<libc::sock_filter>>; 8] = [const { OnceLock::new() }; 8];
    let number = 2 * attention as usize + binds as usize;
    PROGRAMS[number].get_or_init(|| emit(native_tables(), attention, binds))
}

/// A filter that lets everything run, to find out whether there can be one.
pub(crate) const EVERYTHING: &[libc::sock_filter] =
    &[libc::sock_filter { code: emit::BPF_RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];

/// A system call that the filter has announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Announced {
    /// A device is to be made.
    Device {
        /// Which argument is the mode: the path is before it, the number after it.
        mode: usize,
    },
    /// A socket is to be opened, and what kind of one lies in memory.
    Socket,
    /// A socket is to be given an address.
    Bind,
    /// The same, and the arguments lie in memory.
    DistantBind,
    /// A file is looked at, or given away.
    PathCall(PathCall),
    /// Users and owners are emulated.
    Owner(OwnerCall),
}

/// What a system call is that the filter has announced, which announces so much; `first` is its
/// first argument.
pub(crate) fn announced(
    (architecture, number): (u32, i32),
    first: u64,
    attention: Attention,
) -> Option<Announced> {
    let table = native_tables().iter().find(|table| table.architecture == architecture)?;
    match table.verdict(u32::try_from(number).ok()?, attention, Binds::Announced) {
        Verdict::Check(Check::Owner(call)) => Some(Announced::Owner(call)),
        Verdict::Check(Check::PathCall(look)) => Some(Announced::PathCall(look)),
        Verdict::Check(Check::Device { mode }) => Some(Announced::Device { mode }),
        Verdict::Check(Check::SocketCall)
            if first & u64::from(u32::MAX) == BIND_A_SOCKET.into() =>
        {
            Some(Announced::DistantBind)
        }
        Verdict::Check(Check::SocketCall) => Some(Announced::Socket),
        Verdict::Check(Check::Bind) => Some(Announced::Bind),
        Verdict::Allow | Verdict::Deny | Verdict::Unknown | Verdict::Check(_) => None,
    }
}

/// Whether no step opens sockets of a family.
pub(crate) fn refuses_family(family: u32) -> bool {
    REFUSED_FAMILIES.contains(&family)
}

/// What happens to a system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// It runs.
    Allow,
    /// It fails with `EPERM`.
    Deny,
    /// It fails with `ENOSYS`, so that programs try an older call.
    Unknown,
    /// An argument decides.
    Check(Check),
}

/// A decision by an argument, the first where it does not say which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Check {
    /// `socket`: any family but kernel crypto and virtual machine sockets.
    Family,
    /// `socketcall`, whose arguments lie in memory: whoever listens opens the socket, if it is to be
    /// one, or gives it its address.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only programs for 32-bit x86 have this call")
    )]
    SocketCall,
    /// `bind`: whoever listens does it, where the address is of a length that one of the file
    /// system has.
    Bind,
    /// `personality`: the five values Docker allows.
    Personality,
    /// `clone`: no new namespaces.
    Namespaces,
    /// `mknod`: whoever listens makes devices, for the kernel would refuse.
    Device {
        /// Which argument is the mode: the path is before it, the number after it.
        mode: usize,
    },
    /// Whoever listens may see more in the file than the kernel.
    PathCall(PathCall),
    /// Whoever listens knows more users than the kernel.
    Owner(OwnerCall),
}

/// A verdict for all numbers from `first` up to the next segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Segment {
    first: u32,
    verdict: Verdict,
}

impl Table {
    /// The whole number line as segments, the first at 0.
    fn segments(&self, attention: Attention, binds: Binds) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for number in 0..=LAST_KNOWN + 1 {
            let verdict = self.verdict(number, attention, binds);
            if segments.last().map(|last| last.verdict) != Some(verdict) {
                segments.push(Segment { first: number, verdict });
            }
        }
        segments
    }

    /// What the profile says about one number.
    fn verdict(&self, number: u32, attention: Attention, binds: Binds) -> Verdict {
        if number > LAST_KNOWN || number == CLONE3 {
            return Verdict::Unknown;
        }
        let owner = self.owners.iter().find(|(at, _)| *at == number);
        match owner.filter(|_| attention == Attention::Owners) {
            Some((_, OwnerCall::Unknown)) => return Verdict::Unknown,
            Some((_, call)) => return Verdict::Check(Check::Owner(*call)),
            None => {}
        }
        if let Some((_, check)) = self.checks.iter().find(|(at, _)| *at == number) {
            return Verdict::Check(*check);
        }
        if self.binds.contains(&number) && binds == Binds::Announced {
            return Verdict::Check(Check::Bind);
        }
        let look = self.looks.iter().find(|(at, _)| *at == number);
        if let Some((_, look)) = look.filter(|_| attention >= Attention::Looks) {
            return Verdict::Check(Check::PathCall(*look));
        }
        let allowed = |(first, last): &(u32, u32)| (*first..=*last).contains(&number);
        if self.allowed.iter().any(allowed) { Verdict::Allow } else { Verdict::Deny }
    }
}

/// The newest number the profile was written for (`file_setattr`). The kernel numbers calls the
/// same on all architectures since 403, so that one bound serves all tables.
const LAST_KNOWN: u32 = 469;

/// `AF_ALG` and `AF_VSOCK`: kernel crypto and the hypervisor.
const REFUSED_FAMILIES: [u32; 2] = [38, 40];

/// The first argument of `socketcall` that stands for `bind`.
const BIND_A_SOCKET: u32 = 2;

/// Its flags lie in memory, where a filter cannot look.
const CLONE3: u32 = 435;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_denies_is_denied() {
        let table = &native_tables()[0];
        let denied = [
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_keyctl,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_open_by_handle_at,
            libc::SYS_kexec_load,
            libc::SYS_pivot_root,
            libc::SYS_reboot,
            libc::SYS_userfaultfd,
            libc::SYS_pidfd_getfd,
        ];
        for number in denied {
            let number = u32::try_from(number).unwrap();
            assert_eq!(
                table.verdict(number, Attention::Deeds, Binds::Run),
                Verdict::Deny,
                "{number}"
            );
        }
    }

    #[test]
    fn what_the_way_into_a_step_needs_is_allowed() {
        let table = &native_tables()[0];
        let needed = [
            libc::SYS_prctl,
            libc::SYS_capset,
            libc::SYS_setgroups,
            libc::SYS_setresgid,
            libc::SYS_setresuid,
            libc::SYS_execve,
            libc::SYS_chroot,
            libc::SYS_write,
            libc::SYS_exit_group,
        ];
        for number in needed {
            let number = u32::try_from(number).unwrap();
            assert_eq!(
                table.verdict(number, Attention::Deeds, Binds::Run),
                Verdict::Allow,
                "{number}"
            );
        }
    }

    #[test]
    fn newer_calls_than_the_profile_do_not_exist() {
        for table in native_tables() {
            assert_eq!(
                table.verdict(LAST_KNOWN + 1, Attention::Deeds, Binds::Run),
                Verdict::Unknown
            );
            assert_eq!(table.verdict(CLONE3, Attention::Deeds, Binds::Run), Verdict::Unknown);
        }
    }

    #[test]
    fn tables_are_sorted_and_merged() {
        for table in native_tables() {
            for pair in table.allowed.windows(2) {
                assert!(pair[0].1 + 1 < pair[1].0, "{pair:?}");
            }
        }
    }

    #[test]
    fn only_what_is_allowed_is_announced() {
        for table in native_tables() {
            for (number, look) in table.looks {
                assert_eq!(
                    table.verdict(*number, Attention::Deeds, Binds::Run),
                    Verdict::Allow,
                    "{look:?}"
                );
            }
        }
    }
}
