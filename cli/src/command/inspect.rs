//! `wythe inspect`.

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;

use crate::args::image::{Document, InspectArgs};
use crate::failure::{Class, Failure};
use crate::session::Session;
use crate::stored_image;

/// Prints what an image is.
pub(crate) fn run(args: &InspectArgs, session: &Session) -> Result<(), Failure> {
    let image = stored_image::find(&session.store_to_read()?, &args.image)?;
    match args.raw {
        Some(Document::Config) => session.write(image.config.bytes()),
        Some(Document::Manifest) => session.write(image.manifest.bytes()),
        None => session.print(&format!("{:#}", summary(&image)?)),
    }
}

fn summary(image: &StoredImage) -> Result<Value, Failure> {
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes).map_err(|error| Failure::of(Class::Damage, &error))
    };
    Ok(json!({
        "digest": image.root.digest.to_string(),
        "size": stored_image::size(image),
        "manifest": parse(image.manifest.bytes())?,
        "config": parse(image.config.bytes())?,
    }))
}
