//! `type=local`: a directory in the form of an OCI layout, which a CI system keeps from job to job.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::{Digest, Hasher};
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::layout::REF_NAME;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_mount::PortableMount;

use crate::pack::{MAX_PACK, Pack, document_of};

/// Blobs that nothing names are kept this long: another job may be about to name them.
const UNNAMED: Duration = Duration::from_hours(24);

/// A directory.
#[derive(Debug)]
pub struct LocalCache {
    name: String,
    directory: PathBuf,
    tag: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was there when it was looked at first.
    read: Option<Pack>,
    /// What is to be written.
    new: Pack,
    /// Blobs that are not what they are called.
    discredited: BTreeSet<Digest>,
}

impl LocalCache {
    /// The cache in a directory, which need not be there. Several may lie in one under other tags.
    pub fn new(directory: &Path, tag: &str) -> Self {
        let name = format!("local {}", directory.display());
        let (directory, tag) = (directory.to_owned(), tag.to_owned());
        Self { name, directory, tag, state: Mutex::default() }
    }

    /// The cache mounts that are saved there.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn mounts(&self) -> Result<Vec<PortableMount>, CacheError> {
        self.read().map(|pack| pack.mounts()).map_err(|error| self.fail(error))
    }

    fn fail(&self, problem: impl Into<CacheProblem>) -> CacheError {
        CacheError { backend: self.name.clone(), problem: problem.into() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn index(&self) -> io::Result<Index> {
        let Some(bytes) = found(read_file(&self.directory.join("index.json")))? else {
            return Ok(Index::new(Vec::new()));
        };
        Index::parse(&bytes).map_err(io::Error::other)
    }

    fn is_meant(&self, entry: &Descriptor) -> bool {
        entry.annotations.get(REF_NAME) == Some(&self.tag)
    }

    /// The records that are there now. What is damaged counts as not there.
    fn read(&self) -> io::Result<Pack> {
        let index = self.index()?;
        let Some(entry) = index.manifests.iter().find(|entry| self.is_meant(entry)) else {
            return Ok(Pack::default());
        };
        let manifest = found(read_file(&self.blob_path(&entry.digest)))?;
        let document = manifest.as_deref().and_then(document_of);
        let Some(document) = document.filter(|document| document.size <= MAX_PACK) else {
            return Ok(Pack::default());
        };
        let bytes = found(read_file(&self.blob_path(&document.digest)))?.unwrap_or_default();
        let is_whole = Digest::of(&bytes) == document.digest;
        Ok(Pack::of_bytes(&bytes).filter(|_| is_whole).unwrap_or_default())
    }

    /// Whether a blob is there, as long as records say; one that no record speaks of is read.
    fn is_sound(&self, digest: &Digest) -> bool {
        let known = {
            let state = self.state();
            if state.discredited.contains(digest) {
                return false;
            }
            state.read.as_ref().and_then(|pack| pack.size_of(digest))
        };
        let path = self.blob_path(digest);
        match known {
            Some(size) => fs::metadata(&path).is_ok_and(|about| about.len() == size),
            None => open_file(&path).and_then(digest_of).is_ok_and(|found| found == *digest),
        }
    }

    /// Puts what is new over what is there by now, while nobody else does.
    fn write(&self, new: &Pack) -> io::Result<()> {
        fs::create_dir_all(self.directory.join("blobs/sha256"))?;
        let lock = File::create(self.directory.join(".wythe.lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        let mut all = new.clone();
        let mut there = self.read()?;
        self.state().discredited.iter().for_each(|blob| there.forget(blob));
        all.merge(there);
        all.keep_newest();
        let document = all.to_bytes();
        let manifest = all.manifest(&document);
        for bytes in [&document, &manifest] {
            replace(&self.blob_path(&Digest::of(bytes)), bytes)?;
        }
        let mut index = self.index()?;
        index.manifests.retain(|entry| !self.is_meant(entry));
        let mut entry = Descriptor::of(MediaType::MANIFEST, &manifest);
        entry.annotations.insert(REF_NAME.to_owned(), self.tag.clone());
        index.manifests.push(entry);
        replace(&self.directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        replace(&self.directory.join("index.json"), &index.to_bytes())?;
        self.sweep(&index)
    }

    /// Removes what no cache of this directory needs any more.
    fn sweep(&self, index: &Index) -> io::Result<()> {
        let mut named: Vec<Digest> = Vec::new();
        for entry in &index.manifests {
            named.push(entry.digest);
            let Some(bytes) = found(read_file(&self.blob_path(&entry.digest)))? else { continue };
            let Ok(manifest) = wythe_store::oci::manifest::Manifest::parse(&bytes) else {
                // An image, or what else others keep here: nothing is known of what it needs.
                return Ok(());
            };
            named.push(manifest.config.digest);
            named.extend(manifest.layers.iter().map(|layer| layer.digest));
        }
        let named: BTreeSet<String> = named.iter().map(Digest::hex).collect();
        for file in fs::read_dir(self.directory.join("blobs/sha256"))? {
            let file = file?;
            let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
            if !named.contains(&*file.file_name().to_string_lossy()) && UNNAMED < age {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

impl CacheBackend for LocalCache {
    fn name(&self) -> &str {
        &self.name
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let mut state = self.state();
        if state.read.is_none() {
            state.read = Some(self.read().map_err(|error| self.fail(error))?);
        }
        let pack = state.read.as_ref();
        let get = |key| pack.and_then(|pack| pack.get(key)).map(<[u8]>::to_vec);
        Ok(keys.iter().map(get).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        let lacks = |digest: &&Digest| !self.is_sound(digest);
        Ok(blobs.iter().filter(lacks).copied().collect())
    }

    fn unasked(&self) -> u64 {
        0
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let opened = found(open_file(&self.blob_path(blob))).map_err(|error| self.fail(error))?;
        let Some(mut file) = opened else {
            // What needs it is made and kept again.
            self.state().read.iter_mut().for_each(|pack| pack.forget(blob));
            return Err(self.fail(CacheProblem::NotFound { detail: blob.to_string() }));
        };
        file.seek(SeekFrom::Start(range.start)).map_err(|error| self.fail(error))?;
        Ok(Box::new(file.take(range.end.saturating_sub(range.start))))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let path = self.blob_path(&blob.digest);
        let staged = staged(&path);
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.directory.join("blobs/sha256"))?;
            let copied = io::copy(&mut (blob.open)()?, &mut File::create(&staged)?)?;
            if copied != blob.size {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the blob is cut short"));
            }
            fs::rename(&staged, &path)
        };
        write().map_err(|error| {
            // What is left of it is in nobody's way.
            let _ = fs::remove_file(&staged);
            self.fail(error)
        })?;
        self.state().discredited.remove(&blob.digest);
        Ok(())
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.state().new.add(records);
        Ok(())
    }

    fn discredit(&self, blob: &Digest) {
        let mut state = self.state();
        state.read.iter_mut().for_each(|pack| pack.forget(blob));
        state.discredited.insert(*blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        let new = std::mem::take(&mut self.state().new);
        if new.is_empty() { Ok(()) } else { self.write(&new).map_err(|error| self.fail(error)) }
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

fn found<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file, and nothing else: a pipe that somebody has left there would be waited for for ever.
fn open_file(path: &Path) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(at_once).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other(format!("{} is not a file", path.display())))
}

fn digest_of(mut file: File) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 128 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The name beside `path` under which it is written until it is complete.
fn staged(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.part", std::process::id()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = staged(path);
    fs::write(&staged, bytes)?;
    fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use crate::contract::{check, check_mending, keep, record};

    #[test]
    fn it_keeps_to_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("not/there");
        check(&|| Box::new(LocalCache::new(&place, "latest")));
    }

    #[test]
    fn what_is_damaged_is_mended_by_who_makes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalCache::new(folder.path(), "latest");
        for bytes in [&b"lie"[..], b"", &b"x".repeat(25_000)] {
            let damage = || fs::write(open().blob_path(&record(1).blob.digest), bytes).unwrap();
            check_mending(&|| Box::new(open()), &damage);
        }
    }

    #[test]
    fn caches_under_other_tags_are_apart_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let open = |tag: &str| LocalCache::new(folder.path(), tag);
        keep(&open("one"), &[1]);
        keep(&open("two"), &[2]);
        let key = CacheKey::of(&1i64.to_le_bytes());
        assert!(open("one").records(&[key]).unwrap()[0].is_some());
        assert!(open("two").records(&[key]).unwrap()[0].is_none());
    }

    #[test]
    fn what_is_damaged_is_not_there_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalCache::new(folder.path(), "latest");
        keep(&open(), &[1]);
        for file in fs::read_dir(folder.path().join("blobs/sha256")).unwrap() {
            fs::write(file.unwrap().path(), b"{}").unwrap();
        }
        let key = CacheKey::of(&1i64.to_le_bytes());
        assert_eq!(open().records(&[key]).unwrap(), [None]);
        keep(&open(), &[1]);
        assert!(open().records(&[key]).unwrap()[0].is_some());
        assert!(open().missing(&[record(1).blob.digest]).unwrap().is_empty());
    }

    #[test]
    fn what_is_lost_is_not_found_any_more_and_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalCache::new(folder.path(), "latest");
        keep(&open(), &[1, 2]);
        let (keys, blob) = ([1i64, 2].map(|one| CacheKey::of(&one.to_le_bytes())), record(1).blob);
        fs::remove_file(open().blob_path(&blob.digest)).unwrap();
        let builder = open();
        assert!(builder.records(&keys).unwrap()[0].is_some());
        let problem = builder.blob(&blob.digest, 0..1).map(drop).unwrap_err().problem;
        assert!(matches!(problem, CacheProblem::NotFound { .. }));
        let known: Vec<_> = builder.records(&keys).unwrap().iter().map(Option::is_some).collect();
        assert_eq!(known, [false, true]);
        keep(&builder, &[1]);
        assert!(open().records(&keys).unwrap().iter().all(Option::is_some));
        assert!(open().blob(&blob.digest, 0..1).is_ok());
    }

    #[test]
    fn pipes_are_waited_for_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalCache::new(folder.path(), "latest");
        keep(&open(), &[1]);
        let digest = record(1).blob.digest;
        let make = |path: &Path| {
            fs::remove_file(path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
        };
        make(&open().blob_path(&digest));
        assert!(open().blob(&digest, 0..1).is_err());
        make(&folder.path().join("index.json"));
        assert!(open().records(&[CacheKey::of(b"k")]).is_err());
    }

    #[test]
    fn what_nothing_names_goes_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(folder.path(), "latest");
        keep(&cache, &[1]);
        let stray = folder.path().join("blobs/sha256/stray");
        fs::write(&stray, b"x").unwrap();
        keep(&cache, &[2]);
        assert!(stray.exists());
        let old = SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&stray).unwrap().set_modified(old).unwrap();
        keep(&cache, &[3]);
        assert!(!stray.exists());
    }
}
