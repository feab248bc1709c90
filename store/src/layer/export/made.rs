//! Parts as a codec makes them.

use std::borrow::Cow;

use super::ExportError;
use crate::bytes::Bytes;
use crate::layer::codec::Codec;
use crate::layer::fragment::{Nature, Part, Plain, zeros_name};
use crate::layer::recipe::Checksum;
use crate::lease::Lease;
use crate::object::{Encoding, ObjectName};

/// How parts are made.
#[derive(Clone)]
pub(super) struct Making<'a> {
    pub(super) lease: &'a Lease,
    pub(super) codec: Codec,
    /// The codec's.
    pub(super) id: &'a str,
    pub(super) reads: Reads,
}

/// Which parts are read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reads {
    /// All of them: somebody wants the whole stream.
    All,
    /// Those of which the store has no compressed form.
    Unknown,
}

/// A part as the codec makes it.
pub(super) struct Made {
    pub(super) name: ObjectName,
    pub(super) checksum: Checksum,
    /// Where all parts are read.
    pub(super) plain: Option<Bytes>,
    /// The compressed bytes, and the checksum.
    object: Bytes,
}

impl<'a> Making<'a> {
    pub(super) fn new(lease: &'a Lease, (codec, id): (Codec, &'a str), reads: Reads) -> Self {
        Self { lease, codec, id, reads }
    }

    /// Takes the part from the store, or makes it and stores it.
    pub(super) fn make(&self, part: Part) -> Result<Made, ExportError> {
        let name = part.name(self.id);
        if self.reads == Reads::Unknown
            && let Some(made) = self.kept(name)?
        {
            return Ok(made);
        }
        let plain = part.read(self.lease.store())?;
        let name = match plain.nature {
            Nature::Zeros => zeros_name(part.length(), self.id),
            Nature::Any => name,
        };
        let made = match self.kept(name)? {
            Some(made) => Ok(made),
            None => self.compress(name, &plain),
        };
        let read = match plain.bytes {
            Cow::Owned(bytes) => Some(Bytes::from(bytes)),
            Cow::Borrowed(_) => None,
        };
        let plain = match self.reads {
            Reads::Unknown => None,
            Reads::All => Some(match read {
                Some(read) => read,
                None => part.into_bytes(self.lease.store())?.into(),
            }),
        };
        Ok(Made { plain, ..made? })
    }

    fn compress(&self, name: ObjectName, plain: &Plain<'_>) -> Result<Made, ExportError> {
        let checksum = Checksum::of(&plain.bytes);
        let object = plain.compress(self.codec, checksum)?;
        self.keep(Made { name, checksum, plain: None, object: object.into() })
    }

    /// What was made of the part before.
    fn kept(&self, name: ObjectName) -> Result<Option<Made>, ExportError> {
        let Some(object) = self.lease.store().get(name.kind, &name.id)? else { return Ok(None) };
        // What is too short is none of ours, and made again.
        let Some(checksum) = Checksum::read(&object) else { return Ok(None) };
        self.keep(Made { name, checksum, plain: None, object }).map(Some)
    }

    /// Stores a part. One that was there may be about to be collected: then it is stored again.
    fn keep(&self, made: Made) -> Result<Made, ExportError> {
        if self.codec != Codec::None {
            let name = &made.name;
            self.lease.put(name.kind, &name.id, Encoding::Raw, &made.object)?;
        }
        Ok(made)
    }
}

impl Made {
    /// The object that it is in the store: its bytes in the blob, and the checksum.
    pub(super) fn object(&self) -> &Bytes {
        &self.object
    }

    /// Its bytes in the blob.
    pub(super) fn compressed(&self) -> &[u8] {
        &self.object[..self.object.len() - Checksum::SIZE]
    }
}
