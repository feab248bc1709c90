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
         `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or, for this program alone, \
         `printf 'abi <abi/4.0>,\\nprofile wythe {program} flags=(unconfined) {{\\n  userns,\\n}}\\n' \
         > /etc/apparmor.d/wythe && apparmor_parser -r /etc/apparmor.d/wythe`"
    )]
    AppArmor {
        /// Where this program lies.
        program: String,
    },
    /// The `AppArmor` profile of a container forbids mounts.
    #[error(
        "the AppArmor profile {profile} of this process forbids what a user namespace needs. Run \
         the container with `--security-opt apparmor=unconfined`"
    )]
    Confined {
        /// Its name.
        profile: String,
    },
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
    /// The user has all ids, and asks for one.
    #[error(
        "this user may give files to anybody, and one id is for those who may not: leave \
         --isolation=single-id out"
    )]
    ManyIds,
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
    /// The tools may not write maps here.
    #[error(
        "newuidmap and newgidmap may not write id maps here ({message}). In a container they need \
         file capabilities instead of the set-user-ID bit; as root, in its image: `chmod u-s \
         /usr/bin/newuidmap /usr/bin/newgidmap; setcap cap_setuid=ep /usr/bin/newuidmap; setcap \
         cap_setgid=ep /usr/bin/newgidmap`"
    )]
    PowerlessTools {
        /// What they printed.
        message: String,
    },
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
    let read = |path: &str| std::fs::read_to_string(path).ok();
    InitError::because("creating a user namespace", refused(errno, read))
}

/// What a refusal means, with what the files of `/proc` say.
fn refused(errno: Errno, read: impl Fn(&str) -> Option<String>) -> InitCause {
    let says = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let profile = PROFILES.iter().find_map(|path| read(path)).and_then(|text| confined(&text));
    match (errno, profile) {
        (Errno::NOSPC | Errno::USERS, _) => InitCause::LimitReached,
        (Errno::NOSYS | Errno::INVAL, _) => InitCause::NotBuilt,
        // The filter of a container answers with the other number.
        (Errno::ACCESS, Some(profile)) => InitCause::Confined { profile },
        (Errno::PERM | Errno::ACCESS, None) if says(APPARMOR, "1") => {
            InitCause::AppArmor { program: program() }
        }
        (Errno::PERM, _) if says(DEBIAN, "0") => InitCause::SwitchedOff,
        (Errno::PERM | Errno::ACCESS, _) => InitCause::Forbidden,
        (errno, _) => InitCause::Io(errno.into()),
    }
}

/// Where this program lies, as a profile names it; where packages put it, if nobody can tell.
fn program() -> String {
    let path = std::fs::read_link("/proc/self/exe").ok().filter(|path| path.exists());
    path.and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| "/usr/bin/wythe".to_owned())
}

/// The profile that somebody put this process under, if any: `docker-default (enforce)`.
fn confined(text: &str) -> Option<String> {
    let (profile, mode) = text.trim_end_matches(['\0', '\n']).rsplit_once(" (")?;
    // Ubuntu has one for processes in user namespaces.
    let is_given = mode == "enforce)" && profile != "unprivileged_userns";
    is_given.then(|| profile.to_owned())
}

const PROFILES: [&str; 2] = ["/proc/self/attr/apparmor/current", "/proc/self/attr/current"];
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

    /// What a refusal means on an Ubuntu that restricts user namespaces, under a profile.
    #[track_caller]
    fn check(errno: Errno, profile: &str, words: &str) {
        let read = |path: &str| match path {
            APPARMOR => Some("1\n".to_owned()),
            path if PROFILES.contains(&path) => Some(profile.to_owned()),
            _ => None,
        };
        let text = refused(errno, read).to_string();
        assert!(text.contains(words), "{text}");
    }

    #[test]
    fn who_forbids_is_told_by_the_number_and_the_profile() {
        check(Errno::ACCESS, "docker-default (enforce)\n", "profile docker-default of");
        check(Errno::PERM, "docker-default (enforce)\n", "seccomp=unconfined");
        check(Errno::PERM, "unconfined\n", "apparmor_restrict_unprivileged_userns=0");
        check(Errno::ACCESS, "unprivileged_userns (enforce)", "apparmor_restrict_unprivileged");
    }

    #[test]
    fn where_apparmor_forbids_the_profile_that_helps_is_printed() {
        let profile = format!(
            "profile wythe {} flags=(unconfined) {{\\n  userns,\\n}}",
            std::env::current_exe().unwrap().display()
        );
        check(Errno::PERM, "unconfined\n", &profile);
    }
}
