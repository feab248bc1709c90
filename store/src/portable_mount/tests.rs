//! A mount saved in one store and restored in another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::follow::{Followed, Reader, follow};
use super::save::{SentMount, gather, previous};
use super::{PortableMount, mount_key, restore};
use crate::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use crate::cache_mount::quiet::{Hold, QuietMount};
use crate::cache_mount::{CacheSpec, Company, Origin};
use crate::digest::Digest;
use crate::id::CacheKey;
use crate::oci::reference::Reference;
use crate::store::{OpenOptions, Store};
use crate::timestamp::Timestamp;

/// A cache in memory, which counts.
#[derive(Default)]
struct Memory {
    blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    records: Mutex<BTreeMap<CacheKey, Vec<u8>>>,
}

impl CacheBackend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let records = self.records.lock().unwrap();
        Ok(keys.iter().map(|key| records.get(key).cloned()).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        let held = self.blobs.lock().unwrap();
        Ok(blobs.iter().filter(|blob| !held.contains_key(blob)).copied().collect())
    }

    fn unasked(&self) -> u64 {
        0
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let bytes = self.blobs.lock().unwrap().get(blob).cloned();
        let problem = || CacheProblem::NotFound { detail: blob.to_string() };
        let bytes =
            bytes.ok_or_else(|| CacheError { backend: "memory".to_owned(), problem: problem() })?;
        let end = usize::try_from(range.end).unwrap().min(bytes.len());
        Ok(Box::new(io::Cursor::new(bytes[usize::try_from(range.start).unwrap()..end].to_vec())))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let mut bytes = Vec::new();
        (blob.open)().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
        self.blobs.lock().unwrap().insert(blob.digest, bytes);
        Ok(())
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.records.lock().unwrap().extend(records.iter().cloned());
        Ok(())
    }

    fn discredit(&self, blob: &Digest) {
        self.blobs.lock().unwrap().remove(blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        Ok(())
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A store with one mount.
struct Machine {
    folder: tempfile::TempDir,
    store: Store,
    spec: CacheSpec,
}

impl Machine {
    fn new(company: Company) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &OpenOptions::default()).unwrap();
        let spec = CacheSpec {
            identity: b"npm and ids of here".to_vec(),
            portable: "npm".to_owned(),
            company,
            mode: 0o750,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            label: "npm".to_owned(),
            platform: "linux/amd64".to_owned(),
        };
        Self { folder, store, spec }
    }

    /// The directory of the mount.
    fn open(&self) -> (PathBuf, Origin) {
        let held = self.store.open_cache(&self.spec).unwrap();
        (held.path.clone(), held.origin)
    }

    fn hold(&self) -> QuietMount {
        let mount = self.store.cache_mounts().unwrap().remove(0);
        let Hold::Quiet(quiet) = self.store.hold_cache_mount(&mount, &|| false).unwrap() else {
            panic!("it is in use")
        };
        quiet
    }

    fn save(&self, cache: &Memory, second: i64) -> Option<SentMount> {
        let quiet = self.hold();
        let of = (quiet.identity(), quiet.platform());
        let known = previous(cache, of, None).unwrap();
        let work = tempfile::tempdir_in(self.folder.path()).unwrap();
        let created = Timestamp::from_seconds(second);
        let gathered = gather(&quiet, known, (work.path(), b"", created)).unwrap();
        gathered.map(|gathered| gathered.send(cache).unwrap())
    }

    /// Whether the mount was restored, or why not.
    fn restore(&self, cache: &Memory) -> Result<bool, restore::RestoreError> {
        let Some(vacancy) = self.store.vacancy(&self.spec).unwrap() else { return Ok(false) };
        let key = mount_key("npm", "linux/amd64");
        let record = cache.records.lock().unwrap()[&key].clone();
        let record = PortableMount::decode(&record).unwrap();
        let notes = restore::restore(cache, &record, (vacancy.path(), &|| true))?;
        vacancy.settle(&self.spec, &notes).unwrap();
        Ok(true)
    }
}

