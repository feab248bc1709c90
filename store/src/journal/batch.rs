//! Changes to the journal, collected to be made at once.

/// A table of the journal: what its keys and values mean.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Name of an image → descriptor of its manifest or index.
    Refs,
    /// Layer id → what is known of the layer.
    Layers,
    /// `DiffID` → layer id.
    LayersByDiff,
    /// Digest of a layer's blob → layer id.
    LayersByBlob,
    /// Cache key → what a step made.
    Actions,
    /// Name of an unpacked layer's directory → which layer it is, and whether it is synced.
    Live,
    /// Pack name → the boot in which it was published without a sync, or put aside by a repair; nothing once it is
    /// synced.
    Packs,
    /// Path of something garbage collection found dead → the group that said so.
    Condemned,
    /// Keys and values of other layers of the program, by prefix.
    Notes,
    /// Under an empty key the boot in which what earlier ones left was last checked; under
    /// [`COLLECTED`] the number of the last group by which collection took anything away.
    Boot,
}

/// The key in [`Table::Boot`] of the last group by which collection took anything away.
pub const COLLECTED: &[u8] = b"collected";

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// The key is gone.
    Delete {
        /// Table and key.
        key: Vec<u8>,
    },
    /// The key has this value.
    Put {
        /// Table and key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
}

/// Changes that become true together, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 10] = [
        Self::Refs,
        Self::Layers,
        Self::LayersByDiff,
        Self::LayersByBlob,
        Self::Actions,
        Self::Live,
        Self::Packs,
        Self::Condemned,
        Self::Notes,
        Self::Boot,
    ];

    /// The byte before every key of the table.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Refs => 1,
            Self::Layers => 2,
            Self::LayersByDiff => 3,
            Self::LayersByBlob => 4,
            Self::Actions => 5,
            Self::Live => 6,
            Self::Packs => 7,
            Self::Condemned => 8,
            Self::Notes => 9,
            Self::Boot => 10,
        }
    }

    /// A key with its table in front.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(key.len() + 1);
        full.push(self.code());
        full.extend_from_slice(key);
        full
    }
}

impl Batch {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key a value.
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) -> &mut Self {
        self.changes.push(Change::Put { key: table.key(key), value });
        self
    }

    /// Takes a key away; one that has no value stays without.
    pub fn delete(&mut self, table: Table, key: &[u8]) -> &mut Self {
        self.changes.push(Change::Delete { key: table.key(key) });
        self
    }

    /// Makes a change.
    pub(crate) fn push(&mut self, change: Change) -> &mut Self {
        self.changes.push(change);
        self
    }

    /// Adds the changes of another batch after ours.
    pub fn append(&mut self, mut other: Self) -> &mut Self {
        self.changes.append(&mut other.changes);
        self
    }

    /// The changes in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
