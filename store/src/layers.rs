//! What the store knows of each layer: a record under its id, found by DiffID and by blob too.

use std::collections::BTreeSet;

use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::id::{LayerId, TreeId};
use crate::journal::Journal;
use crate::journal::batch::{Batch, Table};
use crate::journal::unread;
use crate::live_record::LiveName;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::Compression;
use crate::store::Store;
use crate::wire::{Decoder, Encoder};

pub(crate) const VERSION: u8 = 1;

/// A layer in the forms the store can give it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerRecord {
    /// Its name.
    pub id: LayerId,
    /// Its files; absent while the only copy is an adopted directory or a blob.
    pub tree: Option<TreeId>,
    /// The digest of its tar stream, once somebody needed it.
    pub diff_id: Option<DiffId>,
    /// The length of its tar stream.
    pub tar_size: Option<u64>,
    /// Its compressed forms.
    pub blobs: Vec<LayerBlob>,
    /// The directory it is unpacked in.
    pub live: Option<LiveName>,
    /// Repositories (`host/name`) known to hold it.
    pub origins: Vec<String>,
}

/// One compressed form of a layer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerBlob {
    /// How it is compressed.
    pub compression: Compression,
    /// What made it: encoder, level and version, or empty for a blob that came from elsewhere.
    pub codec: String,
    /// What a manifest says of it.
    pub descriptor: Descriptor,
}

impl LayerRecord {
    /// A record that knows nothing but the layer's name.
    pub fn new(id: LayerId) -> Self {
        let (blobs, origins) = (Vec::new(), Vec::new());
        Self { id, tree: None, diff_id: None, tar_size: None, blobs, live: None, origins }
    }

    /// Whether no blob of it came from elsewhere, so that its tree is all there was of it.
    pub(crate) fn is_made_here(&self) -> bool {
        self.blobs.iter().all(|blob| !blob.codec.is_empty())
    }

    /// The keys of the rows by which it is found, beside its id.
    fn found_by(&self) -> impl Iterator<Item = (Table, Digest)> {
        let diff_id = self.diff_id.iter().map(|diff_id| (Table::LayersByDiff, diff_id.0));
        diff_id.chain(self.blobs.iter().map(|blob| (Table::LayersByBlob, blob.descriptor.digest)))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.option(self.tree.as_ref().map(|id| id.as_bytes().as_slice()))
            .option(self.diff_id.as_ref().map(|id| id.0.as_bytes().as_slice()))
            .option(self.tar_size.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice))
            .bytes(self.live.as_ref().map_or("", LiveName::as_str).as_bytes())
            .number(self.blobs.len() as u64);
        for blob in &self.blobs {
            let descriptor = encode_descriptor(&blob.descriptor);
            out.byte(code(blob.compression)).bytes(blob.codec.as_bytes()).bytes(&descriptor);
        }
        out.number(self.origins.len() as u64);
        for origin in &self.origins {
            out.bytes(origin.as_bytes());
        }
        out.finish()
    }

    /// The record of a row of [`Table::Layers`]; `None` where it makes no sense.
    pub(crate) fn of_row(key: &[u8], value: &[u8]) -> Result<Option<Self>, ReadError> {
        unread::one(RECORD, row(key, value), (value, VERSION))
    }

    /// What this record and another of the same layer know together; of what both know, this one
    /// is right. `has_live` says which directories there are.
    #[must_use]
    pub(crate) fn merged(mut self, other: Self, has_live: impl Fn(&LiveName) -> bool) -> Self {
        self.tree = self.tree.or(other.tree);
        self.diff_id = self.diff_id.or(other.diff_id);
        self.tar_size = self.tar_size.or(other.tar_size);
        self.live = self.live.filter(&has_live).or(other.live.filter(&has_live));
        for blob in other.blobs {
            if !self.blobs.iter().any(|own| own.descriptor.digest == blob.descriptor.digest) {
                self.blobs.push(blob);
            }
        }
        for origin in other.origins {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
        self
    }

    fn decode(id: LayerId, bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let tree = from.option()?.map(TreeId::from_bytes);
        let diff_id = from.option()?.map(|bytes| DiffId(Digest::from_bytes(bytes)));
        let tar_size = from.option()?.map(u64::from_le_bytes);
        let live = LiveName::new(&from.text()?);
        let blobs = from.list(|from| {
            let compression = compression(from.byte()?)?;
            let codec = from.text()?;
            Some(LayerBlob { compression, codec, descriptor: decode_descriptor(from.bytes()?)? })
        })?;
        let origins = from.list(Decoder::text)?;
        from.end(Self { id, tree, diff_id, tar_size, blobs, live, origins })
    }
}

impl Batch {
    /// Records a layer, in place of what was recorded of it before.
    pub fn put_layer(&mut self, record: &LayerRecord) -> &mut Self {
        let id = record.id.as_bytes();
        self.put(Table::Layers, id, record.encode());
        for (table, digest) in record.found_by() {
            self.put(table, digest.as_bytes(), id.to_vec());
        }
        self
    }

