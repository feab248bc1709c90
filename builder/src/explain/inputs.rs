//! What a step is made from, as names and values that are kept with its result.
//!
//! No secret is among them: a value whose variable has the name of a secret is kept as a few digits of
//! a hash over the two, which tell a reader no more than the key of the result does.

use wythe_dockerfile::lint::secret::is_secret_name;

use wythe_store::action::LISTING;
use wythe_store::record_origin::without_credentials;

use crate::operation::facts::Fact;
use crate::operation::{Lookup, Operation};

/// What kind of step it is.
pub(crate) const KIND: &str = "kind";
/// The image below: `REFERENCE@DIGEST`.
pub(crate) const BASE: &str = "base image";
/// The step below: what its root is known as, and its name.
pub(crate) const BELOW: &str = "below";
/// What another step made and this one reads: where that is, what it is known as, and its name.
pub(crate) const INPUT: &str = "input ";
/// What files of a directory contain.
pub(crate) const FILES: &str = "files ";
/// What is behind an address.
pub(crate) const REMOTE: &str = "remote ";
/// An optional secret that is not there.
pub(crate) const ABSENT: &str = "absent secret";

/// Whether an input says what the operation does, and not what it reads.
pub(crate) fn is_of_operation(name: &str) -> bool {
    let exact = [BASE, BELOW, ABSENT].contains(&name);
    !exact && [INPUT, FILES, REMOTE, LISTING].iter().all(|start| !name.starts_with(start))
}

/// Whether it is known what kind of step inputs are of.
pub(super) fn has_kind(inputs: &[Fact]) -> bool {
    kind(inputs).is_some()
}

pub(super) fn is_same_kind(one: &[Fact], other: &[Fact]) -> bool {
    kind(one) == kind(other)
}

fn kind(inputs: &[Fact]) -> Option<&str> {
    inputs.iter().find(|(name, _)| name == KIND).map(|(_, kind)| kind.as_str())
}

/// The longest value that is kept whole, in bytes. Longer ones are scripts, of which the beginning and
/// a hash tell enough.
const MAX_VALUE: usize = 1024;

/// How much of a longer one is kept.
const BEGINNING: usize = 240;

/// What stands before the digits of a secret value.
const HIDDEN: &str = "secret ";

/// What an operation does, as it is kept.
pub(crate) fn of_operation(operation: &Operation) -> Vec<Fact> {
    let mut kept = vec![(KIND.to_owned(), operation.kind().to_owned())];
    for (name, value) in operation.facts(Lookup::Definition) {
        let value = match name.as_str() {
            "variable" => variable(&value),
            "url" | "git" => without_credentials(&value),
            _ => value,
        };
        kept.push((name, bounded(value)));
    }
    kept
}

/// Whether a value is one that is not shown.
pub(crate) fn is_hidden(value: &str) -> bool {
    value.starts_with(HIDDEN)
}

fn variable(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}={HIDDEN}{}", digits(pair)),
        _ => pair.to_owned(),
    }
}

fn bounded(value: String) -> String {
    if value.len() <= MAX_VALUE {
        return value;
    }
    let end = value.floor_char_boundary(BEGINNING);
    format!("{}… ({} bytes, {})", &value[..end], value.len(), digits(&value))
}

/// Eight digits that differ where the text does.
fn digits(text: &str) -> String {
    let hash = blake3::derive_key("wythe 2026 value in an explanation", text.as_bytes());
    wythe_store::id::hex(&hash[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_names_are_not_kept() {
        let kept = variable("NPM_TOKEN=hunter2");
        assert!(!kept.contains("hunter2") && is_hidden(kept.split_once('=').unwrap().1), "{kept}");
        assert_ne!(kept, variable("NPM_TOKEN=hunter3"));
        assert_eq!(variable("VERSION=1=2"), "VERSION=1=2");
    }

    #[test]
    fn addresses_lose_who_asks() {
        let found = without_credentials("https://me:pass@word@example.org/a@b");
        assert_eq!(found, "https://example.org/a@b");
        assert_eq!(without_credentials("https://example.org/a@b"), "https://example.org/a@b");
    }

    #[test]
    fn long_values_differ_where_their_ends_do() {
        let [one, other] = ["1", "2"].map(|end| bounded("é".repeat(2000) + end));
        assert!(one.len() < 400 && one != other, "{one}");
    }
}
