//! `wythe history`.

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;
use wythe_store::oci::config::HistoryEntry;

use crate::args::call::AnswerFormat;
use crate::args::image::HistoryArgs;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// Lists the instructions that made an image, the newest first.
pub(crate) fn run(args: &HistoryArgs, session: &Session) -> Result<(), Failure> {
    let image = stored_image::find(&session.store_to_read()?, &args.image)?;
    let entries = with_sizes(&image);
    match args.format {
        AnswerFormat::Json => {
            let entries: Vec<Value> = entries.iter().map(object).collect();
            session.print(&json!(entries).to_string())
        }
        AnswerFormat::Text => {
            let mut table = Table::new(["CREATED", "SIZE", "CREATED BY"]);
            for (entry, size) in &entries {
                let size = Bytes(*size).to_string();
                let by = entry.created_by.clone().unwrap_or_default();
                table.push([entry.created.clone().unwrap_or_default(), size, by]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

/// The entries with the size of the layer each made, the newest first.
fn with_sizes(image: &StoredImage) -> Vec<(&HistoryEntry, u64)> {
    let mut layers = image.manifest.value().layers.iter();
    let mut size = |entry: &HistoryEntry| {
        if entry.empty_layer { 0 } else { layers.next().map_or(0, |layer| layer.size) }
    };
    let history = image.config.value().history.iter();
    let mut entries: Vec<_> = history.map(|entry| (entry, size(entry))).collect();
    entries.reverse();
    entries
}

fn object((entry, size): &(&HistoryEntry, u64)) -> Value {
    json!({
        "created": entry.created,
        "created_by": entry.created_by,
        "comment": entry.comment,
        "empty": entry.empty_layer,
        "size": size,
    })
}
