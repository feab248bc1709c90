//! A context that is behind an address or comes on standard input, and the Dockerfile in it.

use std::fs::File;
use std::io::{self, Read};

use wythe_builder::environment::Environment;
use wythe_builder::error::{BuildCause, BuildError, SourceLocation};
use wythe_builder::fetch::context::{ContextContent, FetchedContext, file};
use wythe_builder::options::Options;
use wythe_store::path::LayerPath;
use wythe_store::record_origin::RecordOrigin;
use wythe_store::tree::entry::{Node, Tree};
use wythe_store::tree::resolve::find;

use super::dockerfile::Dockerfile;
use crate::args::build::BuildArgs;
use crate::args::context::{ArchivePlace, ContextSource};
use crate::aws;
use crate::failure::Failure;
use crate::session::Session;

/// A Dockerfile with the files of its context, where they are no directory.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) dockerfile: Dockerfile,
    pub(crate) files: Option<Tree>,
    /// What `SOURCE_DATE_EPOCH=context` means.
    pub(crate) time: Option<i64>,
    /// Where the context was fetched from, where it is known.
    pub(crate) origin: Option<RecordOrigin>,
}

impl Opened {
    /// A Dockerfile whose context is a directory.
    pub(crate) fn local(dockerfile: Dockerfile) -> Self {
        Self { dockerfile, files: None, time: None, origin: None }
    }

    /// Finds the Dockerfile in a context, unless it is given or a flag says where it is.
    pub(crate) fn of(
        context: FetchedContext,
        given: Option<Dockerfile>,
        args: &BuildArgs,
        environment: Environment<'_>,
    ) -> Result<Self, Failure> {
        let FetchedContext { content, time, origin } = context;
        let content = match (content, args.input.context_subdirectory.as_deref()) {
            (ContextContent::Files(files), Some(path)) => {
                ContextContent::Files(below(&files, path)?)
            }
            (content, _) => content,
        };
        let path = args.input.file.as_deref();
        if let Some(dockerfile) = given {
            let files = match content {
                ContextContent::Files(files) => Some(files),
                ContextContent::Dockerfile(_) => None,
            };
            return Ok(Self { dockerfile, files, time, origin });
        }
        let (dockerfile, files) = match (content, path) {
            (ContextContent::Dockerfile(_), Some(path)) => {
                let text = format!("the context is one file, in which there is no {path}");
                return Err(Failure::usage(text).remedy("leave --file out, or give an archive"));
            }
            (ContextContent::Dockerfile(bytes), None) => {
                (Dockerfile::of_bytes("Dockerfile", &bytes)?, None)
            }
            (ContextContent::Files(files), Some("-")) => (Dockerfile::of_stdin()?, Some(files)),
            (ContextContent::Files(files), path) => {
                (within(environment, &files, path.unwrap_or("Dockerfile"))?, Some(files))
            }
        };
        Ok(Self { dockerfile, files, time, origin })
    }
}

/// The Dockerfile at a path of the context.
fn within(environment: Environment<'_>, files: &Tree, path: &str) -> Result<Dockerfile, Failure> {
    let bytes = file(environment, files, path).map_err(failure)?;
    let missing = || {
        Failure::usage(format!("cannot read the Dockerfile {path}: the context has none"))
            .remedy("give its place in the context with --file")
    };
    Dockerfile::of_bytes(path, &bytes.ok_or_else(missing)?)
}

/// The files of a directory of the context.
fn below(files: &Tree, path: &str) -> Result<Tree, Failure> {
    let missing = || Failure::usage(format!("the context has no directory {path:?}"));
    let place = LayerPath::parse(path.as_bytes()).map_err(|error| missing().because(&error))?;
    match find(&files.children, &place).map(|entry| &entry.node) {
        Some(Node::Directory(found)) => Ok(Tree { root: None, children: found.children.clone() }),
        _ => Err(missing()),
    }
}

/// Opens an archive that is neither on standard input nor behind an address that everybody may read.
fn archive(place: &ArchivePlace, session: &Session) -> Result<Box<dyn Read>, Failure> {
    match place {
        ArchivePlace::Bucket { bucket, key } => aws::object(bucket, key, session),
        ArchivePlace::File(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => {
                let text = format!("cannot read the context {}", path.display());
                Err(Failure::usage(text).because(&error))
            }
        },
    }
}

/// The Dockerfile that there is, or the one behind the address that `--file` gives.
pub(crate) fn dockerfile(
    local: Option<Dockerfile>,
    (args, options): (&BuildArgs, &Options),
    environment: Environment<'_>,
) -> Result<Option<Dockerfile>, Failure> {
    let Some(address) = args.input.file_address().filter(|_| local.is_none()) else {
        return Ok(local);
    };
    match FetchedContext::fetch(environment, options, address).map_err(failure)?.content {
        ContextContent::Dockerfile(bytes) => Dockerfile::of_bytes("Dockerfile", &bytes).map(Some),
        ContextContent::Files(_) => {
            Err(Failure::usage(format!("what is behind {address} is no Dockerfile"))
                .remedy("give an archive or a repository as the context"))
        }
    }
}

/// Fetches or reads the context of the flags.
pub(crate) fn fetch(
    (args, options): (&BuildArgs, &Options),
    session: &Session,
    environment: Environment<'_>,
) -> Result<FetchedContext, Failure> {
    match &args.context {
        ContextSource::Archive(place) => {
            FetchedContext::read(environment, &mut *archive(place, session)?)
        }
        ContextSource::Url(url) => FetchedContext::fetch(environment, options, url),
        ContextSource::Stdin => FetchedContext::read(environment, &mut io::stdin().lock()),
        ContextSource::Directory(_) | ContextSource::Image(_) | ContextSource::Layout { .. } => {
            return Err(Failure::usage("an image cannot be the main context")
                .remedy("give it with --build-context, and a directory as context"));
        }
    }
    .map_err(failure)
}

pub(crate) fn failure(cause: BuildCause) -> Failure {
    BuildError { place: SourceLocation::default(), step: None, cause }.into()
}
