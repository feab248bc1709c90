//! Statements about images, as manifests beside theirs.

use serde_json::{Value, json};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use super::goods::Goods;
use crate::args::image_attributes::Statements;
use crate::command::build::provenance::{PREDICATE, package_url, statement};
use crate::failure::Failure;
use crate::several::statement_configuration;

/// The configuration of a manifest that needs none.
const EMPTY: &[u8] = b"{}";

impl Goods<'_> {
    /// The index entry of a manifest that states how the image was built. No machine is of its
    /// platform, so that none takes it for an image.
    pub(super) fn attestation(
        &self,
        predicate: &Value,
        image: &Descriptor,
        (names, made_up): (&[Reference], Statements),
    ) -> Result<Descriptor, Failure> {
        let statement = statement(&subject(image, names), predicate);
        let put = |kind: &str, bytes: &[u8]| {
            self.lease.put_document(bytes)?;
            Ok::<_, Failure>(Descriptor::of(MediaType::new(kind), bytes))
        };
        let mut layer = put("application/vnd.in-toto+json", statement.to_string().as_bytes())?;
        layer.annotations.insert("in-toto.io/predicate-type".to_owned(), PREDICATE.to_owned());
        let manifest = RawDocument::new(match made_up {
            Statements::Artifact => {
                let config = put("application/vnd.oci.empty.v1+json", EMPTY)?;
                let kind = "application/vnd.docker.attestation.manifest.v1+json";
                let subject = Descriptor::new(image.media_type.clone(), image.digest, image.size);
                Manifest {
                    artifact_type: Some(MediaType::new(kind)),
                    subject: Some(subject),
                    ..Manifest::new(config, vec![layer])
                }
            }
            Statements::Image => {
                let config = put(
                    MediaType::CONFIG.as_str(),
                    statement_configuration(std::slice::from_ref(&layer)).as_bytes(),
                )?;
                Manifest::new(config, vec![layer])
            }
        });
        self.lease.put_document(manifest.bytes())?;
        let mut entry = manifest.descriptor();
        entry.platform = Some(nowhere());
        let annotations = [
            ("vnd.docker.reference.digest", image.digest.to_string()),
            ("vnd.docker.reference.type", "attestation-manifest".to_owned()),
        ];
        entry.annotations.extend(annotations.map(|(key, value)| (key.to_owned(), value)));
        Ok(entry)
    }
}

/// What a statement is about: the image under each of its names.
fn subject(image: &Descriptor, names: &[Reference]) -> Vec<Value> {
    let digest = json!({"sha256": image.digest.hex()});
    let platform = image.platform.clone().unwrap_or_else(nowhere);
    let about = |name: String| json!({"name": name, "digest": digest});
    match names {
        [] => vec![about("_".to_owned())],
        names => names.iter().map(|name| about(package_url(name, &platform))).collect(),
    }
}

fn nowhere() -> Platform {
    let unknown = || "unknown".to_owned();
    Platform { architecture: unknown(), os: unknown(), os_version: None, variant: None }
}
