//! A file that is cut off while a process has it open costs that process an error: never its life,
//! and never a wrong byte.
//!
//! Each trial runs in a process of its own, which maps packs or reads them: were a page that is
//! lost to end a process, it would be that one.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use wythe_store::digest::{DiffId, Digest};
use wythe_store::fsck::Depth;
use wythe_store::id::{BodyId, LayerId};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::blob_view;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{export, measure};
use wythe_store::layers::LayerRecord;
use wythe_store::live::materialise::unpack;
use wythe_store::object::Kind;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::path::LayerPath;
use wythe_store::racy::Racy;
use wythe_store::scan_record::{RecordName, ScanRecord, ScanRecordBuilder};
use wythe_store::stat_cache::{FileStat, StatCache, StatCacheBuilder};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{self, Metadata, Node, Tree};

/// Where the process of a trial finds its store, and which way it reads it.
const STORE: &str = "WYTHE_TRUNCATION_STORE";
const WAY: &str = "WYTHE_TRUNCATION_WAY";
const MAPS: &str = "WYTHE_TRUNCATION_MAPS";

/// A short one, one that is read at once, and one that is read in pieces.
fn files() -> [Vec<u8>; 3] {
    let long = |length: usize| (0..length).map(|at| (at / 7 % 251).to_le_bytes()[0]).collect();
    [b"short".to_vec(), long(300_000), long(3_000_000)]
}

fn tree() -> Tree {
    let mut builder = TreeBuilder::new();
    for (n, bytes) in files().iter().enumerate() {
        let (body, size) = (BodyId::of(bytes), bytes.len() as u64);
        let path = LayerPath::parse(format!("f{n}").as_bytes()).unwrap();
        let node = Node::File(entry::File { body, size, link: None });
        builder.insert(&path, Metadata { mode: 0o644, ..Metadata::default() }, node).unwrap();
    }
    builder.finish()
}

fn stat() -> FileStat {
    let time = Timestamp::from_seconds(10);
    FileStat { device: 1, inode: 2, size: 3, mode: 0o100_644, mtime: time, ctime: time }
}

const CONTEXT: [u8; 32] = [5; 32];
const SCAN: RecordName = RecordName { directory: [1; 16], purpose: [2; 32] };

/// So many packs of one body each that there is a table over them.
const SMALL: u8 = 12;

fn small(n: u8) -> [u8; 100] {
    [n; 100]
}

/// The tables over packs.
fn tables(path: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path.join("cache")).unwrap().map(|file| file.unwrap());
    let table = |file: &std::fs::DirEntry| file.file_name().to_str().unwrap().starts_with("packs-");
    files.filter(table).map(|file| file.path()).collect()
}

fn open(path: &Path, boot: u8) -> Store {
    let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
    Store::open(path, &options).unwrap()
}

/// A store with something of every kind, the journal folded into a base.
fn fill(path: &Path, durability: Durability) {
    let store = open(path, 1);
    let lease = store.lease().unwrap();
    for bytes in files() {
        lease.put_body(&bytes).unwrap();
    }
    let mut record = LayerRecord::new(LayerId::of(b"layer"));
    record.tree = Some(lease.put_tree(&tree()).unwrap());
    let config = lease.put_document(b"{}").unwrap();
    let mut batch = Batch::new();
    batch.put_layer(&record).set_ref("app", &Descriptor::new(MediaType::MANIFEST, config, 2));
    lease.commit(batch, durability).unwrap();
    let mut large = Batch::new();
    large.put(wythe_store::journal::batch::Table::Notes, b"large", vec![7; 1_500_000]);
    lease.commit(large, durability).unwrap();
    let mut ingest = lease.ingest_blob(&Descriptor::of(MediaType::LAYER_GZIP, &[9; 5000])).unwrap();
    ingest.write_all(&[9; 5000]).unwrap();
    ingest.commit().unwrap();
    let mut stats = StatCacheBuilder::new(racy());
    stats.add(b"f", &stat(), BodyId::of(b"f"));
    stats.save(&lease, &CONTEXT).unwrap();
    for n in 0..SMALL {
        lease.put_body(&small(n)).unwrap();
        lease.commit(Batch::new(), durability).unwrap();
    }
    let mut scan = ScanRecordBuilder::default();
    scan.add(b".", &stat());
    scan.save(&lease, &SCAN, racy(), &[1; 5000]).unwrap();
}

fn racy() -> Racy {
    Racy::of_scan(Timestamp::from_seconds(100))
}

/// Every file that a process may read while another cuts it off.
const ALL: &[&str] = &["packs", "journal", "blobs/sha256", "cache"];

fn cut(path: &Path, directories: &[&str]) {
    for directory in directories {
        for entry in std::fs::read_dir(path.join(directory)).unwrap() {
            cut_file(&entry.unwrap().path(), 1);
        }
    }
}