impl Machine {
    /// What became of the mount, which another machine has saved under the record that the cache has.
    fn follow(&self, cache: &Memory) -> Option<Result<Followed, restore::RestoreError>> {
        let mount = self.store.settled_mount(&self.spec).unwrap()?;
        let record = cache.records.lock().unwrap()[&mount_key("npm", "linux/amd64")].clone();
        let record = PortableMount::decode(&record).unwrap();
        if record.created <= mount.state().created {
            return None;
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let reader = Reader { idmap: b"", pool: &pool };
        Some(follow(cache, &record, (&mount, &|| true), reader))
    }

    /// As after a save by the program.
    fn save_and_note(&self, cache: &Memory, second: i64) {
        let quiet = self.hold();
        let of = (quiet.identity(), quiet.platform());
        let known = previous(cache, of, quiet.state()).unwrap();
        let work = tempfile::tempdir_in(self.folder.path()).unwrap();
        let created = Timestamp::from_seconds(second);
        if let Some(gathered) = gather(&quiet, known, (work.path(), b"", created)).unwrap() {
            gathered.send(cache).unwrap();
            quiet.note_state(gathered.state()).unwrap();
        }
    }
}

/// Files of all kinds, a long one among them.
fn furnish(root: &Path) {
    for number in 0..300 {
        let folder = root.join(format!("d{}/e{}", number % 7, number % 3));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), format!("content {number} ").repeat(number))
            .unwrap();
    }
    fs::write(root.join(".wh.no-removal"), "here").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    for number in 0..50 {
        let first = root.join(format!("d{}/e{}/{number}", number % 7, number % 3));
        fs::hard_link(first, root.join(format!("link{number}"))).unwrap();
    }
    fs::hard_link(root.join("d1/e1/1"), root.join("linked")).unwrap();
    symlink("d1/e1/1", root.join("symlink")).unwrap();
    let long = File::create(root.join("long")).unwrap();
    let mut noise = vec![0; 3_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::os::unix::fs::FileExt::write_all_at(&long, &noise, 9 << 20).unwrap();
    fs::set_permissions(root.join("d1"), fs::Permissions::from_mode(0o2711)).unwrap();
    fs::set_permissions(root.join("d2/e2/2"), fs::Permissions::from_mode(0o4501)).unwrap();
    rustix::fs::setxattr(root.join("linked"), "user.test", b"v", rustix::fs::XattrFlags::empty())
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
}

/// Everything that a step can see of a directory, by path.
fn look(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, String)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let bytes = if about.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if about.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if about.is_file() {
            fs::read(&path).unwrap()
        } else {
            // A socket.
            continue;
        };
        let mut value = [0; 9];
        let read = rustix::fs::lgetxattr(&path, "user.test", &mut value);
        let links = if about.is_dir() { 0 } else { about.nlink() };
        let (mode, owner) = (about.mode(), (about.uid(), about.gid()));
        let time = (about.mtime(), about.mtime_nsec());
        let told = format!("{mode:o} {owner:?} {time:?} {links} {read:?}");
        found.insert(path.strip_prefix(root).unwrap().to_owned(), (bytes, told));
    }
    found
}

fn furnished() -> (Machine, PathBuf) {
    let machine = Machine::new(Company::Everybody);
    let (root, _) = machine.open();
    furnish(&root);
    (machine, root)
}

#[test]
fn a_step_on_another_machine_sees_what_was_saved() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    // By several threads and by one it is the same.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let sent = pool.install(|| one.save(&cache, 1)).unwrap();
    let other = Memory::default();
    assert_eq!(one.save(&other, 1), Some(sent));
    assert_eq!(*other.records.lock().unwrap(), *cache.records.lock().unwrap());
    assert_eq!((sent.files, sent.packs), (354, 1));
    assert_eq!(
        sent.bytes,
        look(&root)
            .values()
            .filter(|(_, told)| told.starts_with("10"))
            .map(|(bytes, _)| bytes.len() as u64)
            .sum::<u64>()
    );
    for company in [Company::Everybody, Company::Nobody, Company::Apart] {
        let two = Machine::new(company);
        assert!(two.restore(&cache).unwrap());
        let (restored, origin) = two.open();
        assert_eq!(origin, Origin::Existing);
        assert_eq!(look(&restored), look(&root));
        // There is something now.
        assert!(!two.restore(&cache).unwrap());
    }
}

