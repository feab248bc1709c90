//! What mounts show, and what they leave behind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;

use wythe_sandbox::mounted_layers::MountedLayers;
use wythe_sandbox::step::{
    Access, Changes, Identity, Mount, MountSource, RootFs, Scratch, Stacking,
};

use crate::fixture::{Fixture, attempt, listing, run, succeed};

fn bind(path: PathBuf, subpath: &str, access: Access) -> MountSource {
    MountSource::Bind { path, subpath: subpath.as_bytes().to_vec(), access }
}

fn at(target: &str, source: MountSource) -> Mount {
    Mount { target: target.as_bytes().to_vec(), source }
}

pub(crate) fn generated_files_are_read_only(fixture: &Fixture) {
    let mut step = fixture.step("cat /etc/resolv.conf /etc/hosts; echo x > /etc/hosts");
    step.resolv_conf = b"nameserver 192.0.2.1\n".to_vec();
    step.hosts_file = b"127.0.0.1 me\n".to_vec();
    let ran = run(&step);
    assert_eq!(ran.stdout, "nameserver 192.0.2.1\n127.0.0.1 me\n");
    assert!(ran.stderr.contains("Read-only"), "{}", ran.stderr);
    assert_eq!(listing(&ran.upper), [""; 0]);
}

pub(crate) fn a_root_that_may_not_change_has_mounts_that_may(fixture: &Fixture) {
    let shown = fixture.fresh();
    let mut step = fixture.step(
        "echo x > /v/f; echo y > /t/f; echo z > /dev/shm/f; cat /v/f /t/f /dev/shm/f; echo no > /new",
    );
    step.changes = Changes::Forbidden;
    let tmpfs = MountSource::Tmpfs { size: None, mode: 0o755 };
    step.mounts = vec![at("/v", bind(shown.clone(), "", Access::ReadWrite)), at("/t", tmpfs)];
    let ran = run(&step);
    assert_eq!(ran.stdout, "x\ny\nz\n");
    assert!(ran.stderr.contains("Read-only"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(shown.join("f")).unwrap(), "x\n");
}

pub(crate) fn nothing_is_left_of_an_empty_image(fixture: &Fixture) {
    let layer = fixture.fresh();
    fs::copy("/bin/busybox", layer.join("busybox")).unwrap();
    let mut step = fixture.step_on(&[layer], "");
    step.argv = ["/busybox", "ls", "/"].map(|it| it.as_bytes().to_vec()).to_vec();
    step.mounts = vec![
        at("/cache/a", bind(fixture.fresh(), "", Access::ReadWrite)),
        at("/run/secrets/s", secret()),
    ];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "busybox\ncache\ndev\netc\nproc\nrun\nsys\n");
    assert_eq!(listing(&ran.upper), [""; 0]);
}

fn secret() -> MountSource {
    MountSource::Secret { bytes: b"hush".to_vec(), mode: 0o400, uid: 7, gid: 8 }
}

pub(crate) fn what_is_shared_takes_mounts_inside_and_keeps_their_places(fixture: &Fixture) {
    let (outer, inner, link) = (fixture.fresh(), fixture.fresh(), fixture.fresh());
    fs::write(inner.join("f"), "text").unwrap();
    symlink("/", outer.join("away")).unwrap();
    let mut step = fixture.step("cat /c/d/e/f /c/file; echo x > /c/d/e/g; ls /c/away/n");
    step.mounts = vec![
        at("/c", bind(outer.clone(), "", Access::Shared)),
        at("/c/d/e", bind(inner.clone(), "", Access::Shared)),
        at("/c/file", bind(inner.clone(), "f", Access::ReadOnly)),
        at("/c/away/n", bind(link, "", Access::Shared)),
    ];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "texttext");
    assert_eq!(listing(&ran.upper), [""; 0]);
    assert_eq!(listing(&inner), ["f", "g"]);
    // A link of what is shared leads nowhere outside of it.
    assert_eq!(listing(&outer), ["away", "d", "d/e", "file", "n"]);
}

