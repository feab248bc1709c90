//! What refers to an image of a layout: signatures, statements, indexes of layers.
//!
//! Programs that write such list it in `index.json` without a name (ORAS), or in an index under the tag that stands for
//! the list where a registry keeps none (regctl). Both are read; the first is written.

use std::collections::BTreeMap;
use std::io;

use super::{IMAGE_NAME, Layout, REF_NAME};
use crate::digest::Digest;
use crate::oci::content::read_document;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document as _, MAX_DOCUMENT};
use crate::oci::index::Index;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::MediaType;
use crate::oci::source::SourceProblem;

/// What a manifest or index says of itself.
struct Referring {
    subject: Option<Digest>,
    artifact_type: Option<MediaType>,
    annotations: BTreeMap<String, String>,
}

impl Layout {
    /// What refers to a manifest, each as a registry would list it, and once.
    ///
    /// # Errors
    ///
    /// If a manifest that is there cannot be read, or is not what its descriptor says.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, SourceProblem> {
        let tag = subject.to_string().replace(':', "-");
        let list = self.index().manifests.iter().find(|entry| {
            entry.media_type.is_index() && entry.annotations.get(REF_NAME) == Some(&tag)
        });
        let listed = match list {
            Some(list) => Index::parse(&self.document(list)?)?.manifests,
            None => Vec::new(),
        };
        let mut found: BTreeMap<Digest, Descriptor> = BTreeMap::new();
        for entry in self.index().manifests.iter().chain(&listed) {
            let Some(referring) = self.referring(entry)? else { continue };
            if referring.subject == Some(*subject) {
                found.insert(entry.digest, referring.listed(entry));
            }
        }
        Ok(found.into_values().collect())
    }

    /// What `index.json` lists for itself: all but what has no name and refers to something, and lists of such.
    pub fn images(&self) -> Vec<&Descriptor> {
        let entries = self.index().manifests.iter();
        entries.filter(|entry| !self.is_beside_the_point(entry)).collect()
    }

    fn is_beside_the_point(&self, entry: &Descriptor) -> bool {
        match entry.annotations.get(REF_NAME) {
            Some(name) => entry.media_type.is_index() && is_tag_of_list(name),
            None if entry.annotations.contains_key(IMAGE_NAME) => false,
            // What cannot be read is for who asks for it.
            None => matches!(self.referring(entry), Ok(Some(Referring { subject: Some(_), .. }))),
        }
    }

    /// What an entry says of itself; nothing where it is no document, or not there.
    fn referring(&self, entry: &Descriptor) -> Result<Option<Referring>, SourceProblem> {
        let is_index = entry.media_type.is_index();
        if !is_index && !entry.media_type.is_manifest() {
            return Ok(None);
        }
        let bytes = match self.document(entry) {
            Err(SourceProblem::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            other => other?,
        };
        let (subject, artifact_type, annotations) = if is_index {
            let Index { subject, artifact_type, annotations, .. } = Index::parse(&bytes)?;
            (subject, artifact_type, annotations)
        } else {
            let Manifest { subject, artifact_type, annotations, config, .. } =
                Manifest::parse(&bytes)?;
            (subject, artifact_type.or(Some(config.media_type)), annotations)
        };
        let subject = subject.map(|subject| subject.digest);
        Ok(Some(Referring { subject, artifact_type, annotations }))
    }

    fn document(&self, entry: &Descriptor) -> Result<Vec<u8>, SourceProblem> {
        if MAX_DOCUMENT as u64 <= entry.size {
            return Err(SourceProblem::TooLarge { limit: MAX_DOCUMENT as u64 });
        }
        Ok(read_document(self, entry)?)
    }
}

impl Referring {
    /// The entry of a list.
    fn listed(self, entry: &Descriptor) -> Descriptor {
        let Self { artifact_type, annotations, .. } = self;
        let plain = Descriptor::new(entry.media_type.clone(), entry.digest, entry.size);
        Descriptor { artifact_type, annotations, ..plain }
    }
}

/// Whether it is what the list of what refers to a manifest is called, `sha256-` and its digest.
fn is_tag_of_list(name: &str) -> bool {
    name.replacen('-', ":", 1).parse::<Digest>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::content::MemoryContent;
    use crate::oci::document::RawDocument;
    use crate::oci::layout::{Selector, write};

    /// A layout with an image, something that refers to it, and something that refers to that.
    struct Example {
        directory: tempfile::TempDir,
        content: MemoryContent,
        /// Each refers to the one before it.
        chain: Vec<Descriptor>,
    }

    fn example() -> Example {
        let mut content = MemoryContent::default();
        let (mut chain, mut subject) = (Vec::new(), None);
        for kind in ["image", "signature", "statement"] {
            content.insert(b"{}".to_vec());
            let config = Descriptor::of(MediaType::CONFIG, b"{}");
            let artifact_type = subject.is_some().then(|| MediaType::new(kind));
            let annotations = [("kind".to_owned(), kind.to_owned())].into();
            let manifest =
                Manifest { artifact_type, subject, annotations, ..Manifest::new(config, vec![]) };
            let manifest = RawDocument::new(manifest);
            content.insert(manifest.bytes().to_vec());
            subject = Some(manifest.descriptor());
            chain.push(manifest.descriptor());
        }
        Example { directory: tempfile::tempdir().unwrap(), content, chain }
    }

    impl Example {
        /// The layout, with these entries beside the image.
        fn with(&self, entries: &[Descriptor]) -> Layout {
            let image = write::titled(self.chain[0].clone(), "1");
            let all = [&[image], entries].concat();
            write::write(self.directory.path(), &self.content, &all).unwrap();
            Layout::open(self.directory.path(), Selector::Default).unwrap()
        }

        #[track_caller]
        fn check(&self, layout: &Layout) {
            for (subject, expected) in [(0, Some(1)), (1, Some(2)), (2, None)] {
                let found = layout.referrers(&self.chain[subject].digest).unwrap();
                let digests: Vec<Digest> = found.iter().map(|entry| entry.digest).collect();
                let expected: Vec<Digest> =
                    expected.map(|number: usize| self.chain[number].digest).into_iter().collect();
                assert_eq!(digests, expected);
                for entry in &found {
                    let kind = entry.annotations["kind"].as_str();
                    assert_eq!(entry.artifact_type, Some(MediaType::new(kind)));
                }
            }
            assert_eq!(layout.selected().unwrap().digest, self.chain[0].digest);
        }
    }

    #[test]
    fn what_is_listed_without_a_name_and_refers_to_an_image_is_none() {
        let example = example();
        example.check(&example.with(&example.chain[1..]));
    }

    #[test]
    fn a_tag_that_stands_for_a_list_is_one() {
        let mut example = example();
        let mut lists = Vec::new();
        for pair in example.chain.windows(2) {
            let list = RawDocument::new(Index::new(vec![pair[1].clone()]));
            example.content.insert(list.bytes().to_vec());
            let tag = pair[0].digest.to_string().replace(':', "-");
            lists.push(write::titled(list.descriptor(), &tag));
        }
        example.check(&example.with(&lists));
    }

    #[test]
    fn what_has_a_name_is_an_image_whatever_it_refers_to() {
        let example = example();
        let named = write::titled(example.chain[1].clone(), "signature");
        let layout = example.with(&[named]);
        assert_eq!(layout.images().len(), 2);
        assert!(layout.selected().is_err());
    }
}