/// No page beyond `length` stays of what was there: a mapped one would be gone.
fn cut_file(path: &Path, length: u64) {
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(path, permissions).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn read_all(mut reader: impl std::io::Read) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

/// Tables are cut off that were opened, and of which no page was read, or one.
fn trial_of_tables(path: &Path, length: u64) {
    let store = open(path, 1);
    let has = |n: u8| store.body(&BodyId::of(&small(n))).unwrap().is_some();
    assert!(has(0));
    let tables = tables(path);
    assert!(!tables.is_empty());
    for table in &tables {
        cut_file(table, length);
    }
    assert!((0..SMALL).all(has), "a table is a cache");
    assert!(!has(SMALL));
    assert!(store.verify(Depth::Full).unwrap().is_empty());
}

/// Reads in one way a store that is cut off under the reader's hands.
fn trial(path: &Path, way: &str) {
    if let Some(length) = way.strip_prefix("tables ") {
        return trial_of_tables(path, length.parse().unwrap());
    }
    if way == "recover" {
        cut(path, &["packs"]);
        let store = open(path, 2);
        assert!(store.list_refs().unwrap().is_empty());
        return;
    }
    let store = open(path, 1);
    let [short, _, long] = files();
    // Everything has been opened and looked at before it goes.
    let held = store.body(&BodyId::of(&long)).unwrap().unwrap();
    assert!(store.body(&BodyId::of(&short)).unwrap().is_some());
    let lease = store.lease().unwrap();
    let mut record = store.layers().unwrap().remove(0);
    let blob = store.foreign_blob(&Digest::of(&[9; 5000])).unwrap().unwrap();
    cut(path, ALL);
    match way {
        "get" => {
            for bytes in files() {
                let id = BodyId::of(&bytes);
                assert!(store.get(Kind::Body, id.as_bytes()).is_err());
                assert!(store.body(&id).is_err());
            }
            assert!(store.tree(&record.tree.unwrap()).is_err());
            assert!(store.document(&Digest::of(b"{}")).is_err());
        }
        "held" => {
            assert!(held.load().is_err());
            assert!(held.digest().is_err());
            assert!(held.piece(5..70_000).is_err());
            assert!(read_all(held.reader()).is_err());
        }
        "export" => {
            for codec in [Codec::GZIP, Codec::ZSTD] {
                assert!(export(&lease, &mut record, codec).is_err());
            }
            assert!(measure(&tree(), &store).is_err());
            let stream = blob_view::TarStream::new(&store, &tree());
            assert!(read_all(stream).is_err());
        }
        "unpack" => {
            let into = path.join("work/into");
            std::fs::create_dir(&into).unwrap();
            assert!(unpack(&tree(), (&store, NonZeroUsize::MIN), &into).is_err());
        }
        "blob" => assert!(read_all(blob).is_err()),
        "verify" => assert!(!store.verify(Depth::Full).unwrap().is_empty()),
        "journal" => {
            // What was read is in memory; what is read anew is found damaged.
            assert!(store.find_ref("app").unwrap().is_some());
            assert!(!store.journal().reread().unwrap().is_empty());
        }
        "caches" => {
            assert_eq!(StatCache::load(&store, &CONTEXT).n_files(), 0);
            assert!(ScanRecord::load(&store, &SCAN).is_none());
        }
        "prune" => {
            let policy = wythe_store::gc::Policy::KeepActions;
            assert!(store.prune(policy).is_err());
        }
        way => panic!("no way {way}"),
    }
    drop(lease);
}

#[test]
fn nothing_that_is_cut_off_while_it_is_open_ends_the_process() {
    if let Some((path, way)) = std::env::var_os(STORE).zip(std::env::var_os(WAY)) {
        if std::env::var_os(MAPS).is_some() {
            wythe_store::map::survive_lost_pages();
        }
        return trial(&PathBuf::from(path), way.to_str().unwrap());
    }
    let ways = [
        "get",
        "held",
        "export",
        "unpack",
        "blob",
        "verify",
        "recover",
        "journal",
        "caches",
        "prune",
        "tables 1",
        "tables 4096",
    ];
    for way in ways {
        for maps in [None, Some((MAPS, "1"))] {
            run_trial(way, maps);
        }
    }
}

fn run_trial(way: &str, maps: Option<(&str, &str)>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // Recovery looks at what nobody has synced.
    let unsynced = way == "recover";
    fill(&path, if unsynced { Durability::Relaxed } else { Durability::Durable });
    let name = "nothing_that_is_cut_off_while_it_is_open_ends_the_process";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env(STORE, &path).env(WAY, way).envs(maps);
    let done = child.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.signal(), None, "{way} {maps:?}: {said}");
    assert!(done.status.success(), "{way} {maps:?}: {said}");
}

#[test]
fn an_untouched_store_reads_whole_in_the_same_ways() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill(&path, Durability::Durable);
    let store = open(&path, 1);
    for bytes in files() {
        let body = store.body(&BodyId::of(&bytes)).unwrap().unwrap();
        assert!(*body.load().unwrap() == bytes);
        assert_eq!(body.digest().unwrap(), Digest::of(&bytes));
        assert!(*body.piece(2..5).unwrap() == bytes[2..5]);
        assert!(read_all(body.reader()).unwrap() == bytes);
    }
    let lease = store.lease().unwrap();
    let mut record = store.layers().unwrap().remove(0);
    export(&lease, &mut record, Codec::GZIP).unwrap();
    let tar = read_all(blob_view::TarStream::new(&store, &tree())).unwrap();
    assert_eq!(record.diff_id, Some(DiffId(Digest::of(&tar))));
    assert_eq!(StatCache::load(&store, &CONTEXT).n_files(), 1);
    assert!(ScanRecord::load(&store, &SCAN).is_some());
    drop(lease);
}
