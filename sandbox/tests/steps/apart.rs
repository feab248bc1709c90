//! That steps which share a directory reach none of each other's sockets in it, and all of their own.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use wythe_sandbox::Step;
use wythe_sandbox::step::{Access, Identity, Mount, MountSource, Network};

use crate::fixture::{Fixture, succeed};

/// The image with a program that uses sockets.
fn layers(fixture: &Fixture) -> [PathBuf; 2] {
    let layer = fixture.path("sockets");
    if !layer.exists() {
        fs::create_dir(&layer).unwrap();
        let source = layer.join("program.c");
        fs::write(&source, include_str!("apart.c")).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-o"]).arg(layer.join("sockets")).arg(source);
        assert!(gcc.status().unwrap().success());
    }
    [fixture.path("base"), layer]
}

/// A directory that everybody may write to.
pub(crate) fn open_directory(fixture: &Fixture) -> PathBuf {
    let directory = fixture.fresh();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

/// A directory at `/c`, which other steps may have at the same time.
pub(crate) fn shared(directory: &Path) -> Mount {
    let (path, subpath, access) = (directory.to_owned(), Vec::new(), Access::Shared);
    Mount { target: b"/c".to_vec(), source: MountSource::Bind { path, subpath, access } }
}

fn sharing(fixture: &Fixture, directory: &Path, script: &str) -> Step {
    let mut step = fixture.step_on(&layers(fixture), script);
    step.mounts = vec![shared(directory)];
    step
}

#[track_caller]
fn check(fixture: &Fixture, script: &str, expected: &str) {
    let step = sharing(fixture, &open_directory(fixture), script);
    assert_eq!(succeed(&step).stdout, expected, "{script}");
}

pub(crate) fn a_step_reaches_its_own_sockets_wherever_they_are(fixture: &Fixture) {
    let server = "ok same ok ok\n";
    check(fixture, "/sockets serve /c/s", server);
    check(fixture, "cd /c; /sockets serve s", server);
    check(fixture, "mkdir -p /c/a/b; cd /c/a/b; /sockets serve ../../a/./b/../s", server);
    check(
        fixture,
        "mkdir /c/a; ln -s /c/a /l; /sockets serve /l/s; ls /c/a",
        &format!("{server}s\n"),
    );
    check(fixture, "/sockets serve /tmp/s; test -S /tmp/s -a ! -L /tmp/s", server);
    check(fixture, "cd /tmp; mkdir d; cd d; /sockets serve ../s; test ! -L ../s", server);
    check(fixture, "cd /c; /sockets serve ../tmp/s; test ! -L /tmp/s", server);
    check(fixture, "cd /c; /sockets serve ../work/../c/s; test -L s", server);
    check(fixture, "/sockets serve /dev/shm/s; test ! -L /dev/shm/s", server);
    check(fixture, "/sockets datagram /c/s; /sockets datagram /tmp/s", "ok ok\nok ok\n");
}

pub(crate) fn a_socket_is_named_through_an_open_directory(fixture: &Fixture) {
    let through =
        |directory: &str, path: &str| format!("exec 7<{directory}; /sockets bind {path}/s;");
    for path in ["/proc/self/fd/7", "/dev/fd/7"] {
        let in_cache = through("/c", path) + "/sockets connect /c/s; test -L /c/s";
        check(fixture, &in_cache, "ok\nECONNREFUSED\n");
        let in_root = through("/tmp", path) + "/sockets connect /tmp/s; test ! -L /tmp/s";
        check(fixture, &in_root, "ok\nECONNREFUSED\n");
    }
    check(fixture, "cd /c; /sockets bind /proc/self/cwd/s; test -L s", "ok\n");
    // Links to what other processes have lead nowhere.
    check(
        fixture,
        "cd /c; /sockets bind /proc/1/cwd/s; /sockets bind /proc/1/root/c/s; ls /c",
        &"ELOOP\n".repeat(2),
    );
    check(
        fixture,
        "/sockets bind /proc/self/root/c/s; /sockets bind /proc/self/fd/99/s; ls /c",
        "ELOOP\nENOENT\n",
    );
}

pub(crate) fn no_step_reaches_the_sockets_of_another(fixture: &Fixture) {
    assert!(wythe_sandbox::enter::supervises());
    let shared = open_directory(fixture);
    let serving =
        sharing(fixture, &shared, "/sockets wait /c/s /c/ready /c/done; ls /dev/.sockets | wc -l");
    let script = "while ! test -e /c/ready; do :; done; readlink /c/s | cut -c 1-14; \
        /sockets connect /c/s; ls /dev/.sockets; touch /c/done";
    let trying = sharing(fixture, &shared, script);
    thread::scope(|scope| {
        let server = scope.spawn(|| succeed(&serving).stdout);
        assert_eq!(succeed(&trying).stdout, "/dev/.sockets/\nENOENT\n");
        assert_eq!(server.join().unwrap(), "ok\n1\n");
    });
    let link = fs::symlink_metadata(shared.join("s")).unwrap();
    assert!(!link.file_type().is_socket());
}

pub(crate) fn a_path_that_changes_meanwhile_leads_to_no_shared_directory(fixture: &Fixture) {
    let script =
        "mkdir /tmp/d /c/d; ln -s /c/d /tmp/l; /sockets race /tmp/d /tmp/l /c/d 400 & wait";
    check(fixture, script, "0\n");
}

pub(crate) fn a_name_that_is_taken_is_not_given_again(fixture: &Fixture) {
    let refused = "EADDRINUSE\n";
    check(fixture, "touch /c/s; /sockets bind /c/s", refused);
    check(fixture, "mkdir /c/s; /sockets bind /c/s; /sockets bind /c/s/.", &refused.repeat(2));
    check(fixture, "ln -s nowhere /c/s; /sockets bind /c/s", refused);
    check(fixture, "/sockets bind /c/s; /sockets bind /c/s", &format!("ok\n{refused}"));
    let again =
        "/sockets bind /c/s; rm /c/s; /sockets serve /c/s; mv /c/s /c/t; /sockets serve /c/s";
    check(fixture, again, "ok\nok same ok ok\nok same ok ok\n");
    check(fixture, "/sockets twice /c/s /c/t; ls /c", "ok EINVAL\ns\n");
    check(
        fixture,
        "/sockets twice /tmp/s /c/t; /sockets bind /c/no/s; ls /c",
        "ok EINVAL\nENOENT\n",
    );
}

pub(crate) fn what_an_earlier_step_left_is_no_socket(fixture: &Fixture) {
    let shared = open_directory(fixture);
    for _ in 0..2 {
        let step = sharing(fixture, &shared, "/sockets connect /c/s; /sockets serve /c/s");
        assert_eq!(succeed(&step).stdout, "ENOENT\nok same ok ok\n");
    }
}

pub(crate) fn a_socket_has_the_owner_and_mode_of_its_maker(fixture: &Fixture) {
    let script = "umask 027; /sockets bind /c/s; stat -L -c '%a %u %g' /c/s; stat -c %u /c/s; \
        chmod 600 /c/s; stat -L -c %a /c/s; mkdir /c/d; chmod 500 /c/d; /sockets bind /c/d/s";
    let mut step = sharing(fixture, &open_directory(fixture), script);
    step.identity = Identity { uid: 1000, gid: 1001, groups: vec![7] };
    assert_eq!(succeed(&step).stdout, "ok\n750 1000 1001\n1000\n600\nEACCES\n");
    let directory = open_directory(fixture);
    let script = "mkdir -m 770 /c/d; chown 0:7 /c/d; chmod 700 /work";
    succeed(&sharing(fixture, &directory, script));
    let mut step = sharing(fixture, &directory, "/sockets bind /c/d/s; /sockets bind /work/s");
    step.identity = Identity { uid: 1000, gid: 1001, groups: vec![7] };
    assert_eq!(succeed(&step).stdout, "ok\nEACCES\n");
}

pub(crate) fn addresses_are_read_as_the_kernel_reads_them(fixture: &Fixture) {
    check(fixture, "/sockets full /c; /sockets full /tmp", &"ok ok EINVAL\n".repeat(2));
    check(fixture, "/sockets nameless .", "ok ok 8 EINVAL\n");
    check(fixture, "/sockets wrong /c/s; ls /c", "ENOTSOCK EBADF EFAULT EINVAL\n");
    check(fixture, "/sockets bind /sys/s; /sockets bind ''", "EROFS\nok\n");
}

pub(crate) fn other_families_are_bound_with_the_rights_of_their_owner(fixture: &Fixture) {
    let who = [(0, "80", "ok ok\n"), (1000, "80", "EACCES ok\n"), (1000, "8080", "ok ok\n")];
    for (uid, port, expected) in who {
        let script = format!("/sockets port {port}");
        let mut step = sharing(fixture, &open_directory(fixture), &script);
        step.network = Network::None;
        step.identity = Identity { uid, gid: uid, groups: vec![] };
        assert_eq!(succeed(&step).stdout, expected, "{uid} {port}");
    }
}

pub(crate) fn a_thread_with_files_of_its_own_binds_its_own(fixture: &Fixture) {
    check(fixture, "/sockets thread /c/s /c/t; ls /c", "ok ok\ns\nt\n");
}

pub(crate) fn who_has_a_directory_alone_gets_sockets_in_it(fixture: &Fixture) {
    let directory = open_directory(fixture);
    let mut step = sharing(fixture, &directory, "/sockets serve /c/s; test ! -L /c/s");
    if let MountSource::Bind { access, .. } = &mut step.mounts[0].source {
        *access = Access::ReadWrite;
    }
    assert_eq!(succeed(&step).stdout, "ok same ok ok\n");
    assert!(fs::symlink_metadata(directory.join("s")).unwrap().file_type().is_socket());
}

/// Binds where the builder hears of nothing: only who has a directory alone can.
pub(crate) fn bind_unheard(fixture: &Fixture) {
    for access in [Access::Shared, Access::ReadWrite] {
        let mut step = sharing(fixture, &open_directory(fixture), "/sockets bind /c/s");
        if let MountSource::Bind { access: it, .. } = &mut step.mounts[0].source {
            *it = access;
        }
        print!("{}", succeed(&step).stdout);
    }
}

/// How long ten thousand addresses take, and an empty step: for `role=binds`.
pub(crate) fn measure(fixture: &Fixture) {
    for access in [Access::ReadWrite, Access::Shared] {
        let step = |script| {
            let mut step = sharing(fixture, &open_directory(fixture), script);
            if let MountSource::Bind { access: it, .. } = &mut step.mounts[0].source {
                *it = access;
            }
            step
        };
        print!("{access:?}: {}", succeed(&step("/sockets many 10000")).stdout);
        let empty = || {
            let step = step(":");
            let start = Instant::now();
            succeed(&step);
            start.elapsed()
        };
        let mut times: Vec<Duration> = (0..60).map(|_| empty()).collect();
        times.sort();
        println!("empty: p50 {:?} p90 {:?} min {:?}", times[30], times[54], times[0]);
    }
}
