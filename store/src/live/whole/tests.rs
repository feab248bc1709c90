//! What is told of a directory with all files of a root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::live::tests::{Trial, ours};
use crate::tree::encode::encode;
use crate::tree::entry::Node;
use crate::tree::sketch::sketch;

/// The directory of a sketch, whose files hold the text after their `=`.
fn made(trial: &Trial, words: &str) -> WholeRoot {
    WholeRoot::make(&trial.lease, tree(trial, words)).unwrap()
}

/// A root file system, with what its files hold in the store.
fn tree(trial: &Trial, words: &str) -> Arc<Tree> {
    for word in words.split_whitespace().filter_map(|word| word.split_once('=')) {
        let text = word.1.split('@').next().unwrap_or_default();
        trial.lease.put_body(text.as_bytes()).unwrap();
    }
    Arc::new(merge(&Tree::default(), &ours(&sketch(words))))
}

/// That what `act` does to a directory of `before` is `changes`, times left out.
#[track_caller]
fn check(before: &str, act: impl Fn(&Path), changes: &str) {
    let trial = Trial::new();
    let mut whole = made(&trial, before);
    act(whole.path());
    let found = whole.changes(&trial.lease, b"map").unwrap();
    let names = |tree: &Tree| listed(&tree.children, "");
    assert_eq!(names(&found), names(&ours(&sketch(changes))), "{found:?}");
    // What has been told is not told again.
    assert_eq!(whole.changes(&trial.lease, b"map").unwrap(), Tree::default());
}

/// Every entry with what it is, but for its metadata.
fn listed(directory: &crate::tree::entry::Directory, above: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in directory.entries() {
        let path = format!("{above}/{}", String::from_utf8_lossy(&entry.name));
        match &entry.node {
            Node::Directory(below) => {
                lines.push(format!("{path} {:?}", below.claim));
                lines.extend(listed(&below.children, &path));
            }
            Node::File(file) => {
                lines.push(format!("{path} {} {}", file.body, file.link.is_some()));
            }
            other @ (Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::Symlink(_)
            | Node::Whiteout) => lines.push(format!("{path} {other:?}")),
        }
    }
    lines
}

#[test]
fn what_nobody_touched_has_no_changes() {
    check("a=1 b=2@1 c=2@1 d/ d/e=3 l>a", |_| {}, "");
}

#[test]
fn what_was_written_removed_and_made_is_named() {
    let act = |root: &Path| {
        fs::write(root.join("a"), "9").unwrap();
        fs::remove_file(root.join("b")).unwrap();
        fs::write(root.join("d/new"), "4").unwrap();
        symlink("a", root.join("l")).unwrap();
    };
    check("a=1 b=2 d/ d/e=3", act, "a=9 -b d/ d/new=4 l>a");
}

#[test]
fn a_change_that_leaves_length_and_time_as_they_were_is_found() {
    let act = |root: &Path| {
        let was = fs::metadata(root.join("a")).unwrap().modified().unwrap();
        fs::write(root.join("a"), "2").unwrap();
        fs::File::options().write(true).open(root.join("a")).unwrap().set_modified(was).unwrap();
    };
    check("a=1", act, "a=2");
}

#[test]
fn a_file_that_was_written_over_with_the_same_is_not_named() {
    let act = |root: &Path| {
        let was = fs::metadata(root.join("a")).unwrap().modified().unwrap();
        fs::write(root.join("a"), "1").unwrap();
        fs::File::options().write(true).open(root.join("a")).unwrap().set_modified(was).unwrap();
    };
    check("a=1 b=2", act, "");
}

#[test]
fn a_directory_that_was_made_anew_hides_the_old_one() {
    let act = |root: &Path| {
        fs::remove_dir_all(root.join("d")).unwrap();
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/e/f"), "1").unwrap();
    };
    check("d/ d/a=1 d/e/ d/e/x=2", act, "d! d/e/ d/e/f=1");
}

#[test]
fn a_directory_under_another_name_is_named_with_all_it_has() {
    let act = |root: &Path| fs::rename(root.join("d"), root.join("e")).unwrap();
    check("d/ d/a=1 d/b/ d/b/c=2", act, "-d e/ e/a=1 e/b/ e/b/c=2");
}

#[test]
fn files_that_became_one_are_named_under_all_names() {
    let act = |root: &Path| fs::hard_link(root.join("a"), root.join("d/b")).unwrap();
    check("a=1 d/", act, "a=1@1 d/ d/b=1@1");
}

#[test]
fn a_mode_alone_is_a_change() {
    let act = |root: &Path| {
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    };
    check("a=1 b=2", act, "a=1");
}

#[test]
fn a_directory_is_led_to_another_file_system() {
    let trial = Trial::new();
    let before = "a=1 b=2@1 c=2@1 d/ d/e=3 f/ f/g=4 l>a k=5";
    let after = tree(&trial, "a/ a/x=1 b=2 d/ d/e=9 f=6 n=7@2 m=7@2 l>b");
    let mut whole = made(&trial, before);
    whole.lead_to(Arc::clone(&after)).unwrap();
    assert_eq!(whole.changes(&trial.lease, b"map").unwrap(), Tree::default());
    let root = whole.path();
    assert_eq!(fs::read(root.join("d/e")).unwrap(), b"9");
    assert_eq!(fs::read(root.join("f")).unwrap(), b"6");
    assert!(!root.join("k").exists() && !root.join("c").exists() && root.join("a/x").exists());
    let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
    assert_eq!(inode("n"), inode("m"));
    // All of it is what a directory of that tree would be.
    let fresh = WholeRoot::make(&trial.lease, Arc::clone(&after)).unwrap();
    let (found, _) =
        scan::scan(&trial.lease, (fresh.path(), b"map"), &Tree::default(), &Seen::default())
            .unwrap();
    let (led, _) =
        scan::scan(&trial.lease, (root, b"map"), &Tree::default(), &Seen::default()).unwrap();
    assert_eq!(encode(&found), encode(&led));
}

#[test]
fn what_is_dropped_is_gone() {
    let trial = Trial::new();
    let path = made(&trial, "a=1").path().to_owned();
    assert!(!path.exists());
}