#[test]
fn only_what_changed_is_sent_and_nothing_where_nothing_did() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    let first = one.save(&cache, 1).unwrap();
    assert_eq!(one.save(&cache, 2), None);
    fs::write(root.join("d1/e1/1"), "other").unwrap();
    fs::remove_file(root.join("d4/e2/11")).unwrap();
    let second = one.save(&cache, 3).unwrap();
    assert_eq!((second.packs, second.files), (1, 353));
    assert!(second.sent < first.sent / 20, "{} of {}", second.sent, first.sent);
    let two = Machine::new(Company::Everybody);
    assert!(two.restore(&cache).unwrap());
    assert_eq!(look(&two.open().0), look(&root));
    // Who restored it knows what is in it, and sends nothing of it again.
    assert_eq!(two.save(&cache, 4), None);
    assert_eq!(one.save(&cache, 5), None);
}

#[test]
fn what_changes_behind_a_note_is_found() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    for second in 0..20 {
        let text = format!("{second:05}");
        let path = root.join("d1/e1/1");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, text).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert!(one.save(&cache, second).is_some(), "{second}");
    }
}

#[test]
fn what_changes_in_a_directory_behind_a_note_is_found() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    one.save(&cache, 0).unwrap();
    let (folder, file) = (root.join("d1/e1"), root.join("d1/e1/new"));
    for second in 1..20 {
        let time = fs::metadata(&folder).unwrap().modified().unwrap();
        match second % 3 {
            1 => fs::write(&file, second.to_string()).unwrap(),
            2 => fs::set_permissions(&folder, fs::Permissions::from_mode(0o700 + second)).unwrap(),
            _ => fs::remove_file(&file).unwrap(),
        }
        File::open(&folder).unwrap().set_modified(time).unwrap();
        assert!(one.save(&cache, second.into()).is_some(), "{second}");
    }
    let two = Machine::new(Company::Everybody);
    assert!(two.restore(&cache).unwrap());
    assert_eq!(look(&two.open().0), look(&root));
    fs::rename(&folder, root.join("d2/moved")).unwrap();
    assert!(one.save(&cache, 20).is_some());
    assert_eq!(one.save(&cache, 21), None);
}

#[test]
fn a_cache_that_lies_or_lacks_something_reaches_no_mount() {
    let (cache, (one, _)) = (Memory::default(), furnished());
    one.save(&cache, 1).unwrap();
    let whole = cache.blobs.lock().unwrap().clone();
    for digest in whole.keys() {
        for bytes in [None, Some(b"lie".to_vec()), Some(whole[digest][..20].to_vec())] {
            let mut blobs = cache.blobs.lock().unwrap();
            match bytes {
                Some(bytes) => drop(blobs.insert(*digest, bytes)),
                None => drop(blobs.remove(digest)),
            }
            drop(blobs);
            let two = Machine::new(Company::Everybody);
            let told = two.restore(&cache).unwrap_err().to_string();
            assert!(told.contains("npm") && told.contains("memory"), "{told}");
            let (path, origin) = two.open();
            assert_eq!((fs::read_dir(path).unwrap().count(), origin), (0, Origin::Created));
            *cache.blobs.lock().unwrap() = whole.clone();
        }
    }
    // One of its bytes is another, and it is well-formed all the same.
    let record = cache.records.lock().unwrap().values().next().unwrap().clone();
    let pack = PortableMount::decode(&record).unwrap().packs[0].digest;
    let mut plain = zstd::decode_all(&*whole[&pack]).unwrap();
    plain[5] ^= 1;
    cache.blobs.lock().unwrap().insert(pack, zstd::encode_all(&*plain, 1).unwrap());
    assert!(Machine::new(Company::Everybody).restore(&cache).is_err());
}

#[test]
fn who_does_not_want_it_any_more_has_nothing_of_it() {
    let (cache, (one, _)) = (Memory::default(), furnished());
    one.save(&cache, 1).unwrap();
    let record = cache.records.lock().unwrap().values().next().unwrap().clone();
    let record = PortableMount::decode(&record).unwrap();
    let two = Machine::new(Company::Everybody);
    let vacancy = two.store.vacancy(&two.spec).unwrap().unwrap();
    let stopped = restore::restore(&cache, &record, (vacancy.path(), &|| false)).unwrap_err();
    assert!(matches!(stopped.cause, restore::RestoreCause::Interrupted));
    drop(vacancy);
    assert_eq!(two.open().1, Origin::Created);
}

