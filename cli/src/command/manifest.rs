//! `docker manifest` and `docker buildx imagetools`: what registries have, as they have it.

mod parts;

use serde_json::{Value, json};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;

use self::parts::{Named, Part};
use crate::args::buildx::ImagetoolsInspectArgs;
use crate::args::docker_groups::{ManifestCommand, ManifestGroup};
use crate::command::index::show;
use crate::failure::{Class, Failure};
use crate::render::listing;
use crate::session::Session;
use crate::template::{Template, TemplateError};

/// Prints what a name of a registry stands for; indexes are made otherwise.
pub(crate) fn run(args: &ManifestGroup, session: &Session) -> Result<(), Failure> {
    let refused = |name: &str| {
        Err(Failure::usage(format!("there is no manifest {name} here"))
            .remedy("`wythe index create -t NAME IMAGE…` makes an index of what registries have"))
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
        let client = session.registry()?;
        let named = Named { client: &client, name: &name, root: &found, bytes: &bytes };
        return session.print(&rendered(template, told, &named)?);
    }
    session.write(show::page(&name, &found, &bytes)?.as_bytes())
}

/// What a template makes of a name. What it asks for beyond that is fetched when it does.
fn rendered(template: &Template, mut told: Value, named: &Named<'_>) -> Result<String, Failure> {
    loop {
        let error = match template.render(&told) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let lacking = Part::ALL.into_iter().find(|(name, _)| {
            matches!(&error, TemplateError::Field { name: asked, .. } if asked == name)
                && told.get(name).is_none()
        });
        let Some((name, part)) = lacking else { return Err(listing::mistake(error)) };
        told[name] = named.part(part)?;
    }
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
