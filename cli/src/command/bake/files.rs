//! The files of a definition.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use wythe_bake::definition::{DEFAULT_FILES, HERE};
use wythe_bake::source::DefinitionFile;

use super::remote::RemoteDefinition;
use crate::failure::Failure;
use crate::settings::Settings;

/// The longest definition that is read, in bytes: one for ten thousand targets is shorter.
pub(super) const MAX_DEFINITION: u64 = 16 << 20;

/// Names files where no flag does, with colons between them.
const FILES: &str = "BUILDX_BAKE_FILE";

/// What separates them instead.
const SEPARATOR: &str = "BUILDX_BAKE_PATH_SEPARATOR";

/// Reads the files that are named, by flags or the environment, else those of the usual names: of where the
/// definition is, or of the working directory.
pub(crate) fn read(
    named: &[String],
    remote: Option<&RemoteDefinition>,
    settings: &Settings,
) -> Result<Vec<DefinitionFile>, Failure> {
    let separator = settings.text(SEPARATOR).filter(|text| !text.is_empty());
    let separator = separator.unwrap_or_else(|| ":".to_owned());
    let from_environment = settings.text(FILES).unwrap_or_default();
    let from_environment = from_environment.split(&separator).map(|name| name.trim().to_owned());
    let from_environment: Vec<String> = from_environment.filter(|name| !name.is_empty()).collect();
    let named = if named.is_empty() { &from_environment } else { named };
    let mut files = Vec::new();
    if let Some(remote) = remote {
        let (here, there): (Vec<&str>, Vec<&str>) =
            named.iter().map(String::as_str).partition(|name| name.starts_with(HERE));
        files.extend(remote.files(&there)?);
        for name in here {
            files.push(file(name.trim_start_matches(HERE))?);
        }
        return Ok(files);
    }
    if named.is_empty() {
        for name in DEFAULT_FILES.iter().filter(|name| Path::new(name).exists()) {
            files.push(file(name)?);
        }
        if files.is_empty() {
            return Err(Failure::usage("there is no definition here")
                .remedy("write a docker-bake.hcl or a compose.yaml, or name a file with --file"));
        }
    }
    for name in named {
        // What others write for files of this machine beside those of a repository.
        files.push(file(name.strip_prefix(HERE).unwrap_or(name))?);
    }
    Ok(files)
}

/// One file, or standard input.
pub(crate) fn file(name: &str) -> Result<DefinitionFile, Failure> {
    let read =
        if name == "-" { text(io::stdin().lock()) } else { fs::File::open(name).and_then(text) };
    let text = read.map_err(|error| {
        let failure = Failure::usage(format!("cannot read the definition {name}")).because(&error);
        if name.contains("://") {
            failure.remedy("give the address before the targets, and the file in it with --file")
        } else {
            failure
        }
    })?;
    Ok(DefinitionFile { name: name.to_owned(), text })
}

fn text(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_DEFINITION + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_DEFINITION {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is longer than 16 MiB"));
    }
    Ok(text)
}
