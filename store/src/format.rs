//! The `FORMAT` file: which layout a store has, and which features a program must know to use it.
//!
//! ```text
//! wythe-store 1
//! incompat: chunk-lists
//! ro-compat:
//! compat:
//! ```
//!
//! A store gets a feature when it is first used, so that one that does without stays open to
//! programs that do not know it.

#[cfg(test)]
mod page;

use std::collections::BTreeSet;
use std::io;

use crate::error::{At, WriteError};
use crate::vfs::{Vfs, read_from};

/// The layout this code writes. Raised when an older program would misread the result.
pub const FORMAT_VERSION: u32 = 1;

const PATH: &str = "FORMAT";
const SCRATCH: &str = "FORMAT.new";
const NAME: &str = "wythe-store ";

/// Held by whoever makes the store, or gives it a feature.
pub(crate) const LOCK: &str = "lock/create";

/// An honest file is a few words long; a longer one is not ours.
const MAX_SIZE: u64 = 4096;

/// What a store may have that not every version of this program knows.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Feature {
    /// Long bodies are lists of chunks. Who does not know them misses bodies, and collects chunks.
    ChunkLists,
    /// Compressed parts end with what they uncompress to. Who does not know that makes no blob of them.
    CheckedParts,
}

/// What a program may do with a store that has a feature it does not know.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Nothing.
    Incompatible,
    /// Read it.
    ReadCompatible,
    /// Everything.
    Compatible,
}

/// The features of a store, by class, known or not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Features(BTreeSet<(Class, String)>);

/// Why a directory's format is not one we can work on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is not a format file at all.
    #[error("the FORMAT file is malformed")]
    Malformed,
    /// Written by a newer program.
    #[error("store format {found} is newer than {FORMAT_VERSION}, the newest understood here")]
    TooNew {
        /// The version in the file.
        found: u32,
    },
    /// Of this version, but with a feature that changes what the bytes mean.
    #[error("the store uses feature {name:?}, which is not understood here")]
    UnknownFeature {
        /// Its name.
        name: String,
    },
    /// Of this version, but with a feature that whoever writes must know.
    #[error("the store uses feature {name:?}, without which it may only be read")]
    ReadOnly {
        /// Its name.
        name: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Feature {
    /// All that are known here.
    pub const ALL: [Self; 2] = [Self::ChunkLists, Self::CheckedParts];

    /// What the store calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChunkLists => "chunk-lists",
            Self::CheckedParts => "checked-parts",
        }
    }

    /// What a program may do that does not know it.
    pub fn class(self) -> Class {
        match self {
            Self::ChunkLists | Self::CheckedParts => Class::Incompatible,
        }
    }
}

impl Class {
    const ALL: [Self; 3] = [Self::Incompatible, Self::ReadCompatible, Self::Compatible];

    fn word(self) -> &'static str {
        match self {
            Self::Incompatible => "incompat",
            Self::ReadCompatible => "ro-compat",
            Self::Compatible => "compat",
        }
    }
}

impl Features {
    /// Whether the store has the feature.
    pub fn contain(&self, feature: Feature) -> bool {
        self.0.contains(&(feature.class(), feature.name().to_owned()))
    }

    /// Why the store can only be read; `None` if it can be written too.
    pub(crate) fn read_only(&self) -> Option<FormatError> {
        self.unknown(Class::ReadCompatible).map(|name| FormatError::ReadOnly { name })
    }

    fn unknown(&self, class: Class) -> Option<String> {
        let known = |name: &str| {
            Feature::ALL.iter().any(|feature| feature.class() == class && feature.name() == name)
        };
        let mut names = self.0.iter().filter(|(of, name)| *of == class && !known(name));
        names.next().map(|(_, name)| name.clone())
    }

    fn parse(text: &str) -> Result<Self, FormatError> {
        let mut lines = text.lines();
        let first = lines.next().and_then(|line| line.strip_prefix(NAME));
        let found = first.and_then(|number| number.parse().ok()).ok_or(FormatError::Malformed)?;
        if found > FORMAT_VERSION {
            return Err(FormatError::TooNew { found });
        }
        let mut features = BTreeSet::new();
        for line in lines {
            let (word, names) = line.split_once(':').ok_or(FormatError::Malformed)?;
            let class = Class::ALL.into_iter().find(|class| class.word() == word);
            let class = class.ok_or(FormatError::Malformed)?;
            features.extend(names.split_whitespace().map(|name| (class, name.to_owned())));
        }
        let features = Self(features);
        match features.unknown(Class::Incompatible) {
            Some(name) => Err(FormatError::UnknownFeature { name }),
            None => Ok(features),
        }
    }

