//! `wythe history`.

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;
use wythe_store::oci::config::HistoryEntry;

use crate::args::format::ListFormat;
use crate::args::image::HistoryArgs;
use crate::docker_image::{self, ago, short};
use crate::failure::Failure;
use crate::render::listing;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// Lists the instructions that made an image, the newest first.
pub(crate) fn run(args: &HistoryArgs, session: &Session) -> Result<(), Failure> {
    let image = stored_image::find(&session.store_to_read()?, &args.image)?;
    let entries = with_sizes(&image);
    let shown: Shown =
        if args.human { |size| Bytes(size).to_string() } else { |size| size.to_string() };
    let rows = || -> Vec<Value> {
        let ids = [short(&docker_image::id(&image))].into_iter();
        let ids = ids.chain(std::iter::repeat("<missing>".to_owned()));
        entries.iter().zip(ids).map(|(entry, id)| row(entry, &id, shown)).collect()
    };
    if args.quiet.is_on() {
        let told = |row: &Value| session.print(row["ID"].as_str().unwrap_or_default());
        return rows().iter().try_for_each(told);
    }
    let lines = match &args.format {
        ListFormat::Json => {
            let entries: Vec<Value> = entries.iter().map(object).collect();
            vec![json!(entries).to_string()]
        }
        ListFormat::Lines(template) => listing::lines(template, &rows())?,
        ListFormat::TableOf(template) => listing::table(template, &headings(), &rows())?,
        ListFormat::Table => {
            let mut table = Table::new(["CREATED", "SIZE", "CREATED BY"]);
            for (entry, size) in &entries {
                let by = entry.created_by.clone().unwrap_or_default();
                let created = entry.created.clone().unwrap_or_default();
                table.push([created, shown(*size), by]);
            }
            table.lines()
        }
    };
    lines.iter().try_for_each(|line| session.print(line))
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

/// What docker tells of an entry.
fn row((entry, size): &(&HistoryEntry, u64), id: &str, shown: Shown) -> Value {
    let created = entry.created.clone().unwrap_or_default();
    json!({
        "Comment": entry.comment.clone().unwrap_or_default(),
        "CreatedAt": created,
        "CreatedBy": entry.created_by.clone().unwrap_or_default(),
        "CreatedSince": ago(&created),
        "ID": id,
        "Size": shown(*size),
    })
}

fn headings() -> Value {
    json!({
        "Comment": "COMMENT",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "CreatedSince": "CREATED",
        "ID": "IMAGE",
        "Size": "SIZE",
    })
}

/// How a size is printed.
type Shown = fn(u64) -> String;
