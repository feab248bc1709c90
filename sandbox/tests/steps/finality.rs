//! That the changes of a step are final when it has ended.

use std::fs::{self, File, OpenOptions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use wythe_sandbox::step::{Access, Changes, Mount, MountSource, Network};
use wythe_sandbox::{Outcome, Step, StepError};

use crate::fixture::{Fixture, Ran, attempt, run};

/// A step that runs `before`, waits until `meanwhile` was called with the root that it sees, and
/// then runs `after`.
fn interrupted<T: Send>(
    (fixture, changes): (&Fixture, Changes),
    (before, after): (&str, &str),
    meanwhile: impl FnOnce(&Path) -> T + Send,
) -> (Result<Ran, StepError>, T) {
    let shared = fixture.fresh();
    let wait = "touch /shared/ready; while ! test -e /shared/go; do :; done";
    let mark = shared.display();
    let mut step: Step = fixture.step(&format!("{before}; {wait}; {after}; : {mark}"));
    step.changes = changes;
    let (path, subpath, access) = (shared.clone(), Vec::new(), Access::ReadWrite);
    let source = MountSource::Bind { path, subpath, access };
    step.mounts = vec![Mount { target: b"/shared".to_vec(), source }];
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            while !shared.join("ready").exists() {
                thread::yield_now();
            }
            let done = meanwhile(&root_of(&mark.to_string()));
            fs::write(shared.join("go"), "").unwrap();
            done
        });
        (attempt(&step), other.join().unwrap())
    })
}

/// The root of the process whose command line has a word.
fn root_of(word: &str) -> PathBuf {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut processes = processes.map(|process| process.path());
    let found = processes.find(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    });
    found.unwrap().join("root")
}

fn refusal(ran: Result<Ran, StepError>) -> String {
    ran.unwrap_err().cause.to_string()
}

pub(crate) fn a_file_that_others_can_write_fails_the_step(fixture: &Fixture) {
    let open = |root: &Path| OpenOptions::new().append(true).open(root.join("f")).unwrap();
    let kept = (fixture, Changes::Kept);
    for after in ["true", "rm /f", "mv /f /g", "chmod 0 /f", "rm /f; touch /f"] {
        let (ran, _held) = interrupted(kept, ("echo 1 > /f", after), open);
        assert!(refusal(ran).contains("open for writing"), "{after}");
    }
    let (ran, _held) = interrupted((fixture, Changes::Forgotten), ("touch /f", "true"), open);
    assert_eq!(ran.unwrap().outcome, Outcome::Exited(0));
}

pub(crate) fn nothing_is_changed_through_what_others_hold(fixture: &Fixture) {
    let open = |root: &Path| {
        let path = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let path = rustix::fs::open(root.join("d"), path, rustix::fs::Mode::empty()).unwrap();
        (File::open(root.join("f")).unwrap(), File::open(root.join("d")).unwrap(), path)
    };
    let before = "echo 1 > /f; mkdir /d";
    let (ran, (file, directory, path)) =
        interrupted((fixture, Changes::Kept), (before, "true"), open);
    let upper = ran.unwrap().upper;
    let mode = rustix::fs::Mode::from_raw_mode(0o700);
    let read_only = Err(rustix::io::Errno::ROFS);
    assert_eq!(rustix::fs::fchmod(&file, mode), read_only);
    assert_eq!(rustix::fs::mkdirat(&directory, "x", mode), read_only);
    assert_eq!(rustix::fs::mkdirat(&path, "x", mode), read_only);
    assert_eq!(rustix::fs::unlinkat(&path, "../f", rustix::fs::AtFlags::empty()), read_only);
    let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    assert!(OpenOptions::new().write(true).open(through).is_err());
    assert_eq!(fs::read(upper.join("f")).unwrap(), b"1\n");
}

pub(crate) fn a_message_on_its_way_is_a_writer(fixture: &Fixture) {
    use rustix::net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
        SocketType, sendmsg, socketpair,
    };
    let post = |root: &Path| {
        let file = OpenOptions::new().append(true).open(root.join("f")).unwrap();
        let (from, to) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let sent = [std::os::fd::AsFd::as_fd(&file)];
        assert!(rights.push(SendAncillaryMessage::ScmRights(&sent)));
        let byte = [std::io::IoSlice::new(b"x")];
        sendmsg(&from, &byte, &mut rights, SendFlags::empty()).unwrap();
        (from, to)
    };
    let (ran, _held) = interrupted((fixture, Changes::Kept), ("echo 1 > /f", "true"), post);
    assert!(refusal(ran).contains("open for writing"));
}

/// Whether an abstract socket lets this process connect.
pub(crate) fn connect(name: &str) -> String {
    let address = SocketAddr::from_abstract_name(name).unwrap();
    UnixStream::connect_addr(&address).map_or_else(|error| error.to_string(), |_| "yes".to_owned())
}

pub(crate) fn no_abstract_socket_of_others_is_reached(fixture: &Fixture) {
    let name = format!("wythe-test-{}", std::process::id());
    let _listener =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let program = &wythe_sandbox::enter::entry().unwrap().program;
    let mut step = fixture.step("");
    let source =
        MountSource::Bind { path: "/".into(), subpath: Vec::new(), access: Access::ReadOnly };
    step.mounts = vec![Mount { target: b"/machine".to_vec(), source }];
    let words = ["/bin/chroot", "/machine", program.to_str().unwrap(), "role=connect", &name];
    step.argv = words.map(|word| word.as_bytes().to_vec()).to_vec();
    assert_eq!(connect(&name), "yes");
    for (network, refusal) in [(Network::Host, "not permitted"), (Network::None, "refused")] {
        step.network = network.clone();
        step.root = fixture.root();
        let answer = run(&step).stdout;
        let is_old = matches!(network, Network::Host) && kernel() < SINCE_LANDLOCK_6;
        assert!(answer.contains(refusal) || is_old, "{network:?}: {answer}");
    }
}

/// The running kernel as a number.
fn kernel() -> u32 {
    let release = wythe_sandbox::probe::kernel_release();
    let numbers = release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
    numbers.take(2).fold(0, |all, number| all * 1000 + number)
}

/// The first kernel that keeps processes from the abstract sockets of others.
const SINCE_LANDLOCK_6: u32 = 6012;
