//! Who keeps what steps may have of the machine, in words.

use wythe_sandbox::quota::{Keeper, Quota, keeper};

use crate::session::Session;

/// Says who keeps a quota, where there is one.
pub(crate) fn tell_keeper(quota: &Quota, session: &Session) {
    if !quota.is_set() {
        return;
    }
    match keeper(quota) {
        Keeper::Group => session.remark("limits of steps are kept by control groups"),
        Keeper::Process { reason } => session.remark(&format!(
            "limits of steps are kept for each of their processes, since there is no control group: {reason}"
        )),
    }
}

/// Who would keep all limits there are, as lines for whoever asks what works here.
pub(crate) fn lines() -> Vec<String> {
    let all = Quota { memory: Some(1 << 30), processors: Some(1000), processes: Some(1000) };
    match keeper(&all) {
        Keeper::Group => vec!["  ok  limits of steps by control groups".to_owned()],
        Keeper::Process { reason } => vec![
            format!("part  limits of steps by control groups: {reason}"),
            format!("      help: {HELP}"),
        ],
    }
}

const HELP: &str = "each process is limited for itself (docs/limits.md); \
    `systemd-run --user --scope -p Delegate=yes` gives a group, or /sys/fs/cgroup of a container that may be written to";
