//! What the store knows of the directories under `live/`: whose files they hold, and whether a
//! power cut could have spoiled them.

pub mod stamp;

use crate::error::ReadError;
use crate::id::LayerId;
use crate::journal::BootId;
use crate::journal::batch::{Batch, Table};
use crate::journal::unread;
use crate::live_record::stamp::Stamp;
use crate::store::Store;
use crate::wire::{Decoder, Encoder};

pub(crate) const VERSION: u8 = 2;

/// The version without [stamps](Stamp). Such a directory is the right one if there is any.
const WITHOUT_STAMP: u8 = 1;

/// In which form a layer is unpacked: how its owners and its devices are kept on this machine.
///
/// To be raised when directories are made otherwise than before, so that those there are would
/// give a step, and what it copies up, something else. They are not used any more, and made anew.
/// It stands before the mapping, so that programs that know no forms find another mapping there.
pub const FORM: u8 = 3;

/// The name of a directory under `live/`: two to eight of `0-9a-z`. Short, because every lower
/// directory of an overlay mount has to fit into one page of options.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LiveName(String);

/// An unpacked layer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LiveRecord {
    /// Which layer it is.
    pub layer: LayerId,
    /// Which mapping of ids its owners were written through.
    pub idmap: Vec<u8>,
    /// The [form](FORM) it was made in; 1 stands for all that are older than forms.
    pub form: u8,
    /// The boot it was written in.
    pub boot: BootId,
    /// Whether its files are on disk for certain.
    pub sync: Sync,
    /// How it was left, where that is known.
    pub stamp: Option<Stamp>,
}

/// Whether files have been synced since they were written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sync {
    /// They survive a power cut.
    Synced,
    /// They may be empty after one.
    Unsynced,
}

impl LiveName {
    /// A name from its text; `None` for text that is no such name.
    pub fn new(text: &str) -> Option<Self> {
        let fine = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        let sound = (2..=8).contains(&text.len()) && text.bytes().all(fine);
        sound.then(|| Self(text.to_owned()))
    }

    /// A name of four characters out of random bytes. It may be taken; then try another.
    pub fn from_random(random: [u8; 4]) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let digit = |byte| char::from(DIGITS[usize::from(byte) % DIGITS.len()]);
        Self(random.into_iter().map(digit).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the directory lies in the store.
    pub fn path(&self) -> String {
        format!("live/{}", self.0)
    }
}

impl LiveRecord {
    fn encode(&self) -> Vec<u8> {
        let sync = u8::from(self.sync == Sync::Synced);
        let form = if self.form == 1 { &[][..] } else { &[self.form] };
        let idmap = [form, &self.idmap].concat();
        let mut out = Encoder::new(self.stamp.map_or(WITHOUT_STAMP, |_| VERSION));
        out.raw(self.layer.as_bytes()).bytes(&idmap).raw(&self.boot).byte(sync);
        if let Some(stamp) = &self.stamp {
            stamp.write(&mut out);
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let without = Decoder::new(bytes, WITHOUT_STAMP);
        let is_stamped = without.is_none();
        let mut from = without.or_else(|| Decoder::new(bytes, VERSION))?;
        let layer = LayerId::from_bytes(from.array()?);
        // A mapping is text: what stands before one is no letter.
        let (form, idmap) = match from.bytes()? {
            [form, idmap @ ..] if form.is_ascii_control() => (*form, idmap),
            idmap => (1, idmap),
        };
        let idmap = idmap.to_vec();
        let boot = from.array()?;
        let sync = if from.byte()? == 1 { Sync::Synced } else { Sync::Unsynced };
        let stamp = if is_stamped { Some(Stamp::read(&mut from)?) } else { None };
        from.end(Self { layer, idmap, form, boot, sync, stamp })
    }
}

impl Batch {
    /// Records what is in a directory under `live/`.
    pub fn put_live(&mut self, name: &LiveName, record: &LiveRecord) -> &mut Self {
        self.put(Table::Live, name.as_str().as_bytes(), record.encode())
    }

