//! A cache in a bucket: blobs under the keys that BuildKit gives them, and one object for each name with the records
//! of its builds.
//!
//! `<prefix>blobs/<digest>` is what BuildKit calls the same bytes, so that both find each other's and expire
//! together; small ones of a build lie there in one. `<prefix>wythe/<name>` is ours alone. Several builds that end at the same moment write it one after the
//! other, each on the condition that nobody wrote in between.

mod index;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wythe_aws::error::{AwsError, AwsProblem};
use wythe_aws::s3::{Bucket, Condition, ObjectBody, Put, digest_of};
use wythe_registry::settings::Timing;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_bundle::{BUNDLE_TYPE, PortableBundle};
use wythe_store::side_by_side::side_by_side;

use self::index::{Index, MAX_INDEX, Record};
use crate::bundles::{Bundles, SMALL, Sealed, within};

/// How many small requests are made at once.
const THREADS: usize = 16;
/// How often a name is written anew because others wrote it in between.
const MAX_MERGES: u32 = 8;
/// The longest wait before that.
const MERGE_DELAY: Duration = Duration::from_millis(400);
const INDEX_TYPE: &str = "application/vnd.wythe.cache.index.v1+zstd";

/// Where in a bucket a cache is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3Options {
    /// What every key begins with, such as `team/`; nothing is put between it and the rest.
    pub prefix: String,
    /// What keys of blobs go on with: `blobs/`.
    pub blobs: String,
    /// What keys of names go on with: `wythe/`.
    pub records: String,
    /// Under which names records are read and written, at least one.
    pub names: Vec<String>,
    /// How many parts of a blob are sent at once.
    pub parallel: usize,
    /// Blobs that are older are made young again when they are met, for a rule that removes the old ones.
    pub refresh: Duration,
}

/// A cache in a bucket.
#[derive(Debug)]
pub struct S3Cache {
    name: String,
    bucket: Bucket,
    options: S3Options,
    timing: std::sync::Arc<dyn Timing>,
    bundles: Bundles,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the names stood for when they were read; `None` before.
    read: Option<Vec<Named>>,
    /// What this build adds.
    added: Index,
    /// What is known to lie in one blob with others.
    bundles: Vec<PortableBundle>,
    /// Blobs that are gone, or not what they are called.
    lost: BTreeSet<Digest>,
}

/// What a name stood for, and the tag of that.
#[derive(Clone, Debug, Default)]
struct Named {
    index: Index,
    tag: Option<String>,
}

impl S3Cache {
    /// A cache, which nobody is asked about yet.
    pub fn new(bucket: Bucket, options: S3Options, timing: std::sync::Arc<dyn Timing>) -> Self {
        let name = format!("s3 {}/{}", bucket.url(), options.prefix);
        let (bundles, state) = (Bundles::default(), Mutex::default());
        Self { name, bucket, options, timing, bundles, state }
    }

    fn blob_key(&self, digest: &Digest) -> String {
        format!("{}{}{digest}", self.options.prefix, self.options.blobs)
    }

    fn name_key(&self, name: &str) -> String {
        format!("{}{}{name}", self.options.prefix, self.options.records)
    }

    fn fail(&self, error: AwsError) -> CacheError {
        CacheError { backend: self.name.clone(), problem: problem(error) }
    }

