//! `wythe inspect`.

use serde_json::Value;
use wythe_store::store::Store;

use crate::args::format::ListFormat;
use crate::args::image::{Document, InspectArgs};
use crate::docker_image::inspected;
use crate::failure::Failure;
use crate::render::listing;
use crate::session::Session;
use crate::stored_image;

/// Prints what images are.
pub(crate) fn run(args: &InspectArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_to_read()?;
    if let Some(document) = args.raw {
        return args.images.iter().try_for_each(|name| {
            let image = stored_image::find(&store, name)?;
            match document {
                Document::Config => session.write(image.config.bytes()),
                Document::Manifest => session.write(image.manifest.bytes()),
            }
        });
    }
    let told: Vec<Value> =
        args.images.iter().map(|name| answer(&store, name)).collect::<Result<_, _>>()?;
    match &args.format {
        Some(ListFormat::Lines(template) | ListFormat::TableOf(template)) => {
            listing::lines(template, &told)?.iter().try_for_each(|line| session.print(line))
        }
        Some(ListFormat::Json) => {
            told.iter().try_for_each(|image| session.print(&image.to_string()))
        }
        Some(ListFormat::Table) | None => session.print(&format!("{:#}", Value::Array(told))),
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
