//! Why the namespaces could not be entered, and what helps.

use std::io;

use rustix::io::Errno;

/// The namespaces that steps need could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct InitError {
    /// What was being done, such as `creating a user namespace`.
    pub doing: &'static str,
    /// Why that failed.
    #[source]
    pub cause: InitCause,
}

/// Why entering failed. Every text that the person at the keyboard can act on says how.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitCause {
    /// The program has started threads.
    #[error("the process has more than one thread; call `init` first in `main`")]
    Threads,
    /// The limit on user namespaces is 0.
    #[error(
        "cannot create user namespaces: the limit /proc/sys/user/max_user_namespaces is 0 or \
         reached (AWS Fargate sets this). As root: `sysctl -w user.max_user_namespaces=15000`"
    )]
    LimitReached,
    /// The kernel was built without user namespaces.
    #[error("cannot create user namespaces: this kernel has none (CONFIG_USER_NS)")]
    NotBuilt,
    /// The distribution reserves user namespaces to root.
    #[error(
        "user namespaces are switched off. As root: `sysctl -w kernel.unprivileged_userns_clone=1`"
    )]
    SwitchedOff,
    /// `AppArmor` lets the namespace be made and forbids everything in it.
    #[error(
        "user namespaces are restricted by AppArmor (Ubuntu). As root: \
         `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or install a profile that \
         allows `userns` for this program"
    )]
    AppArmor,
    /// Something else forbids it, usually the filter of a container.
    #[error(
        "creating user namespaces is not permitted, probably by the system call filter of a \
         container. Allow `unshare`, `clone`, `setns` and `mount` in its seccomp profile, or run it with \
         `--security-opt seccomp=unconfined`"
    )]
    Forbidden,
    /// The user owns no ids but its own.
    #[error(
        "no subordinate ids for user {user} in /etc/sub{file}. As root: \
         `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`"
    )]
    NoSubordinateIds {
        /// Whose.
        user: String,
        /// `uid` or `gid`.
        file: &'static str,
    },
    /// A tool that writes id maps is not installed.
    #[error(
        "{tool} not found: install uidmap (Debian) / shadow-utils (Fedora) / shadow-uidmap (Alpine)"
    )]
    NoTool {
        /// `newuidmap` or `newgidmap`.
        tool: &'static str,
    },
    /// Set-user-id programs are inert.
    #[error(
        "newuidmap cannot gain privileges: the process runs with no_new_privs (Kubernetes \
         allowPrivilegeEscalation=false)"
    )]
    NoNewPrivileges,
    /// The tools refused the map.
    #[error("the id map was refused: {message}")]
    MapRefused {
        /// What they printed.
        message: String,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl InitError {
    pub(super) fn because(doing: &'static str, cause: InitCause) -> Self {
        Self { doing, cause }
    }

    pub(super) fn io(doing: &'static str, error: impl Into<io::Error>) -> Self {
        Self::because(doing, InitCause::Io(error.into()))
    }
}

/// What a refusal on the way into the namespaces means on this machine.
pub(super) fn namespace_refused(errno: Errno) -> InitError {
    let doing = "creating a user namespace";
    let says = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    let cause = match errno {
        Errno::NOSPC | Errno::USERS => InitCause::LimitReached,
        Errno::NOSYS | Errno::INVAL => InitCause::NotBuilt,
        Errno::PERM | Errno::ACCESS if says(APPARMOR, "1") => InitCause::AppArmor,
        Errno::PERM if says(DEBIAN, "0") => InitCause::SwitchedOff,
        Errno::PERM | Errno::ACCESS => InitCause::Forbidden,
        errno => InitCause::Io(errno.into()),
    };
    InitError::because(doing, cause)
}

const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const DEBIAN: &str = "/proc/sys/kernel/unprivileged_userns_clone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_kernel_has_its_own_text() {
        let text = |errno| namespace_refused(errno).cause.to_string();
        assert!(text(Errno::NOSPC).contains("max_user_namespaces"));
        assert!(text(Errno::NOSYS).contains("CONFIG_USER_NS"));
    }
}
