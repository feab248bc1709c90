//! Paths inside a layer: relative, clean, and raw bytes.

use std::fmt;

/// No path of a layer is longer than what the kernel can name.
pub const PATH_MAX: usize = 4096;
/// No name is longer than what file systems store.
pub const NAME_MAX: usize = 255;
/// Deeper nesting serves nobody and costs every walk.
pub const DEPTH_MAX: usize = 256;

/// A path below the root of a layer. Empty for the root itself; no `.`, `..`, empty component,
/// NUL, or slash at either end.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerPath(Vec<u8>);

/// Why bytes are no [`LayerPath`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A component is `..`.
    #[error("path has a .. component")]
    DotDot,
    /// There is a NUL byte.
    #[error("path has a NUL byte")]
    Nul,
    /// It is longer than [`PATH_MAX`].
    #[error("path is longer than {PATH_MAX} bytes")]
    Long,
    /// A component is longer than [`NAME_MAX`].
    #[error("path has a component of more than {NAME_MAX} bytes")]
    LongName,
    /// It has more than [`DEPTH_MAX`] components.
    #[error("path is deeper than {DEPTH_MAX} directories")]
    Deep,
}

impl LayerPath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path as archives spell it: leading `/` and any `.` or empty components are dropped.
    ///
    /// # Errors
    ///
    /// If the path is too long or too deep, has a NUL, or a `..`.
    pub fn parse(raw: &[u8]) -> Result<Self, PathError> {
        Self::clean(raw, |_| Err(PathError::DotDot))
    }

    /// As [`parse`](Self::parse), but `..` leads to the parent, and the root is its own parent.
    ///
    /// # Errors
    ///
    /// If the path is too long or too deep, or has a NUL.
    pub fn clamp(raw: &[u8]) -> Result<Self, PathError> {
        Self::clean(raw, |parts| {
            parts.pop();
            Ok(())
        })
    }

    fn clean<'raw>(
        raw: &'raw [u8],
        mut dot_dot: impl FnMut(&mut Vec<&'raw [u8]>) -> Result<(), PathError>,
    ) -> Result<Self, PathError> {
        if raw.contains(&0) {
            return Err(PathError::Nul);
        }
        if PATH_MAX < raw.len() {
            return Err(PathError::Long);
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => dot_dot(&mut parts)?,
                _ if NAME_MAX < part.len() => return Err(PathError::LongName),
                _ => parts.push(part),
            }
        }
        if DEPTH_MAX < parts.len() {
            return Err(PathError::Deep);
        }
        Ok(Self(parts.join(&b'/')))
    }

    /// The bytes, without a slash at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.0.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())
    }

    /// The directory it is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let name = self.name()?;
        let end = (self.0.len() - name.len()).saturating_sub(1);
        Some(Self(self.0[..end].to_vec()))
    }

    /// Appends a name, which must be the valid name of an entry.
    pub fn push(&mut self, name: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }

    /// Takes the last name off; the root stays what it is.
    pub fn pop(&mut self) {
        *self = self.parent().unwrap_or_default();
    }

    /// This path with a name appended.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = self.clone();
        path.push(name);
        path
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LayerPath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_dots_vanish() {
        for raw in ["a/b", "/a/b", "./a/b/", "a//./b"] {
            assert_eq!(LayerPath::parse(raw.as_bytes()).unwrap().as_bytes(), b"a/b", "{raw}");
        }
        for raw in ["", "/", ".", "./"] {
            assert!(LayerPath::parse(raw.as_bytes()).unwrap().is_root(), "{raw}");
        }
    }

    #[test]
    fn dot_dot_is_refused_or_clamped() {
        for raw in ["..", "a/../b", "a/.."] {
            assert_eq!(LayerPath::parse(raw.as_bytes()), Err(PathError::DotDot), "{raw}");
        }
        assert_eq!(LayerPath::clamp(b"../../a/../b").unwrap().as_bytes(), b"b");
    }

    #[test]
    fn what_no_file_system_can_hold_is_refused() {
        assert_eq!(LayerPath::parse(b"a\0b"), Err(PathError::Nul));
        assert_eq!(LayerPath::parse(&[b'a'; 256]), Err(PathError::LongName));
        assert_eq!(LayerPath::parse(&b"a/".repeat(257)), Err(PathError::Deep));
        assert_eq!(LayerPath::parse(&b"a/".repeat(2049)), Err(PathError::Long));
    }

    #[test]
    fn parent_and_name_take_a_path_apart() {
        let path = LayerPath::parse(b"a/b").unwrap();
        assert_eq!(path.name(), Some(&b"b"[..]));
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_bytes(), b"a");
        assert_eq!(parent.parent(), Some(LayerPath::root()));
        assert_eq!(LayerPath::root().parent(), None);
    }
}
