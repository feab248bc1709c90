//! Annotations: what documents of an image say of it.

use std::collections::BTreeMap;

use wythe_store::oci::platform::Platform;

/// What is said of images, and where, in the order in which it was said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Annotations(Vec<Annotation>);

/// Something that is said of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Annotation {
    /// What says it.
    pub target: AnnotationTarget,
    /// The only platform it is about.
    pub platform: Option<Platform>,
    /// What is said.
    pub key: String,
    /// What of it.
    pub value: String,
}

/// Which document, or which entry that leads to it, says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnnotationTarget {
    /// The index.
    Index,
    /// What leads to the index.
    IndexDescriptor,
    /// The manifest.
    Manifest,
    /// What leads to the manifest.
    ManifestDescriptor,
}

impl FromIterator<Annotation> for Annotations {
    fn from_iter<I: IntoIterator<Item = Annotation>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl Annotations {
    /// All of these; where two say the same, the later wins.
    pub fn all<'a>(several: impl IntoIterator<Item = &'a Self>) -> Self {
        several.into_iter().flat_map(|one| one.0.iter().cloned()).collect()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a kind of document is to say something.
    pub fn are_of(&self, target: AnnotationTarget) -> bool {
        self.0.iter().any(|one| one.target == target)
    }

    /// What a document says about a platform; what is only about that platform wins.
    pub fn of(
        &self,
        target: AnnotationTarget,
        platform: Option<&Platform>,
    ) -> BTreeMap<String, String> {
        let here = |one: &&Annotation| one.target == target;
        let general = self.0.iter().filter(here).filter(|one| one.platform.is_none());
        let special = self.0.iter().filter(here);
        let special =
            special.filter(|one| one.platform.is_some() && one.platform.as_ref() == platform);
        general.chain(special).map(|one| (one.key.clone(), one.value.clone())).collect()
    }
}
