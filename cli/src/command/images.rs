//! `wythe images`.

use std::cmp::Ordering;

use serde_json::{Value, json};
use wythe_store::image::catalog::{OpenImageProblem, StoredImage, read_any_image};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::store::Store;

use crate::args::format::ListFormat;
use crate::args::image::ImagesArgs;
use crate::args::image_filter::{ImageFilter, Pattern};
use crate::docker_image::{self, headings, short, spoken};
use crate::failure::Failure;
use crate::render::listing;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// Lists the images of the store.
pub(crate) fn run(args: &ImagesArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_to_read()?;
    let images = chosen(list(&store)?, args, &store)?;
    let id = |id: &str| if args.no_trunc.is_on() { id.to_owned() } else { short(id) };
    if args.quiet.is_on() {
        let ids = images.iter().filter_map(|listed| listed.image.as_ref()).map(docker_image::id);
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids.dedup();
        return ids.iter().try_for_each(|found| session.print(&id(found)));
    }
    let rows = || -> Vec<Value> {
        let row = |listed: &Listed| {
            docker_image::listed(&listed.name, (&listed.root, listed.image.as_ref()), id)
        };
        images.iter().map(row).collect()
    };
    let lines = match &args.format {
        ListFormat::Json => {
            let images: Vec<Value> = images.iter().map(object).collect();
            vec![json!(images).to_string()]
        }
        ListFormat::Lines(template) => listing::lines(template, &rows())?,
        ListFormat::TableOf(template) => listing::table(template, &headings(), &rows())?,
        ListFormat::Table if args.digests.is_on() => table_with_digests(&images, id),
        ListFormat::Table => table(&images, id),
    };
    lines.iter().try_for_each(|line| session.print(line))
}

/// What a name stands for; something other than an image, as an artifact is, has none to read.
struct Listed {
    name: String,
    root: Descriptor,
    image: Option<StoredImage>,
}

impl Listed {
    fn created(&self) -> Option<jiff::Timestamp> {
        self.image.as_ref()?.config.value().created.as_ref()?.parse().ok()
    }

    /// Whether it is one of those that a filter takes; of a filter that names another image, when that was made.
    fn passes(&self, filter: &ImageFilter, other: Option<jiff::Timestamp>) -> bool {
        let against = |wanted: Ordering| {
            self.created().zip(other).is_some_and(|(own, other)| own.cmp(&other) == wanted)
        };
        match filter {
            ImageFilter::Before(_) => against(Ordering::Less),
            ImageFilter::Dangling(wanted) => !wanted,
            ImageFilter::Label(label) => self.image.as_ref().is_some_and(|image| {
                let found = image.config.value().config.labels.get(&label.key);
                found.is_some_and(|found| label.value.as_ref().is_none_or(|value| value == found))
            }),
            ImageFilter::Reference(pattern) => self.is_called(pattern),
            ImageFilter::Since(_) => against(Ordering::Greater),
        }
    }

    fn is_called(&self, pattern: &Pattern) -> bool {
        let (repository, tag) = spoken(&self.name);
        pattern.takes(&repository, &tag)
    }
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

/// Those that were asked for by name and filters.
fn chosen(
    mut images: Vec<Listed>,
    args: &ImagesArgs,
    store: &Store,
) -> Result<Vec<Listed>, Failure> {
    if let Some(name) = &args.name {
        let pattern = Pattern::new(name).map_err(|error| Failure::usage(error.to_string()))?;
        let exact = stored_image::canonical(name);
        images.retain(|one| one.is_called(&pattern) || exact.as_ref() == Some(&one.name));
    }
    for filter in &args.filter {
        let other = match filter {
            ImageFilter::Before(name) | ImageFilter::Since(name) => {
                let created = stored_image::find(store, name)?.config.value().created.clone();
                created.and_then(|moment| moment.parse().ok())
            }
            ImageFilter::Dangling(_) | ImageFilter::Label(_) | ImageFilter::Reference(_) => None,
        };
        images.retain(|one| one.passes(filter, other));
    }
    Ok(images)
}

fn object(Listed { name, root, image }: &Listed) -> Value {
    let image = image.as_ref();
    json!({
        "name": name,
        "digest": root.digest.to_string(),
        "id": image.map(docker_image::id),
        "platform": image.map(|image| image.config.value().platform().to_string()),
        "created": image.and_then(|image| image.config.value().created.clone()),
        "size": image.map(stored_image::size),
    })
}

/// As `docker images` lists them: scripts take words of its lines.
fn table(images: &[Listed], id: impl Fn(&str) -> String) -> Vec<String> {
    let mut table = Table::new(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    for listed in images {
        let ((repository, tag), [shown, created, size]) =
            (spoken(&listed.name), cells(listed, &id));
        table.push([repository, tag, shown, created, size]);
    }
    table.lines()
}

fn table_with_digests(images: &[Listed], id: impl Fn(&str) -> String) -> Vec<String> {
    let mut table = Table::new(["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"]);
    for listed in images {
        let ((repository, tag), [shown, created, size]) =
            (spoken(&listed.name), cells(listed, &id));
        table.push([repository, tag, listed.root.digest.to_string(), shown, created, size]);
    }
    table.lines()
}

/// The id, the time and the size.
fn cells(listed: &Listed, id: impl Fn(&str) -> String) -> [String; 3] {
    let Some(image) = &listed.image else {
        return ["no image".to_owned(), String::new(), String::new()];
    };
    let created = image.config.value().created.clone().unwrap_or_default();
    let size = Bytes(stored_image::size(image)).to_string();
    [id(&docker_image::id(image)), docker_image::ago(&created), size]
}
