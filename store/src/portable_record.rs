//! What caches keep under a key: the result of a step, a cache mount, a document of a base image, or
//! what else is there.

use crate::oci::descriptor::Descriptor;
use crate::portable_action::PortableAction;
use crate::portable_blobs::PortableBlobs;
use crate::portable_bundle::PortableBundle;
use crate::portable_document::PortableDocument;
use crate::portable_mount::PortableMount;
use crate::timestamp::Timestamp;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum PortableRecord {
    /// The result of a step. Whoever made it, it is the same one.
    Action(Box<PortableAction>),
    /// A cache mount, of which the newest counts.
    Mount(Box<PortableMount>),
    /// A document of a base image. Whoever kept it, it is the same one.
    Document(Box<PortableDocument>),
    /// Blobs that are there beside those of others.
    Blobs(PortableBlobs),
    /// Where small blobs are that lie in one.
    Bundle(Box<PortableBundle>),
}

impl PortableRecord {
    /// Reads a record of any kind; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let action = || Some(Self::Action(Box::new(PortableAction::decode(bytes)?)));
        let mount = || Some(Self::Mount(Box::new(PortableMount::decode(bytes)?)));
        let document = || Some(Self::Document(Box::new(PortableDocument::decode(bytes)?)));
        let blobs = || Some(Self::Blobs(PortableBlobs::decode(bytes)?));
        let bundle = || Some(Self::Bundle(Box::new(PortableBundle::decode(bytes)?)));
        action().or_else(mount).or_else(document).or_else(blobs).or_else(bundle)
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        match self {
            Self::Action(action) => action.created,
            Self::Mount(mount) => mount.created,
            Self::Document(document) => document.created,
            // They are of use to nobody once what they stand beside is gone.
            Self::Blobs(_) | Self::Bundle(_) => Timestamp::default(),
        }
    }

    /// The blobs that it needs.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        match self {
            Self::Action(action) => action.blobs().collect(),
            Self::Mount(mount) => mount.blobs().collect(),
            Self::Document(_) => Vec::new(),
            Self::Blobs(blobs) => blobs.blobs().iter().collect(),
            Self::Bundle(bundle) => vec![bundle.blob()],
        }
    }

    /// Whether it takes the place of another one under its key.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mount(own), Self::Mount(other)) => own.created > other.created,
            (
                Self::Action(_)
                | Self::Mount(_)
                | Self::Document(_)
                | Self::Blobs(_)
                | Self::Bundle(_),
                Self::Action(_)
                | Self::Mount(_)
                | Self::Document(_)
                | Self::Blobs(_)
                | Self::Bundle(_),
            ) => false,
        }
    }
}