pub(crate) fn binds_show_files_and_directories(fixture: &Fixture) {
    let source = fixture.fresh();
    fs::create_dir(source.join("d")).unwrap();
    fs::write(source.join("d/f"), "text").unwrap();
    let mut step = fixture.step("cat /mnt/d/f /file; ls /deep/down");
    step.mounts = vec![
        at("/mnt", bind(source.clone(), "", Access::ReadOnly)),
        at("/file", bind(source.clone(), "d/f", Access::ReadOnly)),
        at("/deep/down", bind(source, "/d", Access::ReadOnly)),
    ];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "texttextf\n");
    assert_eq!(listing(&ran.upper), [""; 0]);
}

pub(crate) fn a_read_only_bind_refuses_writes(fixture: &Fixture) {
    let source = fixture.fresh();
    let mut step = fixture.step("touch /mnt/x");
    step.mounts = vec![at("/mnt", bind(source.clone(), "", Access::ReadOnly))];
    assert!(run(&step).stderr.contains("Read-only"));
    assert_eq!(listing(&source), [""; 0]);
}

pub(crate) fn a_writable_bind_writes_through(fixture: &Fixture) {
    let source = fixture.fresh();
    let mut step = fixture.step("touch /mnt/x");
    step.mounts = vec![at("/mnt", bind(source.clone(), "", Access::ReadWrite))];
    succeed(&step);
    assert_eq!(listing(&source), ["x"]);
}

pub(crate) fn layers_take_writes_away_with_them(fixture: &Fixture) {
    let source = fixture.fresh();
    fs::create_dir(source.join("d")).unwrap();
    let mut step = fixture.step("echo 1 > /mnt/x; cat /mnt/x");
    let lowers = vec![source.clone()];
    let scratch = Some(fixture.scratch());
    step.mounts =
        vec![at("/mnt", MountSource::Layers { lowers, scratch, subpath: b"/d".to_vec() })];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "1\n");
    assert_eq!(listing(&source), ["d"]);
    assert_eq!(listing(&ran.upper), [""; 0]);
}

pub(crate) fn layers_without_scratch_are_read_only(fixture: &Fixture) {
    let (one, two) = (fixture.fresh(), fixture.fresh());
    fs::write(one.join("f"), "one").unwrap();
    fs::write(two.join("f"), "two").unwrap();
    for (lowers, expected) in [(vec![one.clone()], "one"), (vec![one, two], "two")] {
        let mut step = fixture.step("cat /mnt/f; touch /mnt/x");
        let source = MountSource::Layers { lowers, scratch: None, subpath: Vec::new() };
        step.mounts = vec![at("/mnt", source)];
        let ran = run(&step);
        assert_eq!(ran.stdout, expected);
        assert!(ran.stderr.contains("Read-only"), "{}", ran.stderr);
    }
}

pub(crate) fn a_subpath_stays_inside_its_source(fixture: &Fixture) {
    let source = fixture.fresh();
    symlink("/", source.join("root")).unwrap();
    fs::write(source.join("here"), "").unwrap();
    for subpath in ["root", "../../..", "/root/../.."] {
        let mut step = fixture.step("ls /mnt");
        step.mounts = vec![at("/mnt", bind(source.clone(), subpath, Access::ReadOnly))];
        assert_eq!(succeed(&step).stdout, "here\nroot\n", "{subpath}");
    }
    let mut step = fixture.step("true");
    step.mounts = vec![at("/mnt", bind(source, "absent", Access::ReadOnly))];
    assert_eq!(attempt(&step).unwrap_err().to_string(), "mounting /mnt");
}

pub(crate) fn a_tmpfs_has_its_size(fixture: &Fixture) {
    let mut step = fixture.step("df /mnt | grep -c 1024; stat -c %a /mnt; touch /mnt/x");
    step.mounts = vec![at("/mnt", MountSource::Tmpfs { size: Some(1 << 20), mode: 0o1777 })];
    assert_eq!(succeed(&step).stdout, "1\n1777\n");
}

pub(crate) fn secrets_are_files_of_their_owner(fixture: &Fixture) {
    let mut step = fixture
        .step("cat /run/secrets/s; stat -c ' %a %u:%g' /run/secrets/s; echo x > /run/secrets/s");
    step.mounts = vec![at("/run/secrets/s", secret())];
    let ran = run(&step);
    assert_eq!(ran.stdout, "hush 400 7:8\n");
    assert!(ran.stderr.contains("Read-only"));
    step = fixture.step("cat /run/secrets/s");
    step.mounts = vec![at("/run/secrets/s", secret())];
    step.identity = Identity { uid: 9, gid: 9, groups: vec![] };
    assert!(run(&step).stderr.contains("denied"));
}

