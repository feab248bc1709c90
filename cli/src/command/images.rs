//! `wythe images`.

use serde_json::{Value, json};
use wythe_store::image::catalog::{OpenImageProblem, StoredImage, read_any_image};
use wythe_store::oci::descriptor::Descriptor;
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
    let images = list(&session.store_to_read()?)?;
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

/// What a name stands for; something other than an image, as an artifact is, has none to read.
struct Listed {
    name: String,
    root: Descriptor,
    image: Option<StoredImage>,
}

fn list(store: &Store) -> Result<Vec<Listed>, Failure> {
    let read = |(name, root): (String, Descriptor)| {
        let image = match read_any_image(store, &root, &stored_image::this_machine()) {
            Ok(image) => Some(image),
            Err(OpenImageProblem::Document(_) | OpenImageProblem::NoPlatform(_)) => None,
            Err(problem) => return Err(stored_image::unreadable(&name, problem)),
        };
        Ok(Listed { name, root, image })
    };
    store.list_refs()?.into_iter().map(read).collect()
}

fn object(Listed { name, root, image }: &Listed) -> Value {
    let image = image.as_ref();
    json!({
        "name": name,
        "digest": root.digest.to_string(),
        "id": image.map(|image| image.manifest.value().config.digest.to_string()),
        "platform": image.map(|image| image.config.value().platform().to_string()),
        "created": image.and_then(|image| image.config.value().created.clone()),
        "size": image.map(stored_image::size),
    })
}

fn table(images: &[Listed]) -> Table<4> {
    let mut table = Table::new(["NAME", "ID", "CREATED", "SIZE"]);
    for Listed { name, image, .. } in images {
        let Some(image) = image else {
            table.push([name.clone(), "no image".to_owned(), String::new(), String::new()]);
            continue;
        };
        let id = image.manifest.value().config.digest.to_string();
        let short = id.trim_start_matches("sha256:").chars().take(SHORT_ID).collect();
        let created = image.config.value().created.clone().unwrap_or_default();
        table.push([name.clone(), short, created, Bytes(stored_image::size(image)).to_string()]);
    }
    table
}

/// As many digits as docker shows.
const SHORT_ID: usize = 12;
