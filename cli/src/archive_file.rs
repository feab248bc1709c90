//! An image of the store to a file, or to standard output.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use wythe_delivery::archive::write_archive;
use wythe_delivery::image::OutgoingImage;
use wythe_store::oci::archive::Flavour;

use crate::failure::{Class, Failure};
use crate::stored_image::this_machine;

/// Writes an image as an archive to a file, or to standard output.
pub(crate) fn write_file(
    image: &OutgoingImage<'_>,
    path: Option<&Path>,
    flavour: Flavour,
) -> Result<(), Failure> {
    write_files(std::slice::from_ref(image), path, flavour)
}

/// As [`write_file`], with several images.
pub(crate) fn write_files(
    images: &[OutgoingImage<'_>],
    path: Option<&Path>,
    flavour: Flavour,
) -> Result<(), Failure> {
    let Some(path) = path else {
        refuse_terminal(&io::stdout())?;
        return write(images, flavour, &mut io::stdout().lock());
    };
    let failed = |error: io::Error| {
        let text = format!("cannot write {}", path.display());
        Failure::new(Class::Environment, text).because(&error)
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    write(images, flavour, &mut file)?;
    file.flush().map_err(failed)
}

fn write(
    images: &[OutgoingImage<'_>],
    flavour: Flavour,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let machine = this_machine();
    let platform = match flavour {
        Flavour::Docker => Some(&machine),
        Flavour::Oci => None,
    };
    Ok(write_archive(images, (flavour, platform), out)?)
}

/// Refuses to write an archive to a person.
pub(crate) fn refuse_terminal(out: &impl IsTerminal) -> Result<(), Failure> {
    if !out.is_terminal() {
        return Ok(());
    }
    let text = "an archive is not for a terminal, which standard output is";
    Err(Failure::usage(text).remedy("write to a file, or to a program with > or |"))
}