/// An image whose `/etc/resolv.conf` points into a directory that it lacks.
fn linked(fixture: &Fixture) -> Vec<PathBuf> {
    let layer = fixture.fresh();
    fs::create_dir_all(layer.join("etc")).unwrap();
    fs::create_dir_all(layer.join("run")).unwrap();
    fs::create_dir_all(layer.join("var")).unwrap();
    symlink("../run/systemd/resolve/stub", layer.join("etc/resolv.conf")).unwrap();
    symlink("/run", layer.join("var/run")).unwrap();
    vec![fixture.path("base"), layer]
}

pub(crate) fn a_target_behind_links_is_made_and_removed(fixture: &Fixture) {
    let lowers = linked(fixture);
    let before = fs::metadata(lowers[1].join("run")).unwrap();
    let mut step = fixture.step_on(&lowers, "cat /etc/resolv.conf /run/secrets/s");
    step.resolv_conf = b"name\n".to_vec();
    step.mounts = vec![at("/var/run/secrets/s", secret())];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "name\nhush");
    assert!(!ran.upper.join("run/systemd").exists());
    assert!(!ran.upper.join("run/secrets").exists());
    let after = fs::metadata(ran.upper.join("run")).unwrap();
    assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
}

pub(crate) fn what_the_step_put_into_a_target_stays(fixture: &Fixture) {
    let mut step = fixture.step_on(&linked(fixture), "touch /run/secrets/mine");
    step.mounts = vec![at("/var/run/secrets/s", secret())];
    let ran = succeed(&step);
    assert!(ran.upper.join("run/secrets/mine").exists());
    assert!(!ran.upper.join("run/secrets/s").exists());
}

pub(crate) fn a_linked_target_stays_inside(fixture: &Fixture) {
    let outside = fixture.fresh();
    let layer = fixture.fresh();
    symlink(&outside, layer.join("absolute")).unwrap();
    symlink(format!("../../../../../../{}", outside.display()), layer.join("relative")).unwrap();
    let lowers = [fixture.path("base"), layer];
    for target in ["/absolute", "/relative", "/absolute/x", "/../../absolute"] {
        let mut step = fixture.step_on(&lowers, "true");
        step.mounts = vec![at(target, bind(fixture.fresh(), "", Access::ReadWrite))];
        succeed(&step);
        assert_eq!(listing(&outside), [""; 0], "{target}");
    }
}

pub(crate) fn whiteouts_and_opaque_directories_are_written(fixture: &Fixture) {
    let layer = fixture.fresh();
    fs::create_dir(layer.join("d")).unwrap();
    fs::write(layer.join("d/old"), "").unwrap();
    fs::write(layer.join("gone"), "").unwrap();
    let script = "rm /gone; rm -r /d; mkdir /d; touch /d/new";
    let ran = succeed(&fixture.step_on(&[fixture.path("base"), layer.clone()], script));
    let gone = fs::symlink_metadata(ran.upper.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device());
    assert_eq!(gone.rdev(), 0);
    let lowers = [fixture.path("base"), layer, ran.upper];
    assert_eq!(succeed(&fixture.step_on(&lowers, "ls /d; test ! -e /gone")).stdout, "new\n");
}

pub(crate) fn an_existing_target_is_used(fixture: &Fixture) {
    let source = fixture.fresh();
    fs::write(source.join("f"), "bound").unwrap();
    let layer = fixture.fresh();
    fs::write(layer.join("f"), "image").unwrap();
    let mut step = fixture.step_on(&[fixture.path("base"), layer], "cat /f");
    step.mounts = vec![at("/f", bind(source, "f", Access::ReadOnly))];
    let ran = succeed(&step);
    assert_eq!(ran.stdout, "bound");
    assert_eq!(listing(&ran.upper), [""; 0]);
}

pub(crate) fn later_layers_cover_earlier_ones(fixture: &Fixture) {
    let (one, two) = (fixture.fresh(), fixture.fresh());
    fs::write(one.join("f"), "one").unwrap();
    fs::write(two.join("f"), "two").unwrap();
    let lowers = [fixture.path("base"), one, two];
    assert_eq!(succeed(&fixture.step_on(&lowers, "cat /f")).stdout, "two");
}

