//! Expansion with places: an error of a word points at the word.

use wythe_dockerfile::ast::{Escape, Word};
use wythe_dockerfile::expand::{Expanded, Variables, expand};

use super::error::LowerError;

/// Expands a word as written.
pub(crate) fn word(
    word: &Word,
    escape: Escape,
    variables: &dyn Variables,
) -> Result<String, LowerError> {
    whole(word, escape, variables).map(|expanded| expanded.value)
}

/// Expands a word and keeps which names were not set.
pub(crate) fn whole(
    word: &Word,
    escape: Escape,
    variables: &dyn Variables,
) -> Result<Expanded, LowerError> {
    expand(&word.value, escape, variables).map_err(|error| LowerError::expansion(word.span, &error))
}

/// Expands words in order.
pub(crate) fn words<'a>(
    list: impl IntoIterator<Item = &'a Word>,
    escape: Escape,
    variables: &dyn Variables,
) -> Result<Vec<String>, LowerError> {
    list.into_iter().map(|one| word(one, escape, variables)).collect()
}
