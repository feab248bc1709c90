//! When steps end, and what ends with them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};
use wythe_sandbox::step::{Identity, Stacking, Streams};
use wythe_sandbox::{Cancel, Outcome, Step, Stream};

use crate::allocator;
use crate::fixture::{Fixture, attempt_until, run, succeed};

/// Whether a process whose command line holds `word` is alive.
fn lives(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(word) && !line.contains("-c\0")
    })
}

pub(crate) fn daemons_die_with_the_step(fixture: &Fixture) {
    succeed(&fixture.step("for i in 1 2 3 4 5 6 7 8 9; do setsid sleep 98761 & done; true"));
    assert!(!lives("98761"));
}

/// Runs a script, and cancels it when it says so.
fn cancel_when_ready(fixture: &Fixture, script: &str, grace: Duration) -> (Outcome, Duration) {
    let cancel = Cancel::new().unwrap();
    let shared = fixture.fresh();
    let mut step = fixture.step(script);
    step.grace = grace;
    step.mounts = vec![wythe_sandbox::step::Mount {
        target: b"/shared".to_vec(),
        source: wythe_sandbox::step::MountSource::Bind {
            path: shared.clone(),
            subpath: Vec::new(),
            access: wythe_sandbox::step::Access::ReadWrite,
        },
    }];
    std::thread::scope(|scope| {
        let canceller = scope.spawn(|| {
            while !shared.join("ready").exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
            Instant::now()
        });
        let ran = attempt_until(&step, &cancel).unwrap();
        let ended = Instant::now();
        (ran.outcome, ended.duration_since(canceller.join().unwrap()))
    })
}

pub(crate) fn cancel_kills_the_tree_at_once(fixture: &Fixture) {
    let script = "for i in 1 2 3 4 5; do setsid sleep 98762 & done; touch /shared/ready; wait";
    let (outcome, took) = cancel_when_ready(fixture, script, Duration::from_secs(10));
    assert_eq!(outcome, Outcome::Cancelled);
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(!lives("98762"));
}

pub(crate) fn cancel_lets_a_handler_finish(fixture: &Fixture) {
    let script = "trap 'touch /shared/bye; exit 3' TERM; touch /shared/ready; while :; do :; done";
    let (outcome, _) = cancel_when_ready(fixture, script, Duration::from_secs(10));
    assert_eq!(outcome, Outcome::Cancelled);
}

pub(crate) fn a_deaf_handler_is_killed_after_the_grace(fixture: &Fixture) {
    let script = "trap ':' TERM; touch /shared/ready; while :; do :; done";
    let (outcome, took) = cancel_when_ready(fixture, script, Duration::from_millis(50));
    assert_eq!(outcome, Outcome::Cancelled);
    assert!(took >= Duration::from_millis(50));
}

pub(crate) fn a_timeout_kills(fixture: &Fixture) {
    let mut step = fixture.step("sleep 98763");
    step.timeout = Some(Duration::from_millis(30));
    assert_eq!(run(&step).outcome, Outcome::TimedOut);
}

pub(crate) fn a_cancelled_switch_starts_nothing(fixture: &Fixture) {
    let cancel = Cancel::new().unwrap();
    cancel.cancel();
    let step = fixture.step("touch /x");
    assert_eq!(attempt_until(&step, &cancel).unwrap().outcome, Outcome::Cancelled);
    assert!(!step.root.changed().join("x").exists());
}

struct Relay;

impl wythe_sandbox::Output for Relay {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => std::io::stdout().write_all(bytes).unwrap(),
            Stream::Stderr => std::io::stderr().write_all(bytes).unwrap(),
        }
    }
}

/// What another instance of this program does on request.
pub(crate) fn play(role: &str, fixture: &Fixture) {
    if role == "echo" {
        let arguments: Vec<String> = std::env::args().skip(2).collect();
        let (mark, count) = (std::env::var_os("MARK"), std::env::vars_os().count());
        return println!("{arguments:?} {mark:?} {count}");
    }
    if role == "fed" {
        let mut step = fixture.step("wc -c < /dev/stdin; chmod 666 /dev/stdin");
        step.streams = Streams::Fed;
        wythe_sandbox::run(&step, &Relay, &Cancel::new().unwrap()).unwrap();
        return;
    }
    assert_eq!(role, "sleeper");
    wythe_sandbox::run(&unbound(fixture), &Relay, &Cancel::new().unwrap()).unwrap();
}

