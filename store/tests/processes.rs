//! Several processes on one store: locks, leases, and what the dead leave.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use wythe_store::fsck::Depth;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::store::{OpenOptions, Store};

fn open(path: &Path) -> Store {
    Store::open(path, &OpenOptions::default()).unwrap()
}

fn names(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn what_a_dead_lease_left_is_collected_and_a_live_one_is_let_be() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let live = store.lease().unwrap();
    fs::write(directory.path().join("leases/dead"), [0; 8]).unwrap();
    fs::create_dir_all(directory.path().join("work/dead/upper/etc")).unwrap();
    fs::write(directory.path().join("work/dead/upper/etc/passwd"), "root").unwrap();
    open(directory.path());
    assert_eq!(names(&directory.path().join("leases")), 1);
    assert!(live.work_dir().is_dir());
    assert_eq!(names(&directory.path().join("work")), 1);
    assert_eq!(names(&directory.path().join("trash")), 0);
    drop(live);
    assert_eq!(names(&directory.path().join("leases")), 0);
    assert_eq!(names(&directory.path().join("work")), 0);
}

#[test]
fn another_process_holds_its_lease_until_it_dies() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path());
    let path = directory.path().join("leases/other");
    fs::write(&path, [0; 8]).unwrap();
    let script = "exec 9<>\"$1\"; flock 9; echo held; read line";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
    open(directory.path());
    assert!(path.exists(), "it lives");
    child.kill().unwrap();
    child.wait().unwrap();
    open(directory.path());
    assert!(!path.exists(), "it is dead");
}

#[test]
fn many_writers_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path());
    std::thread::scope(|scope| {
        for writer in 0..4u8 {
            let path = directory.path();
            scope.spawn(move || {
                let store = open(path);
                let lease = store.lease().unwrap();
                for round in 0..25u8 {
                    lease.put_body(&[writer, round]).unwrap();
                    lease.put_body(&[round; 3]).unwrap();
                    let mut batch = Batch::new();
                    batch.put(Table::Notes, &[writer, round], vec![round]);
                    lease.commit(batch, Durability::Relaxed).unwrap();
                }
            });
        }
    });
    let store = open(directory.path());
    assert_eq!(store.journal().scan(Table::Notes).len(), 100);
    let damage = store.verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{damage:?}");
}

#[test]
fn a_journal_folded_by_one_is_followed_by_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (open(directory.path()), open(directory.path()));
    let write = |store: &Store, key: u32| {
        let mut batch = Batch::new();
        batch.put(Table::Notes, &key.to_be_bytes(), vec![7; 100_000]);
        store.journal().commit(&batch, Durability::Relaxed).unwrap();
    };
    for key in 0..24 {
        write(if key % 5 == 0 { &theirs } else { &ours }, key);
    }
    theirs.refresh().unwrap();
    ours.refresh().unwrap();
    let all = open(directory.path()).journal().scan(Table::Notes);
    assert_eq!(all.len(), 24);
    assert_eq!(ours.journal().scan(Table::Notes), all);
    assert_eq!(theirs.journal().scan(Table::Notes), all);
    assert!(
        directory.path().join("journal/0000000000000001.log").exists()
            || names(&directory.path().join("journal")) == 2
    );
}

#[test]
fn the_store_of_format_version_1_still_opens() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/store/v1");
    let directory = tempfile::tempdir().unwrap();
    copy(&fixture, directory.path());
    let store = open(directory.path());
    let (name, descriptor) = store.list_refs().unwrap().remove(0);
    assert_eq!(name, "app:1");
    assert_eq!(&*store.document(&descriptor.digest).unwrap().unwrap(), b"{\"layers\":[]}");
    assert_eq!(store.journal().scan(Table::Notes), [(b"note".to_vec(), b"kept".to_vec())]);
    assert!(store.verify(Depth::Full).unwrap().is_empty());
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir(from) {
        let target = to.join(entry.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&entry, &target).unwrap();
    }
}

fn walkdir(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walkdir(&path)) } else { files.push(path) }
    }
    files
}
