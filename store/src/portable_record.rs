//! What caches keep under a key: the result of a step, or a cache mount.

use crate::oci::descriptor::Descriptor;
use crate::portable_action::PortableAction;
use crate::portable_mount::PortableMount;
use crate::timestamp::Timestamp;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum PortableRecord {
    /// The result of a step. Whoever made it, it is the same one.
    Action(Box<PortableAction>),
    /// A cache mount, of which the newest counts.
    Mount(Box<PortableMount>),
}

impl PortableRecord {
    /// Reads a record of either kind; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let action = PortableAction::decode(bytes).map(|action| Self::Action(Box::new(action)));
        action.or_else(|| PortableMount::decode(bytes).map(|mount| Self::Mount(Box::new(mount))))
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        match self {
            Self::Action(action) => action.created,
            Self::Mount(mount) => mount.created,
        }
    }

    /// The blobs that it needs.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        match self {
            Self::Action(action) => action.blobs().collect(),
            Self::Mount(mount) => mount.blobs().collect(),
        }
    }

    /// Whether it takes the place of another one under its key.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mount(own), Self::Mount(other)) => own.created > other.created,
            (Self::Action(_) | Self::Mount(_), Self::Action(_) | Self::Mount(_)) => false,
        }
    }
}
