//! Steps of a builder that runs in a container whose `/proc` is covered in part.

use std::process::Command;

use crate::fixture::{Fixture, listing, run};
use crate::lifetime::{again, printed};

/// This program in the role, where a file of `/proc` is covered for good: mounts that a user
/// namespace inherits cannot be taken away in it.
fn masked(role: &str) -> Command {
    let program = again(role);
    let mut command = Command::new("unshare");
    let script = "mount --bind /dev/null /proc/cmdline && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(program.get_program()).arg(role);
    command
}

pub(crate) fn a_masked_proc_shows_nothing_of_any_process(fixture: &Fixture) {
    let found = printed(&mut masked("role=masked"));
    let expected = "0\n/proc/filesystems /proc/meminfo /proc/sys /proc/uptime\n\
        frozen\nfrozen\nfrozen\nno\nno\n1 work/null\n";
    assert!(found.ends_with(expected), "{found}");
    assert_eq!(fixture.sh("ls -d /proc/self"), "/proc/self\n");
}

pub(crate) fn a_probe_tells_that_proc_is_masked(_: &Fixture) {
    let found = printed(&mut masked("role=probes"));
    assert_eq!(found.matches("Unavailable").count(), 1, "{found}");
    assert!(found.contains("\"fresh /proc\", outcome: Unavailable"), "{found}");
}

/// Tries to reach the builder and to change the machine.
pub(crate) fn play(fixture: &Fixture) {
    let script = "ls -d /proc/[0-9]* /proc/self /proc/thread-self /proc/mounts 2>/dev/null | wc -l; \
        echo $(ls -d /proc/filesystems /proc/meminfo /proc/sys /proc/uptime); \
        touch /proc/x || echo frozen; echo 1 > /proc/sys/kernel/hostname || echo frozen; \
        echo 1 > /proc/uptime || echo frozen; \
        mknod /proc/self/root/work/out c 1 3 || echo no; \
        mknod /proc/1/root/work/out c 1 3 || echo no; mknod /work/null c 1 3; exit 3";
    let ran = run(&fixture.step(script));
    let noted = ran.stderr.lines().filter(|line| line.contains("wythe doctor")).count();
    println!("{}{noted} {}", ran.stdout, listing(&ran.upper).join(" ").replace("work ", ""));
}
