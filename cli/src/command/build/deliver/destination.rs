//! Bytes to a file or to standard output.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::args::output::Destination;
use crate::failure::{Class, Failure};

/// Writes to a file or standard output; a file that could not be completed is removed.
pub(super) fn write_to(
    destination: &Destination,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (Destination::File(path) | Destination::Directory(path)) = destination else {
        return write(&mut io::stdout().lock());
    };
    let failed = |error: io::Error| unwritable(path, &error);
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    let named = |failure: Failure| failure.within(format!("cannot write {}", path.display()));
    let written = write(&mut out).map_err(named).and_then(|()| out.flush().map_err(failed));
    if written.is_err() {
        // The failure that is reported is the one that came first.
        let _ = fs::remove_file(path);
    }
    written
}

/// Writes a short file.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Class::Environment, format!("cannot write {}", path.display())).because(error)
}