    fn render(&self) -> String {
        let mut text = format!("{NAME}{FORMAT_VERSION}\n");
        for class in Class::ALL {
            text.push_str(class.word());
            text.push(':');
            for (_, name) in self.0.iter().filter(|(of, _)| *of == class) {
                text.push(' ');
                text.push_str(name);
            }
            text.push('\n');
        }
        text
    }
}

/// The features of a store that we may at least read; `None` where there is no format file.
pub(crate) fn read(vfs: &dyn Vfs) -> Result<Option<Features>, FormatError> {
    let file = match vfs.open(PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.size()? > MAX_SIZE {
        return Err(FormatError::Malformed);
    }
    let text = String::from_utf8(read_from(&*file, 0)?).map_err(|_| FormatError::Malformed)?;
    Features::parse(&text).map(Some)
}

/// Writes the format file, last of what makes a directory a store. The caller holds [`LOCK`].
pub(crate) fn write(vfs: &dyn Vfs, features: &Features) -> io::Result<()> {
    if vfs.exists(SCRATCH)? {
        vfs.unlink(SCRATCH)?;
    }
    let file = vfs.create(SCRATCH)?;
    file.append(features.render().as_bytes())?;
    file.sync()?;
    vfs.replace(SCRATCH, PATH)?;
    vfs.sync_dir(".")
}

/// Sees to it that the store has a feature. When this returns it has it for good, so that what needs
/// the feature can be written.
pub(crate) fn add(vfs: &dyn Vfs, feature: Feature) -> Result<Features, WriteError> {
    let _alone = vfs.lock(LOCK).writing(LOCK)?;
    let mut features = read(vfs)?.unwrap_or_default();
    if features.0.insert((feature.class(), feature.name().to_owned())) {
        write(vfs, &features).writing(PATH)?;
    } else {
        // Whoever wrote it may not have come to the sync.
        vfs.sync_dir(".").writing(PATH)?;
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;

    #[test]
    fn what_we_write_we_accept() {
        for features in [Features::default(), all()] {
            assert_eq!(Features::parse(&features.render()).unwrap(), features);
            assert!(features.read_only().is_none());
        }
    }

    fn all() -> Features {
        let features = Feature::ALL.iter();
        Features(features.map(|feature| (feature.class(), feature.name().to_owned())).collect())
    }

    #[test]
    fn a_newer_version_is_refused_by_number() {
        let error = Features::parse("wythe-store 2\n").unwrap_err();
        assert!(matches!(error, FormatError::TooNew { found: 2 }));
    }

    #[test]
    fn an_unknown_feature_is_refused_as_its_class_says() {
        let compatible = Features::parse("wythe-store 1\ncompat: shiny\n").unwrap();
        assert!(compatible.read_only().is_none());
        let readable = Features::parse("wythe-store 1\nro-compat: shiny b\n").unwrap();
        let refusal = readable.read_only();
        assert!(matches!(refusal, Some(FormatError::ReadOnly { name }) if name == "b"));
        let error = Features::parse("wythe-store 1\nincompat: chunk-lists shiny\n").unwrap_err();
        assert!(matches!(error, FormatError::UnknownFeature { name } if name == "shiny"));
    }

    #[test]
    fn a_known_name_in_another_class_is_another_feature() {
        let features = Features::parse("wythe-store 1\nro-compat: chunk-lists\n").unwrap();
        assert!(!features.contain(Feature::ChunkLists));
        assert!(features.read_only().is_some());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "wythe-store", "wythe-store x\n", "other 1\n", "wythe-store 1\nnoise\n"] {
            let refused = Features::parse(text);
            assert!(matches!(refused, Err(FormatError::Malformed)), "{text}");
        }
    }

    #[test]
    fn a_feature_is_added_once_and_what_we_do_not_know_stays() {
        let vfs = Sim::default();
        vfs.make_dir("lock").unwrap();
        let before = Features::parse("wythe-store 1\ncompat: shiny\n").unwrap();
        write(&vfs, &before).unwrap();
        add(&vfs, Feature::ChunkLists).unwrap();
        let text = "wythe-store 1\nincompat: chunk-lists\nro-compat:\ncompat: shiny\n";
        let n_operations = |vfs: &Sim| vfs.n_operations();
        let after = n_operations(&vfs);
        add(&vfs, Feature::ChunkLists).unwrap();
        let found = read(&vfs).unwrap().unwrap();
        assert_eq!(found.render(), text);
        assert!(found.contain(Feature::ChunkLists));
        // The second time nothing is written, but for a sync of what the first may have left.
        assert!(n_operations(&vfs) <= after + 1);
    }
}
