//! What a command gets and gives back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wythe_sandbox::Outcome;
use wythe_sandbox::error::StepCause;
use wythe_sandbox::step::{Identity, Limit, Resource, RootFs, Streams};

use crate::fixture::{Fixture, attempt, run, succeed};

pub(crate) fn a_command_prints_on_both_streams(fixture: &Fixture) {
    let ran = succeed(&fixture.step("echo out; echo err >&2"));
    assert_eq!((&*ran.stdout, &*ran.stderr), ("out\n", "err\n"));
}

pub(crate) fn exit_codes_are_passed_on(fixture: &Fixture) {
    for code in [0, 7, 127, 255] {
        let ran = run(&fixture.step(&format!("exit {code}")));
        assert_eq!(ran.outcome, Outcome::Exited(code));
    }
}

pub(crate) fn a_terminal_is_that_of_the_session(fixture: &Fixture) {
    for uid in [0, 1001] {
        let (ours, theirs) = wythe_sandbox::terminal::open().unwrap();
        let tests = "test -t 0 && test -t 1 && test -t 2 && read word < /dev/stdin";
        let script = format!("{tests} && echo got $word > /dev/tty && echo more > /dev/stdout");
        let mut step = fixture.step(&script);
        step.identity = Identity { uid, gid: uid, groups: vec![] };
        step.streams = Streams::Terminal(Arc::new(theirs));
        rustix::io::write(&ours, b"it\n").unwrap();
        let ran = succeed(&step);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
        let (mut buffer, mut shown) = ([0; 64], String::new());
        // The kernel brings what is written over bit by bit.
        while !shown.ends_with("more\r\n") {
            let count = rustix::io::read(&ours, &mut buffer).unwrap();
            shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        assert!(shown.contains("got it\r\nmore\r\n"), "{shown:?}");
    }
}

pub(crate) fn the_output_belongs_to_the_user(fixture: &Fixture) {
    let layer = fixture.fresh();
    symlink("/dev/stdout", layer.join("log")).unwrap();
    let lowers = [fixture.path("base"), layer];
    for uid in [0, 1001] {
        let script = "echo 1 > /dev/stdout; echo 2 >> /proc/self/fd/1; echo 3 > /log; \
            echo 4 | tee /dev/stderr; cat /dev/stdin";
        let mut step = fixture.step_on(&lowers, script);
        step.identity = Identity { uid, gid: uid, groups: vec![] };
        let ran = succeed(&step);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("1\n2\n3\n4\n", "4\n"));
    }
}

pub(crate) fn a_signal_is_an_outcome(fixture: &Fixture) {
    let mut step = fixture.step("");
    // The first process of a namespace can only be killed from outside, or by a fault.
    step.argv =
        ["sh", "-c", "sleep 5 & kill -9 $!; wait $!"].map(|it| it.as_bytes().to_vec()).to_vec();
    assert_eq!(run(&step).outcome.code(), 137);
}

pub(crate) fn a_missing_command_is_127(fixture: &Fixture) {
    for name in ["nothing", "/bin/nothing"] {
        let mut step = fixture.step("");
        step.argv = vec![name.as_bytes().to_vec()];
        let ran = run(&step);
        assert_eq!(ran.outcome, Outcome::Exited(127));
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
}

pub(crate) fn a_file_that_cannot_be_executed_is_126(fixture: &Fixture) {
    let layer = fixture.fresh();
    fs::write(layer.join("text"), "hello").unwrap();
    fs::write(layer.join("garbage"), "hello").unwrap();
    fs::set_permissions(layer.join("garbage"), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["/text", "/garbage"] {
        let mut step = fixture.step_on(std::slice::from_ref(&layer), "");
        step.argv = vec![name.as_bytes().to_vec()];
        assert_eq!(run(&step).outcome, Outcome::Exited(126), "{name}");
    }
}

pub(crate) fn a_file_that_is_still_being_written_is_waited_for(fixture: &Fixture) {
    let root = fixture.fresh();
    let program = root.join("busybox");
    fs::copy("/bin/busybox", &program).unwrap();
    let mut step = fixture.step("");
    // An overlay counts only who writes through it.
    step.root = RootFs::Whole(root);
    step.argv = ["/busybox", "echo", "hi"].map(|word| word.as_bytes().to_vec()).to_vec();
    let written = fs::OpenOptions::new().append(true).open(program).unwrap();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            drop(written);
        });
        succeed(&step)
    });
    assert_eq!(ran.stdout, "hi\n");
}

pub(crate) fn the_environment_is_the_steps_alone(fixture: &Fixture) {
    let mut step = fixture.step("");
    step.argv = vec![b"env".to_vec()];
    step.env.push((b"A".to_vec(), b"1 2=3".to_vec()));
    assert_eq!(succeed(&step).stdout, "PATH=/bin\nA=1 2=3\n");
}

pub(crate) fn the_working_directory_is_entered_inside_the_root(fixture: &Fixture) {
    let layer = fixture.fresh();
    std::os::unix::fs::symlink("/../../../work", layer.join("link")).unwrap();
    let mut step = fixture.step_on(&[fixture.path("base"), layer], "pwd -P");
    step.cwd = b"/link".to_vec();
    assert_eq!(succeed(&step).stdout, "/work\n");
}

pub(crate) fn a_missing_working_directory_is_an_error_that_names_it(fixture: &Fixture) {
    let mut step = fixture.step("true");
    step.cwd = b"/absent".to_vec();
    let error = attempt(&step).unwrap_err();
    assert_eq!(error.to_string(), "entering the working directory /absent");
}

pub(crate) fn the_identity_is_numeric_and_whole(fixture: &Fixture) {
    let mut step = fixture.step("id -u; id -g; grep Groups /proc/self/status; touch /tmp/x");
    fs::set_permissions(fixture.path("base/tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    step.identity = Identity { uid: 1234, gid: 55, groups: vec![55, 77] };
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "1234\n55\nGroups:\t55 77 \n");
    let owner = fs::metadata(ran.upper.join("tmp/x")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 1234);
}

pub(crate) fn the_host_name_is_set(fixture: &Fixture) {
    assert_eq!(fixture.sh("hostname"), "buildkitsandbox\n");
}

pub(crate) fn large_output_arrives_whole(fixture: &Fixture) {
    let ran = succeed(&fixture.step("yes 0123456789abcde | head -c 8388608; echo end >&2"));
    assert_eq!(ran.stdout.len(), 8 << 20);
    assert_eq!(ran.stderr, "end\n");
}

pub(crate) fn limits_are_set(fixture: &Fixture) {
    let mut step = fixture.step("ulimit -c; ulimit -n");
    assert_eq!(succeed(&step).stdout, "0\n1024\n");
    step = fixture.step("ulimit -n");
    step.limits = vec![Limit { resource: Resource::Nofile, soft: 100, hard: 200 }];
    assert_eq!(succeed(&step).stdout, "100\n");
}

pub(crate) fn a_nul_byte_is_refused(fixture: &Fixture) {
    let error = attempt(&fixture.step("echo \0")).unwrap_err();
    assert!(matches!(error.cause, StepCause::Nul));
}
