//! Trees in the store.

use crate::error::{ReadError, WriteError, malformed};
use crate::id::TreeId;
use crate::lease::Lease;
use crate::object::{Encoding, Kind};
use crate::store::Store;
use crate::tree::encode::{decode, decode_root, encode};
use crate::tree::entry::Tree;
use crate::tree::limits;

impl Lease {
    /// Stores a tree.
    ///
    /// # Errors
    ///
    /// If an entry is past a limit, which whoever reads the tree would meet, or the store cannot be
    /// written.
    pub fn put_tree(&self, tree: &Tree) -> Result<TreeId, WriteError> {
        limits::check(tree)?;
        let bytes = encode(tree);
        let id = TreeId::of(&bytes);
        self.put(Kind::Tree, id.as_bytes(), Encoding::Zstd, &bytes)?;
        Ok(id)
    }
}

impl Store {
    /// Reads a tree; `None` where the store does not hold it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or what it has is no tree.
    pub fn tree(&self, id: &TreeId) -> Result<Option<Tree>, ReadError> {
        let Some(bytes) = self.get(Kind::Tree, id.as_bytes())? else { return Ok(None) };
        decode(&bytes).map(Some).map_err(|_| malformed("a tree"))
    }

    /// Reads what a tree says of its root, and leaves out its entries; `None` where the store does not
    /// hold it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or what it has is no tree.
    pub(crate) fn tree_root(&self, id: &TreeId) -> Result<Option<Tree>, ReadError> {
        let Some(bytes) = self.get(Kind::Tree, id.as_bytes())? else { return Ok(None) };
        let root = decode_root(&bytes).map_err(|_| malformed("a tree"))?;
        Ok(Some(Tree { root, ..Tree::default() }))
    }
}
