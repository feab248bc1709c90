//! An image of the store to where it is wanted: a registry, a layout, an archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use wythe_registry::client::Client;
use wythe_registry::push::{Outbox, Push, Silent};
use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::StoredContent;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::{self, Flavour};
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::write as layout;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use crate::failure::{Class, Failure};
use crate::obtainable::Obtainable;
use crate::stored_image::this_machine;

/// An image as it leaves: what it is called, and its manifest. The lease keeps its bytes.
#[derive(Debug)]
pub(crate) struct Shipment<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) root: Descriptor,
    pub(crate) names: Vec<Reference>,
    /// What an archive calls it that holds others, too, where it has no name.
    pub(crate) title: Option<String>,
    /// When it was made, as its configuration says.
    pub(crate) created: Option<String>,
    /// Where layers are to be had that the store lacks; a push fetches those the registry lacks.
    pub(crate) origins: &'a [BlobOrigin],
}

impl Shipment<'_> {
    /// Sends it to the registry of a name.
    pub(crate) fn push(&self, client: &Client, to: &Reference) -> Result<(), Failure> {
        let content = Obtainable::new(self.lease, client, self.origins);
        self.push_from(&outbox(client, &content, &content.repositories()), to)
    }

    /// The same where some of it has been sent already.
    pub(crate) fn push_from(&self, outbox: &Outbox<'_>, to: &Reference) -> Result<(), Failure> {
        refuse_other(to, self.root.digest)?;
        Ok(outbox.push(&self.root, to)?)
    }

    /// Adds it to a layout directory, which is made where there is none.
    pub(crate) fn write_layout(&self, directory: &Path) -> Result<(), Failure> {
        write_layout(self.lease, std::slice::from_ref(self), directory)
    }

    /// Writes it as an archive.
    pub(crate) fn write_archive(
        &self,
        out: &mut dyn Write,
        flavour: Flavour,
    ) -> Result<(), Failure> {
        let shape = (flavour, Some(&this_machine()));
        write_archive(self.lease, std::slice::from_ref(self), (out, shape))
    }

    /// Writes it as an archive to a file, or to standard output.
    pub(crate) fn write_file(&self, path: Option<&Path>, flavour: Flavour) -> Result<(), Failure> {
        let Some(path) = path else {
            refuse_terminal(&io::stdout())?;
            return self.write_archive(&mut io::stdout().lock(), flavour);
        };
        let failed = |error: io::Error| {
            let text = format!("cannot write {}", path.display());
            Failure::new(Class::Environment, text).because(&error)
        };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        self.write_archive(&mut file, flavour)?;
        file.flush().map_err(failed)
    }

    /// The image under each of its names; an image without a name is listed once.
    fn entries(&self) -> Vec<Descriptor> {
        let entry = |name| layout::named(self.root.clone(), name, self.created.as_deref());
        match (self.names.as_slice(), &self.title) {
            ([], None) => vec![layout::dated(self.root.clone(), self.created.as_deref())],
            ([], Some(title)) => {
                let entry = layout::titled(self.root.clone(), title);
                vec![layout::dated(entry, self.created.as_deref())]
            }
            (names, _) => names.iter().map(entry).collect(),
        }
    }
}

/// Refuses to write an archive to a person.
pub(crate) fn refuse_terminal(out: &impl IsTerminal) -> Result<(), Failure> {
    if !out.is_terminal() {
        return Ok(());
    }
    let text = "an archive is not for a terminal, which standard output is";
    Err(Failure::usage(text).remedy("write to a file, or to a program with > or |"))
}

/// What leaves for the registries of a client, of which they may have some in other repositories.
pub(crate) fn outbox<'a>(
    client: &'a Client,
    content: &'a dyn Content,
    origins: &'a BTreeMap<Digest, Vec<String>>,
) -> Outbox<'a> {
    client.outbox(content, Push { origins, progress: &Silent })
}

/// The names that refuse nothing: to those of a digest may only go what has it.
pub(crate) fn free(names: &[Reference]) -> Vec<Reference> {
    names.iter().filter(|name| name.digest().is_none()).cloned().collect()
}

/// Refuses a destination whose digest is that of something else.
pub(crate) fn refuse_other(to: &Reference, root: Digest) -> Result<(), Failure> {
    match to.digest() {
        Some(digest) if digest != root => {
            let text = format!("the image is {root}, and cannot become {to}");
            Err(Failure::usage(text).remedy("leave the digest out of the name, or give this one"))
        }
        _ => Ok(()),
    }
}

/// Adds images to a layout directory, which is made where there is none.
pub(crate) fn write_layout(
    lease: &Lease,
    shipments: &[Shipment<'_>],
    directory: &Path,
) -> Result<(), Failure> {
    let entries: Vec<Descriptor> = shipments.iter().flat_map(Shipment::entries).collect();
    Ok(layout::write(directory, &StoredContent(lease.store()), &entries)?)
}

/// Writes images as one archive.
pub(crate) fn write_archive(
    lease: &Lease,
    shipments: &[Shipment<'_>],
    (out, shape): (&mut dyn Write, (Flavour, Option<&Platform>)),
) -> Result<(), Failure> {
    let entries: Vec<Descriptor> = shipments.iter().flat_map(Shipment::entries).collect();
    archive::write(out, &StoredContent(lease.store()), &entries, shape)
        .map_err(|error| unwritten(&error))
}

/// Why an archive could not be written.
fn unwritten(error: &io::Error) -> Failure {
    // Not what a file system says of itself, but what an archive cannot hold.
    if error.kind() == io::ErrorKind::Unsupported && error.raw_os_error().is_none() {
        return Failure::of(Class::Usage, error).remedy("an archive in the format oci can hold it");
    }
    Failure::of(Class::Environment, error)
}
