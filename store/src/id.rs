//! BLAKE3 names of everything that never leaves the store: one type, and one domain, per kind.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $domain:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The domain that keeps ids of this kind apart from all others.
            pub const DOMAIN: &str = $domain;

            /// The id of some bytes of this kind.
            pub fn of(bytes: &[u8]) -> Self {
                let mut hasher = Self::hasher();
                hasher.update(bytes);
                Self::from_hasher(&hasher)
            }

            /// A hasher of this domain, for bytes that come in pieces.
            pub fn hasher() -> blake3::Hasher {
                blake3::Hasher::new_derive_key(Self::DOMAIN)
            }

            /// The id of what was given to a hasher made by [`Self::hasher`].
            pub fn from_hasher(hasher: &blake3::Hasher) -> Self {
                Self(*hasher.finalize().as_bytes())
            }

            /// An id from its 32 bytes, for readers of stored forms.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($name), &hex(&self.0)[..12])
            }
        }
    )*};
}

ids! {
    /// The bytes of one regular file.
    BodyId = "wythe 2026 body";
    /// The canonical encoding of a tree.
    TreeId = "wythe 2026 tree";
    /// What a selection of a tree contains, modification times left out.
    ContentId = "wythe 2026 content";
    /// A recipe that makes a blob out of fragments.
    RecipeId = "wythe 2026 recipe";
    /// A layer: made from a tree, pulled under a DiffID, or adopted from a step.
    LayerId = "wythe 2026 layer";
    /// What a step is remembered under.
    CacheKey = "wythe 2026 cache key";
}

/// Lower-case hex digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// 32 bytes from exactly 64 lower-case hex digits.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; 32];
    if digits.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(digits) {
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_other_ids_in_other_domains() {
        assert_ne!(BodyId::of(b"x").as_bytes(), TreeId::of(b"x").as_bytes());
    }

    #[test]
    fn hex_round_trips() {
        let id = BodyId::of(b"x");
        assert_eq!(unhex(&hex(id.as_bytes())), Some(*id.as_bytes()));
    }
}
