//! `wythe inspect`.

use serde_json::Value;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;
use wythe_store::store::Store;

use crate::args::format::ListFormat;
use crate::args::image::{Document, InspectArgs, Shown};
use crate::args::location::ImageLocation;
use crate::command::index::show;
use crate::docker_image::inspected;
use crate::failure::{Class, Failure};
use crate::fetch::Wanted;
use crate::render::listing;
use crate::session::Session;
use crate::stored_image::{self, this_machine};

/// Prints what images are, in the store or in registries.
pub(crate) fn run(args: &InspectArgs, session: &Session) -> Result<(), Failure> {
    let (places, shown) = args.what()?;
    let mut told = Vec::new();
    for place in &places {
        match place {
            ImageLocation::Store(name) => told.extend(stored(name, shown, session)?),
            ImageLocation::Registry(name) => remote(&name.parse()?, shown, session)?,
            ImageLocation::DockerArchive { .. }
            | ImageLocation::Images { .. }
            | ImageLocation::Layout { .. }
            | ImageLocation::OciArchive { .. } => {
                let failure =
                    Failure::usage("only images of the store and of registries are shown");
                return Err(failure.remedy("`wythe load` and `wythe copy` bring others there"));
            }
        }
    }
    match &args.format {
        Some(ListFormat::Lines(template) | ListFormat::TableOf(template)) => {
            listing::lines(template, &told)?.iter().try_for_each(|line| session.print(line))
        }
        Some(ListFormat::Json) => {
            told.iter().try_for_each(|image| session.print(&image.to_string()))
        }
        Some(ListFormat::Table) | None if told.is_empty() => Ok(()),
        Some(ListFormat::Table) | None => session.print(&format!("{:#}", Value::Array(told))),
    }
}

/// What there is to tell of an image of the store; a document of it is printed at once.
fn stored(name: &str, shown: Shown, session: &Session) -> Result<Option<Value>, Failure> {
    let store = session.store_to_read()?;
    match shown {
        Shown::Summary => Ok(Some(answer(&store, name)?)),
        Shown::Root => {
            let root = stored_image::find(&store, name)?.root;
            let missing =
                || Failure::new(Class::Damage, format!("{} is not in the store", root.digest));
            let bytes = store.document(&root.digest)?.ok_or_else(missing)?;
            session.write(&bytes)?;
            Ok(None)
        }
        Shown::Document(document) => {
            let image = stored_image::find(&store, name)?;
            match document {
                Document::Config => session.write(image.config.bytes())?,
                Document::Manifest => session.write(image.manifest.bytes())?,
            }
            Ok(None)
        }
    }
}

/// Prints what a name stands for in its registry.
fn remote(name: &Reference, shown: Shown, session: &Session) -> Result<(), Failure> {
    let client = session.registry()?;
    let document = match shown {
        Shown::Root => return session.write(&client.manifest(name)?.1),
        Shown::Summary => {
            let (root, bytes) = client.manifest(name)?;
            return session.write(show::page(name, &root, &bytes)?.as_bytes());
        }
        Shown::Document(document) => document,
    };
    let (lease, platform) = (session.store()?.lease()?, this_machine());
    let wanted = Wanted { source: &client, reference: name, platform: &platform };
    let image = wanted.documents(&lease)?;
    match document {
        Document::Config => session.write(image.config.bytes()),
        Document::Manifest => session.write(image.manifest.bytes()),
    }
}

/// What there is to tell of an image, its other names included.
fn answer(store: &Store, name: &str) -> Result<Value, Failure> {
    let image = stored_image::find(store, name)?;
    let names = store.list_refs()?.into_iter();
    let names = names.filter(|(_, root)| root.digest == image.root.digest);
    let names: Vec<String> = names.map(|(name, _)| name).collect();
    inspected(&image, &names)
}
