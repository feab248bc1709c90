//! Steps of a user with one id, for which all others are emulated.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use wythe_sandbox::step::{Identity, Security};

use crate::fixture::{Fixture, attempt, run, succeed};
use crate::lifetime::{again, printed};
use crate::small;

/// Somebody who may give no file away.
const ADA: u32 = 1000;

pub(crate) fn users_and_owners_are_emulated_with_one_id(fixture: &Fixture) {
    let directory = fixture.fresh();
    chown(&directory, Some(ADA), Some(ADA)).unwrap();
    let mut command = again("role=one-id");
    let found = printed(command.uid(ADA).gid(ADA).env("TMPDIR", &directory));
    assert!(found.ends_with("all hold\n"), "{found}");
}

/// This program as that user.
pub(crate) fn play(fixture: &Fixture) {
    files_have_owners_and_keep_them(fixture);
    what_somebody_makes_is_theirs(fixture);
    directories_hand_their_group_down(fixture);
    who_is_not_root_is_refused(fixture);
    programs_become_others(fixture);
    what_is_ours_is_not_seen(fixture);
    a_step_without_a_filter_is_refused(fixture);
    programs_of_32_bits_are_answered(fixture);
    println!("all hold");
}

fn files_have_owners_and_keep_them(fixture: &Fixture) {
    let ran = succeed(&fixture.step(
        "cd /work; touch f g; mkdir d; ln -s nowhere l; mknod p p; mknod c c 1 3; \
         chown 5:6 f d p c; chown -h 7:8 l; ln f h; mv d e; chown 9 h; chmod 4755 f; chown :3 g; \
         stat -c '%n %u:%g %a' f h e l p c g",
    ));
    let seen = "f 9:6 4755\nh 9:6 4755\ne 5:6 755\nl 7:8 777\np 5:6 644\nc 5:6 644\ng 0:3 644\n";
    assert_eq!(ran.stdout, seen);
    let lowers = [fixture.path("base"), ran.upper];
    // Copied up, and as they were. As with many ids, who writes takes a set-ID bit away.
    let script = "cd /work; echo x >> f; chmod 700 e; mv l k; mv p q; touch -h k; \
        stat -c '%n %u:%g %a' f h e k q c; chown 1:1 f; stat -c '%u:%g %a' f; chown -h 0:0 k; stat -c %u k";
    let seen = "f 9:6 755\nh 9:6 4755\ne 5:6 700\nk 7:8 777\nq 5:6 644\nc 5:6 644\n1:1 755\n0\n";
    assert_eq!(succeed(&fixture.step_on(&lowers, script)).stdout, seen);
}

fn ada() -> Identity {
    Identity { uid: ADA, gid: 1001, groups: vec![50, 1001] }
}

/// A layer with a program that asks about users, and a directory of somebody's.
fn layers(fixture: &Fixture) -> [PathBuf; 3] {
    let program = fixture.fresh();
    let source = program.join("people.c");
    std::fs::write(&source, include_str!("people.c")).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.arg("-static").arg("-o").arg(program.join("people")).arg(source);
    assert!(gcc.status().unwrap().success());
    let base = fixture.path("base");
    let prepare = "mkdir /home; chown 1000:1001 /home; cp people lent; chown 7:8 lent; chmod 6755 lent; \
        cp people root; chmod 4755 root; mkdir /shared; chown 0:50 /shared; chmod 2775 /shared";
    let prepared = succeed(&fixture.step_on(&[base.clone(), program.clone()], prepare));
    [base, program, prepared.upper]
}

fn what_somebody_makes_is_theirs(fixture: &Fixture) {
    let layers = layers(fixture);
    let mut step = fixture.step_on(
        &layers,
        "cd /home; id -u; id -G; umask 077; echo x > f; mkdir d e/ ; ln -s f l; mknod p p; cp f g; \
         ln -s new dangling; echo x > dangling; stat -c '%n %u:%g %a' f d e l p g new; touch /shared/s; \
         mkdir /shared/d; stat -c '%u:%g' /shared/s /shared/d; chown :50 f; stat -c %g f; \
         /people opened group; test -w f; /people peer; mv f /home/d/f; stat -c %u d/f",
    );
    step.identity = ada();
    let expected = "1000\n1001 50\nf 1000:1001 600\nd 1000:1001 700\ne 1000:1001 700\n\
        l 1000:1001 777\np 1000:1001 600\ng 1000:1001 600\nnew 1000:1001 600\n1000:50\n1000:50\n50\n\
        1000:1001 100600 1000:50\n1\n1 1000 1001\n1000\n";
    assert_eq!(succeed(&step).stdout, expected);
}

