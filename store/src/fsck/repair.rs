//! Repair: what is damaged is had from elsewhere, and what cannot be had is let go and named.
//!
//! Each step is safe to be cut short and to be done again: what is whole is stored and committed
//! before what is damaged goes out of the way, and a name goes last of all.

mod cure;
mod directories;
mod rows;
mod salvage;

use std::fmt;

use crate::digest::Digest;
use crate::error::{At, WriteError};
use crate::fsck::Depth;
use crate::fsck::damage::{Damage, ImageDamage};
use crate::gc;
use crate::id::LayerId;
use crate::oci::source::ImageSource;
use crate::store::Store;

use self::cure::Cure;

/// Something a repair has done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Repaired {
    /// What was whole of a pack is in another one, and the pack in `quarantine/`.
    Pack {
        /// Where it lay.
        path: String,
        /// How many objects were stored anew.
        n_kept: usize,
        /// How many were lost, as far as that is known.
        n_lost: usize,
    },
    /// A blob that had changed is in `quarantine/`.
    Blob(Digest),
    /// The journal was written anew, without what cannot be read of it.
    Journal,
    /// Records that make no sense were dropped.
    Record {
        /// What they were of.
        what: String,
    },
    /// The ways to find layers were made from the layers' records again.
    Ways {
        /// How many.
        n_rows: usize,
    },
    /// A document or blob was fetched again.
    Fetched {
        /// What.
        digest: Digest,
        /// From which repository.
        from: String,
    },
    /// A layer was made anew from what else the store has of it.
    Layer(LayerId),
    /// A directory that differed from its layer is used no more, and another is there.
    Directory {
        /// Where it lies until it is collected.
        path: String,
    },
    /// A layer that cannot be had any more was forgotten, and the results of steps with it.
    ForgottenLayer(LayerId),
    /// A name was dropped: the image cannot be had any more.
    DroppedName {
        /// The name.
        name: String,
        /// Why.
        damage: ImageDamage,
    },
}

/// Something a registry may have that gave no answer to go by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unasked {
    /// The name of an image that needs it.
    pub name: String,
    /// What it is.
    pub digest: Digest,
    /// What kept it from being asked for.
    pub why: String,
}

/// What came of a repair.
#[derive(Debug, Default)]
pub struct Repair {
    /// What was done, in order.
    pub done: Vec<Repaired>,
    /// What could not be asked for, and keeps its name and records for that reason.
    pub unasked: Vec<Unasked>,
    /// What is still damaged.
    pub left: Vec<Damage>,
}

impl Store {
    /// Puts right what is damaged. Whole objects leave damaged packs; what is missing is made from
    /// other copies, or fetched by its digest with `source` from where it came; what cannot be had
    /// is dropped: results of steps, and the names of images of which a part is lost for good.
    ///
    /// No collection runs meanwhile; builds may.
    ///
    /// # Errors
    ///
    /// If the store cannot be written. What was done so far stays, and doing it again goes on.
    pub fn repair(&self, source: Option<&dyn ImageSource>) -> Result<Repair, WriteError> {
        let _alone = self.vfs().lock(gc::LOCK).writing(gc::LOCK)?;
        let lease = self.lease()?;
        self.refresh()?;
        let mut repair = Repair::default();
        rows::journal(self, &mut repair.done)?;
        rows::records(&lease, &mut repair.done)?;
        salvage::packs(&lease, &mut repair.done)?;
        salvage::blobs(&lease, &mut repair.done)?;
        let mut cure = Cure::new(&lease, source, &mut repair.done);
        cure.images()?;
        cure.layers()?;
        cure.names()?;
        repair.unasked = cure.unasked();
        drop(lease);
        repair.left = self.verify(Depth::Full)?;
        Ok(repair)
    }
}

/// What came of trying one way.
fn attempt<T, E: std::error::Error>(what: &str, tried: Result<T, E>) -> Option<T> {
    tried.inspect_err(|error| tracing::debug!(%error, what, "cannot be had this way")).ok()
}

impl fmt::Display for Unasked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, why } = self;
        write!(
            out,
            "kept {name}, which lacks {digest}: whether a registry has it is not known: {why}"
        )
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack { path, n_kept, n_lost } => write!(
                out,
                "put {path} aside in quarantine/: {n_kept} objects stored anew, {n_lost} lost"
            ),
            Self::Blob(digest) => write!(out, "put blob {digest} aside in quarantine/"),
            Self::Journal => out.write_str("wrote the journal anew"),
            Self::Record { what } => write!(out, "dropped what was recorded of {what}"),
            Self::Ways { n_rows } => write!(out, "recorded {n_rows} ways to find layers anew"),
            Self::Fetched { digest, from } => write!(out, "fetched {digest} from {from}"),
            Self::Layer(layer) => write!(out, "made layer {layer} anew"),
            Self::Directory { path } => write!(out, "unpacked anew what {path} should be"),
            Self::ForgottenLayer(layer) => write!(out, "forgot layer {layer}, which is lost"),
            Self::DroppedName { name, damage } => {
                write!(out, "dropped the name {name}, whose image is lost: {damage}")
            }
        }
    }
}
