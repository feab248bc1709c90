//! What a directory that was looked at before is taken to be, after every kind of change.

use std::fs::{self, File, FileTimes, Permissions};
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, setxattr};
use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_store::id::ContentId;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

use super::directory::SourceDirectory;
use crate::build::build;
use crate::builder::Builder;
use crate::context::Context;
use crate::copy::CopySpec;
use crate::copy::error::CopyCause;
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::ignore::Rules;
use crate::input::Input;
use crate::options::{CachePolicy, Misses, Options};
use crate::reference::single;
use crate::shared_steps::SharedSteps;

/// How long after the last change a scan begins that finds nothing young.
const LATER: i64 = 100;

/// A store and threads to look at directories with.
struct Room {
    builder: Builder,
    images: Client,
    _store: tempfile::TempDir,
}

/// What a look at a directory came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Unchanged,
    Scanned,
}

impl Room {
    fn new() -> Self {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path(), &OpenOptions::default()).unwrap();
        let builder = Builder::open(&store, Timestamp::default()).unwrap();
        Self { builder, images: Client::new(Settings::default()), _store: at }
    }

    /// Looks at a directory so long after its root changed, and leaves a record.
    fn look(&mut self, directory: &Path, spec: &CopySpec, later: i64) -> (Outcome, ContentId) {
        self.set_clock(directory, later);
        let env = self.builder.environment(&self.images, &());
        let mut looked = SourceDirectory::open(
            env,
            Misses::Run,
            (directory, None),
            (vec![spec.clone()], Vec::new()),
            &(),
        )
        .unwrap();
        if !looked.confirm(env) {
            looked.scan(env).unwrap();
        }
        let look = if looked.is_scanned() { Outcome::Scanned } else { Outcome::Unchanged };
        let content = looked.content(env, spec).unwrap();
        looked.remember(env).unwrap();
        (look, content)
    }

    /// A clock that runs by the file system's own stamps needs no sleep.
    fn set_clock(&mut self, directory: &Path, later: i64) {
        let ctime = fs::metadata(directory).unwrap().ctime();
        self.builder.now = Timestamp::from_seconds(ctime + later);
    }

    fn build(&mut self, directory: &Path, dockerfile: &str, cache: CachePolicy) -> String {
        let options = Options { cache, ..Options::new(Platform::linux("amd64")) };
        self.build_with(directory, dockerfile, &options).unwrap()
    }

    fn build_with(
        &mut self,
        directory: &Path,
        dockerfile: &str,
        options: &Options,
    ) -> Result<String, BuildCause> {
        self.set_clock(directory, LATER);
        let input = Input {
            dockerfile: dockerfile.as_bytes().to_vec(),
            context: Some(directory.to_owned()),
            ..Input::default()
        };
        let env = self.builder.environment(&self.images, &());
        let built = build(&input, options, env).map_err(|error| error.cause)?;
        Ok(built.targets[0].root.digest.to_string())
    }
}

/// A context with one of most things.
fn context() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("context");
    fs::create_dir_all(root.join("d/e/f")).unwrap();
    for (name, text) in [("a", "one"), ("b", "two"), ("d/c", "three"), ("d/e/g", "four")] {
        fs::write(root.join(name), text).unwrap();
    }
    fs::write(root.join("d/x.log"), "log").unwrap();
    fs::write(root.join(".dockerignore"), "**/*.log\n").unwrap();
    symlink("a", root.join("l")).unwrap();
    (folder, root)
}

/// Whether directories tell of changes here, so that there are records at all.
fn has_records(room: &Room, directory: &Path) -> bool {
    let context = Context::open(directory, Rules::default()).unwrap();
    context.scan(&[], room.builder.lease()).unwrap().record.is_some()
}