fn directories_hand_their_group_down(fixture: &Fixture) {
    let script = "cd /shared; touch f; mkdir d; mkdir d/e; ln -s f l; echo > d/g; mv /etc /shared/etc; \
        stat -c '%n %u:%g %a' f d d/e l d/g etc";
    let expected =
        "f 0:50 644\nd 0:50 2755\nd/e 0:50 2755\nl 0:50 777\nd/g 0:50 644\netc 0:0 755\n";
    assert_eq!(succeed(&fixture.step_on(&layers(fixture), script)).stdout, expected);
}

fn who_is_not_root_is_refused(fixture: &Fixture) {
    let script = "f() { if \"$@\" 2> /dev/null; then echo may \"$@\"; fi; }; cd /home; echo > mine; \
        f chown 0 mine; f chown :7 mine; f chown 1000 /etc; f touch /etc/x; f mkdir /x; f ln -s a /x; \
        f mknod c c 1 3; f test -w /etc; f test -w /people; f sh -c 'echo x > /people'; \
        f chmod 4755 /people; f sh -c 'umask 777; echo x > mine/x'; f mknod /p p; exit 0";
    let mut step = fixture.step_on(&layers(fixture), script);
    step.identity = ada();
    assert_eq!(succeed(&step).stdout, "");
}

fn programs_become_others(fixture: &Fixture) {
    let layers = layers(fixture);
    let people = |identity: Identity, script: &str| {
        let mut step = fixture.step_on(&layers, script);
        step.identity = identity;
        succeed(&step).stdout
    };
    let root = |script: &str| people(Identity::default(), script);
    assert_eq!(root("/people drop"), "dropped 7 7 7 8 8 +4 +9\n-1 -1 1\n");
    assert_eq!(root("/people back"), "lent 0 7 0 0 0\nback 0 0 0 0 0\n");
    assert_eq!(root("/people keep"), "0 a80425fb\nkept 7 7 7 8 8\n0 0 -1\n");
    assert_eq!(root("/people sets"), "a80425fb a80425fb 0\n");
    // Neither of them asked who it is before whoever made it became another or was gone.
    assert_eq!(root("/people orphans"), "before 0 0 0 0 0\nafter 7 7 7 0 0\n");
    assert_eq!(root("/lent; /people"), "ids 0 7 7 0 8\nids 0 0 0 0 0\n");
    let asked = people(ada(), "/root; /people; sh -c '/people limits'");
    let groups = "1001 1001 +50 +1001";
    let expected = format!(
        "ids 1000 0 0 {groups}\nids 1000 1000 1000 {groups}\n1\nlimited 1000 1000 1000 {groups}\n"
    );
    assert_eq!(asked, expected);
    // The first program of all.
    let mut step = fixture.step_on(&layers, "");
    (step.identity, step.argv) = (ada(), vec![b"/root".to_vec()]);
    assert_eq!(succeed(&step).stdout, format!("ids 1000 0 0 {groups}\n"));
}

fn what_is_ours_is_not_seen(fixture: &Fixture) {
    let script = "cd /work; touch f; ln -s f l; chown -h 5:6 f l; /people attributes f; /people attributes l; \
        stat -c %u f";
    let seen = succeed(&fixture.step_on(&layers(fixture), script)).stdout;
    // Root may make a device of a file by hand, which is root's then.
    assert_eq!(seen, "0 \n-1\n0\n0\n0 \n-1\n0\n0\n0\n");
    let mut step = fixture.step_on(&layers(fixture), "cd /home; echo > f; /people attributes f");
    step.identity = ada();
    assert_eq!(succeed(&step).stdout, "0 \n-1\n-1\n0\n");
}

fn programs_of_32_bits_are_answered(fixture: &Fixture) {
    let Some(lowers) = small::layers(fixture, include_str!("looks.c")) else { return };
    let script = "umask 0; mknod /work/null c 1 3; chown 7:8 /work/null; cd /bin; exec /program";
    let seen = succeed(&fixture.step_on(&lowers, script)).stdout;
    let looked = "0 20666 403 1 7 10 0 1 1\n".repeat(3);
    assert_eq!(seen, format!("{looked}0 20666 1 3 7 10\n0 0 11 10 2 16\n"));
}

fn a_step_without_a_filter_is_refused(fixture: &Fixture) {
    let mut step = fixture.step("true");
    step.security = Security::Insecure;
    let error = attempt(&step).unwrap_err();
    assert!(error.cause.to_string().contains("emulated"), "{error}");
    assert!(run(&fixture.step("exit 3")).outcome.code() == 3);
}
