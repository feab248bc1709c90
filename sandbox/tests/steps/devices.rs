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
