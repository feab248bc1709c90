//! `wythe images`.

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;
use wythe_store::store::Store;

use crate::args::call::AnswerFormat;
use crate::args::image::ImagesArgs;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// Lists the images of the store.
pub(crate) fn run(args: &ImagesArgs, session: &Session) -> Result<(), Failure> {
    let images = list(&session.store()?)?;
    match args.format {
        AnswerFormat::Json => {
            let images: Vec<Value> = images.iter().map(object).collect();
            session.print(&json!(images).to_string())
        }
        AnswerFormat::Text => {
            let table = table(&images);
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

fn list(store: &Store) -> Result<Vec<(String, StoredImage)>, Failure> {
    let refs = store.list_refs()?;
    refs.into_iter()
        .map(|(name, root)| {
            let image = stored_image::of_ref(store, &name, &root)?;
            Ok((name, image))
        })
        .collect()
}

fn object((name, image): &(String, StoredImage)) -> Value {
    let config = image.config.value();
    json!({
        "name": name,
        "digest": image.root.digest.to_string(),
        "id": image.manifest.value().config.digest.to_string(),
        "platform": config.platform().to_string(),
        "created": config.created,
        "size": stored_image::size(image),
    })
}

fn table(images: &[(String, StoredImage)]) -> Table<4> {
    let mut table = Table::new(["NAME", "ID", "CREATED", "SIZE"]);
    for (name, image) in images {
        let id = image.manifest.value().config.digest.to_string();
        let short = id.trim_start_matches("sha256:").chars().take(SHORT_ID).collect();
        let created = image.config.value().created.clone().unwrap_or_default();
        table.push([name.clone(), short, created, Bytes(stored_image::size(image)).to_string()]);
    }
    table
}

/// As many digits as docker shows.
const SHORT_ID: usize = 12;