    pub(crate) fn put_live_key(&mut self, name: &[u8], record: &LiveRecord) -> &mut Self {
        self.put(Table::Live, name, record.encode())
    }

    /// Forgets a directory under `live/`.
    pub fn remove_live(&mut self, name: &LiveName) -> &mut Self {
        self.delete(Table::Live, name.as_str().as_bytes())
    }
}

impl Store {
    /// What is recorded of a directory under `live/`.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn live(&self, name: &LiveName) -> Result<Option<LiveRecord>, ReadError> {
        let Some(bytes) = self.row(Table::Live, name.as_str().as_bytes()) else {
            return Ok(None);
        };
        // Nobody puts another in the place of one that is not understood: a new directory has a
        // name of its own.
        Ok(unread::among_others(RECORD, LiveRecord::decode(&bytes)))
    }

    /// All recorded directories, in order of their names. Records that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn lives(&self) -> Result<Vec<(LiveName, LiveRecord)>, ReadError> {
        let rows = self.journal().scan(Table::Live).into_iter();
        Ok(rows
            .filter_map(|(key, value)| unread::among_others(RECORD, row(&key, &value)))
            .collect())
    }
}

/// What a row of the table is, in words.
const RECORD: &str = "a live record";

fn row(key: &[u8], value: &[u8]) -> Option<(LiveName, LiveRecord)> {
    let name = std::str::from_utf8(key).ok().and_then(LiveName::new)?;
    Some((name, LiveRecord::decode(value)?))
}

/// Whether a row of the table can be read.
pub(crate) fn reads(key: &[u8], value: &[u8]) -> bool {
    row(key, value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        for bad in ["", "a", "../x", "a/b", "Ab", "123456789"] {
            assert_eq!(LiveName::new(bad), None, "{bad}");
        }
        assert!(LiveName::new(LiveName::from_random([0, 35, 36, 255]).as_str()).is_some());
    }

    fn record(form: u8, sync: Sync) -> LiveRecord {
        let idmap = b"u0:1000:1;g0:1000:1".to_vec();
        LiveRecord { layer: LayerId::of(b"x"), idmap, form, boot: [7; 16], sync, stamp: None }
    }

    fn stamp() -> Stamp {
        let sim = crate::sim::Sim::default();
        let name = LiveName::new("ab").unwrap();
        for path in ["live", &name.path()] {
            crate::vfs::Vfs::make_dir(&sim, path).unwrap();
        }
        Stamp::of(&sim, &name).unwrap()
    }

    #[test]
    fn a_record_without_a_stamp_is_one_of_the_version_before() {
        let record = record(FORM, Sync::Synced);
        assert_eq!(record.encode()[0], WITHOUT_STAMP);
        assert_eq!(LiveRecord { stamp: Some(stamp()), ..record }.encode()[0], VERSION);
    }

    #[test]
    fn a_record_reads_back() {
        for sync in [Sync::Synced, Sync::Unsynced] {
            for form in 1..=FORM {
                let record = record(form, sync);
                assert_eq!(LiveRecord::decode(&record.encode()), Some(record.clone()));
                let record = LiveRecord { stamp: Some(stamp()), ..record };
                let encoded = record.encode();
                assert_eq!(LiveRecord::decode(&encoded), Some(record));
                assert_eq!(LiveRecord::decode(&encoded[..encoded.len() - 1]), None);
            }
        }
    }

    #[test]
    fn programs_without_forms_find_another_mapping() {
        let [old, new] = [1, FORM].map(|form| record(form, Sync::Synced).encode());
        let mapping = |bytes: &[u8]| {
            let mut from = Decoder::new(bytes, WITHOUT_STAMP).unwrap();
            from.array::<32>().unwrap();
            from.bytes().unwrap().to_vec()
        };
        assert_eq!(mapping(&old), b"u0:1000:1;g0:1000:1");
        assert_eq!(mapping(&new), b"\x03u0:1000:1;g0:1000:1");
    }
}
