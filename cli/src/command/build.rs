//! `wythe build`.

pub(crate) mod bench;
pub(crate) mod call;
pub(crate) mod deliver;
pub(crate) mod dockerfile;
pub(crate) mod fetched;
pub(crate) mod options;
pub(crate) mod secret;

use wythe_builder::build::{Input, build};
use wythe_store::journal::Durability;

use self::bench::Bench;
use self::deliver::Delivery;
use self::dockerfile::Dockerfile;
use crate::args::build::BuildArgs;
use crate::args::call::Method;
use crate::args::context::ContextSource;
use crate::failure::Failure;
use crate::render;
use crate::render::terse::Terse;
use crate::session::Session;

/// Builds, or answers a question about the Dockerfile.
pub(crate) fn run(args: &BuildArgs, session: &Session) -> Result<(), Failure> {
    let call = args.question();
    let local = Dockerfile::local(args)?;
    let local = match local {
        Some(dockerfile) if call.method != Method::Build => {
            return call::answer(call, dockerfile, args, session);
        }
        local => local,
    };
    let durability =
        if args.result.no_durable.is_on() { Durability::Relaxed } else { Durability::Durable };
    let lease = session.store_with(durability)?.lease()?;
    let options = options::options(args, &session.settings)?;
    let bench = Bench::new(session)?;
    let (dockerfile, files) = match local {
        Some(dockerfile) => (dockerfile, None),
        None => fetched::open(args, &options, bench.environment(&lease, &()))?,
    };
    if call.method != Method::Build {
        return call::answer(call, dockerfile, args, session);
    }
    let progress = render::progress(session.global.progress, dockerfile.source.clone());
    let progress = if args.cache.explain.is_on() { progress } else { Box::new(Terse(progress)) };
    let input = Input { files, ..input(args, dockerfile) };
    let built = build(&input, &options, &[], bench.environment(&lease, &*progress))?;
    Delivery::new(&lease, &built, args, session)?.run()
}

fn input(args: &BuildArgs, dockerfile: Dockerfile) -> Input {
    let context =
        if let ContextSource::Directory(path) = &args.context { Some(path.clone()) } else { None };
    let Dockerfile { source, path } = dockerfile;
    let (dockerfile, name) = (source.text.into_bytes(), source.name);
    Input { dockerfile, name, path, context, files: None }
}
