//! `docker manifest` and `docker buildx imagetools`: what registries have, as they have it.

use serde_json::{Value, json};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;

use crate::args::buildx::ImagetoolsInspectArgs;
use crate::args::docker_groups::{ManifestCommand, ManifestGroup};
use crate::failure::{Class, Failure};
use crate::render::listing;
use crate::session::Session;

/// Prints what a name of a registry stands for; indexes are made otherwise.
pub(crate) fn run(args: &ManifestGroup, session: &Session) -> Result<(), Failure> {
    let refused = |name: &str| {
        Err(Failure::usage(format!("there is no manifest {name} here"))
            .remedy("`wythe build --platform A,B --push` makes an index of several platforms"))
    };
    match &args.command {
        ManifestCommand::Annotate(_) => refused("annotate"),
        ManifestCommand::Create(_) => refused("create"),
        ManifestCommand::Inspect(args) => {
            let Fetched { document, .. } = fetched(&args.name, session)?;
            session.print(&format!("{document:#}"))
        }
        ManifestCommand::Push(_) => refused("push"),
        ManifestCommand::Rm(_) => refused("rm"),
    }
}

/// As `docker buildx imagetools inspect`.
pub(crate) fn imagetools_inspect(
    args: &ImagetoolsInspectArgs,
    session: &Session,
) -> Result<(), Failure> {
    let Fetched { name, root: found, bytes, mut document } = fetched(&args.name, session)?;
    if args.raw.is_on() {
        return session.write(&bytes);
    }
    if let Some(template) = &args.format {
        document["digest"] = json!(found.digest.to_string());
        document["size"] = json!(found.size);
        document["mediaType"] = json!(found.media_type.as_str());
        let told = json!({"Name": name.canonical(), "Manifest": document});
        let text = template.render(&told).map_err(listing::mistake)?;
        return session.print(&text);
    }
    session.print(&head(
        &name.canonical(),
        found.media_type.as_str(),
        &found.digest.to_string(),
    ))?;
    let Some(entries) = document["manifests"].as_array() else { return Ok(()) };
    session.print("\nManifests:")?;
    for entry in entries {
        session.print(&part(&name, entry))?;
    }
    Ok(())
}

/// The document that a registry has under a name.
fn fetched(name: &str, session: &Session) -> Result<Fetched, Failure> {
    let name: Reference = name.parse()?;
    let (root, bytes) = session.registry()?.manifest(&name)?;
    let document = serde_json::from_slice(&bytes);
    let document = document.map_err(|error| Failure::of(Class::Damage, &error))?;
    Ok(Fetched { name, root, bytes, document })
}

/// What a name of a registry stands for.
struct Fetched {
    name: Reference,
    root: Descriptor,
    /// Exactly what the registry has.
    bytes: Vec<u8>,
    document: Value,
}

fn head(name: &str, kind: &str, digest: &str) -> String {
    format!("Name:      {name}\nMediaType: {kind}\nDigest:    {digest}")
}

fn part(name: &Reference, entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (digest, kind) = (text(&entry["digest"]), text(&entry["mediaType"]));
    let platform = &entry["platform"];
    let words = ["os", "architecture", "variant"].map(|key| text(&platform[key]));
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let name = format!("{}@{digest}", name.name());
    let lines = [("Name: ", name), ("MediaType:", kind), ("Platform: ", words.join("/"))];
    let lines = lines.map(|(key, value)| format!("  {key:<10} {value}"));
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_an_index_has_its_platform() {
        let entry = json!({
            "mediaType": "m",
            "digest": "sha256:1",
            "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
        });
        let text = part(&"r.example/app:1".parse().unwrap(), &entry);
        let expected =
            "  Name:      r.example/app@sha256:1\n  MediaType: m\n  Platform:  linux/arm/v7\n";
        assert_eq!(text, expected);
    }
}
