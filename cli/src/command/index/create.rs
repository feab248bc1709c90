//! `wythe index create`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wythe_builder::progress::AsEvents;
use wythe_delivery::annotation::{AnnotationTarget, Annotations};
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::image::catalog::read_any_image;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource as _, SourceErrorClass};
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::args::index::IndexCreateArgs;
use crate::closure::{self, LocatedImage};
use crate::command::build::deliver::write_text;
use crate::command::index::show;
use crate::failure::{Class, Failure};
use crate::host;
use crate::sending::Sending;
use crate::session::Session;
use crate::stored_image::{this_machine, unreadable};

/// Makes an index of what registries hold, sends what the registries of its names lack, names it, and
/// prints its digest.
pub(crate) fn run(args: &IndexCreateArgs, session: &Session) -> Result<(), Failure> {
    let names: Vec<Reference> =
        args.tag.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
        return Err(Failure::usage(format!("{name} has a digest, and would name something else")));
    }
    let annotations = annotations(args)?;
    let progress = session.progress();
    let made = made(args, (&names, &annotations), (session, &AsEvents(&*progress)))?;
    drop(progress);
    match made {
        Made::Planned(document) => session.write(&document),
        Made::Named(root) => {
            if let Some(path) = &args.metadata_file {
                write_text(path, &format!("{:#}\n", metadata(&root, &args.tag)))?;
            }
            session.print(&root.digest.to_string())
        }
    }
}

/// What is told of an index, as builds tell of an image.
fn metadata(root: &Descriptor, names: &[String]) -> Value {
    json!({
        "containerimage.descriptor": root,
        "containerimage.digest": root.digest.to_string(),
        "image.name": names.join(","),
    })
}

/// What came of it.
enum Made {
    /// The index as it would be.
    Planned(Vec<u8>),
    /// The index, which its names stand for.
    Named(Box<Descriptor>),
}

fn made(
    args: &IndexCreateArgs,
    (names, annotations): (&[Reference], &Annotations),
    (session, transfers): (&Session, &dyn Transfers),
) -> Result<Made, Failure> {
    // What is appended to is what the registry has, not what a mirror of it had.
    let (lease, client) = (session.store()?.lease()?, session.registry()?.without_mirrors());
    let watched = &Watched { images: &client, transfers };
    let mut sources = Vec::new();
    for name in sources_of(args, names, &client)? {
        let source = Box::new(Watched { ..*watched });
        let found = closure::at_source(&lease, (source, name.clone()), None, Class::Network)?;
        sources.push(found.beside(name));
    }
    let (root, bytes) = assembled(&lease, &sources, annotations)?;
    if args.dry_run.is_on() {
        return Ok(Made::Planned(bytes));
    }
    let (pool, delivered) = (&host::threads()?, &Delivered::default());
    let sending = Sending { lease: &lease, client: &client, transfers, pool, delivered };
    sources.iter().try_for_each(|source| sending.untagged(source, names))?;
    // When everything that they lead to is there.
    names.iter().try_for_each(|name| client.put_manifest(name, &root.media_type, &bytes))?;
    Ok(Made::Named(Box::new(root)))
}

/// What is said about the index and its entries. About images nothing can be said that are made already.
fn annotations(args: &IndexCreateArgs) -> Result<Annotations, Failure> {
    let all = Annotations::all(&args.annotation);
    for target in [AnnotationTarget::Manifest, AnnotationTarget::IndexDescriptor] {
        if all.are_of(target) {
            let text = "an index that is created can say nothing within the images that it lists";
            return Err(Failure::usage(text)
                .remedy("say index:KEY=VALUE, or manifest-descriptor[OS/ARCH]:KEY=VALUE"));
        }
    }
    Ok(all)
}

/// The names whose entries are taken, what is there already first.
fn sources_of(
    args: &IndexCreateArgs,
    names: &[Reference],
    client: &Client,
) -> Result<Vec<Reference>, Failure> {
    let mut sources = Vec::new();
    if let Some(first) = names.first().filter(|_| args.append.is_on()) {
        match client.manifest(first) {
            Ok(_) => sources.push(first.clone()),
            // There is nothing to keep.
            Err(error) if error.class() == SourceErrorClass::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in &args.sources {
        sources.push(name.parse()?);
    }
    Ok(sources)
}

/// The index of some sources, and its bytes. One that is alone and an index stays what it is.
fn assembled(
    lease: &Lease,
    sources: &[LocatedImage<'_>],
    annotations: &Annotations,
) -> Result<(Descriptor, Vec<u8>), Failure> {
    let about = annotations.of(AnnotationTarget::Index, None);
    if let [only] = sources
        && only.root.media_type.is_index()
        && annotations.is_empty()
    {
        return Ok((only.root.clone(), document(lease, &only.root)?));
    }
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    for source in sources {
        for mut entry in entries_of(lease, source)? {
            let said =
                annotations.of(AnnotationTarget::ManifestDescriptor, entry.platform.as_ref());
            entry.annotations.extend(said);
            if seen.insert(entry.digest) {
                entries.push(entry);
            }
        }
    }
    let mut index = Index::new(entries);
    // Documents of docker's list each other, as registries want that know no others.
    if about.is_empty()
        && index.manifests.iter().all(|it| it.media_type == MediaType::DOCKER_MANIFEST)
    {
        index.media_type = MediaType::DOCKER_LIST;
    }
    index.annotations.extend(about);
    let index = RawDocument::new(index);
    Ok((index.descriptor(), index.bytes().to_vec()))
}

/// What an index lists of a source: its entries, or itself for the platform that its configuration names.
fn entries_of(lease: &Lease, source: &LocatedImage<'_>) -> Result<Vec<Descriptor>, Failure> {
    let root = &source.root;
    if root.media_type.is_index() {
        return Ok(show::read(root, &document(lease, root)?)?.manifests);
    }
    let mut entry = root.clone();
    let image = read_any_image(lease.store(), root, &this_machine())
        .map_err(|problem| unreadable(&root.digest.to_string(), problem))?;
    entry.platform = Some(image.config.value().platform());
    Ok(vec![entry])
}

fn document(lease: &Lease, root: &Descriptor) -> Result<Vec<u8>, Failure> {
    let found = lease.store().document(&root.digest)?;
    let missing = || Failure::new(Class::Damage, format!("{} is not in the store", root.digest));
    Ok(found.ok_or_else(missing)?.to_vec())
}
