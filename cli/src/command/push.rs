//! `wythe push`.

use wythe_builder::progress::AsEvents;
use wythe_delivery::encode::Ready;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerOptions, LazyIndex};
use wythe_delivery::push::{Naming, Push};
use wythe_registry::delivered::Delivered;
use wythe_store::digest::Digest;
use wythe_store::image::encode::Recompress;
use wythe_store::lease::Lease;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::args::image::PushArgs;
use crate::args::runtime::{RuntimeArg, Statement, Wish, refuse_index};
use crate::aws::create_repositories;
use crate::closure;
use crate::command::index::show;
use crate::failure::Failure;
use crate::handover::{self, HandedOver};
use crate::host;
use crate::session::Session;
use crate::stored_image::{self, this_machine};

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    handover::check(&args.emit)?;
    if args.all_tags.is_on() {
        return all_tags(args, session);
    }
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    create_repositories(std::slice::from_ref(&to), args.repositories.create_repo, session)?;
    let progress = session.progress();
    let digest = pushed(args, (&args.image, to.clone()), (session, &AsEvents(&*progress)))?;
    drop(progress);
    if !args.emit.is_empty() {
        let (target, name) = (String::new(), to);
        handover::write(&args.emit, &[HandedOver { target, name, digest }])?;
    }
    session.print(&digest.to_string())
}

/// Sends everything that the store has under a name, and prints each with its digest.
fn all_tags(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.image.parse()?;
    if name.tag().is_some() || name.digest().is_some() {
        let text = format!("--all-tags sends every tag, and {name} has one");
        return Err(Failure::usage(text).remedy(format!("leave it at {}", name.familiar_name())));
    }
    let refs = session.store_to_read()?.list_refs()?.into_iter();
    let tagged = refs.filter_map(|(text, _)| Some((text.parse::<Reference>().ok()?, text)));
    let own = tagged.filter(|(known, _)| known.name() == name.name() && known.digest().is_none());
    let own: Vec<(Reference, String)> = own.collect();
    if own.is_empty() {
        return Err(stored_image::absent(&name));
    }
    create_repositories(std::slice::from_ref(&name), args.repositories.create_repo, session)?;
    for (to, text) in own {
        let progress = session.progress();
        let digest = pushed(args, (&text, to), (session, &AsEvents(&*progress)))?;
        drop(progress);
        session.print(&format!("{text} {digest}"))?;
    }
    Ok(())
}

/// Sends the image, and of it what the registry lacks; gives its digest there.
fn pushed(
    args: &PushArgs,
    (image, to): (&str, Reference),
    (session, transfers): (&Session, &dyn Transfers),
) -> Result<Digest, Failure> {
    let (lease, client) = (session.store()?.lease()?, session.registry()?);
    let platform = platform(args, image, &lease)?;
    let source = Watched { images: &client, transfers };
    let image = closure::of_store(&lease, image, platform.as_ref(), &source)?;
    let usual = args.service.runtime.and_then(RuntimeArg::compression);
    let layers = LayerOptions {
        compression: args.compression.or(usual).map(Into::into).unwrap_or_default(),
        recompress: recompress(args),
        index: index(args),
        level: None,
    };
    refuse_index(layers)?;
    let layers = args.service.runtime.map_or(layers, |runtime| runtime.at_registry(layers));
    let (content, pool) = (&image.content(&lease), &host::threads()?);
    let make =
        |ready: Ready<'_>| OutgoingImage::encode_each(content, &image.root, layers, (pool, ready));
    let push = Push { registry: &client, content, transfers, delivered: &Delivered::default() };
    Ok(push.run(&[to], Naming::ByName, make)?.root.digest)
}

/// An image that was loaded keeps its digest, by which it may be known elsewhere, unless it is asked for that its layers
/// are compressed, which those of `docker save` are not.
fn recompress(args: &PushArgs) -> Recompress {
    let asked = if args.compression.is_some() { Recompress::Loaded } else { Recompress::Never };
    match args.service.runtime.map(RuntimeArg::recompress) {
        None | Some(Recompress::Never | Recompress::Loaded) => asked,
        Some(Recompress::Differing) => Recompress::Differing,
    }
}

fn index(args: &PushArgs) -> LazyIndex {
    if args.service.soci.is_on() { LazyIndex::Soci } else { LazyIndex::None }
}

/// The platform of which an image is sent alone, if not all of them are: the one that was asked for, or the only one
/// where the runtime takes no index.
fn platform(args: &PushArgs, image: &str, lease: &Lease) -> Result<Option<Platform>, Failure> {
    let asked = args.which.platform()?;
    let Some(runtime) = args.service.runtime else { return Ok(asked) };
    let (_, root) = stored_image::resolve(lease.store(), image)?;
    let mut found: Vec<Platform> = asked.iter().cloned().collect();
    if found.is_empty()
        && runtime.takes_one()
        && root.media_type.is_index()
        && let Some(bytes) = lease.store().document(&root.digest)?
    {
        let index = show::read(&root, &bytes)?;
        found = index.images().filter_map(|entry| entry.platform.clone()).collect();
    }
    let typed: Vec<String> = found.iter().map(ToString::to_string).collect();
    runtime.check(&Wish {
        platforms: &typed,
        host: &this_machine(),
        compressions: args.compression.as_slice(),
        statement: Statement::None,
        index: index(args),
    })?;
    Ok(found.into_iter().next())
}
