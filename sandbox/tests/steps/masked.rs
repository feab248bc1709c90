//! Steps of a builder that runs in a container: its `/proc` is covered in part, its system calls are
//! somebody else's.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::apart;
use crate::fixture::{Fixture, listing, run};
use crate::lifetime::{again, printed};

/// This program in the role, where a file of `/proc` is covered for good: mounts that a user
/// namespace inherits cannot be taken away in it.
fn masked(role: &str) -> Command {
    let program = again(role);
    let mut command = Command::new("unshare");
    // Not the one of the machine: a set-user-ID program is the machine's root, and not ours.
    let script = "busybox mount -o bind /dev/null /proc/cmdline && exec \"$@\"";
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
    assert!(found.contains("\"fresh /proc\", need: SomeSteps, outcome: Unavailable"), "{found}");
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

pub(crate) fn a_filter_without_a_listener_refuses_what_is_for_one(fixture: &Fixture) {
    let wrapper = fixture.fresh().join("listening");
    let mut gcc = Command::new("gcc");
    gcc.args(["-x", "c", "-o"]).arg(&wrapper).arg("-").stdin(Stdio::piped());
    let mut compiler = gcc.spawn().unwrap();
    compiler.stdin.take().unwrap().write_all(LISTENING).unwrap();
    assert!(compiler.wait().unwrap().success());
    let role = |role: &str| {
        let mut command = Command::new(&wrapper);
        command.arg(again(role).get_program()).arg(role);
        printed(&mut command)
    };
    let found = role("role=listened");
    let expected = "supervises false\nEPERM\nok\nno\nmade\nSeccomp_filters:\t2\n";
    assert!(found.ends_with(expected), "{found}");
    let found = role("role=probes");
    assert_eq!(found.matches("Unavailable").count(), 1, "{found}");
    assert!(
        found.contains("\"system call filter\", need: SomeSteps, outcome: Unavailable"),
        "{found}"
    );
}

/// Makes and does what a listener would have to.
pub(crate) fn play_unheard(fixture: &Fixture) {
    let script = "mknod /work/null c 1 3 || echo no; mknod /work/pipe p && echo made; \
        grep Seccomp_filters /proc/self/status";
    println!("supervises {}", wythe_sandbox::enter::supervises());
    apart::bind_unheard(fixture);
    print!("{}", run(&fixture.step(script)).stdout);
}

/// A program that listens to system calls of the one that it runs, as containers do.
const LISTENING: &[u8] = b"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int n, char **words) {
  struct sock_filter allow = {6, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog program = {1, &allow};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0) return 99;
  if (fork() == 0) return execv(words[1], words + 1);
  int status;
  wait(&status);
  return WEXITSTATUS(status);
}
";