#[test]
fn what_a_cache_has_lost_is_sent_again() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    one.save(&cache, 1).unwrap();
    let whole = cache.blobs.lock().unwrap().clone();
    for digest in whole.keys() {
        cache.blobs.lock().unwrap().remove(digest);
        assert!(one.save(&cache, 2).is_some());
        let two = Machine::new(Company::Everybody);
        assert!(two.restore(&cache).unwrap());
        assert_eq!(look(&two.open().0), look(&root));
    }
}

#[test]
fn what_turned_out_to_be_something_else_is_sent_again() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    one.save(&cache, 1).unwrap();
    let whole = cache.blobs.lock().unwrap().clone();
    for (digest, bytes) in &whole {
        for lie in [b"lie".to_vec(), bytes[..bytes.len() / 2].to_vec(), vec![0; bytes.len()]] {
            cache.blobs.lock().unwrap().insert(*digest, lie);
            Machine::new(Company::Everybody).restore(&cache).unwrap_err();
            assert!(one.save(&cache, 2).is_some());
            let two = Machine::new(Company::Everybody);
            assert!(two.restore(&cache).unwrap());
            assert_eq!(look(&two.open().0), look(&root));
        }
    }
}

/// Files without further names.
fn without_links(root: &Path) {
    for number in 0..50 {
        fs::remove_file(root.join(format!("link{number}"))).unwrap();
    }
    fs::remove_file(root.join("linked")).unwrap();
}

