//! Device nodes that a step makes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{getxattr, major, minor};
use wythe_sandbox::step::Identity;

use crate::fixture::{Fixture, listing, succeed};

/// What a file says it stands for, and its permission bits.
fn device(upper: &Path, name: &str) -> (String, u32) {
    let path = upper.join(name);
    let mut value = [0; 64];
    let length = getxattr(&path, "user.wythe.device", &mut value[..]).unwrap();
    let said = String::from_utf8(value[..length].to_vec()).unwrap();
    (said, path.symlink_metadata().unwrap().mode() & 0o7777)
}

pub(crate) fn a_device_is_kept_as_a_marked_file(fixture: &Fixture) {
    let script = "mknod /work/null c 1 3 && mknod -m 600 /work/disk b 259 300 && mkfifo /work/p; \
        umask 0 && mknod /work/open c 5 0 && mknod /work/null c 1 3 || echo again";
    let ran = succeed(&fixture.step(script));
    assert_eq!(device(&ran.upper, "work/null"), ("c 1:3".to_owned(), 0o644));
    assert_eq!(device(&ran.upper, "work/disk"), ("b 259:300".to_owned(), 0o600));
    assert_eq!(device(&ran.upper, "work/open"), ("c 5:0".to_owned(), 0o666));
    assert_eq!(
        (ran.stdout.as_str(), &*ran.stderr),
        ("again\n", "mknod: /work/null: File exists\n")
    );
    // The kernel's and the attribute's idea of a number are the same.
    let null = Path::new("/dev/null").metadata().unwrap().rdev();
    assert_eq!((major(null), minor(null)), (1, 3));
}

pub(crate) fn only_who_may_makes_devices(fixture: &Fixture) {
    let mut step =
        fixture.step("mknod /tmp/null c 1 3 || echo no; mknod /tmp/gone c 0 0 || echo no");
    step.identity = Identity { uid: 1000, gid: 1000, groups: vec![1000] };
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "no\nno\n");
    assert!(listing(&ran.upper).iter().all(|path| path == "tmp"), "{:?}", listing(&ran.upper));
    let ran = succeed(&fixture.step("mknod /tmp/gone c 0 0 || echo no"));
    assert_eq!(ran.stdout, "no\n");
}

pub(crate) fn no_link_of_proc_leads_a_device_anywhere(fixture: &Fixture) {
    let script = "cd /proc/1 && for path in /proc/self/root/work/a /proc/1/root/work/b root/work/c \
        /proc/1/cwd/d /proc/self/fd/../root/work/e; do mknod $path c 1 3 || echo no; done; ls /work";
    let ran = succeed(&fixture.step(script));
    assert_eq!(ran.stdout, "no\nno\nno\nno\nno\n");
    assert!(listing(&ran.upper).is_empty(), "{:?}", listing(&ran.upper));
}

pub(crate) fn a_device_that_cannot_be_kept_leaves_nothing(fixture: &Fixture) {
    let script = "mknod /proc/sys/null c 1 3; mknod /dev/pts/null c 1 3; mknod /dev/mqueue/null c 1 3; \
        ls /dev/pts /dev/mqueue; mknod /work/ c 1 3; mknod /work/. c 1 3; mknod /none/null c 1 3; \
        ln -s none /work/link; mknod /work/link c 1 3; ls /work";
    let ran = succeed(&fixture.step(script));
    assert_eq!(ran.stdout, "/dev/mqueue:\n\n/dev/pts:\nptmx\nlink\n", "{}", ran.stderr);
}

pub(crate) fn a_device_has_the_group_of_its_maker(fixture: &Fixture) {
    let mut step = fixture.step("mknod /work/own c 1 3; mkdir /work/shared; chown 0:7 /work/shared; \
        chmod 2755 /work/shared; mknod -m 4640 /work/shared/passed c 1 3; stat -c '%a %u:%g' /work/own /work/shared/passed");
    step.identity = Identity { uid: 0, gid: 5, groups: vec![] };
    assert_eq!(succeed(&step).stdout, "644 0:5\n4640 0:7\n");
}

pub(crate) fn devices_appear_where_the_step_means_them(fixture: &Fixture) {
    let script = "mkdir -p /work/root/bin /work/root/dev /work/there && cd /work/there && \
        mknod relative c 1 3 && ln -s ../root link && mknod link/dev/linked c 1 5 && \
        for name in sh mknod; do busybox cp /bin/busybox /work/root/bin/$name; done && \
        chroot /work/root /bin/sh -c 'cd dev && mknod ../inside c 1 7'";
    let ran = succeed(&fixture.step(script));
    assert_eq!(device(&ran.upper, "work/there/relative").0, "c 1:3");
    assert_eq!(device(&ran.upper, "work/root/dev/linked").0, "c 1:5");
    assert_eq!(device(&ran.upper, "work/root/inside").0, "c 1:7");
}