/// A step whose first process becomes root by its program, which clears its death signal.
fn unbound(fixture: &Fixture) -> Step {
    let layer = fixture.fresh();
    let program = layer.join("busybox");
    fs::copy("/bin/busybox", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut step = fixture.step_on(&[fixture.path("base"), layer], "");
    let script = "echo up; setsid sleep 98764 & wait";
    step.argv = ["/busybox", "sh", "-c", script].map(|word| word.as_bytes().to_vec()).to_vec();
    step.identity = Identity { uid: 1000, gid: 1000, groups: Vec::new() };
    step
}

/// Starts a builder that runs such a step.
fn sleeper() -> Child {
    let mut builder = again("role=sleeper").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(builder.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "up"));
    builder
}

fn is_gone_within_a_second() {
    let killed = Instant::now();
    while lives("98764") {
        assert!(killed.elapsed() < Duration::from_secs(1));
        std::thread::yield_now();
    }
}

pub(crate) fn the_step_dies_with_its_builder(_: &Fixture) {
    let mut builder = sleeper();
    builder.kill().unwrap();
    builder.wait().unwrap();
    is_gone_within_a_second();
}

pub(crate) fn the_step_dies_with_the_process_that_keeps_it(_: &Fixture) {
    let mut builder = sleeper();
    let children = format!("/proc/{0}/task/{0}/children", builder.id());
    let children = fs::read_to_string(children).unwrap();
    let keeper = children.split_ascii_whitespace().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    is_gone_within_a_second();
    assert!(builder.wait().unwrap().success());
}

/// The numbers of all children of this process.
fn children() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let children = tasks.map(|task| fs::read_to_string(task.join("children")).unwrap_or_default());
    let mut found: Vec<String> =
        children.flat_map(|it| it.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    found.sort();
    found
}

pub(crate) fn a_builder_that_ends_leaves_no_process_to_others(_: &Fixture) {
    let before = children();
    // Orphans come to us, who do not wait for them.
    set_child_subreaper(Some(getpid())).unwrap();
    let ran = again("role=fed").stdin(Stdio::null()).output().unwrap();
    let after = children();
    set_child_subreaper(None).unwrap();
    assert!(ran.status.success());
    assert_eq!(before, after);
}

/// Another run of this program, as it was started first.
pub(crate) fn again(role: &str) -> Command {
    let program = &wythe_sandbox::enter::entry().unwrap().program;
    let mut command = Command::new(program);
    command.arg(role);
    command
}

pub(crate) fn printed(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

pub(crate) fn every_probe_finds_what_it_needs(_: &Fixture) {
    let found = printed(&mut again("role=probes"));
    assert_eq!(found.matches("Available").count(), 9, "{found}");
}

pub(crate) fn arguments_and_environment_survive_the_entry(_: &Fixture) {
    let mut command = again("role=echo");
    let found = printed(command.args(["a b", ""]).env_clear().env("MARK", "1 2"));
    assert!(found.ends_with("[\"a b\", \"\"] Some(\"1 2\") 1\n"), "{found}");
}

pub(crate) fn steps_run_side_by_side(fixture: &Fixture) {
    std::thread::scope(|scope| {
        for lane in 0..4 {
            scope.spawn(move || {
                for round in 0..5 {
                    let text = format!("{lane}.{round}");
                    assert_eq!(fixture.sh(&format!("echo {text}")), format!("{text}\n"));
                }
            });
        }
    });
}

pub(crate) fn nothing_is_allocated_between_clone_and_execute(fixture: &Fixture) {
    fixture.sh("true");
    let mut step = fixture.step("true");
    step.stacking = Some(Stacking::AtOnce);
    assert!(run(&step).outcome.is_success());
    assert_eq!(allocator::n_trespasses(), 0);
}

/// Prints how long an empty step takes.
pub(crate) fn measure(fixture: &Fixture) {
    let mut times: Vec<Duration> = (0..60)
        .map(|_| {
            let step = fixture.step(":");
            let start = Instant::now();
            succeed(&step);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("p50 {:?} p90 {:?} min {:?}", times[30], times[54], times[0]);
}
