//! `wythe build`.

mod agents;
pub(crate) mod call;
pub(crate) mod deliver;
pub(crate) mod dockerfile;
pub(crate) mod fetched;
pub(crate) mod on_error;
pub(crate) mod options;
pub(crate) mod provenance;
mod reproduction;
pub(crate) mod resources;
pub(crate) mod secret;
pub(crate) mod targets;

use std::io;
use std::sync::Arc;

use wythe_builder::build::build;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::inspect::Inspector;
use wythe_builder::progress::AsEvents;
use wythe_store::journal::Durability;

use self::agents::Agents;
use self::deliver::Delivery;
use self::dockerfile::Dockerfile;
use self::fetched::Opened;
use self::on_error::OnErrorCommand;
use self::provenance::BuildInvocation;
use self::reproduction::reproduction;
use self::resources::BuildResources;
use crate::args::build::BuildArgs;
use crate::args::call::Method;
use crate::args::context::ContextSource;
use crate::args::global::ProgressForm;
use crate::failure::Failure;
use crate::render::screen::PausedProgress;
use crate::render::unexplained::Unexplained;
use crate::session::Session;
use crate::{host, render};

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
    targets::refuse_unclear(args)?;
    deliver::refuse_terminal(&args.result)?;
    let durability =
        if args.result.no_durable.is_on() { Durability::Relaxed } else { Durability::Durable };
    let lease = session.store_with(durability)?.lease()?;
    let mut options = options::options(args, &session.settings)?;
    let agents = Agents::new(&args.input.ssh, &session.settings, &lease.work_dir())?;
    options.agents.clone_from(&agents.sockets);
    let resources = BuildResources::new(session)?;
    let opened = match local {
        Some(dockerfile) => Opened::local(dockerfile),
        None => Opened::fetch(args, &options, resources.environment(&lease, &()))?,
    };
    let Opened { dockerfile, files, time } = opened;
    if call.method != Method::Build {
        return call::answer(call, dockerfile, args, session);
    }
    let quiet = args.result.quiet.is_on();
    let form = if quiet { ProgressForm::Quiet } else { session.global.progress };
    let screen = Arc::default();
    let medium = render::medium(&io::stderr(), session.settings.text("TERM").as_deref());
    let progress = render::progress(form, dockerfile.source.clone(), &screen, medium);
    let progress =
        if args.cache.explain.is_on() { progress } else { Box::new(Unexplained(progress)) };
    let progress = PausedProgress { progress, screen: &screen };
    let on_error =
        args.run.on_error.as_ref().map(|command| OnErrorCommand { command, screen: &screen });
    let inspector = on_error.as_ref().map(|command| command as &dyn Inspector);
    let environment = Environment { inspector, ..resources.environment(&lease, &progress) };
    let input = Input { files, time, ..input(args, dockerfile) };
    let started = host::date();
    let built = build(&input, &options, environment)
        .map_err(|error| session.failed(error).reproducible(&reproduction(&host::words())))?;
    let transfers = AsEvents(&progress);
    let mut delivery = Delivery::new(&lease, &built, args, (session, &transfers))?;
    if let Some(asked) = args.attestation.provenance() {
        let mut images = built.targets.iter().flat_map(|target| &target.images);
        let epoch = images.any(|image| image.epoch.is_some());
        let times = (!epoch).then(|| (started, host::date()));
        let dockerfile = (input.name.as_str(), input.dockerfile.as_slice());
        let invocation = BuildInvocation { asked, options: &options, dockerfile, times };
        for target in &mut delivery.targets {
            target.images.provenance = Some(invocation.predicate(target.built));
        }
    }
    delivery.run()
}

fn input(args: &BuildArgs, dockerfile: Dockerfile) -> Input {
    let context =
        if let ContextSource::Directory(path) = &args.context { Some(path.clone()) } else { None };
    let Dockerfile { source, path } = dockerfile;
    let (dockerfile, name) = (source.text.into_bytes(), source.name);
    Input { dockerfile, name, path, context, ..Input::default() }
}
