//! Blobs that a cache lacks, and then the records that speak of them.

use std::collections::BTreeSet;
use std::io::{self, Read};

use wythe_store::cache_backend::{CacheBlob, CacheError};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::image::catalog::StoredContent;
use wythe_store::oci::content::Content as _;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::portable_document::PortableDocument;
use wythe_store::side_by_side::side_by_side;

use super::queue::{Queue, ReadyRecord, Request};
use super::{UploadError, UploadPlan, Uploaded};

/// Blobs that are sent at a time: as many as of a push.
const BLOBS_AT_A_TIME: usize = 4;

/// Sends what is ready until no more comes, and then what makes it found. A cache that lacks nothing is
/// written nothing.
pub(super) fn run(plan: &UploadPlan, queue: &Queue) -> Result<Uploaded, UploadError> {
    let (mut all, mut known) = (Uploaded::default(), BTreeSet::new());
    while let Some(records) = queue.records() {
        let request = queue.request();
        let sent = plan.send(&records, &mut known, &request)?;
        all.records += sent.records;
        all.blobs += sent.blobs;
        all.bytes += sent.bytes;
    }
    if all.records > 0 {
        let _request = queue.request();
        plan.keep(&queue.documents())?;
        plan.backend.finish()?;
    }
    Ok(all)
}

impl UploadPlan {
    /// Sends what is lacking of the blobs that are not `known` to be there.
    fn send(
        &self,
        records: &[ReadyRecord],
        known: &mut BTreeSet<Digest>,
        request: &Request<'_>,
    ) -> Result<Uploaded, CacheError> {
        let mut blobs: Vec<&Descriptor> =
            records.iter().flat_map(|(_, record)| record.blobs()).collect();
        blobs.retain(|blob| known.insert(blob.digest));
        let unasked = self.backend.unasked();
        let asked = blobs.iter().filter(|blob| unasked < blob.size);
        let asked: Vec<Digest> = asked.map(|blob| blob.digest).collect();
        let missing = if asked.is_empty() { asked } else { self.backend.missing(&asked)? };
        blobs.retain(|blob| blob.size <= unasked || missing.contains(&blob.digest));
        let put = |blob: &&Descriptor| self.put(blob, request);
        side_by_side(&blobs, BLOBS_AT_A_TIME, put).into_iter().collect::<Result<(), _>>()?;
        let encoded: Vec<_> = records.iter().map(|(key, record)| (*key, record.encode())).collect();
        self.backend.put_records(&encoded)?;
        let bytes = blobs.iter().map(|blob| blob.size).sum();
        let results = records.iter().filter(|(_, record)| record.latest.is_none()).count();
        let layers = blobs.iter().filter(|blob| blob.media_type.layer_compression().is_some());
        Ok(Uploaded { records: results, blobs: layers.count(), bytes })
    }

    /// Keeps the documents that are lacking.
    fn keep(&self, documents: &[PortableDocument]) -> Result<(), CacheError> {
        let keys: Vec<CacheKey> = documents.iter().map(PortableDocument::key).collect();
        let known = if keys.is_empty() { Vec::new() } else { self.backend.records(&keys)? };
        let lacking = documents.iter().zip(known).filter(|(_, known)| known.is_none());
        let lacking: Vec<_> = lacking.map(|(one, _)| (one.key(), one.encode())).collect();
        if lacking.is_empty() { Ok(()) } else { self.backend.put_records(&lacking) }
    }

    fn put(&self, blob: &Descriptor, request: &Request<'_>) -> Result<(), CacheError> {
        let content = StoredContent(self.lease.store());
        let open = || {
            let reader = content.open(blob)?;
            Ok(Box::new(ShowsLife { reader, request }) as Box<dyn Read + Send + '_>)
        };
        let (digest, size, media_type) = (blob.digest, blob.size, blob.media_type.as_str());
        let put = self.backend.put_blob(&CacheBlob { digest, size, media_type, open: &open });
        request.comes_on();
        put
    }
}

/// A blob of which every piece that is taken is a sign of life.
struct ShowsLife<'a> {
    reader: Box<dyn Read + Send + 'a>,
    request: &'a Request<'a>,
}

impl Read for ShowsLife<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.request.comes_on();
        self.reader.read(buffer)
    }
}
