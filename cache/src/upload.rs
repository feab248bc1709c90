//! What a build made to a cache: only what that lacks, and within a time that whoever builds will wait.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rayon::ThreadPool;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError};
use wythe_store::error::{ReadError, WriteError};
use wythe_store::id::{CacheKey, LayerId};
use wythe_store::image::catalog::StoredContent;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{ExportError, export};
use wythe_store::lease::Lease;
use wythe_store::oci::content::Content as _;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::portable_action::PortableAction;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::encode::content_id;

/// How long writing may take unless it is said otherwise: as long as a large image takes on a slow
/// line, and not as long as jobs may run.
pub const UPLOAD_TIME: Duration = Duration::from_mins(10);

/// A step whose result is to be kept.
#[derive(Clone, Debug)]
pub struct MadeStep {
    /// What it is found by.
    pub key: CacheKey,
    /// What it is called.
    pub name: String,
    /// The layer that it made, in the store.
    pub layer: LayerId,
    /// When it ran.
    pub created: Timestamp,
    /// How long it took; zero where that is not known.
    pub duration: Duration,
    /// What went into its key.
    pub inputs: Vec<(String, String)>,
}

/// Where results go, and how.
pub struct Upload<'a> {
    /// Keeps the layers meanwhile.
    pub lease: &'a Lease,
    /// The cache.
    pub backend: Arc<dyn CacheBackend>,
    /// Where layers are compressed.
    pub pool: &'a ThreadPool,
    /// How they are: as those of the image, so that both have the same blobs.
    pub codec: Codec,
    /// How long it may take.
    pub time: Duration,
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Upload").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Uploaded {
    /// How many results the cache lacked.
    pub records: usize,
    /// How many blobs it lacked.
    pub blobs: usize,
    /// How many bytes these have.
    pub bytes: u64,
}

/// A cache that was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// It could not do what it was asked for.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A layer could not be compressed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It took too long.
    #[error("cache {backend}: not written within {time:?}")]
    Time {
        /// The name of the cache.
        backend: String,
        /// How long it might have taken.
        time: Duration,
    },
}

impl Upload<'_> {
    /// Keeps what the cache lacks. Where it has all of that nothing is compressed, read or sent.
    ///
    /// # Errors
    ///
    /// If the cache or the store fails, or the cache takes too long; what was written then stays.
    pub fn run(&self, steps: &[MadeStep]) -> Result<Uploaded, UploadError> {
        let keys: Vec<CacheKey> = steps.iter().map(|step| step.key).collect();
        let backend = self.backend.clone();
        let known = self.in_time(move || backend.records(&keys))??;
        let is_known = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(PortableAction::decode);
        let mut records = Vec::new();
        for (step, found) in steps.iter().zip(&known) {
            if is_known(found).is_none()
                && let Some(record) = self.record(step)?
            {
                records.push((step.key, record));
            }
        }
        if records.is_empty() {
            return Ok(Uploaded::default());
        }
        let (store, backend) = (self.lease.store().clone(), self.backend.clone());
        Ok(self.in_time(move || send(&store, &*backend, &records))??)
    }

    /// What is kept of a step, whose layer is compressed for it; nothing where the layer is not here.
    fn record(&self, step: &MadeStep) -> Result<Option<PortableAction>, UploadError> {
        let store = self.lease.store();
        let Some(mut layer) = store.layer(&step.layer)? else { return Ok(None) };
        let tree = layer.tree.map(|id| store.tree(&id)).transpose()?.flatten();
        let Some(tree) = tree else { return Ok(None) };
        let before = layer.clone();
        let blob = self.pool.install(|| export(self.lease, &mut layer, self.codec))?;
        if layer != before {
            let mut batch = Batch::new();
            batch.put_layer(&layer);
            self.lease.commit(batch, Durability::Relaxed)?;
        }
        let (Some(diff_id), Some(tar_size)) = (layer.diff_id, layer.tar_size) else {
            return Ok(None);
        };
        let MadeStep { name, created, duration, inputs, .. } = step.clone();
        let content = content_id(&tree);
        Ok(Some(PortableAction {
            diff_id,
            tar_size,
            blob,
            content,
            created,
            duration,
            step: name,
            inputs,
        }))
    }

    /// Does something on a thread of its own, which is left behind where it takes too long.
    fn in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, UploadError> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || drop(sender.send(work())));
        let (backend, time) = (self.backend.name().to_owned(), self.time);
        receiver.recv_timeout(time).map_err(|_| UploadError::Time { backend, time })
    }
}

fn send(
    store: &Store,
    backend: &dyn CacheBackend,
    records: &[(CacheKey, PortableAction)],
) -> Result<Uploaded, CacheError> {
    let mut blobs: Vec<&Descriptor> = records.iter().map(|(_, record)| &record.blob).collect();
    blobs.sort_by_key(|blob| blob.digest);
    blobs.dedup_by_key(|blob| blob.digest);
    let digests: Vec<_> = blobs.iter().map(|blob| blob.digest).collect();
    let missing = backend.missing(&digests)?;
    blobs.retain(|blob| missing.contains(&blob.digest));
    let content = StoredContent(store);
    for blob in &blobs {
        let open = || content.open(blob).map(|reader| -> Box<dyn Read + Send> { reader });
        let (digest, size, media_type) = (blob.digest, blob.size, blob.media_type.as_str());
        backend.put_blob(&CacheBlob { digest, size, media_type, open: &open })?;
    }
    let encoded: Vec<_> = records.iter().map(|(key, record)| (*key, record.encode())).collect();
    backend.put_records(&encoded)?;
    backend.finish()?;
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    Ok(Uploaded { records: records.len(), blobs: blobs.len(), bytes })
}
