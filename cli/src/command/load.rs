//! `wythe load`.

use std::io::{self, IsTerminal};
use std::path::Path;

use wythe_delivery::image::{OutgoingImage, refuse_other};
use wythe_store::digest::Digest;
use wythe_store::image::catalog::ref_name;
use wythe_store::image::whole::Whole;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::{IMAGE_NAME, Layout, REF_NAME, Selector};
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::SourceError;

use crate::acquire::{selector, stand_in, unpacked};
use crate::args::image::LoadArgs;
use crate::closure;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Reads images from an archive or a layout directory, and names them as they are named there
/// unless a flag gives another name. A name that stood for another image is told of.
pub(crate) fn run(args: &LoadArgs, session: &Session) -> Result<(), Failure> {
    let tag = args.tag.as_ref().map(|tag| tag.parse::<Reference>()).transpose()?;
    if args.input.as_os_str() == "-" && io::stdin().is_terminal() {
        let text = "an archive does not come from a terminal, which standard input is";
        return Err(Failure::usage(text).remedy("name it with --input, or hand it over with <"));
    }
    let lease = session.store()?.lease()?;
    let layout =
        if args.input.is_dir() { args.input.clone() } else { unpacked(&args.input, &lease)? };
    let wanted = match tag {
        Some(tag) => vec![(selector(args.select.as_deref()), vec![tag])],
        None => named(&layout, args.select.as_deref())?,
    };
    let (mut batch, mut digests) = (Batch::default(), Vec::new());
    let platform = args.which.platform()?;
    for (selector, names) in wanted {
        let layout = Layout::open(&layout, selector)?;
        let root = taken(&layout, platform.as_ref(), (&lease, session))?;
        for name in names {
            refuse_other(&name, root.digest)?;
            let name = ref_name(&name);
            let before = lease.store().find_ref(&name)?;
            if let Some(before) = before.filter(|before| before.digest != root.digest) {
                session.remark(&format!("{name} stood for {} until now", before.digest));
            }
            batch.set_ref(&name, &root);
        }
        digests.push(root.digest);
    }
    lease.commit(batch, Durability::Durable)?;
    if args.quiet.is_on() {
        return Ok(());
    }
    digests.iter().try_for_each(|digest| session.print(&digest.to_string()))
}

/// An image of a layout with everything about it that the layout has: docker leaves out of an archive
/// what it did not pull, though the index lists it.
fn taken(
    source: &Layout,
    platform: Option<&Platform>,
    (lease, session): (&Lease, &Session),
) -> Result<Descriptor, Failure> {
    let whole = Whole { lease, source, reference: &stand_in()? };
    if platform.is_some() {
        return closure::of_source(whole, platform, Class::Usage);
    }
    let (root, lacking) = closure::all_there_is(whole)?;
    let is_there = |image: &Descriptor| !lacking.iter().any(|part| part.of.digest == image.digest);
    if !OutgoingImage::listed(lease, &root)?.iter().any(is_there) {
        closure::none(&lacking, Class::Usage)?;
        return Ok(root);
    }
    for part in &lacking {
        session.remark(&format!("{} is not in it", closure::called(&part.of)));
    }
    Ok(root)
}

/// The images of a layout, or the selected one, with the names that the layout gives them.
fn named(layout: &Path, select: Option<&str>) -> Result<Vec<(Selector, Vec<Reference>)>, Failure> {
    let layout = Layout::open(layout, selector(select))?;
    let entries = if select.is_none() {
        layout.images().into_iter().cloned().collect()
    } else {
        let stand_in = stand_in()?;
        vec![layout.selected().map_err(|problem| SourceError::new(&stand_in, problem))?]
    };
    let mut images: Vec<(Digest, Vec<Reference>)> = Vec::new();
    for entry in &entries {
        let name = name(entry)?;
        match images.iter_mut().find(|(digest, _)| *digest == entry.digest) {
            Some((_, names)) => names.push(name),
            None => images.push((entry.digest, vec![name])),
        }
    }
    Ok(images.into_iter().map(|(digest, names)| (Selector::Digest(digest), names)).collect())
}

/// The name that an entry gives itself. What it says of its digest is not taken from it: such a name
/// is of what a registry or a build has under that digest.
fn name(entry: &Descriptor) -> Result<Reference, Failure> {
    let annotations = [IMAGE_NAME, REF_NAME].into_iter();
    let mut said = annotations.filter_map(|key| entry.annotations.get(key));
    if let Some(pinned) = said.find(|text| text.contains('@')) {
        let text = format!("the image {} calls itself {pinned:?}", entry.digest);
        return Err(Failure::usage(text)
            .remedy("a digest comes from what is in an image; give it a name with --tag"));
    }
    let name = entry.annotations.get(IMAGE_NAME).ok_or_else(|| {
        Failure::usage(format!("the image {} has no name", entry.digest)).remedy(
            "give it one with --tag, and say which is meant with --select if there are several",
        )
    })?;
    Ok(name.parse()?)
}