pub(crate) fn a_socket_is_bound_like_a_file(fixture: &Fixture) {
    let directory = fixture.fresh();
    let _listener = std::os::unix::net::UnixListener::bind(directory.join("agent")).unwrap();
    let mut step = fixture.step("test -S /run/agent.0");
    step.mounts = vec![at("/run/agent.0", bind(directory.join("agent"), "", Access::ReadWrite))];
    assert_eq!(listing(&succeed(&step).upper), [""; 0]);
}

pub(crate) fn a_missing_layer_is_named(fixture: &Fixture) {
    let missing = fixture.path("no-such-layer");
    let lowers = [fixture.path("base"), missing.clone()];
    let error = attempt(&fixture.step_on(&lowers, "true")).unwrap_err();
    let expected = format!("mounting the root, opening {}", missing.display());
    assert_eq!(error.to_string(), expected);
}

/// The ways in which kernels are told layers.
const STACKINGS: [Stacking; 2] = [Stacking::OneByOne, Stacking::AtOnce];

pub(crate) fn many_layers_are_stacked_and_too_many_refused(fixture: &Fixture) {
    let mut lowers = vec![fixture.path("base")];
    lowers.extend((0..998).map(|_| fixture.fresh()));
    for (number, layer) in lowers.iter().enumerate().skip(1) {
        fs::write(layer.join("last"), number.to_string()).unwrap();
        fs::write(layer.join(number.to_string()), "").unwrap();
    }
    for stacking in STACKINGS.into_iter().filter(|it| is_known(fixture, *it)) {
        for count in [2, 201, 499, 500, 501, 998] {
            let mut step =
                fixture.step_on(&lowers[..count], "cat /last; ls / | grep -c '^[0-9]*$'");
            step.stacking = Some(stacking);
            let expected = format!("{0}{0}\n", count - 1);
            assert_eq!(succeed(&step).stdout, expected, "{stacking:?}");
        }
        let mut step = fixture.step_on(&lowers, "true");
        step.stacking = Some(stacking);
        let error = attempt(&step).unwrap_err();
        assert!(error.cause.to_string().contains("at most 998"), "{}", error.cause);
    }
}

/// Whether this kernel can be told layers so.
fn is_known(fixture: &Fixture, stacking: Stacking) -> bool {
    let mut step = fixture.step("true");
    step.stacking = Some(stacking);
    // All of them know the older way.
    stacking == Stacking::AtOnce || attempt(&step).is_ok()
}

pub(crate) fn a_directory_with_all_files_is_a_root(fixture: &Fixture) {
    let whole = fixture.fresh();
    let words = [OsStr::new("-a"), fixture.path("base").as_os_str(), whole.as_os_str()]
        .map(OsStr::to_owned);
    assert!(std::process::Command::new("cp").args(words).status().unwrap().success());
    let root = whole.join("base");
    let before = listing(&root);
    let mut step =
        fixture.step("test -e /proc/self && echo 1 > /dev/null && cat /etc/hosts > /new");
    step.root = RootFs::Whole(root.clone());
    step.mounts = vec![at("/not/there", MountSource::Tmpfs { size: None, mode: 0o755 })];
    succeed(&step);
    let after: Vec<String> = listing(&root).into_iter().filter(|it| !before.contains(it)).collect();
    assert_eq!(after, ["new"]);
    // One step after the other runs in it.
    succeed(&step);
}

pub(crate) fn what_a_layer_removes_is_gone_however_many_there_are(fixture: &Fixture) {
    let changed = |lowers: &[PathBuf], script: &str| {
        let ran = succeed(&fixture.step_on(lowers, script));
        (ran.stdout, ran.upper)
    };
    let empty: Vec<PathBuf> = (0..600).map(|_| fixture.fresh()).collect();
    let base = fixture.path("base");
    let files = changed(std::slice::from_ref(&base), "mkdir /d; touch /f /g /d/x").1;
    let removed =
        changed(&[base.clone(), files.clone()], "rm /f; rm -r /d; mkdir /d; touch /d/y").1;
    // What is removed lies deep below, close below, and far below what removes it.
    let deep = [&[base.clone(), files.clone(), removed.clone()][..], &empty].concat();
    let close = [&[base.clone()][..], &empty, &[files.clone(), removed.clone()]].concat();
    let far = [&[base, files][..], &empty, &[removed]].concat();
    for lowers in [deep, close, far] {
        assert_eq!(changed(&lowers, "ls -d /f /g; ls /d").0, "/g\ny\n");
        let (found, upper) = changed(&lowers, "rm /g; rm -r /d; mkdir /d; touch /d/z; ls /d");
        assert_eq!(found, "z\n");
        let lowers = [lowers, vec![upper]].concat();
        assert_eq!(changed(&lowers, "ls -d /f /g; ls /d").0, "z\n");
    }
}

