//! Where a deflate stream can be entered.

/// How far back a deflate stream refers: what has to be known of what is before a checkpoint.
pub(super) const WINDOW: usize = 32 << 10;

/// A place in a gzip stream from which it can be uncompressed: the beginning of a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Checkpoint {
    /// The compressed byte that it starts with, or the one after where `bits` are left.
    pub(super) at: u64,
    /// How many plain bytes are before it.
    pub(super) plain: u64,
    /// How many bits of the byte before `at` belong to it.
    pub(super) bits: u8,
    /// The plain bytes before it, [`WINDOW`] of them; none where nothing refers to them.
    pub(super) window: Vec<u8>,
}

impl Checkpoint {
    /// In the form of a zTOC.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.plain.to_le_bytes());
        out.push(self.bits);
        out.resize(out.len() + WINDOW - self.window.len(), 0);
        out.extend_from_slice(&self.window);
    }
}
