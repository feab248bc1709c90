//! `wythe build`.

pub(crate) mod call;
pub(crate) mod deliver;
pub(crate) mod dockerfile;
pub(crate) mod options;
pub(crate) mod secret;

use wythe_builder::build::{Image, Input, build};
use wythe_builder::environment::Environment;
use wythe_store::journal::Durability;
use wythe_store::lease::Lease;

use self::deliver::Delivery;
use self::dockerfile::Dockerfile;
use crate::args::build::BuildArgs;
use crate::args::call::Method;
use crate::args::context::ContextSource;
use crate::failure::Failure;
use crate::render::terse::Terse;
use crate::session::Session;
use crate::web::Web;
use crate::{render, stored_image, world};

/// Builds, or answers a question about the Dockerfile.
pub(crate) fn run(args: &BuildArgs, session: &Session) -> Result<(), Failure> {
    let dockerfile = Dockerfile::read(args)?;
    let call = args.question();
    if call.method != Method::Build {
        return call::answer(call, dockerfile, args, session);
    }
    let durability =
        if args.result.no_durable.is_on() { Durability::Relaxed } else { Durability::Durable };
    let lease = session.store_with(durability)?.lease()?;
    let made = make(args, dockerfile, &lease, session)?;
    let image = stored_image::of_ref(lease.store(), "the image", made.manifest.clone())?;
    Delivery { lease: &lease, image: &image, made: &made, args, session }.run()
}

/// Makes the image, without a name.
fn make(
    args: &BuildArgs,
    dockerfile: Dockerfile,
    lease: &Lease,
    session: &Session,
) -> Result<Image, Failure> {
    let options = options::options(args, &session.settings)?;
    let (client, cancel, pool) = (session.registry()?, session.cancel()?, world::threads()?);
    let (id_map, resolv_conf) = (world::id_map(), world::resolv_conf());
    let git = world::git(&session.settings);
    let progress = render::progress(session.global.progress, dockerfile.source.clone());
    let progress = if args.cache.explain.is_on() { progress } else { Box::new(Terse(progress)) };
    let environment = Environment {
        store: lease.store(),
        lease,
        images: &client,
        remote: &Web(&client),
        git: git.as_ref(),
        progress: &*progress,
        cancel: &cancel,
        clock: &world::SystemClock,
        pool: &pool,
        idmap: id_map.as_bytes(),
        resolv_conf: &resolv_conf,
    };
    Ok(build(&input(args, dockerfile), &options, &[], environment)?)
}

fn input(args: &BuildArgs, dockerfile: Dockerfile) -> Input {
    let context =
        if let ContextSource::Directory(path) = &args.context { Some(path.clone()) } else { None };
    let Dockerfile { source, path } = dockerfile;
    Input { dockerfile: source.text.into_bytes(), name: source.name, path, context }
}