pub(crate) fn layers_that_are_mounted_show_what_they_show_apart(fixture: &Fixture) {
    let changed = |lowers: &[PathBuf], script: &str| {
        succeed(&fixture.step_on(&[&[fixture.path("base")], lowers].concat(), script)).upper
    };
    let files = changed(&[], "mkdir -p /d/e /k; touch /f /g /d/x /d/e/z /k/l; ln /f /h");
    let removed = changed(slice::from_ref(&files), "rm /f; rm -r /d; mkdir /d; touch /d/y");
    let again = changed(&[files.clone(), removed.clone()], "echo 1 > /f; rm -r /k; rm /d/y");
    let lowers = [fixture.path("base"), files, removed, again];
    let script = "rm /g; echo 2 >> /h; mkdir -p /k/n; mv /d /moved; cat /etc/hosts";
    let (plain, look) = (fixture.step_on(&lowers, script), "find / -xdev | sort; cat /f /h");
    let plain = succeed(&plain);
    let shown =
        succeed(&fixture.step_on(&[&lowers[..], slice::from_ref(&plain.upper)].concat(), look));
    for count in 2..=lowers.len() {
        // Kernels that make no layer of such a mount are given the layers.
        let Ok(mounted) = MountedLayers::mount(&lowers[..count]) else { return };
        let mounted = Some(Arc::new(mounted));
        let mut step = fixture.step_on(&lowers, script);
        step.mounted.clone_from(&mounted);
        let ran = succeed(&step);
        assert_eq!(
            (ran.stdout, listing(&ran.upper)),
            (plain.stdout.clone(), listing(&plain.upper))
        );
        let mut step = fixture.step_on(&[&lowers[..], &[ran.upper]].concat(), look);
        step.mounted = mounted;
        assert_eq!(succeed(&step).stdout, shown.stdout, "{count} of the layers are mounted");
    }
}

pub(crate) fn what_is_mounted_of_other_layers_is_not_looked_at(fixture: &Fixture) {
    let [one, two, other] = [(); 3].map(|()| fixture.fresh());
    fs::write(other.join("f"), "").unwrap();
    let base = fixture.path("base");
    let Ok(mounted) = MountedLayers::mount(&[base.clone(), other]) else { return };
    let mut step = fixture.step_on(&[base, one, two], "test ! -e /f; test -e /bin/sh");
    step.mounted = Some(Arc::new(mounted));
    succeed(&step);
}

pub(crate) fn directories_may_have_any_path(fixture: &Fixture) {
    let long = vec![b'n'; 200];
    let deep = [&long[..], b"/"].concat().repeat(14);
    let names = [&b"back\\slash\\"[..], b"a:b", b"a,b", b"a b", b"a\nb", b"\xff\xfe", &long, &deep];
    let ways = STACKINGS.into_iter().filter(|it| is_known(fixture, *it));
    for (name, stacking) in ways.flat_map(|way| names.map(|name| (name, way))) {
        let top = fixture.fresh().join(OsStr::from_bytes(name));
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
        let bound = fixture.scratch();
        for directory in [&lower, &upper, &work] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(lower.join("f"), "text").unwrap();
        let lowers = [fixture.path("base"), lower.clone()];
        let mut step = fixture.step_on(&lowers, "cat /f /mnt/f; echo 1 > /g; echo 2 > /mnt/g");
        step.stacking = Some(stacking);
        *step.root.scratch_mut().unwrap() = Scratch { upper: upper.clone(), work };
        let (lowers, scratch, subpath) = (vec![lower], Some(bound), Vec::new());
        step.mounts = vec![at("/mnt", MountSource::Layers { lowers, scratch, subpath })];
        assert_eq!(succeed(&step).stdout, "texttext", "{}", top.display());
        assert_eq!(listing(&upper), ["g"]);
    }
}
