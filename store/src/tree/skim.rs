//! The bodies that a tree names, without the tree: what a collection needs of it.

use crate::path::{DEPTH_MAX, NAME_MAX};
use crate::tree::encode::VERSION;

/// The ids of the bodies of all files, in the order of the entries; `None` where the bytes are no
/// tree of this version.
pub(crate) fn bodies(tree: &[u8]) -> Option<Vec<[u8; 32]>> {
    let mut reader = Skim { rest: tree, found: Vec::new() };
    if reader.byte()? != VERSION {
        return None;
    }
    match reader.byte()? {
        0 => {}
        1 => reader.metadata()?,
        _ => return None,
    }
    reader.directory(0)?;
    reader.rest.is_empty().then_some(reader.found)
}

struct Skim<'bytes> {
    rest: &'bytes [u8],
    found: Vec<[u8; 32]>,
}

impl Skim<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, most: usize) -> Option<()> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= most)?;
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn directory(&mut self, depth: usize) -> Option<()> {
        if DEPTH_MAX < depth {
            return None;
        }
        for _ in 0..self.number()? {
            let kind = self.byte()?;
            self.bytes(NAME_MAX)?;
            if !matches!(kind, 4 | 9) {
                self.metadata()?;
            }
            match kind {
                1 => self.file()?,
                2 => self.bytes(usize::MAX)?,
                3..=5 => self.directory(depth + 1)?,
                6 | 7 => {
                    self.number()?;
                    self.number()?;
                }
                8 | 9 => {}
                _ => return None,
            }
        }
        Some(())
    }

    fn file(&mut self) -> Option<()> {
        let (id, rest) = self.rest.split_first_chunk()?;
        self.found.push(*id);
        self.rest = rest;
        self.number()?;
        self.number()?;
        Some(())
    }

    fn metadata(&mut self) -> Option<()> {
        // Mode, owner, group, seconds and nanoseconds.
        for _ in 0..5 {
            self.number()?;
        }
        for _ in 0..self.number()? {
            self.bytes(usize::MAX)?;
            self.bytes(usize::MAX)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::encode::{decode, encode};
    use crate::tree::files::files;
    use crate::tree::sketch::sketch;

    const FULL: &str = "a=1@4 b=1@4 c=2 d! d/x=3 e/f/g=4 l>a/b -w";

    #[test]
    fn the_bodies_are_those_of_the_decoded_tree() {
        for words in ["", "a=1", FULL] {
            let bytes = encode(&sketch(words));
            let tree = decode(&bytes).unwrap();
            let right = files(&tree.children).map(|(_, _, file)| *file.body.as_bytes());
            let (mut found, mut right) = (bodies(&bytes).unwrap(), right.collect::<Vec<_>>());
            found.sort_unstable();
            right.sort_unstable();
            assert_eq!(found, right, "{words}");
        }
    }

    #[test]
    fn every_shorter_or_longer_input_is_no_tree() {
        let bytes = encode(&sketch(FULL));
        assert!((0..bytes.len()).all(|end| bodies(&bytes[..end]).is_none()));
        assert!(bodies(&[&bytes[..], &[0]].concat()).is_none());
    }
}
