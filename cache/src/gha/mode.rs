//! What the runner of a job lets it do with the cache.

use std::fmt;

/// What a job may do with the cache, as its workflow says and its runner hands on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GhaMode {
    /// Nothing.
    Neither,
    /// Read.
    Read,
    /// Both, as far as its token goes.
    #[default]
    ReadAndWrite,
    /// Write, so that nothing that others have written comes into what it makes. Packs build on those before them,
    /// so that this cache is not used then.
    WriteOnly,
}

impl GhaMode {
    /// What `ACTIONS_CACHE_MODE` says: as with GitHub's own client, a word that nobody knows forbids nothing.
    pub fn of(text: &str) -> Self {
        let named = |mode: &Self| mode.to_string() == text;
        [Self::Neither, Self::Read, Self::WriteOnly].into_iter().find(named).unwrap_or_default()
    }

    /// Whether this cache may be read.
    pub fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadAndWrite)
    }

    /// Whether this cache may be written.
    pub fn writes(self) -> bool {
        self == Self::ReadAndWrite
    }
}

impl fmt::Display for GhaMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Neither => "none",
            Self::Read => "read",
            Self::ReadAndWrite => "write",
            Self::WriteOnly => "write-only",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_that_is_known_forbids_anything() {
        for (text, reads, writes) in [
            ("none", false, false),
            ("read", true, false),
            ("write-only", false, false),
            ("write", true, true),
            ("", true, true),
            ("READ", true, true),
            ("other", true, true),
        ] {
            let mode = GhaMode::of(text);
            assert_eq!((mode.reads(), mode.writes()), (reads, writes), "{text}");
        }
    }
}
