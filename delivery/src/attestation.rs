//! Statements about images, as manifests beside theirs.

use serde_json::{Value, json};
use wythe_store::error::WriteError;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use crate::options::StatementForm;

/// The type of the predicate that says how something was built.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// Says which manifest a statement beside it is about.
pub(crate) const SUBJECT: &str = "vnd.docker.reference.digest";

/// What a manifest of statements is, where it is an artifact.
const KIND: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// The configuration of a manifest that needs none.
const EMPTY: &[u8] = b"{}";

/// What is said of subjects, in the envelope that readers of statements know.
pub(crate) fn statement(subject: &[Value], predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": PROVENANCE,
        "subject": subject,
        "predicate": predicate,
    })
}

/// The index entry of a manifest that states how an image was built, under each of its names. No
/// machine is of its platform, so that none takes it for an image.
pub(crate) fn attest(
    lease: &Lease,
    predicate: &Value,
    image: &Descriptor,
    (names, form): (&[Reference], StatementForm),
) -> Result<Descriptor, WriteError> {
    let statement = statement(&subject(image, names), predicate);
    let put = |kind: &str, bytes: &[u8]| {
        lease.put_document(bytes)?;
        Ok::<_, WriteError>(Descriptor::of(MediaType::new(kind), bytes))
    };
    let mut layer = put("application/vnd.in-toto+json", statement.to_string().as_bytes())?;
    layer.annotations.insert("in-toto.io/predicate-type".to_owned(), PROVENANCE.to_owned());
    let refers = Some(Descriptor::new(image.media_type.clone(), image.digest, image.size));
    let manifest = RawDocument::new(match form {
        StatementForm::Artifact => Manifest {
            artifact_type: Some(MediaType::new(KIND)),
            subject: refers,
            ..Manifest::new(put("application/vnd.oci.empty.v1+json", EMPTY)?, vec![layer])
        },
        StatementForm::ArtifactByConfig => {
            Manifest { subject: refers, ..Manifest::new(put(KIND, EMPTY)?, vec![layer]) }
        }
        StatementForm::Image => {
            let config = configuration(std::slice::from_ref(&layer));
            Manifest::new(put(MediaType::CONFIG.as_str(), config.as_bytes())?, vec![layer])
        }
    });
    lease.put_document(manifest.bytes())?;
    let mut entry = manifest.descriptor();
    entry.platform = Some(nowhere());
    let annotations = [
        (SUBJECT, image.digest.to_string()),
        ("vnd.docker.reference.type", "attestation-manifest".to_owned()),
    ];
    entry.annotations.extend(annotations.map(|(key, value)| (key.to_owned(), value)));
    Ok(entry)
}

/// The configuration of statements that are made up as an image, which is of no platform.
pub(crate) fn configuration(statements: &[Descriptor]) -> String {
    let digests: Vec<String> = statements.iter().map(|one| one.digest.to_string()).collect();
    let rootfs = json!({"type": "layers", "diff_ids": digests});
    json!({"architecture": "unknown", "config": {}, "os": "unknown", "rootfs": rootfs}).to_string()
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

/// An image as the package-url specification spells it: `pkg:docker/alpine@3.20?platform=…`.
pub fn package_url(reference: &Reference, platform: &Platform) -> String {
    let named = reference.clone().with_default_tag();
    let digest = named.digest().map(|digest| digest.to_string());
    let version = named.tag().map(str::to_owned).or(digest).unwrap_or_default();
    let name: Vec<String> = named.familiar_name().split('/').map(encode).collect();
    let (version, platform) = (encode(&version), encode(&platform.to_string()));
    format!("pkg:docker/{}@{version}?platform={platform}", name.join("/"))
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_packages() {
        let url = |name: &str| package_url(&name.parse().unwrap(), &Platform::linux("amd64"));
        assert_eq!(url("alpine:3.20"), "pkg:docker/alpine@3.20?platform=linux%2Famd64");
        assert_eq!(
            url("localhost:5000/a/b"),
            "pkg:docker/localhost%3A5000/a/b@latest?platform=linux%2Famd64"
        );
    }
}
