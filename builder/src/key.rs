//! Cache keys: an operation over what its inputs are, or over what they contain.

use wythe_dockerfile::mount::Requirement;
use wythe_store::id::{CacheKey, ContentId};

use crate::operation::run::{MountKind, RunStep};
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
/// # Form
///
/// BLAKE3 in the domain of [`CacheKey`] over: how it is looked up (`definition` or `content`); the
/// kind; how many facts there are, and of each the name and the value, of which the first says by
/// which [`RULES`](crate::operation::RULES); how many inputs there are, and of each `d` or `c` and 32
/// bytes. Texts are UTF-8 with their length before them, lengths and counts are 64 bits,
/// little-endian; so no two different lists are the same bytes. There is nothing in a key that another
/// machine could not say too.
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

/// The input that stands for optional secrets that are not there, by the positions of their mounts;
/// none where all are. A step whose secrets are all there is the same whether it could have done
/// without them or not.
pub(crate) fn absent_secrets(step: &RunStep, is_given: impl Fn(&str) -> bool) -> Option<InputKey> {
    let mut positions = Vec::new();
    for (position, mount) in step.mounts.iter().enumerate() {
        if let MountKind::Secret { id, required: Requirement::Optional, .. }
        | MountKind::SecretVariable { id, required: Requirement::Optional, .. } = &mount.kind
            && !is_given(id)
        {
            positions.extend_from_slice(&(position as u64).to_le_bytes());
        }
    }
    let absent = || InputKey::Content(ContentId::of(&[b"absent secrets", &*positions].concat()));
    (!positions.is_empty()).then(absent)
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