#[test]
fn a_mount_that_nobody_has_changed_becomes_what_another_machine_has_saved() {
    for has_links in [true, false] {
        let (cache, (one, root)) = (Memory::default(), furnished());
        if !has_links {
            without_links(&root);
        }
        one.save_and_note(&cache, 1);
        let two = Machine::new(Company::Everybody);
        assert!(two.restore(&cache).unwrap());
        assert!(two.follow(&cache).is_none(), "there is nothing newer");
        // Every way in which one state differs from the next.
        fs::write(root.join("d1/e1/1"), "other").unwrap();
        fs::write(root.join("new"), "file").unwrap();
        fs::remove_file(root.join("d4/e2/11")).unwrap();
        fs::remove_dir_all(root.join("d5")).unwrap();
        fs::create_dir_all(root.join("fresh/deep")).unwrap();
        fs::write(root.join("fresh/deep/file"), "deep").unwrap();
        fs::rename(root.join("d3/e0"), root.join("moved")).unwrap();
        fs::remove_file(root.join("symlink")).unwrap();
        symlink("elsewhere", root.join("symlink")).unwrap();
        fs::remove_file(root.join("empty")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::write(root.join("empty/no-more"), "x").unwrap();
        fs::set_permissions(root.join("d1"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(root.join("d2/e2/2"), fs::Permissions::from_mode(0o600)).unwrap();
        let long = File::options().write(true).open(root.join("long")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&long, b"changed", 10 << 20).unwrap();
        one.save_and_note(&cache, 2);
        assert_eq!(two.follow(&cache).unwrap().unwrap(), Followed::Done);
        assert_eq!(look(&two.open().0), look(&root), "{has_links}");
        assert!(two.follow(&cache).is_none());
        // Who has followed knows what is there, and sends nothing of it.
        assert_eq!(two.save(&cache, 3), None);
    }
}

#[test]
fn what_a_step_has_changed_since_stays() {
    let changes: [&dyn Fn(&Path); 4] = [
        &|root| fs::write(root.join("d1/e1/1"), "of here").unwrap(),
        &|root| fs::write(root.join("of-here"), "").unwrap(),
        &|root| fs::remove_file(root.join("symlink")).unwrap(),
        &|root| fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap(),
    ];
    for change in changes {
        let (cache, (one, root)) = (Memory::default(), furnished());
        one.save_and_note(&cache, 1);
        let two = Machine::new(Company::Everybody);
        assert!(two.restore(&cache).unwrap());
        change(&two.open().0);
        let before = look(&two.open().0);
        fs::write(root.join("new"), "of there").unwrap();
        one.save_and_note(&cache, 2);
        assert_eq!(two.follow(&cache).unwrap().unwrap(), Followed::Stays);
        assert_eq!(look(&two.open().0), before);
        // Once it is saved it is as what it was saved, and follows.
        two.save_and_note(&cache, 3);
        fs::write(two.open().0.join("newest"), "").unwrap();
        two.save_and_note(&cache, 4);
        assert_eq!(one.follow(&cache).unwrap().unwrap(), Followed::Done);
        assert_eq!(look(&root), look(&two.open().0));
    }
}

#[test]
fn a_mount_stays_whole_where_what_another_machine_saved_is_not_to_be_had() {
    let (cache, (one, root)) = (Memory::default(), furnished());
    without_links(&root);
    one.save_and_note(&cache, 1);
    let old: Vec<Digest> = cache.blobs.lock().unwrap().keys().copied().collect();
    let two = Machine::new(Company::Everybody);
    assert!(two.restore(&cache).unwrap());
    let before = look(&two.open().0);
    fs::write(root.join("d1/e1/1"), "other").unwrap();
    one.save_and_note(&cache, 2);
    let whole = cache.blobs.lock().unwrap().clone();
    for digest in whole.keys().filter(|digest| !old.contains(digest)) {
        cache.blobs.lock().unwrap().insert(*digest, b"lie".to_vec());
        two.follow(&cache).unwrap().unwrap_err();
        assert_eq!(look(&two.open().0), before);
        *cache.blobs.lock().unwrap() = whole.clone();
    }
    // Packs of which nothing is needed are not asked for.
    cache.blobs.lock().unwrap().retain(|digest, _| !old.contains(digest));
    assert_eq!(two.follow(&cache).unwrap().unwrap(), Followed::Done);
    assert_eq!(look(&two.open().0), look(&root));
}

#[test]
fn a_mount_in_use_is_not_read() {
    let (one, _) = furnished();
    let held = one.store.open_cache(&one.spec).unwrap();
    let mount = one.store.cache_mounts().unwrap().remove(0);
    let hold = || one.store.hold_cache_mount(&mount, &|| false).unwrap();
    assert!(matches!(hold(), Hold::Busy));
    drop(held);
    assert!(matches!(hold(), Hold::Quiet(_)));
}

#[test]
fn a_record_has_these_bytes() {
    let blob = |text: &[u8]| (Digest::of(text), text.len() as u64);
    let descriptor = |kind, (digest, size)| {
        crate::oci::descriptor::Descriptor::new(
            crate::oci::media_type::MediaType::new(kind),
            digest,
            size,
        )
    };
    let record = PortableMount {
        identity: "npm\0Nothing".to_owned(),
        platform: "linux/amd64".to_owned(),
        label: "npm".to_owned(),
        created: Timestamp { seconds: 7, nanos: 8 },
        files: 2,
        bytes: 3,
        document: descriptor(super::DOCUMENT_TYPE, blob(b"document")),
        packs: vec![descriptor(super::PACK_TYPE, blob(b"pack"))],
    };
    let bytes = record.encode();
    assert_eq!(PortableMount::decode(&bytes), Some(record.clone()));
    expect_test::expect![[r#"{"kind":"cache-mount","v":1,"identity":"npm\u0000Nothing","platform":"linux/amd64","label":"npm","created":[7,8],"files":2,"bytes":3,"document":["sha256:43cc23fa52b87b4cc1d02b5b114154151d6adddb17c9fddc06b027fa99e24008",8],"packs":[["sha256:4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226",4]]}"#]].assert_eq(std::str::from_utf8(&bytes).unwrap());
    expect_test::expect!["4e3027b7d071a1d105b9a60cbd6b7c91fbc163566a9986ba8449e0cc40f349ac"]
        .assert_eq(&record.key().to_string());
    let text = String::from_utf8(bytes).unwrap();
    for other in
        [text.replace("\"v\":1", "\"v\":2"), text.replace("cache-mount", "x"), String::new()]
    {
        assert_eq!(PortableMount::decode(other.as_bytes()), None);
    }
}