    /// A panic while it is held leaves it as it was.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.bucket.moment().as_second()
    }

    /// The names as they are, read once.
    fn load(&self) -> Result<MutexGuard<'_, State>, CacheError> {
        let mut state = self.state();
        if state.read.is_none() {
            let read = side_by_side(&self.options.names, THREADS, |name| self.read(name));
            let read: Vec<Named> = read.into_iter().collect::<Result<_, _>>()?;
            state.bundles = read.iter().flat_map(|named| named.index.bundles()).collect();
            state.read = Some(read);
        }
        Ok(state)
    }

    /// What a name stands for now; nothing where there is none, or one that makes no sense.
    fn read(&self, name: &str) -> Result<Named, CacheError> {
        let found = self.bucket.get(&self.name_key(name), None);
        let Some((info, answer)) = found.map_err(|error| self.fail(error))? else {
            return Ok(Named::default());
        };
        let mut bytes = Vec::new();
        answer.body.take(MAX_INDEX as u64).read_to_end(&mut bytes).map_err(|error| CacheError {
            backend: self.name.clone(),
            problem: CacheProblem::Network { detail: error.to_string() },
        })?;
        Ok(Named { index: Index::decode(&bytes).unwrap_or_default(), tag: info.tag })
    }

    /// Adds to a name what this build has, and to whatever others have added meanwhile.
    fn write(&self, name: &str, mut named: Named, added: &Index) -> Result<(), CacheError> {
        for _ in 0..MAX_MERGES {
            named.index.merge(added.clone());
            match self.put_index(name, &mut named)? {
                Put::Written => return Ok(()),
                Put::WrittenAnyway => {
                    // The server holds to no condition: somebody may have written at the same moment.
                    named = self.read(name)?;
                    if named.index.holds(added) {
                        return Ok(());
                    }
                }
                Put::Refused => named = self.read(name)?,
            }
            self.state().lost.iter().for_each(|blob| named.index.forget(blob));
            let longest = u64::try_from(MERGE_DELAY.as_millis()).unwrap_or(u64::MAX - 1);
            self.timing.sleep(Duration::from_millis(self.timing.random() % (longest + 1)));
        }
        let detail = format!("{name} was written by others {MAX_MERGES} times in a row");
        Err(CacheError { backend: self.name.clone(), problem: CacheProblem::Network { detail } })
    }

    fn put_index(&self, name: &str, named: &mut Named) -> Result<Put, CacheError> {
        let io =
            |error: io::Error| CacheError { backend: self.name.clone(), problem: error.into() };
        let bytes = named.index.encode().map_err(io)?;
        let digest = digest_of(&bytes);
        let open = || Ok(Box::new(&*bytes) as Box<dyn Read + Send + '_>);
        let body = ObjectBody {
            open: &open,
            size: bytes.len() as u64,
            sha256: Some(&digest),
            media_type: INDEX_TYPE,
        };
        let condition = named.tag.as_deref().map_or(Condition::IfAbsent, Condition::IfUnchanged);
        let put = self.bucket.put(&self.name_key(name), &body, (condition, self.options.parallel));
        put.map_err(|error| self.fail(error))
    }

    /// In which bundle a blob lies.
    fn bundle_of(&self, blob: &Digest) -> Result<Option<(PortableBundle, Range<u64>)>, CacheError> {
        let state = self.load()?;
        let part = |bundle: &PortableBundle| {
            let mut parts = bundle.parts().filter(|(part, _)| part == blob);
            parts.next().map(|(_, range)| (bundle.clone(), range))
        };
        Ok(state.bundles.iter().find_map(part))
    }

    /// Whether the bundle in which a blob lies is there, which is kept as long as what is written now.
    fn is_bundled(&self, blob: &Digest) -> Result<bool, CacheError> {
        if self.bundles.has(blob) {
            return Ok(true);
        }
        let Some((bundle, _)) = self.bundle_of(blob)? else { return Ok(false) };
        let digest = bundle.blob().digest;
        if !self.unseen(&[digest])?.is_empty() && !self.is_there(&digest)? {
            self.discredit(blob);
            return Ok(false);
        }
        let written = self.now();
        let added = &mut self.state().added;
        added.blobs.insert(digest, written);
        added.records.insert(bundle.key(), Record { written, bytes: bundle.encode() });
        Ok(true)
    }

    fn put_bundle(&self, (bundle, bytes): &Sealed) -> Result<(), CacheError> {
        let open = || Ok(Box::new(&**bytes) as Box<dyn Read + Send>);
        let (digest, size) = (bundle.blob().digest, bundle.blob().size);
        self.put_apart(&CacheBlob { digest, size, media_type: BUNDLE_TYPE, open: &open })?;
        let written = self.now();
        let mut state = self.state();
        state.bundles.push(bundle.clone());
        let record = Record { written, bytes: bundle.encode() };
        state.added.records.insert(bundle.key(), record);
        Ok(())
    }

    /// Puts a blob that lies by itself. It is signed by its digest, so that the bucket refuses other bytes.
    fn put_apart(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let digest = blob.digest.hex();
        let given = blob.open;
        // The same, for as long as this request.
        let open = move || given();
        let body = ObjectBody {
            open: &open,
            size: blob.size,
            sha256: Some(&digest),
            media_type: blob.media_type,
        };
        let is_lost = self.state().lost.contains(&blob.digest);
        let condition = if is_lost { Condition::Always } else { Condition::IfAbsent };
        let how = (condition, self.options.parallel);
        let put = self.bucket.put(&self.blob_key(&blob.digest), &body, how);
        if put.map_err(|error| self.fail(error))? == Put::Refused {
            // It was not asked for, and may be old.
            self.is_there(&blob.digest)?;
        }
        let now = self.now();
        let mut state = self.state();
        state.lost.remove(&blob.digest);
        state.added.blobs.insert(blob.digest, now);
        Ok(())
    }

    /// Some bytes of what lies by itself. Where it does not any more, what needs it is made and kept again.
    fn ranged(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let found = self.bucket.get(&self.blob_key(blob), Some(range.clone()));
        let found = found.map_err(|error| self.fail(error))?;
        let Some((_, mut answer)) = found else {
            self.lose(blob);
            let problem = CacheProblem::NotFound { detail: blob.to_string() };
            return Err(CacheError { backend: self.name.clone(), problem });
        };
        if answer.status == 200 && 0 < range.start {
            // A server without ranges sends everything.
            let skipped = io::copy(&mut answer.body.by_ref().take(range.start), &mut io::sink());
            skipped.map_err(|error| CacheError {
                backend: self.name.clone(),
                problem: CacheProblem::Network { detail: error.to_string() },
            })?;
        }
        Ok(Box::new(answer.body.take(range.end - range.start)))
    }

    /// Forgets what lies by itself, and what needs it.
    fn lose(&self, blob: &Digest) {
        let mut state = self.state();
        state.bundles.retain(|bundle| bundle.blob().digest != *blob);
        state.added.forget(blob);
        state.read.iter_mut().flatten().for_each(|named| named.index.forget(blob));
        state.lost.insert(*blob);
    }

    /// Those of which nobody has noted lately that they are there.
    fn unseen(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        let now = self.now();
        let refresh = i64::try_from(self.options.refresh.as_secs()).unwrap_or(i64::MAX);
        let state = self.load()?;
        let read = state.read.as_deref().unwrap_or_default();
        let fresh = |digest: &Digest| {
            let seen = read.iter().filter_map(|named| named.index.blobs.get(digest));
            let mut seen = seen.chain(state.added.blobs.get(digest));
            seen.any(|seen| now.saturating_sub(*seen) < refresh)
        };
        Ok(blobs.iter().filter(|digest| !fresh(digest)).copied().collect())
    }

    /// Whether a blob is there; one that is old is made young.
    fn is_there(&self, digest: &Digest) -> Result<bool, CacheError> {
        let key = self.blob_key(digest);
        let found = self.bucket.head(&key).map_err(|error| self.fail(error))?;
        let Some(info) = found else { return Ok(false) };
        let age = info.modified.map(|modified| self.bucket.moment().duration_since(modified));
        if age.is_some_and(|age| self.options.refresh.as_secs_f64() < age.as_secs_f64()) {
            // It is there today; whether it will be next month is not worth an error.
            let _ = self.bucket.touch(&key, "application/octet-stream");
        }
        Ok(true)
    }
}

