//! What is behind a name of a registry, platform by platform: configurations, and what is stated of them.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Map, Value, json};
use wythe_registry::client::Client;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{MAX_DOCUMENT, RawDocument};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;

use crate::command::index::show;
use crate::failure::{Class, Failure};

/// The longest statement that is shown, in bytes: a list of the contents of a large image has a few million.
const MAX_STATEMENT: u64 = 64 << 20;

/// What says of an entry of an index that it is a statement, and of which entry.
const KIND: &str = "vnd.docker.reference.type";
const ABOUT: &str = "vnd.docker.reference.digest";

/// What says of a layer of such an entry what it states.
const PREDICATE: &str = "in-toto.io/predicate-type";

/// A part that a template asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// `.Image`
    Image,
    /// `.Provenance`
    Provenance,
    /// `.SBOM`
    Contents,
}

impl Part {
    /// Each, with its name in templates.
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("Image", Self::Image), ("Provenance", Self::Provenance), ("SBOM", Self::Contents)];

    /// How the types of statements begin that it is, and what one is called in templates.
    fn statement(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Image => None,
            Self::Provenance => Some(("https://slsa.dev/provenance/", "SLSA")),
            Self::Contents => Some(("https://spdx.dev/", "SPDX")),
        }
    }
}

/// A name of a registry, and the document that it stands for.
pub(super) struct Named<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a Reference,
    pub(super) root: &'a Descriptor,
    pub(super) bytes: &'a [u8],
}

impl Named<'_> {
    /// A part: of an image of one platform by itself, of several by the names of their platforms.
    pub(super) fn part(&self, part: Part) -> Result<Value, Failure> {
        if !self.root.media_type.is_index() {
            let manifest = read(self.root, self.bytes.to_vec())?;
            return match part {
                Part::Image => self.json(&manifest.config, MAX_DOCUMENT as u64),
                Part::Provenance | Part::Contents => Ok(Value::Null),
            };
        }
        let entries = show::read(self.root, self.bytes)?.manifests;
        let (statements, images): (Vec<Descriptor>, Vec<Descriptor>) =
            entries.into_iter().partition(|entry| entry.annotations.contains_key(KIND));
        let mut parts = BTreeMap::new();
        for image in images.iter().filter(|entry| entry.media_type.is_manifest()) {
            let platform = image.platform.as_ref().map(ToString::to_string).unwrap_or_default();
            let digest = image.digest.to_string();
            let own = |entry: &&Descriptor| entry.annotations.get(ABOUT) == Some(&digest);
            let value = match part.statement() {
                None => {
                    let manifest = self.manifest(image)?;
                    self.json(&manifest.config, MAX_DOCUMENT as u64)?
                }
                Some(kind) => self.statement(statements.iter().find(own), kind)?,
            };
            parts.insert(platform, value);
        }
        if parts.len() == 1 {
            return Ok(parts.into_values().next().unwrap_or_default());
        }
        Ok(Value::Object(parts.into_iter().collect::<Map<_, _>>()))
    }

    /// What an entry states of a kind, if there is one and it does.
    fn statement(
        &self,
        entry: Option<&Descriptor>,
        (kind, called): (&str, &str),
    ) -> Result<Value, Failure> {
        let Some(entry) = entry else { return Ok(Value::Null) };
        let is_it = |layer: &&Descriptor| {
            layer.annotations.get(PREDICATE).is_some_and(|found| found.starts_with(kind))
        };
        let manifest = self.manifest(entry)?;
        let Some(layer) = manifest.layers.iter().find(is_it) else { return Ok(Value::Null) };
        let mut whole = self.json(layer, MAX_STATEMENT)?;
        Ok(json!({called: whole["predicate"].take()}))
    }

    fn manifest(&self, entry: &Descriptor) -> Result<Manifest, Failure> {
        let name = self.name.clone().with_digest(entry.digest);
        let (_, bytes) = self.client.manifest(&name)?;
        read(entry, bytes)
    }

    fn json(&self, blob: &Descriptor, most: u64) -> Result<Value, Failure> {
        if blob.size > most {
            let text =
                format!("{} has {} bytes, which is too long to show", blob.digest, blob.size);
            return Err(Failure::new(Class::Damage, text));
        }
        let mut bytes = Vec::new();
        let read = self.client.blob(self.name, blob)?.take(most).read_to_end(&mut bytes);
        read.map_err(|error| Failure::of(Class::Network, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| Failure::of(Class::Damage, &error))
    }
}

fn read(root: &Descriptor, bytes: Vec<u8>) -> Result<Manifest, Failure> {
    let read = RawDocument::<Manifest>::read(root, bytes);
    Ok(read.map_err(|error| Failure::of(Class::Damage, &error))?.into_parts().1)
}