/// Writes other bytes of the same length and sets the time of the change back.
fn rewrite_secretly(path: &Path, text: &str) {
    let before = fs::metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    fs::write(path, text).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

/// Changes a directory that was recorded, and looks again: at once that, and as somebody who has
/// never seen it.
#[track_caller]
fn check(what: &str, change: &dyn Fn(&Path), expected: (Outcome, Content)) {
    let (_folder, root) = context();
    let mut room = Room::new();
    let (_, before) = room.look(&root, &single("/"), LATER);
    wait_for_next_stamp(&root);
    change(&root);
    let (look, after) = room.look(&root, &single("/"), LATER);
    let (_, fresh) = Room::new().look(&root, &single("/"), LATER);
    assert_eq!(after, fresh, "{what}: a look without a record finds something else");
    let content = if before == after { Content::Same } else { Content::Other };
    let expected_look = if has_records(&room, &root) { expected.0 } else { Outcome::Scanned };
    assert_eq!((look, content), (expected_look, expected.1), "{what}");
}

/// Where stamps are coarse, a change at once would have that of the files' making. Real records have
/// no entry that young.
fn wait_for_next_stamp(root: &Path) {
    let (probe, stamp) = (root.with_file_name("probe"), |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.ctime(), metadata.ctime_nsec())
    });
    fs::write(&probe, "").unwrap();
    let first = stamp(&probe);
    while stamp(&probe) == first {
        fs::write(&probe, "x").unwrap();
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    Same,
    Other,
}

#[test]
fn sources_in_a_directory_are_patterns_for_paths_unless_everything_is_asked_for() {
    let (mut room, at) = (Room::new(), tempfile::tempdir().unwrap());
    room.set_clock(at.path(), LATER);
    let env = room.builder.environment(&room.images, &());
    let is_refused = |words: &[&str]| {
        let specs = words.iter().map(|word| single(word)).collect();
        let opened =
            SourceDirectory::open(env, Misses::Run, (at.path(), None), (specs, Vec::new()), &());
        matches!(opened, Err(BuildCause::Copy(error)) if error.cause == CopyCause::Pattern)
    };
    assert!(is_refused(&["[z-a]"]) && is_refused(&["a", "d/[^z-a]"]) && is_refused(&["\\gone"]));
    assert!(!is_refused(&["[a-z]"]) && !is_refused(&["[z-a]", "./"]));
}

#[test]
fn what_is_as_it_was_is_not_scanned() {
    let unchanged = (Outcome::Unchanged, Content::Same);
    check("nothing", &|_| (), unchanged);
    check("read", &|root| drop(fs::read(root.join("a")).unwrap()), unchanged);
    check("ignored", &|root| fs::write(root.join("d/x.log"), "more").unwrap(), unchanged);
}

#[test]
fn what_was_touched_is_scanned_and_still_the_same() {
    let same = (Outcome::Scanned, Content::Same);
    check("written again", &|root| fs::write(root.join("a"), "one").unwrap(), same);
    check("ignored and new", &|root| fs::write(root.join("d/y.log"), "y").unwrap(), same);
    check(
        "come and gone",
        &|root| {
            fs::write(root.join("d/new"), "").unwrap();
            fs::remove_file(root.join("d/new")).unwrap();
        },
        same,
    );
    check(
        "touched",
        &|root| {
            let times = FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            File::options().write(true).open(root.join("d/c")).unwrap().set_times(times).unwrap();
        },
        same,
    );
    check(
        "linked from elsewhere",
        &|root| {
            fs::hard_link(root.join("a"), root.with_file_name("other")).unwrap();
        },
        same,
    );
}

