//! `wythe du`.

use serde_json::{Value, json};
use wythe_store::image::catalog::ref_name;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;
use wythe_store::usage::image::{ImageUsage, ImagesUsage};
use wythe_store::usage::{Class, Portion};

use crate::args::call::AnswerFormat;
use crate::args::store::DuArgs;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// Shows what takes up space in the store, or what images take.
pub(crate) fn run(args: &DuArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_to_read()?;
    if args.images.is_empty() {
        whole(&store, args, session)
    } else {
        images(&store, args, session)
    }
}

fn whole(store: &Store, args: &DuArgs, session: &Session) -> Result<(), Failure> {
    let usage = store.usage()?;
    let waiting = store.waiting()?;
    if 0 < waiting {
        session.remark(&format!(
            "{} of this is garbage that goes when processes that began before have ended",
            Bytes(waiting)
        ));
    }
    let rows = Class::ALL.map(|class| (name(class), usage.of(class)));
    let all = rows.into_iter().chain([("total", usage.total())]);
    let ImagesUsage { names, logical, unique, shared } = store.usage_of_images()?;
    if args.format == AnswerFormat::Json {
        let mut rows: Vec<Value> = all.map(|(what, portion)| object(what, portion)).collect();
        rows.push(json!({
            "what": "images", "names": names, "logical": logical, "unique": unique, "shared": shared,
        }));
        return session.print(&json!(rows).to_string());
    }
    let mut table = Table::new(["WHAT", "SIZE", "RECLAIMABLE"]);
    for (what, Portion { bytes, reclaimable }) in all {
        table.push([what.to_owned(), Bytes(bytes).to_string(), Bytes(reclaimable).to_string()]);
    }
    let mut of_images = Table::new(["IMAGES", "LOGICAL", "UNIQUE", "SHARED"]);
    let [logical, unique, shared] = [logical, unique, shared].map(|n| Bytes(n).to_string());
    of_images.push([names.to_string(), logical, unique, shared]);
    let (lines, of_images) = (table.lines(), of_images.lines());
    let lines = lines.into_iter().chain([String::new()]).chain(of_images);
    lines.into_iter().try_for_each(|line| session.print(&line))
}

fn object(what: &str, Portion { bytes, reclaimable }: Portion) -> Value {
    json!({"what": what, "size": bytes, "reclaimable": reclaimable})
}

fn images(store: &Store, args: &DuArgs, session: &Session) -> Result<(), Failure> {
    let mut found: Vec<(String, ImageUsage)> = Vec::new();
    for image in &args.images {
        let reference: Reference = image.parse()?;
        let name = ref_name(&reference);
        let usage = store.usage_of(&name)?.ok_or_else(|| stored_image::absent(&reference))?;
        found.push((name, usage));
    }
    if args.format == AnswerFormat::Json {
        let object = |(name, usage): &(String, ImageUsage)| {
            let ImageUsage { logical, unique, shared } = usage;
            json!({"name": name, "logical": logical, "unique": unique, "shared": shared})
        };
        let rows: Vec<Value> = found.iter().map(object).collect();
        return session.print(&json!(rows).to_string());
    }
    let mut table = Table::new(["NAME", "LOGICAL", "UNIQUE", "SHARED"]);
    for (name, ImageUsage { logical, unique, shared }) in found {
        let [logical, unique, shared] = [logical, unique, shared].map(|n| Bytes(n).to_string());
        table.push([name, logical, unique, shared]);
    }
    table.lines().iter().try_for_each(|line| session.print(line))
}

fn name(class: Class) -> &'static str {
    match class {
        Class::Bodies => "files of layers",
        Class::Trees => "trees of layers",
        Class::Fragments => "compressed forms of layers",
        Class::Documents => "manifests and configurations",
        Class::Blobs => "blobs of registries",
        Class::Live => "unpacked layers",
        Class::CacheMounts => "cache mounts",
        Class::Records => "journal",
        Class::Caches => "what is known of contexts and uses",
        Class::Temporary => "work in progress",
        Class::Frame => "the store itself",
    }
}
