//! Device nodes that a step makes.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, getxattr, major, minor, setxattr};
use wythe_sandbox::Outcome;
use wythe_sandbox::step::{Devices, Identity};

use crate::fixture::{Fixture, listing, run, succeed};

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

/// A step whose programs see devices.
fn shown(fixture: &Fixture, script: &str) -> wythe_sandbox::Step {
    let mut step = fixture.step(script);
    step.devices = Devices::Shown;
    step
}

pub(crate) fn devices_look_like_devices(fixture: &Fixture) {
    let script = "mkdir /work/r && cd /work/r && mknod -m 640 null c 1 3 && mknod disk b 259 300 && \
        ln -s null link && : > file && \
        stat -c '%F %t:%T %a %s' null /work/r/disk ../r/null link file && stat -L -c %F link && \
        ls -l null | cut -c 1-10 && test -c link && test -b disk && ! test -c file && \
        find /work -type c && echo more > null && stat -c '%F %s' null && cat file";
    let expected = "character special file 1:3 640 0\nblock special file 103:12c 644 0\n\
        character special file 1:3 640 0\nsymbolic link 0:0 777 4\nregular empty file 0:0 644 0\n\
        character special file\ncrw-r-----\n/work/r/null\ncharacter special file 0\n";
    assert_eq!(succeed(&shown(fixture, script)).stdout, expected);
}

pub(crate) fn copies_of_devices_are_devices(fixture: &Fixture) {
    let script = "mkdir /work/r /work/t && mknod -m 640 /work/r/null c 1 3 && chown 7:8 /work/r/null && \
        cp -a /work/r /work/copy && tar -C /work -cf /work/tar r && tar -C /work/t -xf /work/tar && \
        cp -a /dev/zero /work/zero && mv /work/copy /work/moved && chown -R 9 /work/t && \
        stat -c '%n %t:%T %u:%g %a' /work/r/null /work/moved/null /work/t/r/null /work/zero";
    let ran = succeed(&shown(fixture, script));
    let expected = "/work/r/null 1:3 7:8 640\n/work/moved/null 1:3 7:8 640\n\
        /work/t/r/null 1:3 9:8 640\n/work/zero 1:5 0:0 666\n";
    assert_eq!(ran.stdout, expected, "{}", ran.stderr);
    assert_eq!(device(&ran.upper, "work/r/null").0, "c 1:3 7:8");
    assert_eq!(device(&ran.upper, "work/t/r/null").0, "c 1:3 9:8");
    assert_eq!(ran.upper.join("work/t/r/null").metadata().unwrap().uid(), 0);
}

pub(crate) fn later_steps_see_the_devices_of_a_layer(fixture: &Fixture) {
    let made = succeed(&fixture.step("mknod /work/null c 1 3; stat -c %F /work/null"));
    assert_eq!(made.stdout, "regular empty file\n");
    let lowers = [fixture.path("base"), made.upper];
    let script = "stat -c '%F %u' /work/null; chmod 600 /work/null; chown 5 /work/null; stat -c '%a %u' /work/null";
    let ran = succeed(&fixture.step_on(&lowers, script));
    assert_eq!(ran.stdout, "character special file 0\n600 5\n");
    assert_eq!(device(&ran.upper, "work/null"), ("c 1:3 5:0".to_owned(), 0o600));
}

pub(crate) fn an_open_device_is_given_away(fixture: &Fixture) {
    let layer = fixture.fresh();
    let source = layer.join("own.c");
    let text = "#include <fcntl.h>\n#include <unistd.h>\n\
        int main(int n, char **words) { return fchown(open(words[1], O_RDONLY), 7, 8); }\n";
    std::fs::write(&source, text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.arg("-static").arg("-o").arg(layer.join("own")).arg(source);
    assert!(gcc.status().unwrap().success());
    let script = "mknod /work/null c 1 3; : > /work/file; /own /work/null && /own /work/file && \
        stat -c %u:%g /work/null /work/file";
    let mut step = fixture.step_on(&[fixture.path("base"), layer], script);
    step.devices = Devices::Shown;
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "7:8\n7:8\n");
    assert_eq!(device(&ran.upper, "work/null").0, "c 1:3 7:8");
}

pub(crate) fn what_others_write_on_their_files_is_no_device(fixture: &Fixture) {
    let layer = fixture.fresh();
    for (name, owner) in [("forged", 1000), ("null", 0)] {
        let path = layer.join(name);
        std::fs::write(&path, "").unwrap();
        setxattr(&path, "user.wythe.device", b"c 1:3", XattrFlags::empty()).unwrap();
        chown(&path, Some(owner), Some(0)).unwrap();
    }
    let lowers = [fixture.path("base"), layer];
    let script = "stat -c %F /forged /null; chown 1 /null || echo no";
    let mut step = fixture.step_on(&lowers, script);
    step.devices = Devices::Shown;
    step.identity = Identity { uid: 1000, gid: 1000, groups: vec![] };
    let expected = "regular empty file\ncharacter special file\nno\n";
    assert_eq!(succeed(&step).stdout, expected);
}

pub(crate) fn an_awaited_device_ends_the_step(fixture: &Fixture) {
    let mut step =
        fixture.step("mknod /none/null c 1 3; echo on; mknod /work/null c 1 3; echo off");
    step.devices = Devices::Awaited;
    let ran = run(&step);
    assert_eq!((ran.outcome, ran.stdout.as_str()), (Outcome::MadeDevice, "on\n"));
    step = fixture.step("mknod /work/null c 1 3 || echo no");
    step.devices = Devices::Awaited;
    step.identity = Identity { uid: 1000, gid: 1000, groups: vec![] };
    assert_eq!(succeed(&step).stdout, "no\n");
}
