//! Action records: what a step made, under the key of all that went into it.

use crate::error::ReadError;
use crate::id::{BodyId, CacheKey, LayerId, unhex};
use crate::journal::batch::{Batch, Table};
use crate::journal::unread;
use crate::last_use::Used;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::wire::{Decoder, Encoder};

pub(crate) const VERSION: u8 = 1;

/// What the names of those inputs begin with whose value is the id of a body, in hexadecimal digits: a
/// listing of files that the step read. A collection keeps it as long as the record; that it is not there
/// is no damage.
pub const LISTING: &str = "listing ";

/// The remembered result of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActionRecord {
    /// What it is remembered under.
    pub key: CacheKey,
    /// The layer it made; `None` for a step that changed no file.
    pub layer: Option<LayerId>,
    /// When it ran.
    pub created: Timestamp,
    /// What went into the key, as names and values that explain a later miss.
    pub inputs: Vec<(String, String)>,
}

impl ActionRecord {
    /// The listings that are kept with the record.
    pub fn listings(&self) -> impl Iterator<Item = BodyId> {
        let listings = self.inputs.iter().filter(|(name, _)| name.starts_with(LISTING));
        listings.filter_map(|(_, id)| unhex(id).map(BodyId::from_bytes))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.option(self.layer.as_ref().map(|id| id.as_bytes().as_slice()))
            .raw(&self.created.seconds.to_le_bytes())
            .raw(&self.created.nanos.to_le_bytes())
            .number(self.inputs.len() as u64);
        for (name, value) in &self.inputs {
            out.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
        out.finish()
    }

    fn decode(key: CacheKey, bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let layer = from.option()?.map(LayerId::from_bytes);
        let seconds = from.array().map(i64::from_le_bytes)?;
        let nanos = from.array().map(u32::from_le_bytes)?;
        let inputs = from.list(|from| Some((from.text()?, from.text()?)))?;
        from.end(Self { key, layer, created: Timestamp { seconds, nanos }, inputs })
    }
}

impl Batch {
    /// Remembers the result of a step.
    pub fn put_action(&mut self, record: &ActionRecord) -> &mut Self {
        self.put(Table::Actions, record.key.as_bytes(), record.encode())
    }

    /// Forgets the result of a step.
    pub fn remove_action(&mut self, key: &CacheKey) -> &mut Self {
        self.delete(Table::Actions, key.as_bytes())
    }
}

impl Store {
    /// The remembered result of a step, as long as its layer is recorded too. A lease that has found
    /// it keeps that.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn action(&self, key: &CacheKey) -> Result<Option<ActionRecord>, ReadError> {
        let Some(bytes) = self.journal().get(Table::Actions, key.as_bytes()) else {
            return Ok(None);
        };
        self.note_use(&Used::Action(key));
        let action = unread::one(RECORD, ActionRecord::decode(*key, &bytes), (&bytes, VERSION))?;
        match action.as_ref().and_then(|action| action.layer) {
            Some(layer) if self.layer(&layer)?.is_none() => Ok(None),
            _ => Ok(action),
        }
    }

    /// All remembered results, in order of their keys. Records that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn actions(&self) -> Result<Vec<ActionRecord>, ReadError> {
        let rows = self.journal().scan(Table::Actions).into_iter();
        Ok(rows
            .filter_map(|(key, value)| unread::among_others(RECORD, row(&key, &value)))
            .collect())
    }
}

/// What a row of the table is, in words.
const RECORD: &str = "an action record";

fn row(key: &[u8], value: &[u8]) -> Option<ActionRecord> {
    ActionRecord::decode(CacheKey::from_bytes(key.try_into().ok()?), value)
}

/// Whether a row of the table can be read.
pub(crate) fn reads(key: &[u8], value: &[u8]) -> bool {
    row(key, value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let key = CacheKey::of(b"step");
        let inputs = vec![("arg V".to_owned(), "1".to_owned())];
        let created = Timestamp { seconds: -5, nanos: 7 };
        for layer in [None, Some(LayerId::of(b"layer"))] {
            let record = ActionRecord { key, layer, created, inputs: inputs.clone() };
            assert_eq!(ActionRecord::decode(key, &record.encode()), Some(record));
        }
    }
}
