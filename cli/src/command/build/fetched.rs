//! A context that is behind an address or comes on standard input, and the Dockerfile in it.

use std::io;

use wythe_builder::environment::Environment;
use wythe_builder::error::{BuildCause, BuildError, Place};
use wythe_builder::options::Options;
use wythe_builder::remote::context::{FetchedContext, file};
use wythe_store::tree::entry::Tree;

use super::dockerfile::Dockerfile;
use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;
use crate::failure::Failure;

/// Fetches or reads the context, and finds the Dockerfile in it unless a flag says where it is.
pub(crate) fn open(
    args: &BuildArgs,
    options: &Options,
    environment: Environment<'_>,
) -> Result<(Dockerfile, Option<Tree>), Failure> {
    let path = args.input.file.as_deref();
    match (fetch(args, options, environment)?, path) {
        (FetchedContext::Dockerfile(_), Some(path)) => {
            Err(Failure::usage(format!("the context is one file, in which there is no {path}"))
                .remedy("leave --file out, or give an archive"))
        }
        (FetchedContext::Dockerfile(bytes), None) => {
            Ok((Dockerfile::of_bytes("Dockerfile", &bytes)?, None))
        }
        (FetchedContext::Files(files), Some("-")) => Ok((Dockerfile::of_stdin()?, Some(files))),
        (FetchedContext::Files(files), path) => {
            let path = path.unwrap_or("Dockerfile");
            let bytes = file(environment, &files, path).map_err(failure)?;
            let missing = || {
                Failure::usage(format!("cannot read the Dockerfile {path}: the context has none"))
                    .remedy("give its place in the context with --file")
            };
            Ok((Dockerfile::of_bytes(path, &bytes.ok_or_else(missing)?)?, Some(files)))
        }
    }
}

fn fetch(
    args: &BuildArgs,
    options: &Options,
    environment: Environment<'_>,
) -> Result<FetchedContext, Failure> {
    match &args.context {
        ContextSource::Url(url) => FetchedContext::fetch(environment, options, url),
        ContextSource::Stdin => FetchedContext::read(environment, &mut io::stdin().lock()),
        ContextSource::Directory(_) | ContextSource::Image(_) | ContextSource::Layout { .. } => {
            return Err(Failure::usage("an image cannot be the main context")
                .remedy("give it with --build-context, and a directory as context"));
        }
    }
    .map_err(failure)
}

fn failure(cause: BuildCause) -> Failure {
    BuildError { place: Place::default(), step: None, cause }.into()
}