#[test]
fn what_changed_is_seen() {
    let other = (Outcome::Scanned, Content::Other);
    check("longer", &|root| fs::write(root.join("d/e/g"), "longer").unwrap(), other);
    check("as long", &|root| rewrite_secretly(&root.join("a"), "eno"), other);
    check("removed", &|root| fs::remove_file(root.join("d/c")).unwrap(), other);
    check(
        "another file",
        &|root| {
            fs::write(root.join("b2"), "owt").unwrap();
            fs::rename(root.join("b2"), root.join("b")).unwrap();
        },
        other,
    );
    check(
        "names exchanged",
        &|root| {
            for (from, to) in [("a", "t"), ("b", "a"), ("t", "b")] {
                fs::rename(root.join(from), root.join(to)).unwrap();
            }
        },
        other,
    );
    check(
        "a directory renamed",
        &|root| {
            fs::rename(root.join("d/e"), root.join("d/h")).unwrap();
        },
        other,
    );
    check("an empty directory", &|root| fs::create_dir(root.join("d/e/f/n")).unwrap(), other);
    check("an empty directory gone", &|root| fs::remove_dir(root.join("d/e/f")).unwrap(), other);
    check("the mode of a file", &|root| chmod(&root.join("a"), 0o755), other);
    check("the mode of a directory", &|root| chmod(&root.join("d/e"), 0o700), other);
    check(
        "a link",
        &|root| {
            fs::remove_file(root.join("l")).unwrap();
            symlink("b", root.join("l")).unwrap();
        },
        other,
    );
    check(
        "a link for a directory",
        &|root| {
            fs::rename(root.join("d"), root.with_file_name("outside")).unwrap();
            symlink("../outside", root.join("d")).unwrap();
        },
        other,
    );
    check("the ignore file", &|root| fs::write(root.join(".dockerignore"), "").unwrap(), other);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn attributes_of_a_directory_are_seen() {
    let (_folder, root) = context();
    if setxattr(root.join("d/e"), "user.k", b"v", XattrFlags::empty()).is_err() {
        return;
    }
    let change = |root: &Path| {
        setxattr(root.join("d/e"), "user.k", b"v", XattrFlags::empty()).unwrap();
    };
    check("attributes", &change, (Outcome::Scanned, Content::Other));
}

#[test]
fn a_file_that_changes_right_after_the_scan_is_seen() {
    let (_folder, root) = context();
    let mut room = Room::new();
    let (_, before) = room.look(&root, &single("/"), 0);
    rewrite_secretly(&root.join("a"), "eno");
    let (look, after) = room.look(&root, &single("/"), 0);
    assert_eq!(look, Outcome::Scanned);
    assert_ne!(before, after);
}

#[test]
fn a_record_that_was_found_wrong_is_not_compared_with_again() {
    let (_folder, root) = context();
    let mut room = Room::new();
    let (_, before) = room.look(&root, &single("/"), LATER);
    wait_for_next_stamp(&root);
    fs::write(root.join("d/c"), "other").unwrap();
    let env = room.builder.environment(&room.images, &());
    let open = |misses| {
        SourceDirectory::open(env, misses, (&root, None), (vec![single("/")], Vec::new()), &())
    };
    if has_records(&room, &root) {
        let mut presumed = open(Misses::Refuse).unwrap();
        assert_eq!(presumed.content(env, &single("/")).unwrap(), before);
        assert!(!presumed.confirm(env));
    }
    assert!(matches!(open(Misses::Refuse), Err(BuildCause::Uncached)));
    assert!(open(Misses::Run).unwrap().is_scanned());
}

#[test]
fn other_selections_and_other_ignore_files_have_records_of_their_own() {
    let (_folder, root) = context();
    let mut room = Room::new();
    let all = room.look(&root, &single("/"), LATER).1;
    let part = room.look(&root, &single("d"), LATER);
    assert_eq!(part.0, Outcome::Scanned);
    assert_ne!(part.1, all);
    let excluding = CopySpec { exclude: vec!["d".to_owned()], ..single("/") };
    assert_eq!(room.look(&root, &excluding, LATER).0, Outcome::Scanned);
    if has_records(&room, &root) {
        assert_eq!(room.look(&root, &single("d"), LATER), (Outcome::Unchanged, part.1));
        assert_eq!(room.look(&root, &single("/"), LATER), (Outcome::Unchanged, all));
    }
}

#[test]
fn a_step_that_runs_gets_the_files_of_an_unchanged_directory() {
    let (_folder, root) = context();
    let mut room = Room::new();
    let texts = ["FROM scratch\nCOPY . /p/\n", "FROM scratch\nCOPY . /q/\n"];
    let first = room.build(&root, texts[0], CachePolicy::Reuse);
    for (text, cache) in [
        (texts[0], CachePolicy::Reuse),
        (texts[1], CachePolicy::Reuse),
        (texts[1], CachePolicy::Reuse),
        (texts[1], CachePolicy::Refresh),
    ] {
        let ours = room.build(&root, text, cache);
        assert_eq!(ours, Room::new().build(&root, text, CachePolicy::Reuse), "{text}");
        assert_eq!(ours == first, text == texts[0]);
    }
}

#[test]
fn a_step_never_gets_files_that_its_key_does_not_speak_of() {
    let (mut room, (_folder, root)) = (Room::new(), context());
    let spec = single("d");
    room.look(&root, &spec, LATER);
    let env = room.builder.environment(&room.images, &());
    let open = || {
        SourceDirectory::open(
            env,
            Misses::Run,
            (&root, None),
            (vec![spec.clone()], Vec::new()),
            &(),
        )
        .unwrap()
    };
    assert!(open().held_tree(env).is_ok());
    let looked = open();
    let scanned = looked.is_scanned();
    fs::write(root.join("d/c"), "seven").unwrap();
    // Where nothing is recorded the bytes are in the store from the scan on, and nothing is read again.
    assert_eq!(looked.held_tree(env).is_ok(), scanned);
    let mut changed = open();
    assert!(!changed.confirm(env) || scanned);
    assert!(open().held_tree(env).is_ok());
}

#[test]
fn what_a_scan_has_stored_the_first_copy_does_not_read_again() {
    let (room, (_folder, root)) = (Room::new(), context());
    let env = room.builder.environment(&room.images, &());
    let looked = SourceDirectory::open(
        env,
        Misses::Run,
        (&root, None),
        (vec![single("d")], Vec::new()),
        &(),
    )
    .unwrap();
    assert!(looked.is_scanned());
    fs::remove_dir_all(root.join("d")).unwrap();
    assert!(looked.held_tree(env).is_ok());
}

#[test]
fn a_build_that_is_to_run_nothing_succeeds_where_all_is_known() {
    let (_folder, root) = context();
    let mut room = Room::new();
    let text = "FROM scratch\nCOPY d /\nCOPY a /\n";
    let refusing = Options { misses: Misses::Refuse, ..Options::new(Platform::linux("amd64")) };
    let recalled = |room: &mut Room| room.build_with(&root, text, &refusing);
    let uncached = |answer| matches!(answer, Err(BuildCause::Uncached));
    assert!(uncached(recalled(&mut room)));
    let first = room.build(&root, text, CachePolicy::Reuse);
    if has_records(&room, &root) {
        assert_eq!(recalled(&mut room).unwrap(), first);
    }
    rewrite_secretly(&root.join("d/c"), "eerht");
    assert!(uncached(recalled(&mut room)));
    assert_ne!(room.build(&root, text, CachePolicy::Reuse), first);
}

#[test]
fn a_build_that_is_to_run_nothing_fetches_nothing() {
    let (_folder, root) = context();
    let options = Options { misses: Misses::Refuse, ..Options::new(Platform::linux("amd64")) };
    for text in ["FROM nowhere.invalid/image\n", "FROM scratch\nADD http://nowhere.invalid/a /\n"] {
        let failed = Room::new().build_with(&root, text, &options).unwrap_err().to_string();
        assert!(failed.contains(" fetch"), "{failed}");
    }
}

#[test]
fn builds_beside_each_other_look_at_a_directory_once() {
    let (_folder, root) = context();
    let (mut room, spec) = (Room::new(), single("d"));
    room.set_clock(&root, LATER);
    let shared = SharedSteps::new(NonZeroUsize::MIN);
    let alone = room.builder.environment(&room.images, &());
    let beside = Environment { shared: Some(&shared), ..alone };
    let look = |env| {
        let place = (&*root, None);
        let mut one =
            SourceDirectory::open(env, Misses::Run, place, (vec![spec.clone()], Vec::new()), &())
                .unwrap();
        if !one.confirm(env) {
            one.scan(env).unwrap();
        }
        let held = one.is_scanned().then(|| one.held_tree(env).unwrap());
        (one.content(env, &spec).unwrap(), held)
    };
    let first = look(beside);
    assert!(first.1.is_some());
    fs::write(root.join("d/c"), "changed").unwrap();
    assert_eq!(look(beside), first, "it is what it was when they began");
    assert_ne!(look(alone).0, first.0);
}

#[test]
fn what_one_build_took_for_unchanged_another_reads_if_it_has_to() {
    let (_folder, root) = context();
    let (mut room, spec) = (Room::new(), single("d"));
    if !has_records(&room, &root) {
        return;
    }
    room.look(&root, &spec, LATER);
    room.set_clock(&root, LATER);
    let shared = SharedSteps::new(NonZeroUsize::MIN);
    let env = room.builder.environment(&room.images, &());
    let env = Environment { shared: Some(&shared), ..env };
    let open = || {
        SourceDirectory::open(
            env,
            Misses::Run,
            (&root, None),
            (vec![spec.clone()], Vec::new()),
            &(),
        )
        .unwrap()
    };
    let mut first = open();
    if !first.confirm(env) {
        return;
    }
    let known = first.content(env, &spec).unwrap();
    fs::write(root.join("d/c"), "changed").unwrap();
    let mut second = open();
    assert!(second.confirm(env) && !second.is_scanned());
    assert_eq!(second.content(env, &spec).unwrap(), known);
    second.scan(env).unwrap();
    assert_ne!(second.content(env, &spec).unwrap(), known);
    let third = open();
    assert!(third.is_scanned(), "what was read last holds for those that come later");
}
