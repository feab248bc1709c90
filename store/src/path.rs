//! Paths inside a layer: relative, clean, and raw bytes.

use std::fmt;

/// No path of a layer is longer than what the kernel takes: 4,096 bytes with a NUL at the end.
pub const PATH_MAX: usize = 4095;
/// No name is longer than what file systems store.
pub const NAME_MAX: usize = 255;
/// Deeper nesting serves nobody and costs every walk a descriptor and a piece of stack per level.
pub const DEPTH_MAX: usize = 256;
/// No symbolic link leads further than a path can.
pub const TARGET_MAX: usize = PATH_MAX;
/// What is before the name of a file that a layer says is gone. It does not count for the limits:
/// the longest name can be removed too.
pub const WHITEOUT: &[u8] = b".wh.";

/// A path below the root of a layer. Empty for the root itself; no `.`, `..`, empty component,
/// NUL, or slash at either end.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerPath(Vec<u8>);

/// Why bytes are no [`LayerPath`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It leads above its root.
    #[error("path leads out by a .. component")]
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

    /// A path as archives spell it: leading `/` and any `.` or empty components are dropped, and
    /// `..` takes the component before it away.
    ///
    /// # Errors
    ///
    /// If the path is too long or too deep, has a NUL, or a `..` that leads out.
    pub fn parse(raw: &[u8]) -> Result<Self, PathError> {
        if raw.contains(&0) {
            return Err(PathError::Nul);
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop().ok_or(PathError::DotDot)?),
                _ => parts.push(part),
            }
        }
        let path = Self(parts.join(&b'/'));
        path.check()?;
        Ok(path)
    }

    /// Whether it is within the limits, which hold for what is read and for what is written.
    ///
    /// # Errors
    ///
    /// If the path is too long or too deep.
    pub fn check(&self) -> Result<(), PathError> {
        let mark =
            self.name().filter(|name| name.starts_with(WHITEOUT)).map_or(0, |_| WHITEOUT.len());
        if PATH_MAX + mark < self.0.len() {
            return Err(PathError::Long);
        }
        let long = |name: &[u8]| NAME_MAX < name.strip_prefix(WHITEOUT).unwrap_or(name).len();
        if self.components().any(long) {
            return Err(PathError::LongName);
        }
        if DEPTH_MAX < self.components().count() { Err(PathError::Deep) } else { Ok(()) }
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
    fn dot_dot_takes_a_component_away_and_never_leads_out() {
        for raw in ["a/x/../b", "a/./x//../b", "x/../a/b", "/x/y/../../a/b/"] {
            assert_eq!(LayerPath::parse(raw.as_bytes()).unwrap().as_bytes(), b"a/b", "{raw}");
        }
        for raw in ["..", "../a", "/../a", "a/../../b", "./.."] {
            assert_eq!(LayerPath::parse(raw.as_bytes()), Err(PathError::DotDot), "{raw}");
        }
        assert!(LayerPath::parse(b"a/..").unwrap().is_root());
    }

    /// A path of this many bytes in names of 17 letters.
    fn long(length: usize) -> Vec<u8> {
        b"aaaaaaaaaaaaaaaaa/".repeat(PATH_MAX.div_ceil(18) + 1)[..length].to_vec()
    }

    #[test]
    fn every_limit_holds_at_its_edge() {
        assert_eq!(LayerPath::parse(b"a\0b"), Err(PathError::Nul));
        assert!(LayerPath::parse(&[b'a'; NAME_MAX]).is_ok());
        assert_eq!(LayerPath::parse(&[b'a'; NAME_MAX + 1]), Err(PathError::LongName));
        assert!(LayerPath::parse(&b"a/".repeat(DEPTH_MAX)).is_ok());
        assert_eq!(LayerPath::parse(&b"a/".repeat(DEPTH_MAX + 1)), Err(PathError::Deep));
        assert!(LayerPath::parse(&long(PATH_MAX)).is_ok());
        assert_eq!(LayerPath::parse(&long(PATH_MAX + 1)).err(), Some(PathError::Long));
    }

    #[test]
    fn spelling_does_not_count_and_neither_does_the_mark_of_a_removal() {
        assert!(LayerPath::parse(&[b"./", &long(PATH_MAX)[..], b"/"].concat()).is_ok());
        let name = [WHITEOUT, &[b'a'; NAME_MAX]].concat();
        assert!(LayerPath::parse(&name).is_ok());
        assert_eq!(LayerPath::parse(&[&name[..], b"a"].concat()), Err(PathError::LongName));
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