    /// Forgets layers, and finds those that stay by the tar streams and blobs that they have in
    /// common with them: two runs of a step at once may make the same.
    pub(crate) fn remove_layers(
        &mut self,
        journal: &Journal,
        gone: &[LayerRecord],
        kept: &[LayerRecord],
    ) -> &mut Self {
        let mut unfound = BTreeSet::new();
        for record in gone {
            let id = record.id.as_bytes();
            self.delete(Table::Layers, id);
            for (table, digest) in record.found_by() {
                if journal.get(table, digest.as_bytes()).as_deref() == Some(id) {
                    self.delete(table, digest.as_bytes());
                    unfound.insert((table, digest));
                }
            }
        }
        for record in kept {
            for (table, digest) in record.found_by().filter(|by| unfound.remove(by)) {
                self.put(table, digest.as_bytes(), record.id.as_bytes().to_vec());
            }
        }
        self
    }
}

impl Store {
    /// What is known of a layer.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn layer(&self, id: &LayerId) -> Result<Option<LayerRecord>, ReadError> {
        let Some(bytes) = self.row(Table::Layers, id.as_bytes()) else {
            return Ok(None);
        };
        unread::one(RECORD, LayerRecord::decode(*id, &bytes), (&bytes, VERSION))
    }

    /// The layer with this tar stream.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn layer_of_diff(&self, diff_id: &DiffId) -> Result<Option<LayerRecord>, ReadError> {
        self.layer_by(Table::LayersByDiff, &diff_id.0)
    }

    /// The layer one of whose compressed forms this is.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn layer_of_blob(&self, digest: &Digest) -> Result<Option<LayerRecord>, ReadError> {
        self.layer_by(Table::LayersByBlob, digest)
    }

    fn layer_by(&self, table: Table, digest: &Digest) -> Result<Option<LayerRecord>, ReadError> {
        let found = self.row(table, digest.as_bytes());
        let found = match found.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(id) => self.layer(&LayerId::from_bytes(id))?,
            None => None,
        };
        match found {
            Some(record) if record.tree.is_some() => Ok(Some(record)),
            // As long as collection took nothing away, all that our leases have found is where it was.
            None if self
                .stakes()
                .iter()
                .all(|stake| self.journal().collected() <= stake.since()) =>
            {
                Ok(None)
            }
            found => Ok(self.found_layer_by(table, digest)?.or(found)),
        }
    }

    /// The same among layers that leases of ours have found, of which it is known what is in them:
    /// collection may have taken the way to them, or it may lead to another record since.
    fn found_layer_by(
        &self,
        table: Table,
        digest: &Digest,
    ) -> Result<Option<LayerRecord>, ReadError> {
        for (key, value) in self.stakes().iter().flat_map(|stake| stake.rows_of(Table::Layers)) {
            let Some(record) = LayerRecord::of_row(&key[1..], &value)? else { continue };
            if record.tree.is_some() && record.found_by().any(|way| way == (table, *digest)) {
                // As it is by now, where it is there.
                return self.layer(&record.id);
            }
        }
        Ok(None)
    }

    /// All layers, in order of their ids. Records that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn layers(&self) -> Result<Vec<LayerRecord>, ReadError> {
        let rows = self.journal().scan(Table::Layers).into_iter();
        Ok(rows
            .filter_map(|(key, value)| unread::among_others(RECORD, row(&key, &value)))
            .collect())
    }
}

/// What a row of the table is, in words.
const RECORD: &str = "a layer record";

fn row(key: &[u8], value: &[u8]) -> Option<LayerRecord> {
    LayerRecord::decode(LayerId::from_bytes(key.try_into().ok()?), value)
}

/// Whether a row of the table can be read.
pub(crate) fn reads(key: &[u8], value: &[u8]) -> bool {
    row(key, value).is_some()
}

/// Descriptors are kept in the form the image specification gives them.
pub(crate) fn encode_descriptor(descriptor: &Descriptor) -> Vec<u8> {
    serde_json::to_vec(descriptor).expect("a descriptor has only text keys")
}

/// Reads what [`encode_descriptor`] wrote.
pub(crate) fn decode_descriptor(bytes: &[u8]) -> Option<Descriptor> {
    serde_json::from_slice(bytes).ok()
}

fn code(compression: Compression) -> u8 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Zstd => 2,
    }
}

fn compression(code: u8) -> Option<Compression> {
    [Compression::None, Compression::Gzip, Compression::Zstd].into_iter().nth(usize::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::MediaType;

    #[test]
    fn a_full_and_an_empty_record_read_back() {
        let id = LayerId::of(b"layer");
        let blob = LayerBlob {
            compression: Compression::Gzip,
            codec: "gzip-6".to_owned(),
            descriptor: Descriptor::of(MediaType::LAYER_GZIP, b"blob"),
        };
        let full = LayerRecord {
            tree: Some(TreeId::of(b"tree")),
            diff_id: Some(DiffId(Digest::of(b"tar"))),
            tar_size: Some(1024),
            blobs: vec![blob],
            live: LiveName::new("ab1z"),
            origins: vec!["example.org/app".to_owned()],
            ..LayerRecord::new(id)
        };
        for record in [full, LayerRecord::new(id)] {
            assert_eq!(LayerRecord::decode(id, &record.encode()), Some(record));
        }
    }
}
