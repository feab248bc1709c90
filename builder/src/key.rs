//! Cache keys: an operation over what its inputs are, or over what they contain.

use wythe_store::id::{CacheKey, ContentId};

use crate::operation::{Lookup, Operation};

/// What a key says about one input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InputKey {
    /// How it was made.
    Definition(CacheKey),
    /// What is used of it.
    Content(ContentId),
}

/// The key of an operation over its inputs: the parent first, then the others, then contexts.
///
/// Every field has its length before it and every input its kind, so that no two different lists
/// are the same bytes.
pub fn cache_key(operation: &Operation, lookup: Lookup, inputs: &[InputKey]) -> CacheKey {
    let mut hasher = CacheKey::hasher();
    let scope: &[u8] = match lookup {
        Lookup::Definition => b"definition",
        Lookup::Content => b"content",
    };
    field(&mut hasher, scope);
    field(&mut hasher, operation.kind().as_bytes());
    let facts = operation.facts(lookup);
    count(&mut hasher, facts.len());
    for (name, value) in &facts {
        field(&mut hasher, name.as_bytes());
        field(&mut hasher, value.as_bytes());
    }
    count(&mut hasher, inputs.len());
    for input in inputs {
        match input {
            InputKey::Definition(key) => hasher.update(b"d").update(key.as_bytes()),
            InputKey::Content(id) => hasher.update(b"c").update(id.as_bytes()),
        };
    }
    CacheKey::from_hasher(&hasher)
}

fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    count(hasher, bytes.len());
    hasher.update(bytes);
}

fn count(hasher: &mut blake3::Hasher, count: usize) {
    hasher.update(&(count as u64).to_le_bytes());
}

#[cfg(test)]
mod tests;