impl CacheBackend for S3Cache {
    fn name(&self) -> &str {
        &self.name
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let state = self.load()?;
        let read = state.read.as_deref().unwrap_or_default();
        let newest = |key: &CacheKey| {
            let found = read.iter().filter_map(|named| named.index.records.get(key));
            let found = found.chain(state.added.records.get(key));
            found.max_by_key(|record| record.written).map(|record| record.bytes.clone())
        };
        Ok(keys.iter().map(newest).collect())
    }

    /// Blobs that were seen for less than the time after which they are made young again are not asked after.
    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        let now = self.now();
        let unknown = self.unseen(blobs)?;
        let there = side_by_side(&unknown, THREADS, |digest| {
            Ok(self.is_bundled(digest)? || self.is_there(digest)?)
        });
        let mut missing = Vec::new();
        for (digest, there) in unknown.iter().zip(there) {
            let there: bool = there?;
            let mut state = self.state();
            if there && !state.lost.contains(digest) {
                state.added.blobs.insert(*digest, now);
            } else {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    fn unasked(&self) -> u64 {
        SMALL
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        if range.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let Some((bundle, part)) = self.bundle_of(blob)? else { return self.ranged(blob, range) };
        let part = within(&part, &range);
        if part.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let read = |range| self.ranged(&bundle.blob().digest, range);
        let failed = |error: io::Error| CacheError {
            backend: self.name.clone(),
            problem: CacheProblem::Network { detail: error.to_string() },
        };
        self.bundles.open(bundle.blob(), part, read, failed)
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        if SMALL < blob.size {
            return self.put_apart(blob);
        }
        if self.is_bundled(&blob.digest)? || self.unseen(&[blob.digest])?.is_empty() {
            return Ok(());
        }
        let io =
            |error: io::Error| CacheError { backend: self.name.clone(), problem: error.into() };
        let full = self.bundles.add(blob).map_err(io)?;
        full.map_or(Ok(()), |sealed| self.put_bundle(&sealed))
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        let written = self.now();
        let mut state = self.state();
        for (key, bytes) in records {
            state.added.records.insert(*key, Record { written, bytes: bytes.clone() });
        }
        Ok(())
    }

    fn discredit(&self, blob: &Digest) {
        // Whoever has read of it has read the names.
        let bundle = self.bundle_of(blob).ok().flatten();
        let lies_in = bundle.map_or(*blob, |(bundle, _)| bundle.blob().digest);
        self.bundles.forget(&lies_in);
        self.lose(&lies_in);
    }

    /// Writes each name once, and no name that has nothing new.
    fn finish(&self) -> Result<(), CacheError> {
        self.bundles.seal().map_or(Ok(()), |sealed| self.put_bundle(&sealed))?;
        let (read, added) = {
            let state = self.load()?;
            (state.read.clone().unwrap_or_default(), state.added.clone())
        };
        if added == Index::default() {
            return Ok(());
        }
        let names: BTreeMap<&String, Named> = self.options.names.iter().zip(read).collect();
        let names: Vec<(&String, Named)> = names.into_iter().collect();
        let written =
            side_by_side(&names, THREADS, |(name, named)| self.write(name, named.clone(), &added));
        written.into_iter().collect()
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What an error of AWS is to whoever keeps a cache.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a new cause is told by its status until somebody thinks about it"
)]
fn problem(error: AwsError) -> CacheProblem {
    let detail = error.to_string();
    if error.is_throttling() {
        return CacheProblem::RateLimited { detail, after: None };
    }
    let status = error.status();
    match error.problem {
        AwsProblem::Denied { .. } | AwsProblem::Keys { .. } | AwsProblem::NoKeys { .. } => {
            CacheProblem::Unauthorized { detail }
        }
        AwsProblem::Content(error) => CacheProblem::Io(error),
        AwsProblem::Request(_) => CacheProblem::Network { detail },
        _ => match status {
            Some(401 | 403) => CacheProblem::Unauthorized { detail },
            Some(404) => CacheProblem::NotFound { detail },
            Some(507) => CacheProblem::Full { detail },
            Some(500..) => CacheProblem::Network { detail },
            _ => CacheProblem::Protocol { detail },
        },
    }
}
