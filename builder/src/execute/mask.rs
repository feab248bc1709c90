//! Secrets in output: their values become asterisks, also where a write ends in the middle of one.

use std::sync::{Mutex, PoisonError};

/// Values shorter than this are left alone: hiding every `a` would hide the output.
const SHORTEST: usize = 4;

/// What stands in for a secret.
const MASK: &[u8] = b"***";

/// Hides values in a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    values: Vec<Vec<u8>>,
    held: Mutex<Vec<u8>>,
}

impl Mask {
    /// A mask for these values; what surrounds them as blanks and line ends does not count.
    pub(crate) fn new<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let mut values: Vec<Vec<u8>> = values
            .into_iter()
            .map(|value| value.trim_ascii().to_vec())
            .filter(|value| value.len() >= SHORTEST)
            .collect();
        // The longest first: one value may hold another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values, held: Mutex::default() }
    }

    /// What may be shown after these bytes came: what could begin a value is held back.
    pub(crate) fn pass(&self, bytes: &[u8]) -> Vec<u8> {
        if self.values.is_empty() {
            return bytes.to_vec();
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(bytes);
        let (shown, rest) = self.split(&held);
        *held = rest;
        shown
    }

    /// What is still held back.
    pub(crate) fn rest(&self) -> Vec<u8> {
        std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn split(&self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut shown = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let here = &bytes[at..];
            if let Some(value) = self.values.iter().find(|value| here.starts_with(value)) {
                shown.extend_from_slice(MASK);
                at += value.len();
            } else if self.values.iter().any(|value| value.starts_with(here)) {
                break;
            } else {
                shown.push(bytes[at]);
                at += 1;
            }
        }
        (shown, bytes[at..].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn a_value_split_over_writes_is_hidden() {
        let mask = Mask::new([&b"s3cr3t\n"[..]]);
        let shown = [mask.pass(b"a s3c"), mask.pass(b"r3t b s3"), mask.rest()].concat();
        assert_eq!(shown, b"a *** b s3");
    }

    #[test]
    fn nothing_is_held_back_without_secrets() {
        assert_eq!(Mask::new([&b"abc"[..]]).pass(b"abc"), b"abc");
    }
}
